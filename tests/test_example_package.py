"""The package in examples/, installed as a reader would install it: its gauge works without swref being told."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "swref-nuclear"

PROGRAM = """
import sys
import numpy as np
import swref

assert "weighted-nuclear" in swref.list_gauges()
assert "swref_nuclear" not in sys.modules  # listing imports nothing
try:
    swref.get_gauge("weighted-nuclear", decay=-1)
except ValueError as error:
    assert "decay" in str(error)
else:
    raise AssertionError("decay = -1 was accepted")

rng = np.random.default_rng(0)
x, y = rng.standard_normal((12, 3)), rng.standard_normal((15, 3)) @ np.diag([3, 1, 0.3])
result = swref.transport(x, y, "weighted-nuclear")
assert result.relative_gap <= 1e-6

# sum_i w_i lambda_i = sum_k (w_k - w_{k+1}) (lambda_1 + .. + lambda_k), here w = (1, 1/2, 1/3)
kyfan = [swref.get_gauge("kyfan", k=k) for k in (1, 2, 3)]
same = swref.transport(x, y, 1 / 2 * kyfan[0] + 1 / 6 * kyfan[1] + 1 / 3 * kyfan[2])
assert abs(result.upper_bound - same.upper_bound) <= 2e-6 * same.upper_bound
trace = swref.transport(x, y, swref.get_gauge("weighted-nuclear", decay=0)).upper_bound
assert abs(trace - swref.transport(x, y, "trace").upper_bound) <= 2e-6 * trace
print("solved", swref.get_gauge("weighted-nuclear"))
"""


def run(*command, **environment):
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_package_adds_its_gauge(tmp_path):
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source)  # the build writes next to pyproject.toml
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    run(sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(source))
    output = run(sys.executable, "-W", "error", "-c", PROGRAM, PYTHONPATH=str(target))
    assert output == "solved WeightedNuclear(decay=1.0)\n"
    # Away from its source, so that the installed package is the one under test.
    tests = shutil.copy(source / "test_swref_nuclear.py", tmp_path)
    output = run(sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", tests, PYTHONPATH=str(target))
    assert re.search(r"\b66 passed\b", output)  # two gauges, three dimensions, eleven checks


def test_the_package_is_not_needed_by_swref():
    output = run(sys.executable, "-W", "error", "-c", "import swref; print(swref.list_gauges())")
    assert "weighted-nuclear" not in output
