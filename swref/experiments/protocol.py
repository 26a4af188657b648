"""When does a geometry help? What a level of energy costs, in the same measures for every flow and method.  [ours]

A flow is measured by its times, lengths, and the forces that an adaptive integrator spends to track it. Steps are
measured apart: a descent costs one force a step and may leave the flow, so each method has the best of many lengths.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import cumulative_trapezoid

from .._validation import as_array, check_count
from ..energies import MMD, Attention, Potential, TwoLayerNet
from ..flows import flow
from ..gauges import Gauge, gauge_for, get_gauge
from ..lmo import dual_norm, measure_lmo
from . import attention, mlp, mmd

TASKS = {
    "MMD": {},
    "network": {},
    "dense": {"heads": 64},
    "sparse": {"heads": 64},
}  # with sizes, the others the paper's
MMD_LEVEL = 0.045  # about the energy between two samples of 200 points of the target's law
SHARES = (0.5, 0.1)  # of the energy at the start, for attention
NETWORK_LEVELS = (1e-3, 1e-4, 1e-5)
OCTAVES = range(1, -12, -1)  # of the 13 lengths of the coarse grid, in units of ``natural``
MIDDLE = -4  # octave to begin with: a good length found early spares the others most of their steps
FINE = np.arange(-7, 8) / 8  # octaves around the best of them: near the longest stable length counts change fast
MOST = 300  # steps
DIVERGED = 10.0  # times the energy of the start: such a descent is given up
TOL, CUTOFF = 1e-2, 1e-3  # of ``flow``
METHODS = ("p = 1", "p = ∞", "block-max")
MEASURES = ("time", "equal", "N", "L2", "forces", "unseen")  # of ``track``
SNAPSHOTS = 9  # for each doubling of the time


@dataclass(frozen=True)
class Task:
    """A descent: an energy and a start (n, d), the energy of data that nobody trains on, and the levels asked for."""

    energy: MMD | TwoLayerNet | Attention | Potential
    start: np.ndarray
    unseen: MMD | TwoLayerNet | Attention | Potential
    levels: tuple[float, ...]  # energies, falling; ``level`` is the one of the table
    level: float
    methods: dict[str, tuple[Gauge, bool]]  # gauge, and whether steps are normalised


@dataclass(frozen=True)
class Best:
    """Arrays (k,), one entry for each level: the least number of steps to it over all lengths, a length that needs no
    more, and the energy of new data there."""

    steps: np.ndarray
    length: np.ndarray  # of a step; tau in tau J(g), or eta in eta J(g) / N*(g)
    unseen: np.ndarray
    octave: np.ndarray  # log2 of the length in units of ``natural``
    seconds: float  # of one step, the median


def task(name: str, seed: int = 0, **size: Any) -> Task:
    """The ``Task`` "MMD", "network", "dense" or "sparse", at the sizes of the paper; ``size`` makes it smaller.

    ``seed`` draws it; ``size`` as in ``mmd.clouds``, ``mlp.problem`` or ``attention.problem``. Raises ValueError for
    another name.
    """
    if name == "MMD":
        source, target = mmd.clouds(seed=seed, **size)
        fresh = mmd.clouds(2000, seed=seed + 100)[1]
        return Task(MMD(target), source, MMD(fresh), (MMD_LEVEL,), MMD_LEVEL, _methods())
    if name == "network":
        drawn, other = mlp.problem(seed=seed, **size), mlp.problem(n=1, seed=seed + 100)
        return Task(drawn.energy, drawn.start, other.energy, NETWORK_LEVELS, NETWORK_LEVELS[1], _methods([1, 2]))
    if name not in attention.REGIMES:
        raise ValueError(f"name: expected 'MMD', 'network', 'dense' or 'sparse', got {name!r}")
    heads = attention.problem(name, seed, **size)
    levels = tuple(share * heads.energy.value(heads.start) for share in SHARES)
    blocks = [heads.start.shape[1] // 4] * 4
    return Task(heads.energy, heads.start, attention.held_out(heads, seed), levels, levels[-1], _methods(blocks))


def _methods(blocks=None):
    gauges = {"p = 1": get_gauge("trace"), "p = ∞": get_gauge("operator")}
    if blocks is not None:
        gauges["block-max"] = get_gauge("block-max", blocks=blocks)
    return {
        name + word: (gauge, unit) for word, unit in (("", False), (", unit", True)) for name, gauge in gauges.items()
    }


def natural(task: Task, gauge: str | Gauge, unit: bool = False) -> float:
    """F / N*(g)^2 at the start of a ``task``, a time: at the first rate all energy would be spent by then.

    ``unit``: F / N*(g), a distance in the norm of the ``gauge``.
    """
    slope = dual_norm(task.energy.force(task.start), gauge)
    return task.energy.value(task.start) / (slope if unit else slope**2)


def descend(
    task: Task, gauge: str | Gauge, length: float, unit: bool = False, most: int = MOST, level: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """(energies (k + 1,), last positions) of k steps x <- x + length J(g), J the measure LMO of the ``gauge``.

    ``unit``: J(g) / N*(g) instead, a step of constant norm: normalised gradient descent, or Muon with an exact polar
    factor. Ends at the ``level``, after ``most`` steps, or at ten times the energy of the start of the ``task``.
    """
    gauge, x, energies = gauge_for(gauge, task.start.shape[1]), task.start, []
    while True:
        value, g = task.energy.value_and_force(x)
        energies.append(value)
        if value <= level or len(energies) > most or not value <= DIVERGED * energies[0]:
            return np.array(energies), x
        v = measure_lmo(g, gauge)
        x = x + (length / dual_norm(g, gauge) if unit else length) * v


def best_steps(
    task: Task, gauge: str | Gauge, unit: bool = False, levels: ArrayLike | None = None, most: int = MOST
) -> Best:
    """``Best`` constant lengths of a method for each level: 13 octaves, then eighths of octaves around the best ones.

    ``task``, ``gauge``, ``unit``, ``most``: as in ``descend``; ``levels``: falling energies (None: those of the task).
    A length is given up where it needs more steps to the last level than another one.
    """
    levels = as_array("levels", task.levels if levels is None else levels, 1)
    scale, most, seconds = natural(task, gauge, unit), check_count("most", most), []
    best = [(most + 1, 0, np.nan)] * len(levels)  # steps, round, - octave: of equal ones the longest of the first round

    def attempt(octaves, round_):
        for tau in sorted(octaves, key=lambda tau: abs(tau - MIDDLE)):
            begin = time.process_time()
            energies, _ = descend(task, gauge, scale * 2.0**tau, unit, min(most, best[-1][0]), levels[-1])
            seconds.append((time.process_time() - begin) / len(energies))
            for k, level in enumerate(levels):
                if energies.min() <= level:
                    best[k] = min(best[k], (int((energies <= level).argmax()), round_, -tau))

    attempt(OCTAVES, 0)
    if missed := [level for level, (steps, *_) in zip(levels, best, strict=True) if steps > most]:
        raise ValueError(f"levels: {missed} are not reached in {most} steps")
    attempt({step - one for _, _, one in best for step in FINE}, 1)
    steps, _, octaves = np.array(best).T
    lengths = scale * 2.0**-octaves
    steps = steps.astype(int)
    ends = [descend(task, gauge, length, unit, count)[1] for length, count in zip(lengths, steps, strict=True)]
    unseen = np.array([task.unseen.value(x) for x in ends])
    return Best(steps, lengths, unseen, -octaves, float(np.median(seconds)))


def track(task: Task, gauge: str | Gauge) -> dict[str, float]:
    """What the flow of ``gauge`` spends until the ``level`` of the ``task``: {measure: value}.

    "time" is intrinsic; "equal" the time in the unit in which the flow begins at the rate of the trace; "N" and "L2"
    are lengths; "forces" are evaluations; "unseen" is the energy of new data at the end.
    """
    gauge, options = gauge_for(gauge, task.start.shape[1]), {"tol": TOL, "cutoff": CUTOFF, "n_snapshots": SNAPSHOTS}
    run, t_end = None, natural(task, gauge) / 4
    while run is None or (run.energy[-1] > task.level and run.status == "finished"):
        run, t_end = flow(task.energy, task.start, gauge, t_end=t_end, resume=run, **options), 2 * t_end
    share = task.level / run.energy[0]
    end, g = run.when(share), task.energy.force(task.start)
    last = int(np.flatnonzero(run.snapshot_times < end)[-1])
    rest = {"t_end": end - run.snapshot_times[last], "tol": TOL, "cutoff": CUTOFF}
    x = flow(task.energy, run.positions[last], gauge, **rest).final
    return {
        "time": end,
        "equal": end * (dual_norm(g, gauge) / dual_norm(g, "trace")) ** 2,
        "N": float(np.interp(end, run.times, cumulative_trapezoid(run.speed, run.times, initial=0))),
        "L2": run.when(share, "length"),
        "forces": run.when(share, "forces"),
        "unseen": task.unseen.value(x),
    }


def at_level(level: float, energy: ArrayLike, what: ArrayLike) -> float:
    """``what`` (k,) where ``energy`` (k,) first falls to the ``level``, NaN if it never does.

    Both are positive, as from ``attention.inside``; between two entries log what is linear in log energy.
    """
    energy, what = as_array("energy", energy, 1), as_array("what", what, 1)
    if not energy.min() <= level:  # a NaN level is met nowhere
        return np.nan
    k = int((energy <= level).argmax())
    if k == 0:
        return float(what[0])
    share = np.log(energy[k - 1] / level) / np.log(energy[k - 1] / energy[k])
    return float(what[k - 1] ** (1 - share) * what[k] ** share)


def medians(stored: Mapping[str, Any], methods: Sequence[str] = METHODS, level: int = -1) -> dict[str, list[float]]:
    """Medians over draws, for each of ``methods``: {measure: [one number a method]}.

    ``stored``: {method: {"flow": {measure: (draws,)}, "steps": (draws, levels)}}, what ``compare`` found, as stored by
    ``book/figures.py``. To the measures of ``track`` come "steps" and "normalised", the best to ``levels[level]``.
    """
    rows = {name: [float(np.median(stored[m]["flow"][name])) for m in methods] for name in MEASURES}
    for name, unit in (("steps", ""), ("normalised", ", unit")):
        rows[name] = [float(np.median(np.asarray(stored[m + unit]["steps"])[:, level])) for m in methods]
    return rows


def compare(name: str, seed: int = 0, **size: int) -> dict[str, tuple[Best, dict[str, float]]]:
    """{method: (``Best``, ``track``)} for ``task(name, seed, **size)``; normalised steps have no flow of their own: {}.

    They are asked for the levels down to that of the table only: a constant length does not settle.
    """
    setting, found = task(name, seed, **size), {}
    for method, (gauge, unit) in setting.methods.items():
        levels = [level for level in setting.levels if not unit or level >= setting.level]
        found[method] = best_steps(setting, gauge, unit, levels), {} if unit else track(setting, gauge)
    return found
