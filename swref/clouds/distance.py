"""Weighted point clouds: the optimal transport oracle and the distance users call.

Numba is imported on first use: it takes longer to import than a small problem takes to solve.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from .._measures import dyadic_frame, second_moment, weighted_median
from .._pictures import SIZE, plan_svg
from .._results import TINY, Result, finish, reporter, scaled_back, weightiest
from .._session import silent, steady
from .._validation import EPS, as_array, as_clouds, as_fraction, as_masses, as_nonnegative, as_tolerance
from ..gauges import Gauge, gauge_for
from ..joint import solve
from ..maxmin import call_limit
from ..network import MOST_DIMENSIONS, BasicPlan, Masses, MultiscaleSimplex, NetworkSimplex, c_transform, staircase
from .certificate import LowerBound, line_bound, mapped, metric_factor, moment_of, squares, upper_bound

MOST_DOUBLED = 8  # dimensions in which the oracle keeps twice the digits of images; beyond, that would cost too much
SMALL = 2000  # points of both clouds, up to which costs of all pairs in a matrix are faster
MARGIN = 8  # pixels around a picture
DROPPED = 0.05  # of the tolerance: plans of less total weight are left out of the mixture


@dataclass(frozen=True, repr=False, eq=False)
class TransportResult(Result):
    """``Result`` of ``transport``, with ``plan`` (CSR, n x m) and ``potentials`` (f (n,), g (m,)) for ``metric``.

    Each mass of the plan is that of one exact coupling, correctly rounded. f_i + g_j <= (x_i - y_j)^T Q* (x_i - y_j) to
    rounding, and lower_bound = sum_i a_i f_i + sum_j b_j g_j.
    """

    plan: sp.csr_array = field(repr=False)  # (n, m): the coupling that gives U
    potentials: tuple[np.ndarray, np.ndarray] = field(repr=False)  # f (n,), g (m,): give L, for metric
    _points: tuple[np.ndarray, np.ndarray] = field(repr=False)

    def gradient(self) -> tuple[np.ndarray, np.ndarray]:
        """(dW^2/dx (n, d), dW^2/dy (m, d)): 2 sum_j pi_ij Q* (x_i - y_j), and minus 2 sum_i pi_ij Q* (x_i - y_j).

        The derivative where plan and metric are unique, a subgradient otherwise (envelope theorem). In the units of the
        squared distance over a length; weights are held fixed.
        """
        x, y = self._points
        plan = self.plan.tocoo()
        pulls = 2 * plan.data[:, None] * ((x[plan.row] - y[plan.col]) @ self.metric)
        by_x, by_y = np.zeros_like(x), np.zeros_like(y)
        np.add.at(by_x, plan.row, pulls)
        np.subtract.at(by_y, plan.col, pulls)
        return by_x, by_y

    def _picture(self):
        x, y = self._points
        if x.shape[1] != 2:
            return ""
        low, span = np.minimum(x.min(0), y.min(0)), max(float(np.ptp(np.vstack([x, y]), axis=0).max()), TINY)
        X, Y = ([MARGIN, SIZE - MARGIN] + (z - low) / span * (SIZE - 2 * MARGIN) * [1, -1] for z in (x, y))
        discs, squares = (np.full(len(z), np.clip(12 / np.sqrt(len(z)), 2, 5)) for z in (X, Y))  # pixels
        return plan_svg("transport plan", X, Y, self.plan, discs, squares)


@steady
def transport(
    x: ArrayLike, y: ArrayLike, gauge: str | Gauge, a: ArrayLike | None = None, b: ArrayLike | None = None, *,
    tol: float = 1e-6, max_iter: int | None = None, strict: bool = True, progress: bool = False,
) -> TransportResult:  # fmt: skip
    """W_gamma(mu, nu)^2 = min_pi gamma(sum_ij pi_ij (y_j - x_i)(y_j - x_i)^T), certified.  [Def. 3.1, Thm 3.3]

    x (n, d), y (m, d): the points; a (n,), b (m,): their weights, nonnegative with sum one (None: equal). Points of
    zero weight take no part. ``gauge``: a name or a ``swref.Gauge``.

    The bounds hold whatever the status and include rounding: W^2 is that of exactly the floats given, with the weights
    divided exactly by their sums. L is the value of feasible dual potentials for one Q in K, U the gauge of the moment
    of an exact coupling; ``swref.clouds.certificate`` states the theorem. Converged when U - L <= tol U + slack, where
    slack = gamma(I) sum_ij pi_ij (4 eps max(|x_i|, |y_j|))^2 over what moves: clouds that coincide to their last
    digits. When only rounding prevents that, as with far points that need not move, the status is "rounding".

    At most ``max_iter`` transport problems are solved; None: 1000, or d (d + 1) if that is more. In up to three
    dimensions none of them makes a matrix of all pairs, beyond a few thousand points: 1e5 points take minutes. From
    d = 10 on, where the gap falls slowly and the gauge is a Schatten or Ky Fan gauge, an interior point method takes
    over (``joint``): each of its steps counts as one problem. For a spectral gauge, n + m < d points are first mapped
    to their span. ``progress=True`` shows a bar.

    Raises NotConverged (with ``.result``) when the tolerance is missed, unless ``strict=False``; also after Ctrl-C.
    Raises ValueError for malformed clouds, weights or gauge, GaugeError for a gauge that is not convex.
    """
    x, y = as_clouds(x, y)
    a, b, d = as_masses("a", a, len(x)), as_masses("b", b, len(y)), x.shape[1]
    gauge, tol, max_iter = gauge_for(gauge, d), as_tolerance("tol", tol), call_limit(max_iter, d)

    (i,), (j,) = np.nonzero(a > 0), np.nonzero(b > 0)
    scale, x1, y1 = dyadic_frame(x[i], y[j])
    oracle, size = CloudOracle(x1, y1, a[i], b[j]), gauge.value(np.eye(d))
    with reporter(progress, "transport", " oracle calls") as report:
        # A tenth of the tolerance is kept for dropping negligible plans from the mixture.
        options = {"tol": 0.9 * tol, "max_iter": max_iter, "report": report}
        solution = solve(oracle, gauge, slack=lambda plan: size * oracle.noise(*plan[:3]), **options)

    result = certified(x, y, i, j, scale, oracle, gauge, solution, tol)
    return finish(result, tol, strict, f"coordinates differ by up to {scale:.1g}, too much for float64 to square")


def certified(x, y, i, j, scale, oracle, gauge, solution, tol, unit=1.0):
    """The ``TransportResult`` of a solution for the points x[i], y[j] in units of ``scale``.

    ``unit``, a power of two, is that of the distance over ``scale``: in its square the metric of the solution is 1.
    """
    rows, columns, masses = cells = oracle.coupling(solution, DROPPED * tol)
    moment = moment_of(oracle.x, oracle.y, *cells)
    slack = gauge.value(np.eye(oracle.dimension)) * oracle.noise(*cells)
    upper = upper_bound(gauge, moment, moved=(oracle.x[rows] != oracle.y[columns]).any())
    lower, metric, f, g = oracle.lower_bound(solution, gauge, moment, rows, columns, enough=(1 - tol) * upper - slack)
    blurred = solution.lower_handle.violation > 0.1 * tol * upper
    size = scale * unit
    fields = scaled_back(solution, size, lower, upper, moment, metric, tol, slack, blurred)
    fields |= {"moment": moment * scale * scale, "metric": metric * unit * unit}
    f, g = _extend_potentials(x, y, i, j, f * size * size, g * size * size, fields["metric"])
    plan = sp.csr_array((masses, (i[rows], j[columns])), shape=(len(x), len(y)))
    return TransportResult(**fields, plan=plan, potentials=(f, g), _points=(x, y))


class CloudOracle:
    """Q -> W_Q^2 = min_pi <Q, moment(pi)> between two clouds, by network simplex on the cost |L^T (x - y)|^2, LL^T = Q.

    x (n, d), y (m, d), weights a (n,), b (m,) > 0. The plan is found for the centred clouds: the mean shift D adds the
    same D^T Q D to every plan. Its moment is that of the points themselves. The value is the cost of the plan minus
    what the simplex may have missed: a lower bound up to rounding, which ``lower_bound`` accounts for.
    A one-dimensional image is transported by sorting. In up to three dimensions, no matrix is made of the pairs of more
    than SMALL points: see ``network``.
    """

    def __init__(self, x, y, a, b):
        self.x, self.y, self.dimension = x, y, x.shape[1]
        self.masses = Masses(a, b)
        self.a, self.b = a / a.sum(), b / b.sum()
        self.means = self.a @ x, self.b @ y
        self.limbs = self.masses.limbs()
        spread = second_moment(x - self.means[0], self.a) + second_moment(y - self.means[1], self.b)
        axis = np.linalg.eigh(spread)[1][:, -1]
        self.order = tuple(np.argsort((z - mean) @ axis) for z, mean in zip((x, y), self.means, strict=True))

    @property
    def matrix_free(self):
        return self.dimension <= MOST_DIMENSIONS and len(self.a) + len(self.b) > SMALL

    def spanning(self):
        """(d, n + m): columns that span all displacements."""
        return np.concatenate([z - self.means[0] for z in (self.x, self.y)]).T

    def within(self, basis):
        """The oracle in the coordinates of an orthonormal ``basis`` (d, r) of a space that holds all displacements."""
        part, origin = copy(self), self.means[0]
        part.x, part.y, *part.means = ((z - origin) @ basis for z in (self.x, self.y, *self.means))
        part.dimension = basis.shape[1]
        return part

    @cached_property
    def simplex(self) -> Any:
        if self.matrix_free:
            return MultiscaleSimplex(*self.limbs)
        return NetworkSimplex(*self.limbs, *self.order)

    def evaluate(self, Q):
        L = metric_factor(Q)
        if L.shape[1] == 1:
            plan = self._sort(L)
        else:
            plan = self.simplex.solve(*(self._images(L) if self.matrix_free else [self._costs(L)]))
        moment = second_moment(self.y[plan.columns] - self.x[plan.rows], plan.masses)
        return float(np.vdot(Q, moment)) - plan.violation, moment, plan

    def noise(self, rows, columns, masses):
        """sum m (4 eps max(|x|, |y|))^2: what the last digits of points that a plan moves can cost, if gamma(I) = 1."""
        x, y = self.x[rows], self.y[columns]
        moved = (x != y).any(1)
        sizes = np.maximum((x**2).sum(1), (y**2).sum(1))[moved]
        return 16 * EPS**2 * float(masses[moved] @ sizes)

    def _images(self, L):
        return [mapped(z, mean, L) for z, mean in zip((self.x, self.y), self.means, strict=True)]

    def _costs(self, L):
        if self.dimension > MOST_DOUBLED:
            return cdist((self.x - self.means[0]) @ L, (self.y - self.means[1]) @ L, "sqeuclidean")
        X, Y = self._images(L)
        return squares(*X, *Y)

    def _sort(self, L):
        from ..network.basis import path_potentials

        X, Y = ([part[:, 0] for part in image] for image in self._images(L))
        s, t = np.lexsort(X[::-1]), np.lexsort(Y[::-1])
        rows, columns, masses = staircase(self.limbs[0][:, s], self.limbs[1][:, t])
        f, g = np.empty(len(s)), np.empty(len(t))
        f[s], g[t] = path_potentials(X[0][s], Y[0][t], rows, columns)
        masses = Masses.as_floats(masses)
        used = masses > 0
        return BasicPlan(s[rows[used]], t[columns[used]], masses[used] / masses.sum(), f, g, 0.0)

    def mixture(self, solution, budget=0.0):
        """The mixed plan (COO, n x m) of a solution, without plans of weight ``budget``."""
        weights, plans = weightiest(solution, budget)
        rows, columns = (np.concatenate([getattr(plan, side) for plan in plans]) for side in ("rows", "columns"))
        masses = np.concatenate([weight * plan.masses for weight, plan in zip(weights, plans, strict=True)])
        plan = sp.coo_array((masses, (rows, columns)), shape=(len(self.a), len(self.b)))
        plan.sum_duplicates()
        return plan

    def coupling(self, solution, budget):
        """The exact coupling (rows, columns, masses) nearest to the mixture, without plans of weight ``budget``."""
        mixture = self.mixture(solution, budget)
        return self.masses.coupling(mixture.row, mixture.col, mixture.data, self.order)

    def lower_bound(self, solution, gauge, moment, rows, columns, enough):
        """(L, Q, f, g): the certified bound of the solution's metric, sharpened if it is not ``enough``.

        In dimension one, that of the coupling at these cells, with this moment.
        """
        Q, handle = solution.metric, solution.lower_handle
        shift = self.means[1] - self.means[0]
        f = handle.f - 2 * (self.x - self.means[0]) @ (Q @ shift) + shift @ Q @ shift
        g = handle.g + 2 * (self.y - self.means[1]) @ (Q @ shift)
        if self.dimension == 1:
            value, best = line_bound(gauge, moment, self.x, self.y, rows, columns), gauge.support(np.eye(1))
            if value is not None:
                return value, best, f * (best / Q)[0, 0], g * (best / Q)[0, 0]
        search = {"least": partial(self.simplex.least_reduced, handle)} if self.matrix_free else {}
        origin = weighted_median(self.x, self.a)
        bound = LowerBound(gauge, self.x, self.y, self.masses, metric_factor(Q), f, g, origin, **search)
        if bound.value < enough:
            bound.improve(self.simplex.improved(bound))
        return bound.value, Q, sum(bound.f), sum(bound.g)


@silent
def displacement(x: ArrayLike, y: ArrayLike, plan: ArrayLike | sp.sparray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """mu_t = sum_ij pi_ij delta_{(1-t) x_i + t y_j}: (points (k, d), weights (k,)), k nonzeros of the plan.  [Cor. 4.4]

    x (n, d), y (m, d); ``plan`` (n, m) sparse or dense, as returned by ``transport``; 0 <= t <= 1. For an optimal plan
    this is a constant-speed geodesic: W(mu_s, mu_t) = |t - s| W(mu_0, mu_1).

    Raises ValueError for malformed clouds, a plan of another shape or with masses that are negative or not finite, and
    t outside [0, 1].
    """
    (x, y), t = as_clouds(x, y), as_fraction("t", t)
    plan = sp.coo_array(plan if sp.issparse(plan) else as_array("plan", plan, 2))
    if plan.shape != (len(x), len(y)):
        raise ValueError(f"plan: expected shape {(len(x), len(y))} for x {x.shape} and y {y.shape}, got {plan.shape}")
    plan.data = as_nonnegative("plan", plan.data, 1)
    keep = plan.data > 0
    return (1 - t) * x[plan.row[keep]] + t * y[plan.col[keep]], plan.data[keep].copy()


def _extend_potentials(x, y, i, j, f, g, Q):
    """Potentials for all points, those of zero weight included: the largest that stay feasible."""
    if len(i) == len(x) and len(j) == len(y):
        return f, g
    L = metric_factor(Q)
    X, Y = x @ L, y @ L
    full_g = c_transform(Y, X[i], f)
    full_g[j] = g
    full_f = c_transform(X, Y, full_g)
    full_f[i] = f
    return full_f, full_g
