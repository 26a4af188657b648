"""The notebooks, the table of contents and the pages of reference, as files."""

import ast
import dataclasses
import importlib.util
import inspect
import json
import re
import runpy
import sys
import types
from pathlib import Path

import docutils.utils
import nbformat
import pytest
import yaml
from docutils import nodes
from test_house import LISTED, code_cells, resolve, returned

import swref
from swref.gauges.registry import gauge_class

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("**/*.ipynb"))
NOTEBOOKS = [p for p in NOTEBOOKS if ".ipynb_checkpoints" not in p.parts]


def extension(name="swref_book"):
    """One of the book's own Sphinx extensions, as a fresh module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_ext" / f"{name}.py")
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
    # One numbering on a page: numbers and appendices of the paper come with its author.
    bare = [re.sub(rf"Peyré, (App\. \w|(((\w+\.|Thm) )?{PAPER}(, | and )?)+)", "", title) for title in titles]
    assert [title for title in bare if re.search(rf"{PAPER}|App\. [A-I]", title)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_hidden_cells_say_what_they_hold(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if "hide-cell" in cell.metadata.get("tags", [])]
    shown = [cell.metadata.get("mystnb", {}).get("code_prompt_show", "") for cell in cells]
    assert [words for words in shown if not re.match(r"Show the .* of ", words)] == []


def test_the_table_of_statements_names_pages_of_the_book():
    assert {f"book/{page}" for found in statements().values() for page in found} <= set(pages())


def captions(path):
    """What stands below the figures of a notebook, drawn by its cells or kept as files."""
    for cell in nbformat.read(path, as_version=4).cells:
        yield cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
        yield from re.findall(r"^```\{figure\}.*?^```", cell.source, re.M | re.S)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_captions_name_no_shade_that_a_dark_page_turns_round(path):
    turned = re.compile(r"\b(black|white|dark(er|est)?|light(er|est)?|bright(er|est)?)\b", re.I)
    assert not [caption for caption in captions(path) if turned.search(caption)]


def test_references_name_a_figure_a_statement_or_a_formula():
    """Of a missing figure Sphinx does not warn: it prints the name."""
    paths = [*NOTEBOOKS, *(ROOT / "book").glob("*.md")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    named = set(re.findall(r'(?:"name": "|:name: |:label: |\$\$ \()([\w-]+)', text))
    asked = set(re.findall(r"{(?:numref|prf:ref|eq)}`([\w-]+)`", text))
    assert len(asked) > 100
    assert asked <= named


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
    # Links to click, and the name of the SVG namespace.
    hosts = {"creativecommons.org", "arxiv.org", "github.com", "www.w3.org"}
    assert {link.split("/")[2] for link in links} <= hosts


# -- the API page -----------------------------------------------------------------------------------------------------

API = (ROOT / "book" / "api.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def api():
    """The extension of the API page; Sphinx adds its folder to the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        yield extension("swref_api")
    sys.modules.pop("swref_formulas", None)


def results():
    """Every class that the API page describes and that calls return."""
    return {name: thing for name, thing in LISTED.items() if inspect.isclass(thing) and returned(thing)}


@pytest.mark.parametrize("name", results())
def test_every_field_of_a_result_says_what_it_holds(api, name):
    cls = LISTED[name]
    rows = api.fields(cls)
    assert {field.name for field in dataclasses.fields(cls) if field.name[0] != "_"} <= {name for name, _ in rows}
    assert [name for name, meaning in rows if len(meaning) < 2] == []
    assert api.signature(None, "class", name, cls, {}, "(_points)", None) == ("", None)


def test_comments_are_read_from_the_source(api):
    rows = dict(api.fields(swref.FlowResult))
    assert rows["length"].endswith("in L2(mu)")
    assert rows["status"].startswith("why the run ended")  # a comment above the field
    assert rows["relative_residual"].startswith("|residual|")  # a property
    assert api.literal("|x|_F of ``a_b*``") == r"\|x\|\_F of ``a_b*``"


def test_no_signature_of_the_page_shows_a_private_name(api):
    shown = [
        thing for thing in LISTED.values() if callable(thing) and not (inspect.isclass(thing) and api.returned(thing))
    ]
    shown = [thing for thing in shown if not (inspect.isclass(thing) and issubclass(thing, Exception))]
    names = [name for thing in shown for name in inspect.signature(thing).parameters if name != "self"]
    assert [name for name in names if name.startswith("_")] == []


def test_the_table_of_gauges_is_that_of_the_registry(api):
    rows = {name: (cls, chosen) for names, cls, chosen, _ in api.gauges() for name in names}
    builtin = {name for name in swref.list_gauges() if gauge_class(name).__module__.startswith("swref.")}
    assert set(rows) == builtin
    assert {cls.__name__ for cls, _ in rows.values()} == set(api.GAUGES)
    assert rows["muon"] == rows["operator"]
    assert rows["kyfan"][1] == "k=1"
    assert set(re.findall(r"autoclass:: (\w+)", API)) >= set(api.GAUGES)


def test_formulas_belong_to_names_of_the_page_and_none_is_missing(api):
    assert {name for name in api.FORMULAS if name not in LISTED and not name.startswith("swref.optim")} == set()
    names = {name for name in swref.__all__ if inspect.isfunction(getattr(swref, name))}
    about_names = {"get_gauge", "list_gauges", "register_gauge", "check_gauge"}
    assert {f"swref.{name}" for name in names - about_names} <= set(api.FORMULAS)


ABBREVIATION = r"\b(Sec|Prop|Thm|Def|App|Cor|Rem|Fig|Ex)\. "


def test_no_summary_of_the_page_is_cut_at_an_abbreviation():
    listed = re.findall(r"^\.\. autosummary::\n\n((?:   \w.*\n)+)", API, flags=re.MULTILINE)
    names = {name.split(".")[-1] for block in listed for name in block.split()}
    assert len(names) > 30
    summaries = {
        name: inspect.getdoc(thing).split("  [")[0] for name, thing in LISTED.items() if inspect.isroutine(thing)
    }
    shown = {name: text for name, text in summaries.items() if name.split(".")[-1] in names}
    assert [name for name, text in shown.items() if re.match(rf"[^.]*{ABBREVIATION}", text.splitlines()[0])] == []


def named(source):
    """Full names of what a notebook takes from swref: imported names, and attributes of imported modules."""
    tree, aliases = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {(a.asname or a.name): a.name for a in node.names if a.name.split(".")[0] == "swref"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "swref":
            aliases |= {(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names}
    found = set(aliases.values())
    for node in ast.walk(tree):
        parts = []
        while isinstance(node, ast.Attribute):
            parts, node = [node.attr, *parts], node.value
        if parts and isinstance(node, ast.Name) and node.id in aliases:
            found.add(".".join([aliases[node.id], *parts]))
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_a_chapter_calls_is_on_the_api_page(path):
    described = {id(thing) for thing in LISTED.values()}
    described |= {id(resolve(name)) for name in re.findall(r"^\.\. py:class:: ([\w.]+)", API, flags=re.MULTILINE)}
    missing = []
    for name in named("\n".join(source for source, _ in code_cells(path))):
        owner = resolve(name.rpartition(".")[0]) if "." in name else None
        thing = resolve(name)
        if isinstance(owner, types.ModuleType) and callable(thing) and id(thing) not in described:
            missing.append(name)
    assert missing == []


SHOWN_IN_CHAPTERS = ("swref.experiments.", "swref.plotting.", "swref.widgets.")


def test_what_users_call_has_an_example_on_the_page_itself():
    blocks = re.findall(r"^```(?:pycon|python)\n(.*?)^```$", API, flags=re.MULTILINE | re.DOTALL)
    words = set(re.findall(r"\w+", "\n".join(blocks)))
    names = set(LISTED) - set(results()) - {name for name in LISTED if name.startswith(SHOWN_IN_CHAPTERS)}
    assert {name for name in names if name.split(".")[-1] not in words} == set()


# -- Results, scope and errata ----------------------------------------------------------------------------------------

ERRATA = (ROOT / "book" / "scope_and_errata.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shown_results():
    return extension("swref_results")


def test_every_section_of_the_results_page_has_rows(shown_results):
    page = (ROOT / "book" / "results.md").read_text(encoding="utf-8")
    assert re.findall(r"^```{results} (\w+)$", page, flags=re.MULTILINE) == list(shown_results.SECTIONS)
    for section in shown_results.SECTIONS:
        found = shown_results.rows(section)
        assert found
        for row, command in found:
            assert f"book/{row.page}" in pages()
            assert not re.search(r"\b(nan|inf|None)\b", row.what + row.found)
            assert re.fullmatch(r"python (book/figures|benchmarks/\w+)\.py [\w-]+( --save)?", command)
            assert (ROOT / command.split()[1]).exists()


def test_a_run_that_is_not_stored_leaves_its_rows_out(shown_results, tmp_path):
    for section in shown_results.SECTIONS:
        assert shown_results.rows(section, tmp_path) == []


def test_a_row_shows_what_its_run_stored(shown_results, tmp_path):
    (tmp_path / "results").mkdir()
    rows = [{"kind": k, "d": 2, "weights": "equal", "n": n, "seconds": s, "MB": 8.2, "gap": 1.02e-14}
            for k, n, s in (("a", 10, 1.0), ("a", 1000, 100.0), ("b", 1000, 11.0))]  # fmt: skip
    (tmp_path / "results" / "large-far.json").write_text(json.dumps({"command": "x", "rows": rows}), encoding="utf-8")
    ((row, command),) = shown_results.rows("solvers", tmp_path)
    assert (row.what, command) == ("One metric, $d=2$, 2 kinds of clouds and weights", "x")
    assert row.found == (
        "$n=10$: 1.0 s, $n=1000$: 11.0 to 100.0 s; the time grows like $n^a$, $a$ 1.0; at most 9 MB, "
        "gap at most $1.1\\cdot10^{-14}$"
    )


def test_intervals_of_the_results_page_are_rounded_outwards(shown_results):
    assert shown_results.interval(0.12345649, 0.12345651, 6) == "[0.123456, 0.123457]"
    assert shown_results.interval(17.90076, 17.90077, 6) == "[17.9007, 17.9008]"
    assert shown_results.interval(0.407711, 0.407711, 6) == "[0.407710, 0.407712]"  # the seventh digit was rounded


@pytest.mark.parametrize("path", sorted((ROOT / "book" / "results").glob("*.json")), ids=lambda p: p.stem)
def test_stored_benchmarks_are_small_and_say_how_they_were_made(path, shown_results):
    script, section = path.stem.split("-")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["command"] == f"python benchmarks/{script}.py {section} --save"
    assert re.fullmatch(r"\d+ cores, \w+, \d+ GB, load [\d.]+", record["machine"])  # no name
    assert path.stem in {name for found in shown_results.SECTIONS.values() for name, _ in found}
    assert path.stat().st_size < 20_000
    assert f"def section_{section}" in (ROOT / "benchmarks" / f"{script}.py").read_text(encoding="utf-8")


def test_the_changelog_quotes_the_stored_runs(shown_results):
    text = " ".join((ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split())
    (first, *_), (memory,) = (shown_results.load(name).rows for name in ("joint-clouds50", "joint-memory"))
    quoted = f"d = {first['d']}, n = {first['n']:,} at p = ∞ to 1e-6 in {first['seconds']:.0f} s, where planes alone "
    quoted += f"were at a gap of {first['engine gap']:.0e}".replace("e-0", "e-")
    quoted += f" after {first['engine seconds']:.0f} s."
    assert quoted in text
    assert f"at n = {memory['n']:,} memory rises by what {memory['matrices']:.1f} matrices of n x n take" in text


def test_numbers_and_statements_of_the_errata_exist(shown_results):
    numbers = re.findall(r"{stored}`([^`]+)`", ERRATA)
    assert len(numbers) > 10
    assert all(shown_results.stored("", "", text, 0, None)[0][0].astext() for text in numbers)
    labels = {
        label for path in NOTEBOOKS for label in re.findall(r":label: ([\w-]+)", path.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"{prf:ref}`([\w-]+)`", ERRATA)) <= labels
    assert {f"book/{page}" for page in re.findall(r"{doc}`(\w+)`", ERRATA)} <= set(pages())


def test_every_entry_of_the_errata_has_its_four_parts_and_a_number_of_the_paper():
    entries = ERRATA.split("## What swref does not do")[0].split("\n### ")[1:]
    numbers = set(statements())
    for entry in entries:
        assert re.findall(r"^- \*\*(.*?)\.\*\*", entry, flags=re.MULTILINE) == [
            "Statement",
            "The matter",
            "Evidence",
            "What follows",
        ]
        title = entry.splitlines()[0]
        assert set(re.findall(PAPER, title)) & numbers or re.search(r"Figures? \d|App\. B", title)
