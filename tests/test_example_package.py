"""The package in examples/, built and installed in a clean environment: its gauge works without swref being told."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "swref-nuclear"

PROGRAM = """
import sys
import numpy as np
import swref

assert swref.__file__.startswith(sys.prefix)  # the installed one, not that of the repository
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

well = swref.energies.Potential(lambda x: (x**2).sum(-1) / 2, lambda x: x)
flow = swref.flow(well, x, "weighted-nuclear", t_end=0.2)
assert flow.energy[-1] < flow.energy[0]
assert flow.relative_residual < 1e-3
if OPTIMIZER:
    import torch
    from swref.optim import SpectralDescent

    p = torch.zeros(12, 3, dtype=torch.float64, requires_grad=True)
    p.grad = torch.from_numpy(x)
    SpectralDescent([p], "weighted-nuclear", lr=1.0).step()
    J = swref.lmo(x, "weighted-nuclear")
    assert np.abs(p.detach().numpy() - J).max() <= 1e-12 * np.abs(J).max()
print("solved", swref.get_gauge("weighted-nuclear"))
"""


def run(*command, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["NUMBA_CACHE_DIR"] = str(ROOT / ".cache" / "numba")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean_environment(folder):
    """The Python of a new environment: swref and the example from their built packages, the dependencies from here.

    Nothing is fetched. A .pth file makes the dependencies importable; an editable install of swref, which is another
    .pth file, is not read through it.
    """
    venv.create(folder / "env")
    python = folder / "env" / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(folder / "env"), "platbase": str(folder / "env")})
    here = dict.fromkeys(str(Path(find_spec(name).origin).parents[1]) for name in ("numpy", "numba", "pytest"))
    here |= {str(Path(find_spec("torch").origin).parents[1]): None} if find_spec("torch") else {}
    (Path(paths["purelib"]) / "dependencies.pth").write_text("\n".join(here))
    swref = folder / "swref-source"  # a build writes next to pyproject.toml
    swref.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / name, swref)
    shutil.copytree(ROOT / "swref", swref / "swref", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(EXAMPLE, folder / "source")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    for source in (swref, folder / "source"):
        run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(folder / "wheels"), str(source))
    wheels = sorted(map(str, (folder / "wheels").glob("*.whl")))
    assert len(wheels) == 2
    run(sys.executable, "-m", "pip", "--python", str(python), "install", *offline, *wheels)
    return str(python)


def test_an_installed_package_adds_its_gauge(tmp_path):
    python = clean_environment(tmp_path)
    program = PROGRAM.replace("OPTIMIZER", str(find_spec("torch") is not None))
    assert run(python, "-W", "error", "-c", program, cwd=tmp_path) == "solved WeightedNuclear(decay=1.0)\n"
    # Away from its source, so that the installed package is the one under test.
    tests = shutil.copy(tmp_path / "source" / "test_swref_nuclear.py", tmp_path)
    output = run(python, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", tests, cwd=tmp_path)
    assert re.search(r"\b66 passed\b", output)  # two gauges, three dimensions, eleven checks


def test_the_package_is_not_needed_by_swref():
    output = run(sys.executable, "-W", "error", "-c", "import swref; print(swref.list_gauges())")
    assert "weighted-nuclear" not in output
