"""A student of attention heads learns a teacher, at p = 1 and p = inf, on the same clock.  [Figure 4]

Both flows start from the same heads: the runs are paired. What the paper leaves open is fixed here as follows: tokens,
teacher and start are Gaussian, and every seed draws new ones; the clock is the one on which dE/dt = -N*(g)^2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from .._validation import check_count
from ..energies import Attention
from ..flows import FlowResult, flow
from ..gauges import get_gauge
from .mlp import NEURONS, ClippedRun, clipped_flow, dissipation_ratio

Regime = Literal["dense", "sparse"]
REGIMES: dict[Regime, float] = {"dense": 0.08, "sparse": 1.45}  # entries of the teacher's queries and keys
VALUES = 0.65  # of its values and outputs
START = 0.16  # of all entries of the student
GAUGES = {p: get_gauge("schatten", p=p) for p in (1, np.inf)}
HORIZONS = {"dense": {1: 12.0, np.inf: 2.0}, "sparse": {1: 40.0, np.inf: 0.8}}  # all end below 1 % of the energy
QUICK = {"heads": 40, "sequences": 16, "horizon": 0.3, "loops": False}  # options of ``pair`` for a page
TOL, CUTOFF = 1e-2, 1e-3  # of ``flow``
LOOP = {1: (960, 7.5), np.inf: (480, 6.75)}  # the paper's loop: steps, and nominal end in intrinsic time
CAP = 0.45 / np.sqrt(200)  # longest step of that loop in L2(mu)


@dataclass(frozen=True)
class Problem:
    """An energy whose targets are those of ``teacher`` (k, d), and the student's ``start`` (n, d)."""

    energy: Attention
    teacher: np.ndarray
    start: np.ndarray


def problem(
    regime: Regime, seed: int = 0, *, heads: int = 200, sequences: int = 32, tokens: int = 16, token_dim: int = 4,
    head_dim: int = 3, teachers: int = 5,
) -> Problem:  # fmt: skip
    """The setting of Figure 4: ``regime`` is "dense" or "sparse".

    The seed draws tokens, teacher and start separately: both regimes share tokens and start, and a smaller problem has
    the first sequences and heads of a larger one. ``token_dim`` and ``head_dim`` are those of ``Attention``;
    ``teachers`` is the number of heads of the teacher.
    """
    if regime not in REGIMES:
        raise ValueError(f"regime: got {regime!r}, wants one of {list(REGIMES)}")
    sizes = {"heads": heads, "sequences": sequences, "tokens": tokens, "token_dim": token_dim, "teachers": teachers}
    for name, size in {**sizes, "head_dim": head_dim}.items():
        check_count(name, size)
    d = 4 * head_dim * token_dim
    shapes = (sequences, tokens, token_dim), (teachers, d), (heads, d)
    z, teacher, start = (np.random.default_rng([seed, k]).standard_normal(shapes[k]) for k in range(3))
    teacher *= np.repeat([REGIMES[regime], VALUES], d // 2)
    return Problem(_answered(z, teacher, head_dim), teacher, START * start)


def run(
    setting: Problem, regime: Regime, p: float, *, tol: float = TOL, cutoff: float = CUTOFF,
    t_end: float | None = None, snapshots: int = 41,
) -> FlowResult:  # fmt: skip
    """The flow of a ``Problem`` for p = 1 or inf, to the horizon of its regime: a ``swref.FlowResult``."""
    t_end = HORIZONS[regime][p] if t_end is None else t_end
    marks = t_end * np.linspace(0, 1, snapshots) ** 2  # most of the motion is early
    return flow(setting.energy, setting.start, GAUGES[p], t_end=t_end, tol=tol, cutoff=cutoff, snapshot_times=marks)


def loop(setting: Problem, p: float) -> ClippedRun:
    """The ``mlp.ClippedRun`` of the paper's loop: Euler steps, none longer than ``CAP``.

    Its gradient is that of F / 64 by the heads X, 64 coordinates per sequence: a step of 100 (p = 1) or 180 (p = inf)
    is one of 100 / (64 * 200) or 180 / (64 * 200) on the intrinsic clock. Coordinates are clamped at 10.
    """
    steps, horizon = LOOP[p]
    return clipped_flow(setting, GAUGES[p], horizon=horizon, steps=steps, cap=CAP * np.sqrt(NEURONS), bound=10)


@dataclass(frozen=True)
class Pair:
    """The runs from one start: flows, and the loops of the paper, by p."""

    problem: Problem
    flows: dict[float, FlowResult]
    loops: dict[float, ClippedRun]


def pair(
    regime: Regime, seed: int = 0, *, loops: bool = True, horizon: float = 1.0, tol: float = TOL, **size: int
) -> Pair:
    """All runs of one seed. ``horizon`` shortens the flows; ``loops=False``: flows only; ``size`` as in ``problem``."""
    setting = problem(regime, seed, **size)
    flows = {p: run(setting, regime, p, tol=tol, t_end=horizon * HORIZONS[regime][p]) for p in GAUGES}
    return Pair(setting, flows, {p: loop(setting, p) for p in GAUGES} if loops else {})


def held_out(setting: Problem, seed: int = 0, sequences: int = 64) -> Attention:
    """The energy on ``sequences`` that the student has not seen, answered by the same teacher."""
    _, tokens, token_dim = setting.energy.tokens.shape
    z = np.random.default_rng([seed, 3]).standard_normal((sequences, tokens, token_dim))
    return _answered(z, setting.teacher, setting.energy.head_dim)


def _answered(z, teacher, head_dim):
    return Attention(z, Attention(z, np.zeros_like(z), head_dim).predict(teacher), head_dim)


def strength(setting: Problem, x: ArrayLike) -> np.ndarray:
    """Weights (n,) of heads x in proportion to |O^T V|_F, split as in ``setting``: a small one is not heard."""
    _, _, V, O = setting.energy.split(x)
    size = np.linalg.norm(O.swapaxes(1, 2) @ V, axis=(1, 2))
    return size / size.sum()


def matrices(setting: Problem, x: ArrayLike) -> np.ndarray:
    """The attention matrices A (N, n, m, m) of heads x (n, d) on the N sequences of a ``setting``: rows sum to one."""
    energy = setting.energy
    z, (Q, K, _, _) = energy.tokens[:, None], energy.split(x)
    logits = (z @ Q.swapaxes(1, 2)) @ (z @ K.swapaxes(1, 2)).swapaxes(2, 3)
    return softmax(logits / np.sqrt(energy.head_dim), axis=-1)


def inside(setting: Problem, heads: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """What ``heads`` (s, n, d) of a ``setting`` do at s snapshots: {name: (s,) array}.

    "tokens": N_eff, all heads alike; "heard": the same, heads weighted by ``strength`` w; "active": 1 / sum w^2, how
    many heads do the work; "anisotropy": D_inf / D_1; "looking": the share of the squared distance from the start that
    queries and keys moved; "unseen": the energy ``held_out``, drawn by ``seed``, as a fraction of the start.
    """
    unseen, seen = held_out(setting, seed), setting.energy
    found = {name: [] for name in ("tokens", "heard", "active", "anisotropy", "looking", "unseen")}
    for x in heads:
        weights, moved = strength(setting, x), np.square(x - setting.start).sum(0)
        found["tokens"].append(seen.effective_tokens(x))
        found["heard"].append(seen.effective_tokens(x, weights))
        found["active"].append(1 / np.square(weights).sum())
        found["anisotropy"].append(dissipation_ratio(seen, x))
        found["looking"].append(moved[: len(moved) // 2].sum() / max(moved.sum(), np.finfo(float).tiny))
        found["unseen"].append(unseen.value(x) / unseen.value(setting.start))
    return {name: np.array(values) for name, values in found.items()}


def figure_4(seeds: Iterable[int] = range(5), **options: Any) -> dict[Regime, list[Pair]]:
    """{regime: [Pair, ...]}, a pair for each of ``seeds``; options as in ``pair``, for example ``**QUICK``."""
    return {regime: [pair(regime, seed, **options) for seed in seeds] for regime in REGIMES}
