"""What the project says of itself: sizes of files, functions, pages and cells; what API page and docstrings hold."""

import ast
import doctest
import importlib.util
import inspect
import io
import json
import re
import sys
import tokenize
from pathlib import Path
from typing import Protocol

import pytest

import swref
from swref._results import STATUS
from swref.experiments.circle import CircleFlow
from swref.experiments.mmd import Race
from swref.gauges import registry

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "swref").rglob("*.py"))
NOTEBOOKS = [path for path in sorted((ROOT / "book").glob("*.ipynb")) if path.stem != "intro"]
API = (ROOT / "book" / "api.md").read_text(encoding="utf-8")

FILE, BODY = 400, 45  # lines
PACKAGE = 5181  # lines of code, of no comment, docstring or blank: as many as there are, not one more
FAST = 1215  # lines of code of the fast solvers, which a reader of the engine can ignore
FAST_SOLVERS = {"network", "joint"}
OUTSIDE_THE_BUDGET = {
    "experiments", "plotting.py", "_pictures.py", "widgets.py", "_try_your_own.py", "testing.py", "optim.py",
}  # fmt: skip
ENGINE = {"masses.py", "dense.py", "basic_kernels.py"}  # of network: what its reader needs
CELL = 20  # lines; 12 are seen without scrolling
CELLS = range(5, 18)  # that a page shows with their code


def lines(path):
    return path.read_text(encoding="utf-8").count("\n")


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_function_bodies_are_short(path):
    assert lines(path) <= FILE
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            assert not body or body[-1].end_lineno - body[0].lineno + 1 <= BODY, node.name


def lines_of_code(path):
    """Lines that hold code: none that is blank, a comment, or part of a docstring."""
    source = path.read_text(encoding="utf-8")
    held = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP):
            held |= {*range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            held -= {*range(node.body[0].lineno, node.body[0].end_lineno + 1)}
    return len(held)


def budget():
    """(lines of code of the package, of its fast solvers)."""
    sizes = [0, 0]
    for path in MODULES:
        folder = path.relative_to(ROOT / "swref").parts[0]
        if folder not in OUTSIDE_THE_BUDGET:
            sizes[folder in FAST_SOLVERS and path.name not in ENGINE] += lines_of_code(path)
    return sizes


def test_package_and_fast_solvers_stay_within_their_budgets():
    package, fast = budget()
    assert package <= PACKAGE
    assert fast <= FAST


def code_cells(path):
    """(source, tags) of each code cell; macros and text are not code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [("".join(c["source"]), c["metadata"].get("tags", [])) for c in cells if c["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pages_show_few_cells_and_short_ones(path):
    cells = code_cells(path)
    shown = [source for source, tags in cells if not {"remove-cell", "hide-cell", "hide-input"} & set(tags)]
    assert len(shown) in CELLS
    assert max(len(source.splitlines()) for source, _ in cells) <= CELL


def test_nothing_is_left_for_later():
    text = [*MODULES, *(ROOT / "benchmarks").glob("*.py"), *(ROOT / "examples").rglob("*.py"), *NOTEBOOKS]
    text += [*(ROOT / "tests").glob("*.py"), *(ROOT / "book").rglob("*.py"), *(ROOT / "book").glob("*.md")]
    words = re.compile(r"\bTO[D]O\b|FIX[M]E|\bX[X]X\b|type:\s*ig[n]ore")
    assert [path.name for path in text if words.search(path.read_text(encoding="utf-8"))] == []


# -- the API page -----------------------------------------------------------------------------------------------------

PYTORCH = importlib.util.find_spec("torch") is not None and importlib.util.find_spec("sklearn") is not None
NEED_PYTORCH = ("swref.optim", "swref.experiments.digits")


def listed():
    """The objects that the API page describes, by full name: each directive, and the members that it asks for.

    Without PyTorch, not those of the modules that need it.
    """
    module, found, owner = "swref", {}, None
    for line in API.splitlines():
        if directive := re.match(r"\.\. (currentmodule|automodule|auto(?:function|class|exception)):: ([\w.]+)", line):
            kind, name = directive.groups()
            if kind == "currentmodule":
                module = name
            elif kind == "automodule":
                module, owner = name, name
            else:
                owner = name if name.startswith("swref.") else f"{module}.{name}"
                if reachable(owner):
                    found[owner] = resolve(owner)
        elif reachable(owner) and (members := re.match(r"   :members:(.*)", line)):
            names = re.findall(r"\w+", members[1]) or public_members(resolve(owner))
            found |= {f"{owner}.{name}": resolve(f"{owner}.{name}") for name in names}
    return found


def reachable(name):
    return PYTORCH or name is None or not name.startswith(NEED_PYTORCH)


def resolve(name):
    """The object of this full name; AttributeError or ImportError if there is none."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for part in parts[k:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


def public_members(owner):
    """What ``:members:`` without names takes: functions and classes of the module or class itself."""
    home = owner.__name__ if inspect.ismodule(owner) else owner.__module__
    return [
        name
        for name, member in vars(owner).items()
        if not name.startswith("_") and callable(member) and getattr(member, "__module__", home) == home
    ]


LISTED = listed()
PUBLIC = {**LISTED, **{f"swref.{name}": getattr(swref, name) for name in swref.__all__}}


def returned(thing):
    """Whether a class is one that calls of the library return: its fields are attributes, nobody passes them."""
    return thing.__name__.endswith("Result") or thing in (swref.maxmin.Solution, Race, CircleFlow)


def functions():
    """Public functions, constructors, methods and properties of public classes: (name, docstring, signature).

    A convention that methods share, such as x and weights of every energy, may be in the docstring of class or package.
    """
    for name, thing in sorted(PUBLIC.items()):
        if inspect.isclass(resolve(name.rpartition(".")[0])):
            continue  # a method, which comes with its class
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            shared = f"{inspect.getdoc(thing)}\n{sys.modules[name.rpartition('.')[0]].__doc__}"
            if not returned(thing) and Protocol not in thing.__bases__:
                yield name, inspect.getdoc(thing), inspect.signature(thing).replace(return_annotation=None)
            for method, member in vars(thing).items():
                function = getattr(member, "fget", getattr(member, "__func__", member))  # of a property, a classmethod
                if inspect.isfunction(function) and not method.startswith("_"):
                    signature = inspect.signature(function)
                    signature = signature.replace(parameters=[*signature.parameters.values()][1:])
                    yield f"{name}.{method}", f"{inspect.getdoc(getattr(thing, method)) or ''}\n{shared}", signature
        elif inspect.isfunction(thing):
            yield name, inspect.getdoc(thing), inspect.signature(thing)


FUNCTIONS = [pytest.param(docstring, signature, id=name) for name, docstring, signature in functions()]


@pytest.mark.parametrize("docstring, signature", FUNCTIONS)
def test_docstrings_name_every_parameter(docstring, signature):
    assert set(signature.parameters) <= set(re.findall(r"\w+", docstring))


@pytest.mark.parametrize("docstring, signature", FUNCTIONS)
def test_signatures_have_types(docstring, signature):
    parameters = signature.parameters.values()
    assert [one.name for one in parameters if one.annotation is one.empty] == []
    assert signature.return_annotation is not signature.empty


def test_the_table_of_statuses_is_that_of_the_library():
    assert dict(re.findall(r"^\| `([a-z_-]+)` \| (.*) \|$", API, flags=re.MULTILINE)) == STATUS


def used_names(source):
    """The names and attributes that a piece of code uses."""
    nodes = [*ast.walk(ast.parse(source))]
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {n.attr for n in nodes if isinstance(n, ast.Attribute)}


def test_every_name_of_the_api_page_has_an_example_that_runs(monkeypatch):
    """On the page itself, where doctest runs it, or in a chapter, where `make test` does.

    What needs PyTorch has its example on the page too, and ``test_optim`` or ``test_digits`` runs it.
    """
    text = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", API, flags=re.MULTILINE | re.DOTALL))
    page = doctest.DocTestParser().get_doctest(text, {}, "api.md", "api.md", 0)
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))  # the page registers a gauge
    runner, told = doctest.DocTestRunner(), []
    assert not runner.run(page, out=told.append).failed, "".join(told)
    code = [example.source for example in page.examples] + [cell for path in NOTEBOOKS for cell, _ in code_cells(path)]
    code += re.findall(r"^```python\n(.*?)^```$", API, flags=re.MULTILINE | re.DOTALL)
    used = set().union(*map(used_names, code))
    returned_ones = {name for name, thing in LISTED.items() if inspect.isclass(thing) and returned(thing)}
    assert {name for name in set(LISTED) - returned_ones if name.split(".")[-1] not in used} == set()
