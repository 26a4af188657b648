"""How the book leaves the repository: links of its pages, notebooks to download, Binder, workflows, wheel and sdist."""

import base64
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
MACROS = CONFIG["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INTRO = nbformat.read(ROOT / "book" / "intro.ipynb", as_version=4)
OFFLINE = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]


def launch():
    """The extension that makes the links, as a fresh module."""
    spec = importlib.util.spec_from_file_location("swref_launch", ROOT / "book" / "_ext" / "swref_launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings(url="https://github.com/someone/transport"):
    """What the extension reads of Sphinx's settings, for a repository at this address."""
    options = {"repository_url": url, "repository_branch": CONFIG["repository"]["branch"]}
    return SimpleNamespace(html_theme_options=options, mathjax3_config={"tex": {"macros": MACROS}})


def run(*command, cwd, **environment):
    """Standard output of a command without this repository on its path; an assertion if it fails."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean |= {"NUMBA_CACHE_DIR": str(ROOT / ".cache" / "numba"), **environment}
    done = subprocess.run([*map(str, command)], env=clean, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path):
    """The repository as a reader clones it, in one commit; builds write next to pyproject.toml."""
    folder = tmp_path / "checkout"
    left_out = shutil.ignore_patterns(".*", "_build", "dist", "build", "*.egg-info", "__pycache__", "benchmarks")
    shutil.copytree(ROOT, folder, ignore=left_out)
    run("git", "init", "--quiet", "--initial-branch", CONFIG["repository"]["branch"], cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", *ME, "commit", "--quiet", "-m", "All", cwd=folder)
    return folder


ME = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]


# -- links and notebooks ----------------------------------------------------------------------------------------------


def test_links_lead_to_what_is_published_and_to_what_is_in_the_repository():
    html = launch().line("maxmin", "{}", settings())
    colab, binder, _ = re.findall(r'href="([^"]*)"', html)
    branch = re.search(r"refs/heads/([\w-]+)", publishing("Publish"))[1]
    assert colab == f"https://colab.research.google.com/github/someone/transport/blob/{branch}/notebooks/maxmin.ipynb"
    assert binder == "https://mybinder.org/v2/gh/someone/transport/main?urlpath=lab/tree/book/maxmin.ipynb"
    assert (ROOT / binder.partition("lab/tree/")[2]).exists()


def test_the_download_is_in_its_link():
    notebook = launch().portable(INTRO, "intro", settings())
    html = launch().line("intro", nbformat.writes(notebook), settings())
    name, data = re.search(r'download="(.*?)" href="data:.*?;base64,(.*?)"', html).groups()
    assert name == "intro.ipynb"
    assert nbformat.reads(base64.b64decode(data).decode(), as_version=4) == notebook


def test_the_address_is_set_in_one_place_and_must_be_one_of_github():
    module = launch()
    placeholder = CONFIG["repository"]["url"] == module.PLACEHOLDER
    assert ("once the book is published" in module.line("a", "", settings(CONFIG["repository"]["url"]))) == placeholder
    assert "once" not in module.line("a", "", settings())
    with pytest.raises(module.ExtensionError, match=r"repository: url.*got 'https://gitlab.com/a/b'"):
        module.line("a", "", settings("https://gitlab.com/a/b"))
    # Elsewhere it may stand only as it does there.
    others = [PROJECT.get("urls", {}).get("Repository"), citation().get("repository-code")]
    assert {url for url in others if url} <= {CONFIG["repository"]["url"]}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_portable_notebooks_hold_the_chapter_and_no_macro_of_the_book(path):
    chapter = nbformat.read(path, as_version=4)
    about, install, *cells = launch().portable(chapter, path.stem, settings()).cells
    assert f"https://someone.github.io/transport/book/{path.stem}.html" in about.source
    assert "git clone" in install.source
    assert [(cell.id, cell.cell_type) for cell in cells] == [(c.id, c.cell_type) for c in chapter.cells[1:]]
    ours = re.compile(rf"\\({'|'.join(MACROS)})(?![A-Za-z])")
    for cell, original in zip(cells, chapter.cells[1:], strict=True):
        if cell.cell_type == "code":
            assert cell == original
        else:
            assert ours.findall(cell.source) == []
            assert re.findall(r"{[\w:-]+}`|^ *[`:]{3,}{.*|^:{3,}|^\([\w-]+\)=", cell.source, flags=re.MULTILINE) == []
            for kept in (r"\$", r"^#+ .*", r"^- ", r"^```\w+$"):  # mathematics, headings, lists, code
                found, there = (re.findall(kept, c.source, flags=re.MULTILINE) for c in (cell, original))
                assert len(found) == len(there), kept
    nbformat.validate(launch().portable(chapter, path.stem, settings()))


MYST = """\
(sec-one)=
## One

````{prf:theorem} Two; *three*
:label: thm-two

By {eq}`one`, {cite:t}`other2026` and {doc}`the limit <maxmin>`, or {doc}`gaussians`:

$$
x
$$ (one)

```python
:not: an option
```
````
"""
PLAIN = """\
## One

**Theorem: Two; *three***

By `one`, `other2026` and [the limit](/maxmin), or [gaussians](/gaussians):

$$
x
$$

```python
:not: an option
```"""


def test_myst_becomes_plain_markdown():
    assert launch().readable(MYST, "/{stem}") == PLAIN


@pytest.mark.parametrize("tex, plain", [
    (r"x^\T\Theta\R", r"x^\top\Theta{\mathbb{R}}"),
    (r"\tr\Sig_\pi", r"\operatorname{tr}\Sigma_\pi"),
    (r"\abs x^2-\abs\tr", r"\left\lvert x \right\rvert^2-\left\lvert \operatorname{tr} \right\rvert"),
    (r"\abs{\abs{x}}", r"\left\lvert \left\lvert x \right\rvert \right\rvert"),
    (r"\ip{A_{1}}{\set{\tfrac{a}{b}}}", r"\left\langle A_{1},\, \left\{ \tfrac{a}{b} \right\} \right\rangle"),
])  # fmt: skip
def test_macros_are_spelled_out_by_hand(tex, plain):
    assert launch().spelled_out(tex, MACROS) == plain


# -- the cell that installs -------------------------------------------------------------------------------------------

CELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for k in range(2):  # a second time nothing is left to do
    shell.run_cell(sys.argv[1]).raise_error()
print("##", shell.run_cell("import os, swref; (os.getcwd(), swref.__file__)").result)
"""


def test_the_cell_that_installs_does_nothing_where_swref_is(tmp_path):
    (tmp_path / "git").write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    (tmp_path / "git").chmod(0o755)
    cell = launch().INSTALL.format(branch="main", url="nowhere")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    shown = run(sys.executable, "-c", CELL, cell, cwd=tmp_path, IPYTHONDIR=str(tmp_path), **path)
    assert not (tmp_path / "called").exists()
    assert shown.splitlines()[-1] == f"## {(str(tmp_path), str(ROOT / 'swref' / '__init__.py'))}"


def test_the_cell_that_installs_brings_swref_and_the_files_of_the_chapters(checkout, tmp_path):
    # A Python without swref and with all it needs: nothing is fetched. The repository is the checkout.
    venv.create(tmp_path / "env")
    paths = sysconfig.get_paths(vars={"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")})
    here = {str(Path(importlib.util.find_spec(name).origin).parents[1]) for name in ("numpy", "numba", "IPython")}
    (Path(paths["purelib"]) / "dependencies.pth").write_text("\n".join(here))
    cell = launch().INSTALL.format(branch=CONFIG["repository"]["branch"], url=checkout.as_uri())
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    work = tmp_path / "content"
    work.mkdir()
    python = tmp_path / "env" / "bin" / "python"
    shown = run(python, "-c", CELL, cell, cwd=work, IPYTHONDIR=str(tmp_path), **offline)
    installed = Path(paths["purelib"]) / "swref" / "__init__.py"
    assert shown.splitlines()[-1] == f"## {(str(work / 'swref-book' / 'book'), str(installed))}"
    assert (work / "swref-book" / "book" / "figures.py").exists()


def test_what_notebooks_and_experiments_import_is_what_that_cell_installs():
    cells = [cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    experiments = [path.read_text(encoding="utf-8") for path in (ROOT / "swref" / "experiments").glob("*.py")]
    source = "\n".join([*experiments, *(cell.source for cell in cells)])
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", source, flags=re.MULTILINE))
    beside = {path.stem for path in (ROOT / "book").glob("*.py")}
    names = {"pot": "ot", "scikit-fem": "skfem", "ipython": "IPython"}
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["chapters"]]
    installed = [re.match(r"[\w-]+", requirement)[0] for requirement in asked]
    there = {names.get(name, name.replace("-", "_")) for name in installed} | {"swref"}
    stored = {"torch", "sklearn"}  # pages show stored results of what needs these
    assert imported - sys.stdlib_module_names - beside - stored <= there


# -- Binder, wheel, sdist ---------------------------------------------------------------------------------------------


def test_binder_installs_the_lock_and_swref(checkout):
    # As repo2docker does: from the root of the repository. What the lock pins is fetched there; here, one line of it.
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert sum("==" in line for line in lock) > 100
    (checkout / "requirements.txt").write_text(f"numpy=={np.__version__}\n{lock[-1]}\n")
    command = ["-m", "pip", "install", "--dry-run", *OFFLINE, "-r", "binder/requirements.txt"]
    shown = run(sys.executable, *command, cwd=checkout)
    assert re.findall(r"already satisfied: (\S+)", shown) == [f"numpy=={np.__version__}"]
    assert re.findall(r"Would install (.*)", shown) == [f"swref-{PROJECT['version']}"]
    python = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]


def test_the_wheel_holds_the_package_and_nothing_else(checkout, tmp_path):
    run(sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", tmp_path, checkout, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {p.relative_to(ROOT).as_posix() for p in (ROOT / "swref").rglob("*") if p.suffix in (".py", ".js")}
    assert {"swref/__init__.py", "swref/widgets.js"} <= files
    assert held == files | {"swref/py.typed"}
    assert wheel.name == f"swref-{PROJECT['version']}-py3-none-any.whl"


def test_the_sdist_builds_the_same_wheel(checkout, tmp_path):
    program = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    name = run(sys.executable, "-c", program, tmp_path, cwd=checkout).splitlines()[-1]
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / name.removesuffix(".tar.gz")
    assert {"LICENSE", "LICENSE-TEXT", "README.md", "pyproject.toml"} <= {path.name for path in source.iterdir()}
    for place, folder in ((source, "sdist"), (checkout, "tree")):
        run(sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", tmp_path / folder, place, cwd=tmp_path)
    one, two = (zipfile.ZipFile(next((tmp_path / folder).glob("*.whl"))) for folder in ("sdist", "tree"))
    assert {i.filename: i.CRC for i in one.infolist()} == {i.filename: i.CRC for i in two.infolist()}


# -- workflows --------------------------------------------------------------------------------------------------------


def publishing(name):
    """The commands of this step of the job that publishes the book."""
    (step,) = [step for step in WORKFLOWS["book"]["jobs"]["publish"]["steps"] if step.get("name") == name]
    return step["run"]


def test_workflows_call_targets_of_the_makefile_and_write_only_to_publish():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    jobs = {name: job for flow in WORKFLOWS.values() for name, job in flow["jobs"].items()}
    steps = [step for job in jobs.values() for step in job["steps"]]
    called = set(re.findall(r"\bmake ([a-z]+)", "\n".join(step.get("run", "") for step in steps)))
    assert {"test", "browser", "package"} <= called <= targets
    assert all(re.search(r"@v\d+$", step["uses"]) for step in steps if "uses" in step)
    assert {name for name, job in jobs.items() if "permissions" in job} == {"publish"}
    assert set(jobs["publish"]["needs"]) == {"test", "other-pythons"}
    assert all(flow["permissions"] == {"contents": "read"} for flow in WORKFLOWS.values())


def test_nothing_is_published_under_the_placeholder(tmp_path):
    check = ["bash", "-e", "-c", publishing("The address is set")]
    for url, code in ((launch().PLACEHOLDER, 1), ("https://github.com/someone/transport", 0)):
        text = (ROOT / "_config.yml").read_text(encoding="utf-8").replace(CONFIG["repository"]["url"], url)
        (tmp_path / "_config.yml").write_text(text, encoding="utf-8")
        assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == code


def test_publishing_pushes_the_built_book_alone(tmp_path, checkout):
    run("git", "init", "--quiet", "--bare", tmp_path / "origin", cwd=tmp_path)
    run("git", "remote", "add", "origin", tmp_path / "origin", cwd=checkout)
    book = checkout / "_build" / "html"
    (book / "notebooks").mkdir(parents=True)
    (book / ".gitignore").write_text("*.html\n")  # ignored files of the repository are the book
    for text in ("first", "second"):  # the branch holds the last book only
        (book / "index.html").write_text(text)
        (book / "notebooks" / f"{text}.ipynb").write_text("{}")
        run("bash", "-e", "-c", publishing("Publish"), cwd=checkout, HOME=str(tmp_path))
        (book / "notebooks" / f"{text}.ipynb").unlink()
    files = run("git", "ls-tree", "-r", "--name-only", "gh-pages", cwd=tmp_path / "origin").split()
    assert files == [".gitignore", ".nojekyll", "index.html", "notebooks/second.ipynb"]
    assert run("git", "show", "gh-pages:index.html", cwd=tmp_path / "origin") == "second"
    assert run("git", "rev-list", "--count", "gh-pages", cwd=tmp_path / "origin") == "1\n"


# -- the front page ---------------------------------------------------------------------------------------------------


def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere():
    (entry,) = re.findall(r"@software{.*?\n}", "\n".join(cell.source for cell in INTRO.cells), flags=re.DOTALL)
    assert f"version = {{{PROJECT['version']}}}" in entry
    one_line = re.sub(r"\s+", " ", entry.replace("{Wasserstein}", "Wasserstein").replace("{Muon}", "Muon"))
    assert one_line.count(citation()["title"]) == 1
    assert citation()["version"] == PROJECT["version"]


def test_the_map_shows_every_chapter_under_statements_of_its_page():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    chapters = [Path(c["file"]).stem for part in contents if part.get("numbered") for c in part["chapters"]]
    (text,) = [cell.source for cell in INTRO.cells if cell.id == "map"]
    cards = dict(re.findall(r"{grid-item-card} {doc}`(\w+)`\n(.*)", text))
    assert list(cards) == chapters
    table = (ROOT / "book" / "notation.md").read_text(encoding="utf-8").split("## Statements of the paper")[1]
    rows = [row.split("|") for row in table.splitlines() if "{doc}" in row]
    for page, statement in cards.items():
        for number in re.findall(r"(?:Thm|Prop\.|Cor\.|Def\.) ([A-I1-9]\.\d+)", statement):
            assert any(re.search(rf"\b{number}\b", row[1]) and page in row[3] for row in rows), (page, number)


@pytest.mark.parametrize("script, files", [("logo", ("logo.svg", "favicon.svg")), ("falling", ("falling.svg",))])
def test_pictures_are_those_that_their_scripts_draw(script, files, tmp_path):
    target = tmp_path if len(files) > 1 else tmp_path / files[0]
    run(sys.executable, "-W", "error", f"book/{script}.py", target, cwd=ROOT, PYTHONPATH=str(ROOT))
    number = re.compile(r"-?\d+\.\d")
    for name in files:
        drawn, kept = ((folder / name).read_text(encoding="utf-8") for folder in (tmp_path, ROOT / "book" / "_static"))
        assert number.sub("#", drawn) == number.sub("#", kept)
        pixels = [np.array(number.findall(text), dtype=float) for text in (drawn, kept)]
        assert np.abs(np.subtract(*pixels)).max() <= 0.5  # the steps of a flow may differ between machines
