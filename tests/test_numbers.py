"""Numbers in the prose: asked of the kernel where the text stands, and again at the end."""

import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import swref_numbers as numbers
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))


def notebook(*sources):
    """Cells: text when it holds a role, else code."""
    new = nbformat.v4
    kinds = [new.new_markdown_cell if "{eval}" in s or s[0].isupper() else new.new_code_cell for s in sources]
    return new.new_notebook(cells=[kind(s, id=f"c{k}") for k, (kind, s) in enumerate(zip(kinds, sources, strict=True))])


def run(*sources, tmp_path):
    asking = numbers.ask(notebook(*sources))
    executed = single_nb_execution(nbformat.from_dict(asking), str(tmp_path), 60, allow_errors=False)
    if executed.err is not None:
        raise executed.err
    return asking, executed.nb


TEXT = 'A gap of {eval}`f"{gap:.1%}"`, *{eval}`f"{found[\'k-1\']}"`* \\{ and `x`.'


def test_numbers_come_from_the_kernel_and_stand_in_the_text(tmp_path):
    asking, executed = run("gap, found = 0.25, {'k-1': '2*3_'}", TEXT, "x = 1", tmp_path=tmp_path)
    told = numbers.tell(asking, executed)
    assert [cell.id for cell in told.cells] == ["c0", "numbers-c1", "c1", "c2", "numbers-again"]
    assert told.cells[2].source == "A gap of 25.0%, *2\\*3\\_* \\{ and `x`."
    assert all("remove-cell" in cell.metadata.tags for cell in told.cells if cell.id.startswith("numbers"))
    assert asking.cells[2].source == TEXT


@pytest.mark.parametrize(
    "sources, message",
    [
        (("x = 1", 'A {eval}`f"{x}"`.', "x = 2"), r'f"\{x\}" is 1 where the text says it, and 2 at the end'),
        (("x = 1", "A {eval}`x`."), "each expression must be a string"),
    ],
)
def test_a_number_that_is_not_one_is_refused(sources, message, tmp_path):
    asking, executed = run(*sources, tmp_path=tmp_path)
    with pytest.raises(ValueError, match=message):
        numbers.tell(asking, executed)


@pytest.mark.parametrize("sources", [('A {eval}`f"{none}"`.',), ('A {eval}`f"{x}"`.', "x = 1")])
def test_an_unknown_name_and_one_that_comes_later_stop_the_run(sources, tmp_path):
    with pytest.raises(Exception, match="NameError"):
        run(*sources, tmp_path=tmp_path)


def test_a_notebook_without_numbers_is_left_alone():
    plain = notebook("x = 1", "Text with `{glue}`.")
    assert numbers.ask(plain) is plain


def paste(path, cache, source):
    warned = []
    numbers.log = SimpleNamespace(warning=lambda text, error, location: warned.append(str(error)))
    env = SimpleNamespace(doc2path=lambda page: str(path))
    numbers.paste(SimpleNamespace(env=env, config=SimpleNamespace(nb_execution_cache_path=cache)), "page", source)
    return warned


def test_the_page_gets_what_the_cache_holds_and_hears_of_what_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(numbers, "log", numbers.log)
    cache, path = get_cache(tmp_path / "cache"), tmp_path / "page.ipynb"
    for sources, text, warnings in (
        (("Title", "x = 1", 'A {eval}`f"{x}"`.'), "A 1.", 0),
        (("Title", "x = 1", 'A {eval}`f"{x}"`.', "x = 2"), 'A {eval}`f"{x}"`.', 1),
    ):
        raw = nbformat.writes(notebook(*sources))
        unknown, source = [raw], [raw]
        assert paste(path, cache.path, unknown) == []  # myst-nb will run it, and report what is wrong
        assert [c.id for c in nbformat.reads(unknown[0], 4).cells][2] == "numbers-c2"
        _, executed = run(*sources, tmp_path=tmp_path)
        cache.cache_notebook_bundle(CacheBundleIn(executed, str(path)), check_validity=False, overwrite=True)
        assert len(paste(path, cache.path, source)) == warnings
        assert nbformat.reads(source[0], 4).cells[3].source == text
    cache.db.dispose()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_expressions_are_formatted_strings(path):
    """JupyterLab shows a string as it is, and would show other objects by their repr, such as np.float64(0.25)."""
    for cell in nbformat.read(path, as_version=4).cells:
        for expression in numbers.expressions(cell):
            assert re.match(r'f"', expression)
            compile(expression, path.name, "eval")
