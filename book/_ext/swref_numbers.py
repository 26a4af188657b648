"""Numbers in the prose: {eval}`f"{gap:.1%}"` in a text cell stands for what the kernel answers.

JupyterLab (with jupyterlab-myst) asks the kernel when the text cell is run; after "Run All Cells" this is when all the
code has run. The book asks in hidden code cells: one before each such text cell, and one at the end that asks
everything again. The answers must be the same, so that a reader sees one number in the page and in every way to run it.
"""

import ast
import copy
import re
from itertools import chain
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from sphinx.util import logging

ROLE = re.compile(r"\{eval\}`([^`]+)`")
MARKUP = re.compile(r"([\\*_$<>{}\[\]|~])")  # what a number could mean to Markdown, were it not escaped
END = "numbers-again"
log = logging.getLogger(__name__)


def expressions(cell):
    """The expressions of a text cell, in order; () for code."""
    return ROLE.findall(cell.source) if cell.cell_type == "markdown" else ()


def question(cell_id, asked):
    source = "\n".join(["[", *(f"    {one}," for one in asked), "]"])
    return nbformat.v4.new_code_cell(source, id=cell_id, metadata={"tags": ["remove-cell"]})


def ask(notebook):
    """The notebook with its hidden cells; itself if its text has no expression."""
    asked = [expressions(cell) for cell in notebook.cells]
    if not any(asked):
        return notebook
    asking = copy.copy(notebook)
    asking.cells = []
    for cell, here in zip(notebook.cells, asked, strict=True):
        asking.cells += [question(f"numbers-{cell.id}"[:64], here), cell] if here else [cell]
    asking.cells.append(question(END, chain(*asked)))
    return asking


def answers(cell):
    """The strings that a hidden cell gave."""
    given = ast.literal_eval(cell.outputs[0]["data"]["text/plain"])
    if not all(isinstance(one, str) for one in given):
        raise ValueError(f'each expression must be a string, as f"{{gap:.1%}}" is; got {given}')
    return given


def tell(asking, executed):
    """The notebook of `ask` with the answers, those in `executed`, in its text. ValueError if an answer changed."""
    told = copy.deepcopy(asking)
    first = []
    for k, cell in enumerate(told.cells):
        if expressions(cell):
            here = answers(executed.cells[k - 1])
            first += zip(expressions(cell), here, strict=True)
            pasted = iter(here)
            cell.source = ROLE.sub(lambda _, pasted=pasted: MARKUP.sub(r"\\\1", next(pasted)), cell.source)
    for (expression, before), after in zip(first, answers(executed.cells[-1]), strict=True):
        if before != after:
            raise ValueError(f"{expression} is {before} where the text says it, and {after} at the end of the notebook")
    return told


def paste(app, page, source):
    """Give myst-nb the page with the numbers in its text. It runs what is not in the cache, and reports it, itself."""
    path = Path(app.env.doc2path(page))
    if path.suffix != ".ipynb":
        return
    notebook = nbformat.reads(source[0], as_version=4)
    asking = ask(notebook)
    if asking is notebook:
        return
    cache = get_cache(app.config.nb_execution_cache_path)
    try:
        _, executed = cache.merge_match_into_notebook(asking)
        asking = tell(asking, executed)
    except KeyError:
        pass
    except ValueError as error:
        log.warning("numbers in the text: %s", error, location=page)
    finally:
        cache.db.dispose()  # its connections, which Python 3.13 says are left open
    source[0] = nbformat.writes(asking)


def setup(app):
    app.connect("source-read", paste)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
