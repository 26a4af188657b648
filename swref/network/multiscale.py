"""The network simplex without a matrix: clusters first, then the points, on the few arcs that can matter.

    cold       k-d orders of both images; levels of 2^5, 2^7, .. clusters, then the points; first a north-west corner
      level    a feasible tree inside the coarser one (``refine``); g := c-transform of the coarser f
               arcs := the CANDIDATES least reduced costs of every row and column
               repeat: pivots on the arcs; search all pairs; add those violated, until there are none
    warm       the last tree; arcs from the last g

The search has no blind spot, so the last answer is exact for all n m pairs, to the tolerance; what it stands for is
nevertheless proved by ``clouds.certificate`` alone.
"""

from typing import Any

import numpy as np

from .._validation import EPS
from .basis import FINE, RESIDUAL, BasicPlan, Basis
from .masses import Masses
from .points import BASE, CHANGE, as_points, kd_order
from .refine import partner_slopes, refined
from .search import Search

MOST_DIMENSIONS = 3
PRICING = 16 * EPS  # of the squared diameter: reduced costs below minus twice this enter the list
CANDIDATES, ADDED = 6, 4  # arcs per point at the start, and in every round
COARSEST, RATIO = 5, 2  # the first level has 2^5 clusters, the next four times as many
WARM = 0.1  # of the gap at a cold start's finest level: if a warm start has more, a cold one is cheaper
ROUNDS = 60  # of pivots; two to six are usual, ten the most met


class Costs:
    """Costs between n sources and m sinks, rows of P (n + m, COLUMNS) in k-d order, less the potentials in P."""

    def __init__(self, P, n, shrink=1.0):
        self.P, self.n, self.m, self.shrink = P, n, len(P) - n, shrink
        self.rows, self.columns = Search(P[:n]), Search(P[n:])
        sizes = [np.abs(side[:, :3]).max() for side in (P[:n], P[n:])]
        self.tolerance = PRICING * sum(sizes) ** 2 + np.finfo(float).tiny

    def of_arcs(self, sources, sinks):
        from .kernels import arc_costs

        costs = np.empty(len(sources))
        arc_costs(self.P[: self.n], self.P[self.n :], sources, sinks, self.shrink, costs)
        return costs

    def priced(self, potential):
        """P with further potentials (n + m,)."""
        P = self.P.copy()
        P[:, CHANGE] += potential
        return P

    def listed(self, potential, slope, k, cap=np.inf):
        """Pairs i m + j: of every row and column the k of least reduced cost below ``cap``."""
        P = self.priced(potential)
        X, Y, n = P[: self.n], P[self.n :], self.n
        columns, _ = self.columns.least(X, Y, slope[n:], k, cap, self.shrink)
        rows, _ = self.rows.least(Y, X, slope[:n], k, cap, self.shrink)
        (i, s), (j, t) = np.nonzero(columns >= 0), np.nonzero(rows >= 0)
        return _distinct(np.append(i * self.m + columns[i, s], rows[j, t].astype(np.int64) * self.m + j))

    def candidates(self, g, slope):
        """(pairs, f): the CANDIDATES best of every row and column at g (m,) and its c-transform f (n,)."""
        P = self.priced(np.append(np.zeros(self.n), g))
        columns, f = self.columns.least(P[: self.n], P[self.n :], slope, 1, shrink=self.shrink)
        slopes = np.vstack([P[: self.n, :3] - P[self.n + columns[:, 0], :3], slope])
        return self.listed(np.append(f, g), slopes, CANDIDATES), f[:, 0]

    def extended(self, potential, slope, Y):
        """(g, slope of g), the c-transform at points Y of the potential of the sources."""
        X = self.priced(potential)[: self.n]
        rows, g = self.rows.least(Y, X, slope[: self.n], 1)
        return g[:, 0], Y[:, :3] - X[rows[:, 0], :3]


def _distinct(pairs):
    """Sorted, each once. ``np.unique`` hashes integers, which takes ten times as long."""
    pairs.sort()
    return pairs[np.diff(pairs, prepend=-1) > 0]


def _clusters(Z, masses, L):
    """(means (k, COLUMNS), masses (2, k), bounds (k + 1,)) of 2^L parts of a cloud; L = None: of its points."""
    if L is None or 1 << L > len(Z) // 2:
        return Z, masses, np.arange(len(Z) + 1)
    from .basic_kernels import sums_of

    bounds, weight = (np.arange((1 << L) + 1) * len(Z)) >> L, Masses.as_floats(masses)[:, None]
    means = np.add.reduceat(Z * weight, bounds[:-1]) / np.add.reduceat(weight, bounds[:-1])
    sums_of(masses, bounds, sums := np.zeros((2, len(means)), np.int64))
    return means, sums, bounds


class MultiscaleSimplex:
    """A sequence of transport problems between n and m points in up to three dimensions, with weights A, B in limbs.

    ``solve`` takes the images under each metric. The tree of one call starts the next, if that is near enough.
    """

    orders: Any = None  # k-d orders of the last cold start
    sides: Any = None  # the masses in these orders
    basis: Any = None  # the last one
    g: Any = None  # its potentials of the sinks

    def __init__(self, A, B):
        self.n, self.limbs, self.cold_gap = A.shape[1], (A, B), 0.0

    def solve(self, X, Y):
        """The ``BasicPlan`` for the costs |X_i - Y_j|^2, images (n, r), (m, r) as pairs (high, low)."""
        costs = self._warm(X, Y) or self._cold(X, Y)
        violation, potential = 2 * costs.tolerance, self.basis.tree["potential"].copy()
        rows, columns, masses = self.basis.cells()
        if violation > FINE * (masses @ costs.of_arcs(rows, columns)):
            violation, change = self._refined(costs, potential)
            potential += change
            rows, columns, masses = self.basis.cells()
        self.g = potential[self.n :]
        f, g, (s, t) = np.empty(self.n), np.empty(len(self.g)), self.orders
        f[s], g[t] = potential[: self.n], self.g
        return BasicPlan(s[rows].astype(np.int32), t[columns].astype(np.int32), masses, f, g, violation)

    def improved(self, bound):
        """The change of g (m,) that the tree optimal for the costs of a ``LowerBound`` asks for."""
        X, Y = bound.images[:2], bound.images[2:]
        if self.basis is None:
            self._cold(X, Y)
        costs = self._costs(X, Y, bound.shrink)
        costs.P[self.n :, CHANGE] = bound.drop_columns[self.orders[1]]
        potential = np.concatenate([part[order] for part, order in zip(bound.start, self.orders, strict=True)])
        change = np.empty(len(self.orders[1]))
        change[self.orders[1]] = self._refined(costs, potential)[1][self.n :]
        return change

    def least_reduced(self, plan, X, X_low, Y, Y_low, shrink, drop, f, g, change):
        """What ``certificate.least_reduced`` finds, by search; cells and masses of ``plan`` guide it."""
        if self.orders is None:
            self.orders, self.sides = self._arranged(X, Y)
        (s, t), least = self.orders, np.empty(self.n)
        costs = self._costs((X, X_low), (Y, Y_low), shrink)
        rows, columns = (np.argsort(order)[side] for order, side in zip((s, t), plan[:2], strict=True))
        slope = partner_slopes(costs.P, rows, self.n + columns, plan[2])[self.n :]
        P, Q = costs.P[: self.n], costs.P[self.n :]
        P[:, BASE], Q[:, BASE], Q[:, CHANGE] = f[s], g[t], (change + drop)[t]
        least[s] = costs.columns.least(P, Q, slope, 1, shrink=shrink)[1][:, 0]
        return least

    def _arranged(self, X, Y):
        """(k-d orders, the masses in these orders)"""
        orders = kd_order(X), kd_order(Y)
        return orders, tuple(side[:, order] for side, order in zip(self.limbs, orders, strict=True))

    @staticmethod
    def _points(X, Y, orders):
        return np.concatenate([as_points(*(part[k] for part in z)) for z, k in zip((X, Y), orders, strict=True)])

    def _costs(self, X, Y, shrink=1.0):
        return Costs(self._points(X, Y, self.orders), self.n, shrink)

    def _warm(self, X, Y):
        """Optimise the last tree; None, with nothing done, if the metric has moved too far for that to pay."""
        if self.basis is None:
            return None
        costs = self._costs(X, Y)
        pairs, f = costs.candidates(self.g, self._slopes(self.basis, costs.P)[self.n :])
        if self._gap(costs, self.basis, f, self.g, self.sides) > WARM * self.cold_gap:
            return None
        self._optimise(costs, self.basis, pairs, costs.tolerance)
        return costs

    def _refined(self, costs, potential):
        """(violation, changes (n + m,)): one round of refinement from a potential, which the costs then lose."""
        costs.P[:, BASE] = potential
        tolerance, zero = RESIDUAL * costs.tolerance, np.zeros(costs.m)
        pairs, _ = costs.candidates(zero, self._slopes(self.basis, costs.P)[self.n :])
        self._optimise(costs, self.basis, pairs, tolerance)
        return 2 * tolerance, self.basis.tree["potential"].copy()

    def _cold(self, X, Y):
        orders, masses = self._arranged(X[0], Y[0])
        coarse: Any = None
        basis: Any = None
        for P, n, sides, first in self._levels(self._points(X, Y, orders), masses):
            costs = Costs(P, n)
            if basis is None:
                A, B = sides
                basis, g = Basis.monotone(A, B, np.arange(n), np.arange(costs.m)), np.zeros(costs.m)
                slope = self._slopes(basis, P)[n:]
            else:
                g, slope = coarse.extended(basis.tree["potential"], self._slopes(basis, coarse.P), P[n:])
                basis = Basis(*refined(basis.tree, coarse.n, coarse.P, first, P, np.hstack(sides)), n)
            pairs, f = costs.candidates(g, slope)
            gap = self._gap(costs, basis, f, g, sides)
            self._optimise(costs, basis, pairs, costs.tolerance)
            coarse = costs
        self.orders, self.sides, self.basis, self.cold_gap = orders, masses, basis, gap  # at once: Ctrl-C may come
        return costs

    def _levels(self, P, masses):
        """(points, number of sources, masses of both sides, first parts of the nodes before), from coarse to fine."""
        clouds, first, before = (P[: self.n], P[self.n :]), None, None
        most = max(map(len, clouds))
        for L in [*(L for L in range(COARSEST, 40, RATIO) if (1 << L) * 2 ** (RATIO - 0.5) <= most), None]:
            parts = [_clusters(Z, side, L) for Z, side in zip(clouds, masses, strict=True)]
            points, sides, bounds = zip(*parts, strict=True)
            if before is not None:
                s, t = (np.searchsorted(fine, coarse) for fine, coarse in zip(bounds, before, strict=True))
                first = np.append(s[:-1], len(points[0]) + t)
            before = bounds
            yield np.vstack(points), len(points[0]), sides, first

    @staticmethod
    def _slopes(basis, P):
        rows, columns, masses = basis.cells()
        return partner_slopes(P, rows, basis.n + columns, masses)

    @staticmethod
    def _gap(costs, basis, f, g, sides):
        """Cost of the tree minus value of the potentials."""
        (rows, columns, masses), (a, b) = basis.cells(), (Masses.as_floats(side) / basis.total for side in sides)
        return masses @ costs.of_arcs(rows, columns) - a @ f - b @ g

    @staticmethod
    def _optimise(costs, basis, pairs, tolerance):
        """Column generation from the basis, in place."""
        from .kernels import simplex_on_arcs

        tree, potential = basis.tree, basis.tree["potential"]
        work = tree, basis.blocks, basis.order, basis.n, basis.root
        for _ in range(ROUNDS):
            sources, sinks = (side.astype(np.int32) for side in np.divmod(pairs, costs.m))
            basis.fit(costs.of_arcs)
            least = max(tolerance, EPS * np.abs(potential).max())
            pivots = simplex_on_arcs(*work, sources, sinks, costs.of_arcs(sources, sinks), least)
            basis.fit(costs.of_arcs)
            slopes, known = MultiscaleSimplex._slopes(basis, costs.P), len(pairs)
            more = costs.listed(potential, slopes, ADDED, -2 * least)
            pairs = _distinct(np.append(pairs, more))
            if not len(more) or (len(pairs) == known and pivots == 0):
                return
