"""Displacement geodesics of clouds: their speed, solved anew, and densities and momenta to look at.

``swref.displacement`` gives the points of mu_t. A cloud has no density; what is computed here is that of its
convolution with N(0, width^2 I), on a grid of one increasing array per coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from ._session import silent
from ._validation import EPS, as_array, as_cloud, as_increasing, as_times, as_weights, check_count, check_positive
from .clouds import displacement, transport
from .gauges import Gauge

WIDTH = 0.15  # of the kernel in the paper's Figures 2 and 8, whose shapes have radius 1.45 and 1.55


@silent
def speeds(
    x: ArrayLike, y: ArrayLike, plan: ArrayLike | sp.sparray, gauge: str | Gauge, times: ArrayLike, *, tol: float = 1e-6
) -> np.ndarray:
    """Bounds (k - 1, 2) of W(mu_s, mu_t) / (t - s) between consecutive ``times`` (k,), each solved anew.  [Cor. 4.4]

    x (n, d), y (m, d), ``plan`` (n, m) as for ``displacement``; times increasing in [0, 1]. For an optimal plan all
    of these are W(mu_0, mu_1). For any other plan they need not be equal, and none exceeds gamma(moment)^(1/2).
    ``gauge``, ``tol``, errors: as for ``transport``; ValueError also for times that do not increase.
    """
    times = as_times("times", times, 1, least=2)
    clouds = [displacement(x, y, plan, float(t)) for t in times]
    bounds = []
    for (start, a), (end, b) in pairwise(clouds):
        result = transport(start, end, gauge, a / a.sum(), b / b.sum(), tol=tol)
        bounds.append([result.distance * np.sqrt(1 - result.relative_gap), result.distance])
    return np.array(bounds) / np.diff(times)[:, None]


@silent
def density(
    points: ArrayLike, axes: Sequence[ArrayLike], weights: ArrayLike | None = None, *, width: float = WIDTH
) -> np.ndarray:
    """rho(z) = sum_i w_i (2 pi h^2)^(-d/2) exp(-|z - x_i|^2 / (2 h^2)), h = width, at the nodes of a grid.

    points (n, d); weights (n,), sum one (None: equal); ``axes``: d increasing arrays. Returns an array of shape
    (len(axes[0]), ..., len(axes[d-1])): mass per unit of volume, nonnegative, of integral one over the whole space.
    Sums over the grid are that integral when the axes reach about 5 widths beyond the points in steps of at most one.
    Raises ValueError for malformed points, axes or weights.
    """
    points, axes, weights, width = _checked(points, axes, weights, width)
    return _smoothed(points, weights[:, None], axes, width)[0]


@silent
def momentum(
    points: ArrayLike, velocities: ArrayLike, axes: Sequence[ArrayLike], weights: ArrayLike | None = None, *,
    width: float = WIDTH,
) -> np.ndarray:  # fmt: skip
    """m(z) = sum_i w_i v_i times the kernel of ``density``; velocities (n, d) of the points; returns (d, *grid).

    m / rho is the velocity field that moves rho: d rho/dt + div m = 0 when dx_i/dt = v_i. As width -> 0 it tends to the
    conditional mean of v given the place, where rho has a density.  [Thm 4.2; the mean is ours] axes, weights, width,
    errors: as for ``density``.
    """
    points, axes, weights, width = _checked(points, axes, weights, width)
    velocities = as_array("velocities", velocities, 2, points.shape)
    return _smoothed(points, weights[:, None] * velocities, axes, width)


@silent
def axes_around(*clouds: ArrayLike, cells: int = 96, width: float = WIDTH) -> list[np.ndarray]:
    """d increasing arrays that reach 5 ``width`` beyond all clouds (n, d); the longest has ``cells`` steps, all equal.

    Raises ValueError for no clouds, or clouds of several dimensions.
    """
    if not clouds:
        raise ValueError("clouds: expected at least one, got none")
    d = as_cloud("clouds", clouds[0]).shape[1]
    points = np.concatenate([as_cloud("clouds", cloud, d) for cloud in clouds])
    margin = 5 * check_positive("width", width)
    low, high = points.min(0) - margin, points.max(0) + margin
    step = (high - low).max() / check_count("cells", cells)
    counts = np.ceil((high - low) / step * (1 - 4 * EPS)).astype(int)
    return [middle + step * (np.arange(n + 1) - n / 2) for middle, n in zip((low + high) / 2, counts, strict=True)]


def _checked(points, axes, weights, width):
    points = as_cloud("points", points)
    if not np.iterable(axes) or (isinstance(axes, np.ndarray) and axes.ndim == 1):
        axes = [axes]
    axes = [as_increasing(f"axes[{k}]", axis) for k, axis in enumerate(axes)]
    if len(axes) != points.shape[1]:
        raise ValueError(f"axes: expected d = {points.shape[1]} arrays like points, got {len(axes)}")
    return points, axes, as_weights("weights", weights, len(points)), check_positive("width", width)


def _smoothed(points, masses, axes, width):
    """sum_i masses_i kernel(z - points_i), (k, *grid), for masses (n, k): one matrix product per column."""
    *others, last = (
        np.exp(-0.5 * ((axis - x[:, None]) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        for axis, x in zip(axes, points.T, strict=True)
    )
    first = np.ones((len(points), 1))
    for kernel in others:
        first = (first[:, :, None] * kernel[:, None]).reshape(len(points), -1)
    values = [(first * mass[:, None]).T @ last for mass in masses.T]
    return np.reshape(values, (-1, *map(len, axes)))
