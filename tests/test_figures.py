"""Stored figures: complete, small, loadable, and the only source of the numbers that pages quote from them."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "book" / "figures.py"
FIGURES = runpy.run_path(str(SCRIPT))
STORED = sorted((ROOT / "book" / "_static" / "figures").glob("*.json"))
KEYS = {"command", "seed", "versions", "seconds", "settings", "pictures", "numbers"}


def pages():
    """(path, code, prose) of every notebook."""
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        yield path, *("\n".join(c.source for c in cells if c.cell_type == kind) for kind in ("code", "markdown"))


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


@pytest.mark.parametrize("path", STORED)
def test_a_stored_figure_says_how_it_was_made_and_holds_numbers(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record.keys() == KEYS
    assert record["command"] == f"python book/figures.py {path.stem}"
    assert path.stem in FIGURES["FIGURES"]
    assert isinstance(record["seed"], int)
    assert re.fullmatch(r"\d+\.\d+\.\d+", record["versions"]["swref"])
    assert record["seconds"] > 0
    assert record["settings"]
    assert any(isinstance(leaf, (int, float)) for leaf in leaves(record["numbers"]))
    for file in (path, *(path.with_name(name) for name in record["pictures"])):
        assert 0 < file.stat().st_size <= FIGURES["MOST_BYTES"]


def test_every_registered_figure_is_stored_and_nothing_else_lies_there():
    assert {path.stem for path in STORED} == set(FIGURES["FIGURES"])
    folder = ROOT / "book" / "_static" / "figures"
    known = [name for path in STORED for name in (path.name, *json.loads(path.read_text())["pictures"])]
    assert sorted(p.name for p in folder.glob("*")) == sorted(known)


def test_pages_read_the_numbers_of_the_stored_figures_that_they_show():
    for path, code, prose in pages():
        loaded = set(re.findall(r'\bload\("([\w-]+)"\)', code))
        assert loaded <= {p.stem for p in STORED}, f"{path.name} loads a figure that is not stored"
        shown = re.findall(r"_static/figures/([\w.-]+)", prose)
        owners = {name: p.stem for p in STORED for name in json.loads(p.read_text())["pictures"]}
        assert set(shown) <= set(owners), f"{path.name} shows a picture that no figure stored"
        assert {owners[name] for name in shown} <= loaded, f"{path.name} shows a figure without reading its numbers"


def example(numbers):
    def line():
        fig, ax = plt.subplots()
        ax.plot([0, 1], [0, 1])
        return FIGURES["Run"](3, {"n": np.int64(5)}, numbers, {"line.svg": fig, "line.png": fig})

    return line


def test_a_run_is_stored_and_comes_back_to_seven_digits(tmp_path, monkeypatch):
    numbers = {"value": np.float64(np.pi), "curve": np.linspace(0, 1, 7) ** 9, "words": "p = inf", "by": {"a": [1, 2]}}
    monkeypatch.setitem(FIGURES["FIGURES"], "line", example(numbers))
    with plt.rc_context():
        FIGURES["run"]("line", tmp_path)
        picture = (tmp_path / "line.svg").read_bytes()
        FIGURES["run"]("line", tmp_path)
    back = FIGURES["load"]("line", tmp_path)
    plt.close("all")
    assert (tmp_path / "line.svg").read_bytes() == picture
    assert {p.name for p in tmp_path.iterdir()} == {"line.json", "line.svg", "line.png"}
    assert back.seed == 3
    assert back.settings == {"n": 5}
    assert back.numbers["value"] == pytest.approx(np.pi, rel=5e-7)  # half a unit of the seventh digit
    np.testing.assert_allclose(back.numbers["curve"], numbers["curve"], rtol=5e-7)
    np.testing.assert_array_equal(back.numbers["by"]["a"], [1, 2])
    assert back.numbers["words"] == "p = inf"


@pytest.mark.parametrize("numbers", [{"value": np.nan}, {"curve": [1.0, np.inf]}], ids=["nan", "infinity"])
def test_numbers_that_are_not_finite_are_not_stored(numbers, tmp_path, monkeypatch):
    monkeypatch.setitem(FIGURES["FIGURES"], "line", example(numbers))
    with plt.rc_context(), pytest.raises(ValueError, match="JSON"):
        FIGURES["run"]("line", tmp_path)
    plt.close("all")
    assert not (tmp_path / "line.json").exists()


def test_large_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(FIGURES["FIGURES"], "line", example({"curve": np.random.default_rng(0).random(30_000)}))
    with plt.rc_context(), pytest.raises(ValueError, match=r"line.json: has \d+ bytes, at most 200000"):
        FIGURES["run"]("line", tmp_path)
    plt.close("all")


def test_an_unknown_figure_is_named():
    done = subprocess.run([sys.executable, str(SCRIPT), "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "unknown figure nothing; known:" in done.stderr
