"""Unbalanced transport on the sphere: its oracle and the distance that users call."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from .._measures import unit_scale
from .._pictures import SIZE, plan_svg
from .._results import Result, finish, reporter, scaled_back, weightiest
from .._rounding import metric_size
from .._session import steady
from .._validation import EPS, as_array, as_fraction, as_nonnegative, as_tolerance
from ..gauges import Gauge, gauge_for
from ..maxmin import call_limit, solve
from .bounds import INNER, OPEN, Plan, lower_bound, mixture, upper_bound
from .projection import project

WEAK = 1e-9  # edges with c below this part of the largest are not kept for new c: on a path, their ratios multiply
NEGLIGIBLE = 1e-150  # lighter atoms are destroyed, with the heaviest of order one: squares of ratios must not underflow


@dataclass(frozen=True, repr=False, eq=False)
class SphericalResult(Result):
    """``Result`` of ``spherical_transport``, with the plan that proves U and the potentials that prove L.

    ``semi_couplings`` (g, h) and ``s``: CSR arrays (k0, k1), indexed as the input. Of the mass nu0_i, g_ij leaves for
    j, where it arrives as h_ij, and s = sqrt(g h); row sums of g are at most nu0, column sums of h at most nu1, to
    rounding, and what is missing is destroyed or created at the origin. ``moment`` = sum g w w^T + h w' w'^T -
    s (w w'^T + w' w^T) over all pairs, plus that of destroyed and created mass.
    ``potentials`` (f (k0,), g (k1,)) for Q* = ``metric``, with q_ij = w_i^T Q* w'_j: f_i <= q_ii, g_j <= q_jj,
    (q_ii - f_i)(q_jj - g_j) >= max(q_ij, 0)^2 for all pairs, and lower_bound = sum_i nu0_i f_i + sum_j nu1_j g_j, less
    rounding.
    """

    semi_couplings: tuple[sp.csr_array, sp.csr_array]  # g, h (k0, k1): mass leaving, arriving
    s: sp.csr_array  # (k0, k1): sqrt(g h) where lifted together
    potentials: tuple[np.ndarray, np.ndarray]  # f (k0,), g (k1,): give L, for metric
    _measures: tuple[np.ndarray, ...]  # masses and directions of the first, of the second
    _plan: Plan

    def lift(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(z0 (k, d), z1 (k, d), weights (k,)): a plan in R^d whose ends project on the two measures.

        sum_k weights_k (z1 - z0)(z1 - z0)^T = ``moment``. Weights sum to one and |z0|^2 + |z1|^2 = total mass of both.
        """
        mass0, z0, mass1, z1 = self._plan.ends(*self._measures[1::2])
        unit, mass0, mass1 = unit_scale(mass0, mass1)
        weights = mass0 + mass1
        size = np.sqrt(unit) * np.sqrt(weights.sum())
        z0, z1 = (size * np.sqrt(m / weights)[:, None] * z for m, z in ((mass0, z0), (mass1, z1)))
        return z0, z1, weights / weights.sum()

    def geodesic(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """(directions (k, d), masses (k,)) at time t in [0, 1]: the projection of (1 - t) z0 + t z1, see ``lift``.

        A geodesic of constant speed. Atoms in one direction are not merged.
        """
        t = as_fraction("t", t)
        z0, z1, weights = self.lift()
        directions, masses = project((1 - t) * z0 + t * z1, weights)
        return directions[masses > 0], masses[masses > 0]

    def _picture(self):
        """The circle: discs for sources inside it, squares for targets outside, areas as their masses."""
        nu0, x, nu1, y = self._measures
        if x.shape[1] != 2:
            return ""
        top, middle, radius = max(nu0.max(initial=0), nu1.max(initial=0)), SIZE / 2, 0.42 * SIZE
        X, Y = (middle + share * radius * w * [1, -1] for share, w in ((0.95, x), (1.05, y)))
        circle = f"<circle cx='{middle}' cy='{middle}' r='{radius}' fill='none' stroke-opacity='0.4'/>"
        discs, squares = 5 * np.sqrt(nu0 / top), 4 * np.sqrt(nu1 / top)
        return plan_svg("plan on the circle", X, Y, self.s, discs, squares, circle)


@steady
def spherical_transport(
    nu0: ArrayLike, nu1: ArrayLike, gauge: str | Gauge, *, directions0: ArrayLike, directions1: ArrayLike,
    tol: float = 1e-6, max_iter: int | None = None, strict: bool = True, progress: bool = False,
) -> SphericalResult:  # fmt: skip
    """UW_gamma(nu0, nu1)^2 = min gamma(int (z1 - z0)(z1 - z0)^T) over lifts to R^d of two measures on the sphere.

    UW is the dynamic unbalanced distance: the least int_0^1 gamma(int (b w + tau)(b w + tau)^T dnu_t) dt over
    d nu/dt + div(nu tau) = 2 b nu.  [App. I; the static form is ours] The trace gives Wasserstein-Fisher-Rao
    (Hellinger-Kantorovich) with action |tau|^2 + b^2.

    nu0 (k0,), nu1 (k1,): nonnegative masses, totals may differ; directions0 (k0, d), directions1 (k1, d): unit rows, to
    1e-8 (1e-6 for float32). One side may be empty, the other is then destroyed or created. ``gauge``: a name or a
    ``swref.Gauge``. The distance is in units of the root of mass. Returns a ``SphericalResult``.

    lower_bound <= UW^2 <= upper_bound in real arithmetic for the floats given, whatever the status: both are widened by
    what rounding may have done, under the assumptions of ``swref._rounding``. The vectors are used
    as given: mass m at w counts as m |w|^2 in the direction w / |w|.
    Status "converged": U - L <= tol U. "rounding": the solver is done, and rounding is what prevents tol. It blurs the
    distance, not squared, by about d^2 eps mass^(1/2) or, where the best metric is nearly singular, its square by about
    d^2 eps mass; that matters for measures that nearly coincide.
    At most ``max_iter`` oracle calls; None: 1000, or d (d + 1) if that is more.
    ``progress=True`` shows a bar.

    Raises NotConverged (with ``.result``) for any other status than "converged", unless ``strict=False``.
    Raises ValueError for malformed masses, directions or gauge, GaugeError for a gauge that is not convex.
    """
    (nu0, x), (nu1, y) = _as_measure("0", nu0, directions0), _as_measure("1", nu1, directions1)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"directions1: expected d = {x.shape[1]} columns like directions0, got shape {y.shape}")
    heaviest = max(nu0.max(initial=0), nu1.max(initial=0))
    if heaviest == 0:
        raise ValueError("nu0, nu1: at least one of the two measures must have mass")
    d = x.shape[1]
    gauge, tol, max_iter = gauge_for(gauge, d), as_tolerance("tol", tol), call_limit(max_iter, d)

    scale = 2.0 ** (math.frexp(heaviest)[1] // 2)  # its square, a power of two, changes no digit
    oracle = SphereOracle(nu0 / scale / scale, x, nu1 / scale / scale, y)
    with reporter(progress, "spherical_transport", " oracle calls") as report:
        fields, plan, potentials = _certified(oracle, scale, gauge, tol, max_iter, report)
    plan = plan.scaled(scale * scale)

    def sparse(values):
        return sp.csr_array((values, (plan.i, plan.j)), shape=(len(x), len(y)))

    result = SphericalResult(
        **fields,
        semi_couplings=(sparse(plan.g), sparse(plan.h)),
        s=sparse(np.sqrt(plan.g) * np.sqrt(plan.h)),
        potentials=potentials,
        _measures=(nu0, x, nu1, y),
        _plan=plan,
    )
    return finish(result, tol, strict, f"masses up to {heaviest:.3g} hide so small a distance")


def _as_measure(side, masses, directions):
    """(masses (k,), directions (k, d)) of one side, checked; k may be 0."""
    w = as_array(f"directions{side}", directions, 2, empty=True)
    if w.shape[1] == 0:
        raise ValueError(f"directions{side}: expected shape (k, d), got {w.shape}")
    nu = as_nonnegative(f"nu{side}", masses, 1, empty=True)
    if len(nu) != len(w):
        raise ValueError(f"nu{side}: expected {len(w)} masses, one per row of directions{side}, got {len(nu)}")
    norms, tolerance = np.linalg.norm(w, axis=1), 1e-6 if getattr(directions, "dtype", None) == np.float32 else 1e-8
    off = np.flatnonzero(np.abs(norms - 1) > tolerance)
    if len(off):
        raise ValueError(
            f"directions{side}: rows must be unit vectors to {tolerance:g}, but row {off[0]} has norm "
            f"{norms[off[0]]:.10g} ({len(off)} such rows)"
        )
    return nu, w


def _certified(oracle, scale, gauge, tol, max_iter, report):
    """(the ``Result`` fields in units of ``scale``, the engine's mixture as one plan, potentials)."""
    d, size = oracle.dimension, gauge.value(np.diag(oracle.extent))
    unit = 6 * INNER * d * d * EPS

    def slack(handle):  # what rounding does to the bounds is of this order: little for measures that nearly coincide
        steps = handle[0].steps(*oracle.measures[1::2])
        return unit * math.sqrt(size * gauge.value(steps.T @ steps))

    # A tenth of the tolerance is kept for dropping negligible plans from the mixture.
    solution = solve(oracle, gauge, tol=0.9 * tol, max_iter=max_iter, slack=slack, report=report)
    (p, _, q, _), (weights, handles) = oracle.measures, weightiest(solution, 0.05 * tol)
    plan = mixture([plan for plan, _ in handles], weights, p, q)
    upper, moment = upper_bound(plan, gauge, *oracle.measures)
    lower, f, g = lower_bound(solution.metric, solution.lower_handle[1], *oracle.measures)
    lower *= (1 - 2 * EPS) / metric_size(gauge, solution.metric)
    blurred = upper - lower <= unit * size
    return scaled_back(solution, scale, lower, upper, moment, solution.metric, tol, 0.0, blurred), plan, (f, g)


class SphereOracle:
    """Q -> W_Q^2 = min <Q, moment> over plans between p (k0,) at x (k0, d) and q (k1,) at y (k1, d), by forest simplex.

    With c_ij = max(x_i^T Q y_j, 0) the dual of the problem over g, h and s <= sqrt(g h) is
    W_Q^2 = <Q, M0 + M1> - min {sum p alpha^2 + sum q beta^2 : alpha_i beta_j >= c_ij}, M0 = sum p x x^T, M1 likewise.
    A call starts from the last call's forest. ``pivots`` counts those of each call.
    """

    def __init__(self, p, x, q, y):
        self.measures, self.dimension = (p, x, q, y), x.shape[1]
        self.extent = p @ x**2 + q @ y**2  # the diagonal of M0 + M1
        self.rows, self.columns = np.flatnonzero(p > NEGLIGIBLE), np.flatnonzero(q > NEGLIGIBLE)
        self.forest, self.pivots = None, []

    def evaluate(self, Q):
        _, x, _, y = self.measures
        plan, g = self._solve(Q)
        steps = plan.steps(x, y)
        return lower_bound(Q, g, *self.measures)[0], steps.T @ steps, (plan, g)

    def _solve(self, Q):
        """(the best plan, potentials g (k1,)) for one Q; g is ``OPEN`` for atoms too light to be seen."""
        from .kernels import Forest, forest_simplex

        p, x, q, y = self.measures
        n, m = len(self.rows), len(self.columns)
        g = np.full(len(q), OPEN)
        g[self.columns] = ((y[self.columns] @ Q) * y[self.columns]).sum(1)
        if self.forest is None:
            self.forest = Forest(n, *np.full((3, n + m), -1), *np.zeros((3, n + m)))
        c = x[self.rows] @ Q @ y[self.columns].T
        top = c.max(initial=0)
        c[c < INNER * self.dimension * EPS * top] = 0  # zero but for rounding, and no reason to move mass
        masses, flow = np.concatenate([p[self.rows], q[self.columns]]), np.empty(n + m)
        self.pivots.append(forest_simplex(c, WEAK * top, self.forest, masses, flow))
        g[self.columns] -= self.forest.potential[n:] ** 2
        (node,) = np.nonzero(self.forest.up >= 0)
        ends, flow = (node, self.forest.up[node]), flow[node]
        i, j = np.minimum(*ends), np.maximum(*ends) - n
        out, into = np.bincount(i, flow, n), np.bincount(j, flow, m)
        keep = (flow > 4 * EPS * out[i]) | (flow > 4 * EPS * into[j])  # the others are zero but for rounding
        i, j, flow = self.rows[i[keep]], self.columns[j[keep]], flow[keep]
        destroyed, created = p.copy(), q.copy()
        destroyed[i], created[j] = 0, 0
        return Plan(i, j, flow, flow, destroyed, created).fitted(p, q), g
