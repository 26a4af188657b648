"""A student of attention heads learns a teacher, at p = 1 and p = inf, on the same clock.  [Figure 4]

Both flows start from the same heads: the runs are paired. What the paper leaves open is fixed here as follows: tokens,
teacher and start are Gaussian, and every seed draws new ones; the clock is the one on which dE/dt = -N*(g)^2.
"""

import time
from dataclasses import dataclass

import numpy as np

from ..energies import Attention
from ..flows import flow
from ..gauges import get_gauge
from ..lmo import dual_norm, measure_lmo

REGIMES = {"dense": 0.08, "sparse": 1.45}  # entries of the teacher's queries and keys
VALUES = 0.65  # of its values and outputs
START = 0.16  # of all entries of the student
GAUGES = {p: get_gauge("schatten", p=p) for p in (1, np.inf)}
HORIZONS = {"dense": {1: 12.0, np.inf: 2.0}, "sparse": {1: 40.0, np.inf: 0.8}}  # all end below 1 % of the energy
QUICK = {"heads": 40, "sequences": 16, "horizon": 0.4, "steps": 100}  # options of ``pair`` for a page
TOL, CUTOFF = 1e-2, 1e-3  # of ``flow``
LARGEST = {1: 0.64, np.inf: 0.032}  # steps of ``tuned_descent`` begin here


@dataclass(frozen=True)
class Problem:
    """An energy whose targets are those of ``teacher`` (k, d), and the student's ``start`` (n, d)."""

    energy: Attention
    teacher: np.ndarray
    start: np.ndarray


def problem(regime, seed=0, *, heads=200, sequences=32, tokens=16, token_dim=4, head_dim=3, teachers=5):
    """The setting of Figure 4: ``regime`` is "dense" or "sparse".

    The seed draws tokens, teacher and start separately: both regimes share tokens and start, and a smaller problem has
    the first sequences and heads of a larger one.
    """
    if regime not in REGIMES:
        raise ValueError(f"regime: got {regime!r}, wants one of {list(REGIMES)}")
    d = 4 * head_dim * token_dim
    shapes = (sequences, tokens, token_dim), (teachers, d), (heads, d)
    z, teacher, start = (np.random.default_rng([seed, k]).standard_normal(shapes[k]) for k in range(3))
    teacher *= np.repeat([REGIMES[regime], VALUES], d // 2)
    targets = Attention(z, np.zeros_like(z), head_dim).predict(teacher)
    return Problem(Attention(z, targets, head_dim), teacher, START * start)


@dataclass(frozen=True)
class Curve:
    """One flow: (k,) arrays along its accepted steps, (s,) arrays at its snapshots."""

    times: np.ndarray
    energy: np.ndarray
    dissipation: np.ndarray
    residual: np.ndarray  # of the energy-dissipation identity, cumulative
    forces: np.ndarray  # evaluations of the force until then, those of rejected steps included
    seconds: np.ndarray
    snapshot_times: np.ndarray
    heads: np.ndarray  # (s, n, d)
    effective_tokens: np.ndarray

    def when(self, level, what="times"):
        """``what`` ("times", "forces" or "seconds") at which the energy first falls to ``level`` times its start."""
        reached = np.flatnonzero(self.energy <= level * self.energy[0])
        if not len(reached):
            raise ValueError(f"level: the energy ends at {self.energy[-1] / self.energy[0]:.3g} of its start")
        i, x = reached[0], getattr(self, what)
        if i == 0:
            return float(x[0])
        log = np.log(self.energy[i - 1 : i + 1])  # energies fall geometrically
        share = (np.log(level * self.energy[0]) - log[0]) / (log[1] - log[0])
        return float(x[i - 1] + share * (x[i] - x[i - 1]))


def run(setting, regime, p, *, tol=TOL, cutoff=CUTOFF, t_end=None, snapshots=41):
    """The flow of a ``Problem`` for p = 1 or inf, to the horizon of its regime."""
    energy = _Counted(setting.energy)
    t_end = HORIZONS[regime][p] if t_end is None else t_end
    marks = t_end * np.linspace(0, 1, snapshots) ** 2  # most of the motion is early
    options = {"t_end": t_end, "tol": tol, "cutoff": cutoff, "snapshot_times": marks}
    result = flow(energy, setting.start, GAUGES[p], **options)
    forces, seconds = np.array([energy.met[value] for value in result.energy]).T
    effective = np.array([setting.energy.effective_tokens(x) for x in result.positions])
    accounts = (result.times, result.energy, result.dissipation, result.residual)
    return Curve(*accounts, forces, seconds, result.snapshot_times, result.positions, effective)


class _Counted:
    """An energy that remembers how many forces, and seconds, it took to meet each value."""

    def __init__(self, energy):
        self.energy, self.calls, self.start, self.met = energy, 0, time.perf_counter(), {}

    def value(self, x, weights):
        return self.energy.value(x, weights)

    def force(self, x, weights):
        self.calls += 1
        return self.energy.force(x, weights)

    def value_and_force(self, x, weights):
        self.calls += 1
        value, force = self.energy.value_and_force(x, weights)
        self.met[value] = self.calls, time.perf_counter() - self.start
        return value, force


def anisotropy(setting, x):
    """D_inf / D_1 = (tr S^(1/2))^2 / tr S at heads x, S the moment of the force: from 1 (one direction) to d (all)."""
    g = setting.energy.force(x)
    return (dual_norm(g, GAUGES[np.inf]) / dual_norm(g, GAUGES[1])) ** 2


@dataclass(frozen=True)
class Descent:
    """Steps of one length: x <- x + step J(g). ``energy`` (count + 1,), ``seconds`` per step."""

    step: float
    energy: np.ndarray
    seconds: float


def descend(setting, p, step, count):
    """``count`` explicit steps of length ``step`` on the clock of p; given up, energy inf, at ten times the start."""
    x, gauge = setting.start, GAUGES[p]
    energy, seconds = np.full(count + 1, np.inf), []
    for k in range(count + 1):
        begin = time.perf_counter()
        value, force = setting.energy.value_and_force(x)
        if k and not value <= 10 * energy[0]:
            break
        energy[k] = value
        x = x + step * measure_lmo(force, gauge)
        seconds.append(time.perf_counter() - begin)
    return Descent(step, energy, float(np.median(seconds)))


def tuned_descent(setting, p, count):
    """The ``Descent`` with the best last energy among steps LARGEST[p] / 2^j: halved until that no longer helps."""
    best = descend(setting, p, LARGEST[p], count)
    while True:
        trial = descend(setting, p, best.step / 2, count)
        if np.isfinite(best.energy[-1]) and trial.energy[-1] >= best.energy[-1]:
            return best
        best = trial


@dataclass(frozen=True)
class Pair:
    """The runs from one start: curves and descents by p."""

    problem: Problem
    flows: dict
    descents: dict


def pair(regime, seed=0, *, steps=300, horizon=1.0, tol=TOL, **size):
    """Both flows and both tuned descents of one seed; ``horizon`` shortens the flows, ``size`` as in ``problem``."""
    setting = problem(regime, seed, **size)
    flows = {p: run(setting, regime, p, tol=tol, t_end=horizon * HORIZONS[regime][p]) for p in GAUGES}
    return Pair(setting, flows, {p: tuned_descent(setting, p, steps) for p in GAUGES})


def figure_4(seeds=range(5), regimes=tuple(REGIMES), **options):
    """{regime: [Pair, ...]}; options as in ``pair``, for example ``**QUICK``."""
    return {regime: [pair(regime, seed, **options) for seed in seeds] for regime in regimes}
