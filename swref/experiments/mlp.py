"""A planar two-layer ReLU network learns three neurons.  [Figure 3]

Particles are neurons (u, v1, v2). Times are intrinsic, those of ``swref.flow``: dF/dt = -N*(g)^2 for the force g of
measures. The paper's loop differentiates with respect to coordinates: its clock counts n = 1920 units per unit of t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_array, as_cloud, as_weights, check_count, check_positive
from ..energies import Attention, TwoLayerNet
from ..energies.networks import Activation
from ..flows import FlowResult, flow
from ..flows.result import Falling
from ..gauges import Gauge, gauge_for, get_gauge
from ..lmo import dual_norm, measure_lmo, tangent_norm

ANGLES = (0.38, 2.42, 4.63)  # of the teacher's unit vectors v, in radians
SIGNS = (1.0, 1.0, -1.0)  # its output weights u
NEURONS, INPUTS, SEED = 1920, 2000, 7
STEPS, CAP, BOUND = 2000, 0.20, 30.0  # the paper's loop: number of steps, largest |X_{k+1} - X_k|_F, largest |X_ij|
HORIZONS = {1: 150_000 / NEURONS, np.inf: 100_000 / NEURONS}  # nominal ends of its two runs, in intrinsic time
PRESETS = {"full": (NEURONS, INPUTS), "quick": (240, 500)}  # n and size of ``problem``


class Setting(Protocol):
    """What a run needs: an energy, and the start (n, d)."""

    @property
    def energy(self) -> TwoLayerNet | Attention: ...
    @property
    def start(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Problem:
    """The teacher (3, 3), the start (n, 3) of the student, and the energy: half the mean squared error."""

    teacher: np.ndarray  # (3, 3): three neurons
    start: np.ndarray  # (n, 3): of the student
    energy: TwoLayerNet  # half the mean squared error


def problem(n: int = NEURONS, size: int = INPUTS, seed: int = SEED, activation: Activation = "relu") -> Problem:
    """Fig. 3: ``size`` standard normal inputs; n students, normal with the teacher's mean and half its variance.

    The variance is per coordinate. Network and teacher are means over their neurons, not sums. ``seed`` draws all;
    ``activation`` is that of ``TwoLayerNet``.
    """
    n, size, rng = check_count("n", n), check_count("size", size), np.random.default_rng(seed)
    teacher = np.column_stack([SIGNS, np.cos(ANGLES), np.sin(ANGLES)])
    inputs = rng.standard_normal((size, 2))
    start = teacher.mean(0) + np.sqrt(0.5) * teacher.std(0) * rng.standard_normal((n, 3))
    targets = TwoLayerNet(inputs, np.zeros(size), activation).predict(teacher)
    return Problem(teacher, start, TwoLayerNet(inputs, targets, activation))


def dissipation_ratio(energy: TwoLayerNet | Attention, x: ArrayLike, gauge: str | Gauge = "operator") -> float:
    """N*_gauge(g)^2 / N*_trace(g)^2 for the force g of an ``energy`` at particles x (n, d).

    How much faster the flow of the ``gauge`` loses energy there: from 1 to d for the operator gauge.
    """
    g = energy.force(x)
    return (dual_norm(g, gauge) / dual_norm(g, "trace")) ** 2


@dataclass(frozen=True, repr=False)
class ClippedRun(Falling):
    """The paper's loop: one row per step k = 0, ..., steps, and the state after the last one."""

    progress: np.ndarray  # k / steps, the paper's normalised time
    times: np.ndarray  # intrinsic time really elapsed
    length: np.ndarray  # of the path so far, in L2(mu) for every gauge
    energy: np.ndarray
    dissipation: np.ndarray
    clipped: np.ndarray  # whether the step that begins here is shortened
    snapshot_progress: np.ndarray  # (s,)
    positions: np.ndarray  # (s, n, 3)


def clipped_flow(
    problem: Setting, gauge: str | Gauge, *, horizon: float | None = None, steps: int = STEPS,
    cap: float = CAP, bound: float = BOUND, n_snapshots: int = 7,
) -> ClippedRun:  # fmt: skip
    """Euler steps of nominal length horizon / steps, shortened so that no increment is longer than the cap.

    ``horizon`` in intrinsic time (None: ``HORIZONS``, that of p = inf for every p > 1). ``cap`` bounds the Frobenius
    norm for 1920 neurons; for n it is scaled by sqrt(n / 1920), the same root mean square per neuron. ``bound`` clamps
    the coordinates. ``problem``: a ``Setting``; ``gauge``: any; ``n_snapshots``: states kept.
    """
    x, steps, n_snapshots = problem.start.copy(), check_count("steps", steps), check_count("n_snapshots", n_snapshots)
    gauge = gauge_for(gauge, x.shape[1])
    if horizon is None:
        horizon = HORIZONS[1 if getattr(gauge, "p", None) == 1 else np.inf]
    nominal = check_positive("horizon", horizon) / steps
    longest, bound = check_positive("cap", cap) / np.sqrt(NEURONS), check_positive("bound", bound)
    marks = np.unique(np.linspace(0, steps, n_snapshots).round().astype(int))
    rows, positions, time, length = [], [], 0.0, 0.0
    for k in range(steps + 1):
        value, g = problem.energy.value_and_force(x)
        v = measure_lmo(g, gauge)
        speed = tangent_norm(v, "trace")
        h = min(nominal, longest / speed) if speed > 0 else nominal
        rows.append((k / steps, time, length, value, np.vdot(-g, v) / len(x), h < nominal))
        if k in marks:
            positions.append(x)
        x = np.clip(x + h * v, -bound, bound)
        time, length = time + h, length + h * speed
    *columns, clipped = np.array(rows).T
    states = {"snapshot_progress": marks / steps, "positions": np.array(positions)}
    return ClippedRun(*columns, clipped=clipped.astype(bool), **states)


@dataclass(frozen=True, repr=False)
class Figure3:
    """The problem, and for each exponent p its flow on the intrinsic clock and the paper's loop."""

    problem: Problem
    flows: dict[float, FlowResult]
    clipped: dict[float, ClippedRun]


def figure_3(
    preset: Literal["full", "quick"] = "full", *, seed: int = SEED, exponents: Sequence[float] = (1, np.inf),
    t_end: float = HORIZONS[1], tol: float = 1e-3, n_snapshots: int = 67,
) -> Figure3:  # fmt: skip
    """What Fig. 3 shows, on both clocks. ``preset``: "full", the paper's sizes and 20 seconds, or "quick".

    ``t_end`` and ``tol`` are those of ``swref.flow``; ``n_snapshots`` are equally spaced on each clock. ``seed`` as in
    ``problem``, ``exponents``: the p.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {list(PRESETS)}, got {preset!r}")
    setting = problem(*PRESETS[preset], seed=seed)
    gauges = {p: get_gauge("schatten", p=p) for p in exponents}
    options = {"t_end": t_end, "tol": tol, "n_snapshots": n_snapshots}
    return Figure3(
        setting,
        {p: flow(setting.energy, setting.start, gauge, **options) for p, gauge in gauges.items()},
        {p: clipped_flow(setting, gauge, n_snapshots=n_snapshots) for p, gauge in gauges.items()},
    )


def reduced(x: ArrayLike) -> np.ndarray:
    """|u| v, (..., 2), for neurons x (..., 3): a ReLU neuron acts through it and the sign of u only."""
    x = as_array("x", x, (1, 2, 3))
    return np.abs(x[..., :1]) * x[..., 1:]


def alignment(x: ArrayLike, weights: ArrayLike | None = None, *, width: float = 0.2) -> float:
    """The share of sum_i w_i |u_i| |v_i| within ``width`` radians of a teacher whose output has the sign of u_i.

    x (n, 3), weights (n,), None: equal.
    """
    x, width = as_cloud("x", x, 3), check_positive("width", width)
    mass = as_weights("weights", weights, len(x)) * np.linalg.norm(reduced(x), axis=1)
    apart = _turn(np.arctan2(x[:, 2], x[:, 1])[:, None] - ANGLES)
    near = (np.abs(apart) <= width) & (np.sign(x[:, :1]) == SIGNS)
    return float(mass @ near.any(1) / mass.sum()) if mass.any() else 0.0


def angular_density(
    x: ArrayLike, weights: ArrayLike | None = None, *, bandwidth: float = 0.1, size: int = 360
) -> tuple[np.ndarray, np.ndarray]:
    """(angles (size,), density (size,)) of the angles of v, neuron i counted with w_i |u_i| |v_i|.

    x (n, 3), weights (n,). A Gaussian kernel on the circle, of deviation ``bandwidth``;
    the density integrates to one over [0, 2 pi).
    """
    x, size = as_cloud("x", x, 3), check_count("size", size)
    weights, bandwidth = as_weights("weights", weights, len(x)), check_positive("bandwidth", bandwidth)
    mass = weights * np.linalg.norm(reduced(x), axis=1)
    angles = np.arange(size) * 2 * np.pi / size
    apart = _turn(angles[:, None] - np.arctan2(x[:, 2], x[:, 1]))
    density = np.exp(-0.5 * (apart / bandwidth) ** 2) @ mass
    return angles, density / (density.mean() * 2 * np.pi) if density.any() else density


def _turn(angle):
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
