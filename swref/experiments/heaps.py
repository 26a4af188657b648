"""Heaps on a square of n x n cells, moved twice: by a plan between the cell centres, and by a fluid on the grid.

The square has side ``SIDE`` and its centre at 0. A pair of heaps at (-1, 0) and (1, 0) goes to two holes, the heaps
turned by 60 degrees about 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_array, as_fraction, check_count, check_positive
from ..clouds import TransportResult, transport
from ..gauges import Gauge
from ..grids import DynamicResult, dynamic_transport

SIDE = 3.0


def centers(n: int) -> np.ndarray:
    """The centres (n, n, 2) of the cells; the first index counts along the first coordinate."""
    x = ((np.arange(check_count("n", n)) + 0.5) / n - 0.5) * SIDE
    return np.stack(np.meshgrid(x, x, indexing="ij"), -1)


def poured(n: int, *places: ArrayLike, width: float = 0.2, floor: float = 1e-3) -> np.ndarray:
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
    there = np.array([np.cos(np.pi / 3), np.sin(np.pi / 3)])
    return [poured(n, c, -c, floor=floor) for c in (np.array([1, 0]), there)]


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


def velocity_moments(flow: DynamicResult) -> np.ndarray:
    """S_k = int m m^T / rho dx of each interval of a ``flow`` (a ``DynamicResult``), (n_time, 2, 2)."""
    m, rho = flow.momentum, flow.density
    return np.einsum("txya,txyb,txy->tab", m, m, SIDE**2 / rho[0].size / rho)
