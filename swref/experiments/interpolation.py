"""Densities of displacement interpolants between planar shapes, from certified plans.  [Figures 2 and 8]"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..clouds import TransportResult, displacement, transport
from ..geodesics import WIDTH, axes_around, density
from .shapes import FIRST, PAIRS, SHIFT, pair

TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Interpolation:
    """One pair of shapes moved by two plans; densities are relative to the mean of mu_t, which moves uniformly."""

    x: np.ndarray  # (n, 2)
    y: np.ndarray  # (n, 2)
    trace: TransportResult  # p = 1
    operator: TransportResult  # p = inf
    times: np.ndarray  # (k,)
    axes: list[np.ndarray]  # two arrays
    densities: dict[str, np.ndarray]  # {"trace" or "operator": (k, len(axes[0]), len(axes[1]))}


def interpolate(
    name: str, shift: ArrayLike = SHIFT, n: int | None = None, seed: int = 0, *,
    times: Sequence[float] = TIMES, width: float = WIDTH, cells: int = 96, tol: float = 1e-6,
) -> Interpolation:  # fmt: skip
    """The pair ``name`` of ``shapes.PAIRS`` with n points each, solved for p = 1 and inf and moved to all ``times``.

    ``shift``, ``n`` and ``seed`` as in ``shapes.pair``, ``tol`` as in ``transport``, ``width`` and ``cells`` as in
    ``axes_around``.
    """
    x, y = pair(name, shift, n, seed)
    solved = {gauge: transport(x, y, gauge, tol=tol) for gauge in ("trace", "operator")}
    clouds = {gauge: [_centred(x, y, result.plan, float(t)) for t in times] for gauge, result in solved.items()}
    axes = axes_around(*(points for moved in clouds.values() for points, _ in moved), cells=cells, width=width)
    densities = {
        gauge: np.array([density(points, axes, weights, width=width) for points, weights in moved])
        for gauge, moved in clouds.items()
    }
    return Interpolation(x, y, solved["trace"], solved["operator"], np.array(times), axes, densities)


def figure_2(n: int = 1500, **options: Any) -> dict[str, Interpolation]:
    """{pair: Interpolation} of Figure 2, the pair of Figure 1 with n points; options as in ``interpolate``."""
    return {name: interpolate(name, n=n, **options) for name in FIRST}


def figure_8(n: int = 1200, **options: Any) -> dict[str, Interpolation]:
    """{pair: Interpolation} of Figure 8, the pairs of Figure 7 with n points; options as in ``interpolate``."""
    return {name: interpolate(name, n=n, **options) for name in PAIRS if name not in FIRST}


def _centred(x, y, plan, t):
    points, weights = displacement(x, y, plan, t)
    return points - weights @ points / weights.sum(), weights / weights.sum()
