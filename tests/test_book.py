"""The notebooks and the table of contents, as files."""

import importlib.util
import re
import runpy
from pathlib import Path

import docutils.utils
import nbformat
import pytest
import yaml
from docutils import nodes

import swref

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("**/*.ipynb"))
NOTEBOOKS = [p for p in NOTEBOOKS if ".ipynb_checkpoints" not in p.parts]


def extension():
    """The book's own Sphinx extension, as a fresh module."""
    spec = importlib.util.spec_from_file_location("swref_book", ROOT / "book" / "_ext" / "swref_book.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages():
    """Every page of _toc.yml, in order."""

    def walk(node):
        if isinstance(node, dict):
            yield from (node[key] for key in ("root", "file") if key in node)
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    return list(walk(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


@pytest.mark.parametrize("page", pages())
def test_every_page_of_the_contents_exists_once(page):
    files = [ROOT / f"{page}{suffix}" for suffix in (".md", ".ipynb") if (ROOT / f"{page}{suffix}").exists()]
    assert len(files) == 1
    assert pages().count(page) == 1


def test_every_page_of_the_book_is_in_the_contents():
    written = [*(ROOT / "book").glob("*.md"), *NOTEBOOKS]
    assert {p.relative_to(ROOT).with_suffix("").as_posix() for p in written} == set(pages())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_valid_and_carries_no_results(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_keeps_its_cell_ids(path):
    # Read as JSON: nbformat.read would invent missing ids. Format 4.5 is the first that stores them.
    raw = nbformat.reader.reads(path.read_text(encoding="utf-8"))
    assert (raw["nbformat"], raw["nbformat_minor"]) >= (4, 5)
    ids = [cell.get("id", "") for cell in raw["cells"]]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", i) for i in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_opens_with_the_macros_of_the_book(path):
    macros = runpy.run_path(str(ROOT / "book" / "_ext" / "macros.py"))
    assert nbformat.read(path, as_version=4).cells[0] == macros["macros_cell"](), "run `make macros`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_on_any_python_kernel(path):
    assert nbformat.read(path, as_version=4).metadata.kernelspec.name == "python3"


def statements():
    """The pages of each numbered statement of the paper, from the table on the notation page."""
    table = (ROOT / "book" / "notation.md").read_text(encoding="utf-8").split("## Statements of the paper")[1]
    rows = [row.split("|") for row in table.splitlines() if "{doc}" in row]
    numbers = {number: row[3] for row in rows for number in re.findall(PAPER, row[1])}
    return {number: set(re.findall(r"{doc}`(\w+)`", pages)) for number, pages in numbers.items()}


PAPER = r"\b[A-I1-9]\.\d+"  # Def. 3.1 and Prop. A.8, without the kind


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_statements_of_the_paper_are_where_the_notation_page_says(path):
    cells = nbformat.read(path, as_version=4).cells
    titles = re.findall(r"{prf:\w+} (.*)", "\n".join(c.source for c in cells if c.cell_type == "markdown"))
    named = [title for title in titles if "Peyré" in title]
    for title in named:
        for number in re.findall(PAPER, title):
            assert path.stem in statements().get(number, ()), title
    # One numbering on a page: a number of the paper comes with its author.
    assert not named or [title for title in titles if re.search(PAPER, title)] == [
        t for t in named if re.search(PAPER, t)
    ]


def test_the_table_of_statements_names_pages_of_the_book():
    assert {f"book/{page}" for found in statements().values() for page in found} <= set(pages())


def test_every_public_name_is_on_the_api_page():
    listed = set(re.findall(r"\w+", (ROOT / "book" / "api.md").read_text(encoding="utf-8")))
    assert set(swref.__all__) <= listed


INPUTS = [
    "swref/maxmin.py", "swref/gauges/base.py", "swref/widgets.js", "requirements.txt", "book/_static/figures/a.json",
]  # fmt: skip


@pytest.mark.parametrize("changed", INPUTS)
def test_outputs_of_another_swref_are_not_reused(changed, tmp_path, monkeypatch):
    for name in INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    book = extension()
    monkeypatch.setattr(book, "ROOT", tmp_path)
    before = book.fingerprint()
    assert book.fingerprint() == before
    (tmp_path / changed).write_text("x = 2\n")
    assert book.fingerprint() != before


def test_formulas_in_docstrings_are_not_markup():
    lines = ["|A - A^T| is at most c*_ of ``x|y*`` and sum_i w_i.", "    code = 2 * x_"]
    extension().escape_docstring(None, "function", "f", None, None, lines)
    assert lines == [r"\|A - A^T\| is at most c\*\_ of ``x|y*`` and sum_i w_i.", "    code = 2 * x_"]


def test_punctuation_stays_on_the_line_of_its_formula():
    document = docutils.utils.new_document("page")
    parts = [nodes.Text("so "), nodes.math("", "x"), nodes.Text("), and "), nodes.math("", "y")]
    document += nodes.paragraph("", "", *parts)
    extension().keep_together(None, document)
    (pair,) = document.findall(nodes.inline)
    assert (pair.astext(), pair["classes"]) == ("x),", ["together"])
    assert document.astext() == "so x), and y"


def test_nothing_is_fetched_from_the_network():
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    script = (ROOT / "swref" / "widgets.js").read_text(encoding="utf-8")
    links = re.findall(r"https?://[^\s\"'<>]+", config + script)
    # Two links to click in the footer, and the name of the SVG namespace.
    hosts = {"creativecommons.org", "arxiv.org", "www.w3.org"}
    assert {link.split("/")[2] for link in links} <= hosts
