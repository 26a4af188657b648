"""The README, run as it stands: its code prints what it says, and what it names exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pytest

import swref
from swref.gauges.registry import ENTRY_POINT_GROUP

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = ROOT / "book" / "_static" / "plan.svg"


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def run(*arguments):
    """Standard output of a fresh interpreter: the README registers a gauge, which other tests must not see."""
    done = subprocess.run([sys.executable, "-W", "error", *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_code_prints_exactly_what_the_readme_shows():
    programs, shown = fences("python"), fences("text")
    assert len(programs) == len(shown) == 2
    output = run("-c", "print('--')\n".join(programs))
    assert output.split("--\n") == shown


def test_the_gauge_of_the_readme_is_half_the_sum_of_two_built_in_ones():
    # Two certified intervals of one number overlap.
    definition = fences("python")[1].split("\n", 1)[1].split("swref.check_gauge")[0]  # without the decorator
    space = {"np": np, "swref": swref}
    exec(definition, space)
    x, y = np.random.default_rng(1).normal(size=(2, 15, 3))
    mean = 0.5 * (swref.get_gauge("trace") + swref.get_gauge("operator"))
    ours, built_in = (swref.transport(x, y, gauge, tol=1e-8) for gauge in (space["Halfway"](), mean))
    assert max(ours.lower_bound, built_in.lower_bound) <= min(ours.upper_bound, built_in.upper_bound) * (1 + 1e-14)


def test_the_entry_point_lines_name_the_group_that_the_registry_reads():
    (lines,) = fences("toml")
    assert tomllib.loads(lines)["project"]["entry-points"].keys() == {ENTRY_POINT_GROUP}


def test_the_commands_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = re.findall(r"\bmake ([a-z]+)", " ".join([*fences("sh"), *re.findall(r"`([^`\n]+)`", README)]))
    assert {"book", "test"} <= set(named) <= targets


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_to_files_of_the_repository_or_to_the_paper(target):
    assert target == "https://arxiv.org/abs/2604.04891" or (ROOT / target).exists()


def test_the_paper_is_cited_as_in_the_bibliography():
    (entry,) = fences("bibtex")
    assert entry in (ROOT / "book" / "references.bib").read_text(encoding="utf-8")


def test_the_picture_is_the_one_that_its_script_draws(tmp_path):
    # matplotlib repeats every text of an SVG as a comment; the texts hold all the numbers, to three decimals.
    run("book/plan.py", str(tmp_path / "plan.svg"))
    drawn, kept = (
        re.findall("<!-- .* -->", path.read_text(encoding="utf-8")) for path in (tmp_path / "plan.svg", PICTURE)
    )
    assert len(kept) > 6
    assert drawn == kept


def test_the_caption_quotes_the_numbers_of_the_picture():
    picture, caption = PICTURE.read_text(encoding="utf-8"), re.search(r"\n\*Two heaps.*?\*\n", README, re.DOTALL)[0]
    numbers = set(re.findall(r"\d\.\d+", caption))
    assert numbers == {"1.234", "0.617"}
    assert f"total {max(numbers)}, worst direction {min(numbers)} " in picture
    assert "total 1.000, worst direction 1.000 " in picture


def test_the_chapters_named_are_the_titles_of_notebooks():
    chapters = [path for path in (ROOT / "book").glob("*.ipynb") if path.stem != "intro"]
    notebooks = [nbformat.read(path, as_version=4) for path in chapters]
    titles = {
        title
        for notebook in notebooks
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for title in re.findall("^# (.+)$", cell.source, flags=re.MULTILINE)
    }
    named = re.findall(r"^\d+\. \*(.+)\*:", README, flags=re.MULTILINE)
    assert sorted(named) == sorted(titles)
