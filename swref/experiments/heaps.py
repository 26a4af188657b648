"""Heaps on a square of n x n cells, moved twice: by a plan between the cell centres, and by a fluid on the grid.

The square has side ``SIDE`` and its centre at 0. A pair of heaps at (-1, 0) and (1, 0) goes to two holes, the heaps
turned by 60 degrees about 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_array, as_fraction, as_times, check_count, check_positive
from ..clouds import TransportResult, transport
from ..gauges import Gauge
from ..grids import DynamicResult, dynamic_transport

SIDE = 3.0
HEAP, HOLE = np.array([1.0, 0]), np.array([np.cos(np.pi / 3), np.sin(np.pi / 3)])  # the others are opposite
WIDTH = 0.2  # standard deviation of each


class _Motion(NamedTuple):
    """A fluid at some times: times (k,), density (k, n, n), momentum (k, n, n, 2), at the ``centers`` of the cells."""

    times: np.ndarray
    density: np.ndarray
    momentum: np.ndarray


def centers(n: int) -> np.ndarray:
    """The centres (n, n, 2) of the cells; the first index counts along the first coordinate."""
    x = ((np.arange(check_count("n", n)) + 0.5) / n - 0.5) * SIDE
    return np.stack(np.meshgrid(x, x, indexing="ij"), -1)


def poured(n: int, *places: ArrayLike, width: float = WIDTH, floor: float = 1e-3) -> np.ndarray:
    """Density (n, n) of mass one: a Gaussian heap of standard deviation ``width`` at each of ``places`` (2,).

    The share ``floor`` of the mass is spread evenly. Values at cell centres, scaled to mass one on the square.
    """
    middles = [as_array("places", place, 1, (2,)) for place in places]
    width, floor = check_positive("width", width), as_fraction("floor", floor)
    gap = centers(n) - np.reshape(middles, (-1, 1, 1, 2))
    rho = np.exp(-(gap**2).sum(-1) / (2 * width**2)).sum(0)
    rho = (1 - floor) * rho / rho.sum() + floor / n**2
    return rho / (SIDE / n) ** 2


def turning(n: int, floor: float = 1e-3) -> list[np.ndarray]:
    """Densities of the two heaps and of the two holes, (n, n) each; ``floor`` as in ``poured``."""
    return [poured(n, c, -c, floor=floor) for c in (HEAP, HOLE)]


def planned(ends: Sequence[np.ndarray], gauge: str | Gauge, tol: float = 1e-4) -> tuple[np.ndarray, TransportResult]:
    """The centres (n^2, 2), and the ``transport`` between the densities ``ends`` as atoms there.

    ``gauge`` and ``tol`` are its own.
    """
    x = centers(len(ends[0])).reshape(-1, 2)
    a, b = (rho.ravel() * SIDE**2 / rho.size for rho in ends)
    return x, transport(x, x, gauge, a, b, tol=tol)


def flowing(
    ends: Sequence[np.ndarray], gauge: str | Gauge, tol: float = 2e-3, n_time: int = 16, **options: Any
) -> DynamicResult:
    """The ``dynamic_transport`` between the densities ``ends`` as they are, no floor added.

    ``gauge``, ``tol``, ``n_time`` and ``options`` are its own.
    """
    spacing = SIDE / len(ends[0])
    return dynamic_transport(*ends, gauge=gauge, spacing=spacing, n_time=n_time, tol=tol, floor=0, **options)


def shuffled(n: int, times: ArrayLike) -> _Motion:
    """Fluid of (1 - t) x + t y at increasing ``times`` (k,) in [0, 1], where every grain x draws its end y by lot.

    x, of the heaps, and y, of the holes, are independent; both are mixtures of two Gaussians, whole: no floor, and no
    wall until the ``n`` x n cells. So z = (1 - t) x + t y is one of four, with means (1 - t) a + t b and variance
    s^2 r, r = (1 - t)^2 + t^2. In each the regression of y - x on z gives the velocity b - a + (2 t - 1) / r
    (z - mean); the density weighs the four. Returns times, density (k, n, n) and momentum (k, n, n, 2), by name.
    """
    times = as_times("times", times, 1)
    t = times[:, None, None, None, None]
    a, b = np.array([[s * HEAP, r * HOLE] for s in (1, -1) for r in (1, -1)]).swapaxes(0, 1)
    spread = (1 - t) ** 2 + t**2
    gap = centers(n)[:, :, None] - (1 - t) * a - t * b
    share = np.exp(-(gap**2).sum(-1, keepdims=True) / (2 * WIDTH**2 * spread))
    share /= share.sum((1, 2, 3), keepdims=True) * (SIDE / n) ** 2
    velocity = b - a + (2 * t - 1) / spread * gap
    return _Motion(times, share.sum((3, 4)), (share * velocity).sum(3))


def velocity_moments(flow: DynamicResult | _Motion) -> np.ndarray:
    """S_k = int m m^T / rho dx at each time of a ``flow``, or in each interval of a ``DynamicResult``; (k, 2, 2)."""
    m, rho = flow.momentum, flow.density
    return np.einsum("txya,txyb,txy->tab", m, m, SIDE**2 / rho[0].size / rho)
