"""Plans of unbalanced transport on the sphere, and the two bounds that hold in real arithmetic.

A measure is (masses (k,), vectors (k, d)); mass m at w is the point sqrt(m) w of R^d. Each bound is one function of
what proves it, and allows for its own rounding; constants are in eps.
"""

import math
from dataclasses import dataclass

import numpy as np

from .._rounding import moment_upper, radius
from .._validation import EPS

TINY = np.finfo(float).tiny
INNER = 8  # times d: an inner product x^T Q y, in units of sum_kl |x_k| (Q_kk Q_ll)^(1/2) |y_l|
STEP = 4  # a coordinate of sqrt(h) y - sqrt(g) x, in units of sqrt(h) |y| + sqrt(g) |x|
SUM = 60  # terms whose sum is known as well as a pairwise sum of squares
NEAR = 0.1  # sin^2 of the angle below which differences are more accurate, and size of q - g, relative to q, for that
OPEN = -1e200  # a potential so low that it forbids nothing
SNAP = 8  # s / sqrt(g h) counts as one when it is below by no more


@dataclass(frozen=True)
class Plan:
    """Of row i's mass, g leaves for column j and arrives as h, s = sqrt(g h); the rest is destroyed or created."""

    i: np.ndarray  # (k,)
    j: np.ndarray
    g: np.ndarray
    h: np.ndarray
    destroyed: np.ndarray  # (k0,)
    created: np.ndarray  # (k1,)

    def fitted(self, p, q):
        """The same with all shares of a row scaled to sum to p, and those of a column to q, up to rounding.

        The quotient comes first: a single share is exactly one.
        """
        out = np.bincount(self.i, self.g, len(p)) + self.destroyed
        into = np.bincount(self.j, self.h, len(q)) + self.created
        out[out == 0], into[into == 0] = 1, 1
        g, h = p[self.i] * (self.g / out[self.i]), q[self.j] * (self.h / into[self.j])
        return Plan(self.i, self.j, g, h, p * (self.destroyed / out), q * (self.created / into))

    def scaled(self, unit):
        return Plan(self.i, self.j, *(unit * mass for mass in (self.g, self.h, self.destroyed, self.created)))

    def steps(self, x, y):
        """The displacements times the root of their mass, (k', d): their sum of squares is the plan's moment."""
        g, u, h, v = self.ends(x, y)
        return np.sqrt(h)[:, None] * v - np.sqrt(g)[:, None] * u

    def ends(self, x, y):
        """(masses (k',), vectors (k', d)) where they leave, and where they arrive; 0 at the origin."""
        k, l = np.flatnonzero(self.destroyed), np.flatnonzero(self.created)
        leaving = np.concatenate([self.g, self.destroyed[k], 0 * l]), np.concatenate([x[self.i], x[k], 0 * y[l]])
        return *leaving, np.concatenate([self.h, 0 * k, self.created[l]]), np.concatenate([y[self.j], 0 * x[k], y[l]])


def mixture(plans, weights, p, q):
    """One plan with the moment sum_k weights_k moment_k, for plans that were ``fitted`` to p (k0,), q (k1,).

    The mixture has s <= sqrt(g h). Moving the shares g r, h r with r = s / sqrt(g h) and leaving the rest to the origin
    gives the same moment.
    """

    cells, where = np.unique(np.concatenate([plan.i * len(q) + plan.j for plan in plans]), return_inverse=True)

    def merged(shares):
        parts = [w * share for w, share in zip(weights, shares, strict=True)]
        return np.bincount(where, np.concatenate(parts), len(cells))

    g, h = merged([plan.g for plan in plans]), merged([plan.h for plan in plans])
    s = merged([np.sqrt(plan.g) * np.sqrt(plan.h) for plan in plans])
    i, j = np.divmod(cells, max(len(q), 1))
    r = s / (np.sqrt(g) * np.sqrt(h))
    r[r > 1 - SNAP * EPS] = 1
    destroyed = weights @ [plan.destroyed for plan in plans] + np.bincount(i, g * (1 - r), len(p))
    created = weights @ [plan.created for plan in plans] + np.bincount(j, h * (1 - r), len(q))
    return Plan(i, j, g * r, h * r, destroyed, created).fitted(p, q)


def upper_bound(plan, gauge, p, x, q, y):
    """(U, moment (d, d)): gamma of the moment of the plan, its rows and columns made exactly feasible.

    In real arithmetic a row's shares are multiplied by p_i / (their sum), which is one but for rounding, and a column's
    likewise. That, and rounding, move the displacements v by F, and N(v + F) <= N(v) + N(F) for N = gamma(v^T v)^(1/2).
    From |E_kl| <= e (M_kk M_ll)^(1/2) follows E <= e d diag(M): so are errors of a moment bounded.
    """
    d, steps = x.shape[1], plan.steps(x, y)
    moment = np.array([[np.sum(a * b) for a in steps.T.copy()] for b in steps.T.copy()])  # pairwise sums
    row, column = _row_errors(plan, p, q)
    error = row[plan.i] + column[plan.j] + STEP * EPS
    still = (plan.g == plan.h) & (x[plan.i] == y[plan.j]).all(1) & (row[plan.i] == 0) & (column[plan.j] == 0)
    error[still] = 0
    F = ((error**2 * plan.g)[:, None] * x[plan.i] ** 2 + (error**2 * plan.h)[:, None] * y[plan.j] ** 2).sum(0)
    F += ((row + STEP * EPS) ** 2 * plan.destroyed) @ x**2 + ((column + STEP * EPS) ** 2 * plan.created) @ y**2
    bound = moment_upper(gauge, moment, SUM, radius(gauge, np.sqrt(2 * d * F)))
    return (bound + 4 * len(steps) * TINY * gauge.value(np.eye(d)) if bound else 0.0), moment


def _row_errors(plan, p, q):
    """|sum of shares / mass - 1| of the rows and of the columns, rounding of the sum included; 0 without mass."""
    errors = []
    for index, share, rest, mass in ((plan.i, plan.g, plan.destroyed, p), (plan.j, plan.h, plan.created, q)):
        terms = np.bincount(index, minlength=len(mass)) + (rest > 0)
        total = np.bincount(index, share, len(mass)) + rest
        off = np.abs(total - mass) + (terms > 1) * terms * EPS * mass
        errors.append(np.divide(off, mass, out=np.zeros(len(mass)), where=mass > 0))
    return errors


def lower_bound(Q, g, p, x, q, y):
    """(L, f, g) = (sum p f + sum q g less rounding, potentials) from a metric Q and g (k1,), ``OPEN`` where free.

    With q_ij = x_i^T Q y_j, f_i is the largest number with (q_ii - f_i)(q_jj - g_j) >= max(q_ij, 0)^2 for all j, and a
    free g_j then likewise, both less the errors; L >= 0. An inner product is known to e r_i r_j with e = ``INNER`` d
    eps and r_i = sum_k Q_kk^(1/2) |x_ik|. So q_jj - g_j is kept above 3 e r_j^2. For vectors that nearly coincide the
    products are taken of differences, where the errors are of the order of the squared difference.
    """
    e = INNER * x.shape[1] * EPS
    root = np.sqrt(np.maximum(np.diag(Q), 0))
    one, other = ((z, ((z @ Q) * z).sum(1), np.abs(z) @ root) for z in (x, y))
    c, free = x @ Q @ y.T, g == OPEN
    g = _lowered(g, *other, e)
    f = _transformed(c, one, other, g, Q, e)
    if free.any():
        f = _lowered(f, *one, e)
        g = np.where(free, _transformed(c.T, other, one, f, Q, e), g)
    terms = np.concatenate([p * f, q * g])
    bound = math.fsum(terms) - 4 * EPS * math.fsum(np.abs(terms)) - len(terms) * TINY
    return max(bound, 0.0), f, g


def _lowered(g, y, norm, t, e):
    """g where norm - g, which is divided by, is known well; else less twice its error, which changes little."""
    error = e * t**2
    g = np.minimum(g, norm - error - TINY)
    return np.where(norm - g < NEAR * norm, g - 2 * error, g)


def _transformed(c, one, other, g, Q, e):
    from .kernels import potential_transform

    (x, q, r), (y, norm, t) = one, other
    potential_transform(np.ascontiguousarray(c), x, y, Q, q, r, norm, t, g, e, NEAR, f := np.empty(len(x)))
    return f
