"""Convexity along displacement geodesics: energies, moduli, plans that keep entropy finite.  [Prop. 5.4, App. H]

Everything here is about the curves mu_t = ((1 - t) x + t y)_# pi with pi an optimal plan. At p = inf other geodesics
exist, and along them even a quadratic potential need not be convex.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.special import xlogy

from ._session import silent, steady
from ._validation import EPS, as_array, as_psd, as_tolerance, as_weights, check_count, check_positive, psd_eigh
from .clouds import TransportResult, displacement, transport
from .energies import Energy
from .gauges import Gauge, SpectralGauge, gauge_for, get_gauge
from .geodesics import density

__all__ = ["along", "entropy", "modulus", "regularized_transport", "two_optimal_plans"]

RANDOM_STARTS = 20  # of the search in ``modulus``, besides 2 d special ones
MOST_ROUNDS = 1000  # of one search; each raises its value
MARGIN = 8  # widths around the points: the tails beyond hold less than 1e-14 of the mass
MOST_NODES = 2**25  # of the grid of ``entropy``: a quarter of a gigabyte


@silent
def along(energy: Energy, x: ArrayLike, y: ArrayLike, plan: ArrayLike | sp.sparray, times: ArrayLike) -> np.ndarray:
    """E(mu_t) (k,) at ``times`` (k,) in [0, 1], mu_t = sum_ij pi_ij delta_{(1-t) x_i + t y_j}.  [Prop. 5.4]

    ``energy``: any object with ``value(points, weights)``, as for ``swref.flow``. x (n, d), y (m, d), ``plan`` (n, m)
    sparse or dense, of total mass one up to 1e-8, as returned by ``transport``. Along an optimal plan a potential with
    ``modulus(Hessian, gauge)`` >= kappa obeys E(t) <= (1 - t) E(0) + t E(1) - kappa t (1 - t) W^2 / 2.
    """
    values = []
    for t in as_array("times", times, 1):
        points, masses = displacement(x, y, plan, float(t))
        total = masses.sum()
        if abs(total - 1) > 1e-8:
            raise ValueError(f"plan: must have total mass one, got {total:.10g}")
        values.append(float(energy.value(points, masses / total)))
    return np.array(values)


@steady
def modulus(A: ArrayLike, gauge: str | Gauge) -> float:
    """The largest kappa >= 0 with A >= kappa Q for all Q in K: min_u u.A u / gamma(u u^T), a float.  [Prop. 5.4]

    A (d, d) positive semidefinite: the Hessian of a potential, which is then kappa-convex along displacement geodesics.
    ``gauge``: a name or a ``swref.Gauge``.
    ValueError for a Hessian with a negative eigenvalue: no kappa >= 0 exists, the potential is not convex.

    Spectral gauges: lambda_min(A) / gamma(e e^T), |e| = 1, exactly. Others: gamma(u u^T) / u.A u is maximised by rounds
    Q = support(u u^T), u = the first eigenvector of (Q, A), which never lower it, from 2 d + 20 fixed starts. One round
    is exact when K has one element. In general this is a search: its result is attained by a direction, hence never
    below the true kappa.
    """
    A = as_psd("A", A)
    d = len(A)
    gauge, (scale, lam, U) = gauge_for(gauge, d), psd_eigh("A", A)
    if scale == 0 or lam[-1] <= d * EPS * lam[0]:
        return 0.0
    if isinstance(gauge, SpectralGauge):
        return float(scale * lam[-1] / gauge.value(np.outer(U[:, -1], U[:, -1])))
    inverse = (U / lam) @ U.T
    random = np.random.default_rng(0).standard_normal((RANDOM_STARTS, d))
    return float(scale / max(_best_ratio(gauge, A / scale, u) for u in [*U.T, *inverse, *random]))


def _best_ratio(gauge, A, u):
    """A local maximum of gamma(u u^T) / u.A u, from u (d,)."""
    best = 0.0
    for _ in range(MOST_ROUNDS):
        u = u / np.linalg.norm(u)
        ratio = gauge.value(np.outer(u, u)) / (u @ A @ u)
        if ratio <= best * (1 + 4 * EPS):
            break
        best = ratio
        u = scipy.linalg.eigh(gauge.support(np.outer(u, u)), A, subset_by_index=[len(u) - 1] * 2)[1][:, 0]
    return max(best, ratio)


def regularized_transport(
    x: ArrayLike, y: ArrayLike, gauge: str | Gauge, eps: float, Q0: ArrayLike | None = None, **options: Any
) -> TransportResult:
    """The ``TransportResult`` for gamma_eps = (1 - eps) gamma + eps <Q0, .>, 0 < eps < 1.  [Thm H.4, H.5]

    ``Q0`` (d, d) positive definite; None: the identity. Every Q in the new K is at least eps Q0, hence definite, and
    entropy is convex along the displacement interpolation of the plan, which need not be so for gamma. The plan is
    nearly optimal for gamma: gamma(moment) <= W_gamma^2 + eps/(1 - eps) <Q0, moment of any optimal plan>.
    x, y, ``gauge``, ``options`` and errors: those of ``transport``.
    """
    eps, d = as_tolerance("eps", eps), as_array("x", x, 2).shape[1]
    linear = get_gauge("trace") if Q0 is None else get_gauge("linear", Q0=as_psd("Q0", Q0, d))
    return transport(x, y, (1 - eps) * get_gauge(gauge) + eps * linear, **options)


@silent
def entropy(points: ArrayLike, weights: ArrayLike | None = None, *, width: float) -> tuple[float, float]:
    """(H, error): H = int rho log rho for rho = sum_i w_i N(x_i, width^2 I), and a bound on its quadrature error.

    points (n, d), d <= 3; weights (n,), None: equal. Sign: H grows as mass concentrates, and is the entropy that is
    convex along geodesics. The method is a sum over a grid of step width/2; ``error`` is the change from step width.
    Bias: convolution spreads mass, so H is at most the entropy of any measure that it smooths, and grows to it as
    width -> 0. A cloud of n points resolves rho only for widths above the distance of neighbours.  [App. H]
    """
    points = as_array("points", points, 2)
    weights, width = as_weights("weights", weights, len(points)), check_positive("width", width)
    if points.shape[1] > 3:
        raise ValueError(f"points: entropy needs a grid, in dimension 3 at most, got d = {points.shape[1]}")
    coarse, fine = (_grid_entropy(points, weights, width, step) for step in (width, width / 2))
    return fine, abs(fine - coarse) + 64 * EPS * abs(fine)


def _grid_entropy(points, weights, width, step):
    low, high = points.min(0) - MARGIN * width, points.max(0) + MARGIN * width
    counts = np.ceil((high - low) / step).astype(int) + 1
    if counts.prod(dtype=float) > MOST_NODES:
        raise ValueError(f"width: {width} is too small for points that extend over {np.ptp(points, 0).max():.3g}")
    axes = [start + step * np.arange(count) for start, count in zip(low, counts, strict=True)]
    rho = density(points, axes, weights, width=width)
    return float(xlogy(rho, rho).sum() * step ** len(axes))


def two_optimal_plans(
    columns: int, rows: int, *, height: float = 0.5, shift: float = 1.0
) -> tuple[np.ndarray, np.ndarray, sp.csr_array, sp.csr_array]:
    """(x, y, translation, reflection): points of a rectangle, the same shifted, and two optimal plans.  [Prop. H.6]

    x (n, 2), n = columns * rows: midpoints of a grid on [0, 1] x [-height, height]; y = x + shift e_1. The plans (n, n)
    move every point by shift along the first axis; the second one also turns the rectangle upside down. At p = inf both
    have cost shift^2, provided 4 height^2 / 3 <= shift^2 (ValueError otherwise): no plan can have less, by its mean.
    """
    columns, rows = check_count("columns", columns), check_count("rows", rows)
    height, shift = check_positive("height", height), check_positive("shift", shift)
    if 4 * height**2 / 3 > shift**2:
        raise ValueError(f"shift: the reflection is optimal from {2 * height / np.sqrt(3):.6g} on only, got {shift}")
    first = (np.arange(columns) + 0.5) / columns
    second = height * ((2 * np.arange(rows) + 1) / rows - 1)
    x = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    translation = sp.csr_array(sp.eye_array(len(x)) / len(x))
    turned = np.arange(len(x)).reshape(columns, rows)[:, ::-1].ravel()
    return x, x + [shift, 0], translation, translation[turned]
