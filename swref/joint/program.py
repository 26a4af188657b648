"""W^2 between clouds as one convex program in potentials and metric, by a primal-dual interior point method.

    max a.f + b.g  over  f_i + g_j <= (x_i - y_j)^T Q (x_i - y_j) for all i, j,  Q in K;  dual: min gamma(moment(pi)).

Only near-active pairs are listed, two to fifteen per point; they carry the slacks s and the plan pi, s pi = mu. A step
that an unlisted pair would stop is redone with that pair listed, so potentials are feasible for all pairs throughout.
What all pairs say is read in blocks of rows: of each only a byte is kept, whether it is listed.
Steps are Mehrotra's predictor and corrector, scaled by Nesterov and Todd on the side of K (``body``).
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from .._measures import second_moment
from .._validation import symmetrize
from ..network import BasicPlan, c_transform
from ..network.search import row_blocks
from .body import side_of
from .newton import by_metric, by_pairs, quadratic

# Chosen by the number of steps on random clouds, d = 3 to 50; benchmarks/joint.py prints steps and seconds.
TINY = 1e-300  # divisors and lengths are no smaller
NEAREST, LISTED, BLOCKING = 6, 2, 2  # pairs per point listed at the start, after a step, to redo one
SPREAD = 0.3  # part of the first plan that is central; the rest is the mixture that is given, which has a good moment
HEAVY, CARRIES = 0.03, 0.15  # of a point's mass: cells of the mixture, and pairs that would carry it, are listed
SHARE = 0.3  # of the gap of the pairs: that of K
BY_PAIRS = 1.5  # dimensions of Q per pair, from which ``by_pairs`` is faster
FAR, IDLE, CROWD = 300, 1e-3, 0.1  # of the slack and mass of listing: idle pairs, dropped once so large a part is
SWEEPS, HALVES = 30, 12  # of the central start: rounds of potentials, and Newton steps in each
LEAST_GAP, EXACT = 0.03, 30  # gaps: relative, so that the first plan is central; over tol, worth a network simplex
SHORT, PATIENCE, UNCENTRED = 0.02, 4, 0.5  # steps so short, so many times, get nowhere; part of mu kept after one
INSIDE, CUT = 1.1, 1e-4  # lowers first potentials, times the worst violation; most a step lowers mu, before the cube
STUCK, SLOWED, INFEASIBLE = 0.1, 0.7, 1e-9  # lengths of the predictor, and residuals of the plan, that ask for centring
WARY, BOLD, NEARING = 0.9, 0.99, 10  # parts of the way to the boundary: far off, and within 1/NEARING of the optimum
STOPS = 0.8  # of a step: unlisted pairs that leave less are listed, and the step is redone


def cloud_steps(oracle, gauge, body, solution, tol):
    """The steps of the joint program as the engine's expert, started from what the engine has found."""
    mixture = oracle.mixture(solution)
    D = oracle.y[mixture.col] - oracle.x[mixture.row]
    gap = max(solution.upper - solution.lower, LEAST_GAP * solution.upper)
    Q = gauge._smoothed((D.T * mixture.data) @ D, SHARE * gap / len(D.T)).Q
    start = oracle.evaluate(Q)
    yield Q, start
    program = JointProgram(oracle, body, Q, start[2], mixture, gap)
    lower, upper, short = solution.lower, solution.upper, 0
    while short < PATIENCE:
        shares = program.step()
        Q, (value, moment, handle) = program.proof(exact=upper - lower < EXACT * tol * upper)
        lower, upper = max(lower, value), min(upper, gauge.value(moment))
        short = short + 1 if max(shares) < SHORT else 0
        yield Q, (value, moment, handle)


class Pairs(NamedTuple):
    """The listed pairs: ends I, J, plan pi, slacks s, all (P,), and displacements Z (P, d)."""

    I: np.ndarray
    J: np.ndarray
    pi: np.ndarray
    s: np.ndarray
    Z: np.ndarray

    def joined(self, *new):
        return Pairs(*map(np.concatenate, zip(self, new, strict=True)))

    def kept(self, keep):
        return Pairs(*(array[keep] for array in self))


class JointProgram:
    """The program between the clouds of an ``oracle`` (see ``CloudOracle``) for K = ``body``, started at a metric Q.

    ``mixture``: a plan (COO, n x m), about optimal to ``gap`` with ``handle`` the oracle's at Q.
    """

    def __init__(self, oracle, body, Q, handle, mixture, gap):
        self.oracle = oracle
        self.x, self.y = oracle.x - oracle.means[0], oracle.y - oracle.means[1]
        self.a, self.b, self.shift = oracle.a, oracle.b, oracle.means[1] - oracle.means[0]
        self.shape = len(self.a), len(self.b)
        self.f, self.g, self.known = handle.f, handle.g, np.zeros(self.shape, dtype=bool)
        heavy = mixture.data > HEAVY * self._mass(mixture.row, mixture.col)
        near = _nearest(((rows, S, S) for rows, S in self._slacks(Q)), NEAREST)
        for i, j in (near[:2], (handle.rows, handle.columns), (mixture.row[heavy], mixture.col[heavy])):
            self.known[i, j] = True
        I, J = np.nonzero(self.known)
        Z, mu = self.x[I] - self.y[J], gap / len(I)
        c = quadratic(Z, Q)
        self.f, self.g = self._central(c, I, J, handle, mu)
        self.f = self.f - INSIDE * max(0.0, -min(S.min() for _, S in self._slacks(Q)))
        s = c - self.f[I] - self.g[J]
        pi = SPREAD * mu / s + (1 - SPREAD) * sp.csr_array(mixture)[I, J]
        self.pairs = Pairs(I, J, pi, s, Z)
        self.kappa = SHARE * len(I) / len(Q)
        self.side = side_of(body, Q, self.moment(pi), self.kappa * mu)
        self.reduce = by_pairs if len(Q) * (len(Q) + 1) / 2 > BY_PAIRS * len(I) else by_metric
        self.mu = pi @ s / len(I)

    def _images(self, Q):
        lam, U = np.linalg.eigh(Q)
        L = U * np.sqrt(np.maximum(lam, 0))
        return self.x @ L, self.y @ L

    def _slacks(self, Q):
        """(rows, the slacks of all pairs of these rows), block by block."""
        X, Y = self._images(Q)
        for rows in row_blocks(*self.shape):
            yield rows, cdist(X[rows], Y, "sqeuclidean") - self.f[rows, None] - self.g

    def _mass(self, I, J):
        """The most that pairs can carry."""
        return np.minimum(self.a[I], self.b[J])

    def _central(self, c, I, J, handle, mu):
        """Potentials with sum_j mu/(c_ij - f_i - g_j) = a_i, and so for columns: the central start for the first Q."""

        def half(u, ends, mass):
            low = np.full(len(mass), np.inf)
            np.minimum.at(low, ends, u)
            gap, tau = u - low[ends], mu / mass
            for _ in range(HALVES):  # Newton on the concave function 1/sum
                w = 1 / (tau[ends] + gap)
                total = mu * np.bincount(ends, w, len(mass))
                tau = tau + (total / mass - 1) * total / (mu * np.bincount(ends, w * w, len(mass)))
            return low - tau

        f, g = handle.f, handle.g
        for _ in range(SWEEPS):
            g = half(c - f[I], J, self.b)
            f = half(c - g[J], I, self.a)
        return f, g

    def moment(self, pi):
        return symmetrize((self.pairs.Z.T * pi) @ self.pairs.Z) + np.outer(self.shift, self.shift)

    # -- one step -----------------------------------------------------------------------------------------------
    def step(self) -> tuple[float, float]:
        """Move once; the shares (of the plan, of potentials and metric) of Newton's step that were taken."""
        shares = self._iterate() or self._iterate(retry=False)
        self._price()
        return shares or (0.0, 0.0)

    def _iterate(self, retry=True):
        """None if unlisted pairs stopped the step: they are listed now."""
        pairs, side, (n, m) = self.pairs, self.side, self.shape
        side.scale(self.moment(pairs.pi))
        solve = self.reduce(pairs, self.shape, side)
        rp = np.concatenate([self.a - np.bincount(pairs.I, pairs.pi, n), self.b - np.bincount(pairs.J, pairs.pi, m)])
        rs = quadratic(pairs.Z, side.Q) - self.f[pairs.I] - self.g[pairs.J] - pairs.s
        total = pairs.pi @ pairs.s + side.gap
        mu = total / (len(pairs.I) + self.kappa * side.count)
        affine = _Direction(self, solve, rp, rs, 0.0)
        ap, ad = affine.shares(1.0)
        after = (pairs.pi + ap * affine.dpi) @ (pairs.s + ad * affine.ds) + side.gap_after(ap, ad, affine.change)
        sigma, size = min(1.0, max(CUT, after / total) ** 3), side.t * side.size
        if max(ap, ad) < STUCK or (ap < SLOWED and np.abs(rp).sum() > max(INFEASIBLE, NEARING * total / size)):
            sigma = max(sigma, UNCENTRED)
        move = _Direction(self, solve, rp, rs, sigma * mu, affine)
        ap, ad = move.shares(min(max(WARY, 1 - NEARING * total / size), BOLD))
        limit = self._limit(move, ad, mu, retry)
        if limit is None:
            return None
        ad = min(ad, limit)
        if side.smooth:
            ap = ad = min(ap, ad)
        self.pairs = pairs = pairs._replace(pi=pairs.pi + ap * move.dpi, s=pairs.s + ad * move.ds)
        self.f, self.g = self.f + ad * move.df, self.g + ad * move.dg
        side.move(ap, ad, move.dQ, move.dt, move.change)
        self.mu = pairs.pi @ pairs.s / len(pairs.pi)
        return ap, ad

    def _limit(self, move, ad, mu, retry):
        """How far unlisted pairs let potentials and metric go; None after listing those that stop the step ``ad``."""
        xd, yd, opposite = self.x @ move.dQ, self.y @ move.dQ, -2 * self.y.T
        of_row, of_column = (xd * self.x).sum(1) - move.df, (yd * self.y).sum(1) - move.dg

        def rates():
            for rows, S in self._slacks(self.side.Q):
                rate = (xd[rows] @ opposite + of_row[rows, None] + of_column) / S
                yield rows, np.where(self.known[rows], 0.0, rate), S

        full = 1 / max(max(-rate.min() for _, rate, _ in rates()), TINY)
        if full < STOPS * ad and retry:
            I, J, rate, s = _nearest(rates(), BLOCKING)
            stops = rate < -STOPS / ad
            self._list(I[stops], J[stops], s[stops], mu)
            return None
        return BOLD * full

    # -- pairs --------------------------------------------------------------------------------------------------
    def _list(self, I, J, s, mu):
        pi = np.minimum(mu / s, CARRIES * self._mass(I, J))
        self.pairs = self.pairs.joined(I, J, pi, s, self.x[I] - self.y[J])
        self.known[I, J] = True

    def _price(self):
        """Drop pairs far from active, list those that would carry a part of a point's mass.

        Thresholds are in units of the mass that a pair can carry: with the least weight, uneven weights take far more
        steps. A spanning tree of small slacks stays: pieces of the graph of pairs would drift apart freely.
        """
        pairs = self.pairs
        mass = self._mass(pairs.I, pairs.J)
        far = (pairs.s > FAR * self.mu / (CARRIES * mass)) & (pairs.pi < IDLE * CARRIES * mass)
        if far.sum() > CROWD * len(far):
            far &= ~self._in_tree()
            self.known[pairs.I[far], pairs.J[far]] = False
            self.pairs = pairs.kept(~far)
        unlisted = ((rows, np.where(self.known[rows], np.inf, S), S) for rows, S in self._slacks(self.side.Q))
        I, J, rest, s = _nearest(unlisted, LISTED + 1)
        limit = self.mu / (CARRIES * self._mass(I, J))
        new = rest < limit
        self._list(I[new], J[new], np.maximum(s, IDLE * limit)[new], self.mu)

    def _in_tree(self):
        """Which of the listed pairs are in a spanning tree of least slacks."""
        pairs, (n, m) = self.pairs, self.shape
        tree = minimum_spanning_tree(sp.csr_array((pairs.s, (pairs.I, n + pairs.J)), shape=(n + m, n + m))).tocoo()
        return np.isin(pairs.I * m + pairs.J, tree.row.astype(np.int64) * m + tree.col - n)

    # -- what a step proves ---------------------------------------------------------------------------------------
    def proof(self, exact):
        """(Q, (value, moment, handle)), as of the oracle at a metric Q in K: a lower bound, and an exact coupling.

        The value is that of potentials made feasible for Q by c-transforms, or if ``exact`` the oracle's.
        """
        oracle, pairs, (n, m), Q = self.oracle, self.pairs, self.shape, self.side.inside()
        p = pairs.pi * np.minimum(1, self.a / np.bincount(pairs.I, pairs.pi, n))[pairs.I]
        p *= np.minimum(1, self.b / np.maximum(np.bincount(pairs.J, p, m), TINY))[pairs.J]
        rows, columns, masses = oracle.masses.coupling(pairs.I, pairs.J, p, oracle.order)
        moment = second_moment(oracle.y[columns] - oracle.x[rows], masses)
        if exact:
            value, _, best = oracle.evaluate(Q)
            return Q, (value, moment, best._replace(rows=rows, columns=columns, masses=masses))
        X, Y = self._images(Q)
        f = c_transform(X, Y, self.g)
        g = c_transform(Y, X, f)
        value = float(self.a @ f + self.b @ g + self.shift @ Q @ self.shift)
        return Q, (value, moment, BasicPlan(rows, columns, masses, f, g, 0.0))


class _Direction:
    """Newton's direction to products ``target``, with the second-order terms of another direction."""

    def __init__(self, program, solve, rp, rs, target, before=None):
        self.pairs, self.side, pairs, side = program.pairs, program.side, program.pairs, program.side
        rest, rt = side.residuals
        rc = target - pairs.pi * pairs.s - (0.0 if before is None else before.dpi * before.ds)
        R = rest + side.pull(target * program.kappa, None if before is None else before.change)
        self.df, self.dg, self.dQ, self.dt, self.dpi = solve((rc - pairs.pi * rs) / pairs.s, rp, R, rt)
        self.ds = (rc - pairs.s * self.dpi) / pairs.pi
        self.change = side.change(self.dQ)

    def shares(self, eta):
        """(ap, ad) at most one, a part ``eta`` of the way to the boundary."""
        ap, ad = self.side.lengths(self.change)
        ap = min(1.0, eta * min(ap, 1 / max((-self.dpi / self.pairs.pi).max(), TINY)))
        ad = min(1.0, eta * min(ad, 1 / max((-self.ds / self.pairs.s).max(), TINY)))
        return (min(ap, ad),) * 2 if self.side.smooth else (ap, ad)


def _nearest(blocks, k):
    """(I, J, keys, values): the entries whose key is among the k least of their row or of their column.

    ``blocks``: of rows, as (slice, keys, values). A column's k least so far select at least those that stay to the end.
    """
    found, least = [], np.empty((0, 0))
    for rows, keys, values in blocks:
        stack, last = np.concatenate([least, keys]) if found else keys, min(k, keys.shape[1]) - 1
        least = np.partition(stack, min(k, len(stack)) - 1, 0)[:k]
        of_row = np.partition(keys, last, 1)[:, last]
        i, j = np.nonzero((keys <= of_row[:, None]) | (keys <= least[-1]))
        found.append((rows.start + i, j, keys[i, j], values[i, j], of_row[i]))
    I, J, keys, values, of_row = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = (keys <= of_row) | (keys <= least[-1][J])
    return I[kept], J[kept], keys[kept], values[kept]
