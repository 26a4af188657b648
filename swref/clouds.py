"""Weighted point clouds: the optimal transport oracle and the distance users call.

Numba is imported on first use: it takes longer to import than a small problem takes to solve.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.spatial.distance import cdist

from ._results import Result, finish, reporter, scaled_back
from ._validation import EPS, as_array, as_weights, check_dimension, check_positive
from .gauges import get_gauge
from .maxmin import call_limit, solve
from .measures import centred, common_frame, displacement_moment, second_moment


@dataclass(frozen=True, repr=False)
class TransportResult(Result):
    """``Result`` of ``transport``, with ``plan`` (CSR, n x m) and ``potentials`` (f (n,), g (m,)) for ``metric``.

    f_i + g_j <= (x_i - y_j)^T Q* (x_i - y_j) to rounding, and lower_bound = sum_i a_i f_i + sum_j b_j g_j.
    """

    plan: sp.csr_matrix = field(repr=False)
    potentials: tuple = field(repr=False)
    _points: tuple = field(repr=False)

    def _picture(self):
        x, y = self._points
        return _plan_svg(x, y, self.plan) if x.shape[1] == 2 else ""


def transport(x, y, gauge, a=None, b=None, *, tol=1e-6, max_iter=None, strict=True, progress=False, callback=None):
    """W_gamma(mu, nu)^2 = min_pi gamma(sum_ij pi_ij (y_j - x_i)(y_j - x_i)^T), certified.  [Def. 3.1, Thm 3.3]

    x (n, d), y (m, d): the points; a (n,), b (m,): their weights, nonnegative with sum one (None: equal). Points of
    zero weight take no part. ``gauge``: a name or a ``swref.Gauge``.

    Converged when U - L <= tol U + 4 eps gamma(I) R^2, where R is the largest coordinate of the centred clouds: the
    second term is rounding, and matters for clouds that nearly coincide. Both bounds hold whatever the status: L is
    the value of feasible dual potentials for one Q in K, U the gauge of the returned plan's moment.
    At most ``max_iter`` transport problems are solved; None: 1000, or d (d + 1) if that is more.
    ``progress=True`` shows a bar; ``callback(lower, upper)`` is called after each oracle call, in squared units.

    Raises NotConverged (with ``.result``) when the tolerance is missed, unless ``strict=False``; also after Ctrl-C.
    Raises ValueError for malformed clouds, weights or gauge, GaugeError for a gauge that is not convex.
    """
    x, y = as_array("x", x, 2), as_array("y", y, 2)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"y: expected d = {x.shape[1]} columns like x, got shape {y.shape}")
    a, b = as_weights("a", a, len(x)), as_weights("b", b, len(y))
    gauge, d = get_gauge(gauge), x.shape[1]
    check_dimension(gauge, d)
    tol, max_iter = check_positive("tol", tol), call_limit(max_iter, d)

    used = a > 0, b > 0
    (i,), (j,) = np.nonzero(used[0]), np.nonzero(used[1])
    scale, x1, y1 = common_frame(x[i], y[j])
    oracle = CloudOracle(x1, y1, a[i], b[j])
    slack = 4 * EPS * gauge.value(np.eye(d)) * oracle.radius**2
    with reporter(progress, callback, scale, "transport", " oracle calls") as report:
        # A tenth of the tolerance is kept for dropping negligible plans from the mixture.
        solution = solve(oracle, gauge, tol=0.9 * tol, max_iter=max_iter, slack=slack, report=report)

    small = _mixture(solution, (len(i), len(j)), 0.05 * tol)
    moment = displacement_moment(x1, y1, small)
    fields = scaled_back(solution, scale, gauge.value(moment), moment)
    f, g = oracle.potentials(solution.metric, *solution.lower_handle[3:])
    with np.errstate(over="ignore", under="ignore"):
        f, g = _extend_potentials(x, y, i, j, f * scale * scale, g * scale * scale, solution.metric)
    plan = sp.csr_matrix((small.data, (i[small.row], j[small.col])), shape=(len(x), len(y)))
    return finish(TransportResult(**fields, plan=plan, potentials=(f, g), _points=(x, y)), tol, strict)


class CloudOracle:
    """Q -> W_Q^2 = min_pi <Q, moment(pi)> between two clouds, by network simplex on the cost |L^T (x - y)|^2, LL^T = Q.

    The means are split off exactly: W_Q(mu, nu)^2 = D^T Q D + W_Q(centred)^2 with D the mean shift. The value is that
    of dual potentials made feasible by a c-transform each way, never the simplex's own primal value. A
    one-dimensional image is transported by sorting.
    """

    def __init__(self, x, y, a, b):
        self.a, self.b, self.dimension = a, b, x.shape[1]
        (self.x, mean_x), (self.y, mean_y) = centred(x, a), centred(y, b)
        self.shift = mean_y - mean_x
        self.radius = max(np.abs(self.x).max(), np.abs(self.y).max())
        axis = np.linalg.eigh(second_moment(self.x, a) + second_moment(self.y, b))[1][:, -1]
        self.simplex = _NetworkSimplex(a, b, np.argsort(self.x @ axis), np.argsort(self.y @ axis))

    def evaluate(self, Q):
        L = _metric_factor(Q)
        X, Y = self.x @ L, self.y @ L
        if X.shape[1] == 1:
            rows, columns, masses, f, g = self._sort(X[:, 0], Y[:, 0])
        else:
            rows, columns, masses, f, g = self.simplex.solve(cdist(X, Y, "sqeuclidean"))
        moment = second_moment(self.y[columns] - self.x[rows], masses) + np.outer(self.shift, self.shift)
        value = self.a @ f + self.b @ g + self.shift @ Q @ self.shift
        return float(value), moment, (rows, columns, masses, f, g)

    def _sort(self, X, Y):
        from ._kernels import staircase

        s, t = np.argsort(X, kind="stable"), np.argsort(Y, kind="stable")
        rows, columns, masses, fs, gs = staircase(X[s], self.a[s], Y[t], self.b[t])
        f, g = np.empty_like(fs), np.empty_like(gs)
        f[s], g[t] = fs, gs
        keep = masses > 0
        return s[rows[keep]], t[columns[keep]], masses[keep], f, g

    def potentials(self, Q, f, g):
        """Potentials of the centred clouds turned into those of the clouds themselves."""
        drift = Q @ self.shift
        return f - 2 * self.x @ drift + self.shift @ drift, g + 2 * self.y @ drift


class _NetworkSimplex:
    """A sequence of transport problems with the same weights a (n,), b (m,) and similar costs C (n, m) >= 0.

    The optimal spanning tree of one call starts the next. It stays feasible, because the weights do not change, and a
    few pivots repair its optimality: near the end, that costs little more than reading C. POT's network simplex cannot
    be handed a tree, and builds a new one in every call. The first tree here is the monotone plan for points that come
    in the orders s (n,) and t (m,). Masses are counted in whole units, so that empty cells are recognised exactly.
    """

    def __init__(self, a, b, s, t):
        from ._kernels import staircase, tree_of

        self.a, self.b = a, b
        A, B = _whole_units(a, b)
        rows, columns, masses, *_ = staircase(np.zeros(len(s)), A[s], np.zeros(len(t)), B[t])
        self.total, self.tree = A.sum(), tree_of(s[rows], t[columns], masses, len(a))

    def solve(self, C):
        """(rows, columns, masses, f, g): an optimal basic plan, and potentials with f_i + g_j <= C_ij in every cell."""
        from ._kernels import column_c_transform, network_simplex, row_c_transform

        n = len(self.a)
        network_simplex(C, self.tree, 4 * EPS * C.max())
        g = column_c_transform(C, self.tree.potential[:n])
        (child,) = np.nonzero(self.tree.flow)
        parent = self.tree.parent[child]
        masses = self.tree.flow[child] / self.total
        return np.minimum(child, parent), np.maximum(child, parent) - n, masses, row_c_transform(C, g), g


def _whole_units(a, b):
    """Weights a (n,), b (m,) as whole numbers of equal sum, about 2^50; equal weights stay equal."""
    share = math.lcm(len(a), len(b))
    total = share * 2.0 ** np.floor(50 - np.log2(share))
    A, B = (np.maximum(np.rint(w * total), 1) for w in (a, b))
    surplus = A.sum() - B.sum()
    A[np.argmax(A)] += max(-surplus, 0)
    B[np.argmax(B)] += max(surplus, 0)
    return A, B


def displacement(x, y, plan, t):
    """mu_t = sum_ij pi_ij delta_{(1-t) x_i + t y_j}: (points (k, d), weights (k,)), k nonzeros of the plan.  [Cor. 4.4]

    x (n, d), y (m, d); ``plan`` (n, m) sparse or dense, as returned by ``transport``; 0 <= t <= 1. For an optimal plan
    this is a constant-speed geodesic: W(mu_s, mu_t) = |t - s| W(mu_0, mu_1).
    """
    x, y = as_array("x", x, 2), as_array("y", y, 2)
    plan = sp.coo_matrix(plan)
    if plan.shape != (len(x), len(y)) or x.shape[1] != y.shape[1]:
        raise ValueError(f"plan: expected shape {(len(x), len(y))} for x {x.shape} and y {y.shape}, got {plan.shape}")
    if not (np.isfinite(plan.data).all() and (plan.data >= 0).all()):
        raise ValueError("plan: masses must be finite and nonnegative")
    if not (np.isscalar(t) and 0 <= t <= 1):
        raise ValueError(f"t: expected a number in [0, 1], got {t!r}")
    keep = plan.data > 0
    return (1 - t) * x[plan.row[keep]] + t * y[plan.col[keep]], plan.data[keep].copy()


def _metric_factor(Q):
    """L (d, r) with L L^T = Q up to eigenvalues below 1e-15 of the largest."""
    lam, U = np.linalg.eigh(Q)
    keep = lam > 1e-15 * lam[-1]
    return U[:, keep] * np.sqrt(lam[keep])


def _mixture(solution, shape, budget):
    """sum_k weights_k plan_k as a COO matrix, without plans of total weight at most ``budget``."""
    order = np.argsort(solution.weights)
    keep = np.sort(order[np.cumsum(solution.weights[order]) > budget])
    weights = solution.weights[keep] / solution.weights[keep].sum()
    plans = [solution.handles[k][:3] for k in keep]
    rows, columns = (np.concatenate([plan[axis] for plan in plans]) for axis in (0, 1))
    masses = np.concatenate([weight * plan[2] for weight, plan in zip(weights, plans, strict=True)])
    plan = sp.coo_matrix((masses, (rows, columns)), shape=shape)
    plan.sum_duplicates()
    return plan


def _extend_potentials(x, y, i, j, f, g, Q):
    """Potentials for all points, those of zero weight included: the largest that stay feasible."""
    if len(i) == len(x) and len(j) == len(y):
        return f, g
    from ._kernels import row_c_transform

    L = _metric_factor(Q)
    X, Y = x @ L, y @ L
    full_g = row_c_transform(cdist(Y, X[i], "sqeuclidean"), f)
    full_g[j] = g
    full_f = row_c_transform(cdist(X, Y, "sqeuclidean"), full_g)
    full_f[i] = f
    return full_f, full_g


def _plan_svg(x, y, plan, width=220, most=300):
    """The plan as a small SVG: source circles, target squares, the ``most`` heaviest segments."""
    plan = plan.tocoo()
    low = np.minimum(x.min(0), y.min(0))
    span = max(float((np.maximum(x.max(0), y.max(0)) - low).max()), np.finfo(float).tiny)

    def place(points):
        return np.array([8, width - 8]) + (points - low) / span * [width - 16, 16 - width]

    X, Y = place(x), place(y)
    heavy = np.argsort(-plan.data, kind="stable")[:most]
    lines = "".join(
        f"<line x1='{p[0]:.1f}' y1='{p[1]:.1f}' x2='{q[0]:.1f}' y2='{q[1]:.1f}' stroke-opacity='{w:.2f}'/>"
        for p, q, w in zip(X[plan.row[heavy]], Y[plan.col[heavy]], plan.data[heavy] / plan.data.max(), strict=True)
    )
    sources = "".join(f"<circle cx='{p[0]:.1f}' cy='{p[1]:.1f}' r='2'/>" for p in X[:most])
    targets = "".join(f"<rect x='{p[0] - 2:.1f}' y='{p[1] - 2:.1f}' width='4' height='4'/>" for p in Y[:most])
    return (
        f"<svg width='{width}' height='{width}' role='img' aria-label='transport plan'><g stroke='#888'>{lines}</g>"
        f"<g fill='#1f77b4'>{sources}</g><g fill='#d62728'>{targets}</g></svg>"
    )
