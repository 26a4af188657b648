"""Bounds that hold in real arithmetic: what a plan, a metric and potentials prove, whoever found them.

**Theorem.** Let x_i, y_j, the weights, the cells and masses of a plan, L and (f, g) be any floats. Assume what
``_rounding`` assumes, and that the operations of ``kernels`` are neither contracted nor reordered. Then
lower <= W_gamma(mu, nu)^2 <= upper, where mu and nu are the measures of exactly these points and of exactly these
weights, each divided by the exact sum of its side.

*Upper.* ``Masses.coupling`` makes the plan a coupling of the exact marginals, in integers; its masses are then rounded,
each to a relative eps/2. A displacement y_j - x_i is one rounding from exact. So an entry of the computed moment M has
|error_kl| <= 4 eps sum m |z_k| |z_l| <= 4 eps (S_kk S_ll)^(1/2), S the exact moment. Therefore the error is at most
4 eps d diag(S) in the Loewner order (Cauchy-Schwarz), and gamma is monotone: no decade of a coordinate hides another.

*Lower.* C_ij = |L^T (x_i - y_j)|^2 is a sum of squares of differences that keep twice the digits, so it is right to
(r + 6) eps/2 of its own size. Shrunk by that, it is below the exact cost. f_i is replaced by min_j (C_ij - f_i - g_j)
added to it, the minimum lowered by its own rounding. The new potentials are feasible for L L^T, and their integral is
summed in integers. [Thm 3.3] Dividing by the polar of L L^T puts it in K; for a single metric, see ``Quadratic``.
"""

import numpy as np

from .._rounding import difference, gauge_error, gauge_upper, metric_size, rounding
from .._validation import EPS
from ..gauges import Gauge

TINY = 2.0**-1000  # where squares underflow, in the unit of the largest displacement
SINGULAR = 1e-8  # least eigenvalue of a metric with unit diagonal that bounds errors in proportion to costs


def metric_factor(Q):
    """L (d, r) with L L^T = Q, up to eigenvalues below 1e-15 of the largest once the diagonal is scaled to one."""
    scale = row_sizes(Q)
    lam, U = np.linalg.eigh(Q / np.outer(scale, scale))
    keep = lam > 1e-15 * lam[-1]
    return scale[:, None] * U[:, keep] * np.sqrt(lam[keep])


def row_sizes(Q):
    """sqrt(Q_kk), (d,); the largest where it is 0, or where rounding made |Q_kl|^2 > Q_kk Q_ll: 0 is as good."""
    sizes = np.sqrt(np.maximum(np.diag(Q), 0))
    spoilt = (np.abs(Q) > 2 * np.outer(sizes, sizes)).any(0) | (sizes == 0)
    return np.where(spoilt, sizes.max(), sizes)


class Quadratic(Gauge):
    """<Q, S> for one positive semidefinite Q (d, d), singular or not: the gauge of a single transport problem."""

    def __init__(self, Q):
        self.metric, self.dimension = Q, len(Q)

    def value(self, S):
        """Raised by what the sum may have rounded: singular metrics do not bound that by the value itself."""
        return float(np.vdot(self.metric, S) + rounding(S.size) * np.vdot(np.abs(self.metric), np.abs(S)))

    def support(self, S):
        return self.metric.copy()

    def excess(self, L):
        """(factor, e (d,)): both L L^T <= factor Q and L L^T <= Q + diag(e); the factor is infinite for a singular Q.

        L L^T - Q is known to twice the digits, and |R_kl z_k z_l| <= |R_kl| (z_k^2 s_k/s_l + z_l^2 s_l/s_k)/2.
        """
        error, lost = difference(L, L.T, self.metric)
        s = row_sizes(self.metric)
        e = ((np.abs(error) + lost) / s).sum(1) * s * (1 + rounding(len(s)))
        least = np.linalg.eigvalsh(self.metric / np.outer(s, s))[0]
        return 1 + 2 * float((e / s**2).max()) / least if least > SINGULAR else np.inf, e


def moment_of(x, y, rows, columns, masses):
    """sum m (y_j - x_i)(y_j - x_i)^T, (d, d), over the cells of a plan, with compensated sums."""
    from .kernels import add_squares

    S, rest = np.zeros((2, x.shape[1], x.shape[1]))
    add_squares(x, y, rows, columns, masses, S, rest, np.empty(len(S)))
    S = np.tril(S + rest)
    return S + np.tril(S, -1).T


def mapped(x, origin, L):
    """(H, T), both (n, r): H + T = (x - origin) L in twice the working precision, for x (n, d), L (d, r)."""
    from .kernels import map_to

    H, T = np.empty((2, len(x), L.shape[1]))
    map_to(x, origin, L, H, T)
    return H, T


def squares(X, X_low, Y, Y_low):
    """C (n, m): |X_i - Y_j|^2, each to a few ulps of its own, for images (n, r), (m, r) from ``mapped``."""
    from .kernels import squares_to

    C = np.empty((len(X), len(Y)))
    squares_to(X, X_low, Y.T.copy(), Y_low.T.copy(), C)
    return C


def least_reduced(X, X_low, Y, Y_low, shrink, drop, f, g, change):
    """min_j C_ij - f_i - g_j - change_j, C_ij = shrink |X_i - Y_j|^2 - drop_j, (n,): how far f_i may rise.

    Right to 4 eps of the result, C_ij taken as computed.
    """
    from .kernels import least_to

    least = np.empty(len(f))
    least_to(X, X_low, Y.T.copy(), Y_low.T.copy(), shrink, drop, f, g, change, np.empty(len(g)), least)
    return least


def upper_bound(gauge, moment, moved):
    """At least gamma of the exact moment; zero when nothing ``moved``."""
    if not moved:
        return 0.0
    return float(np.nextafter(gauge_upper(gauge, moment + TINY * np.eye(len(moment)), terms=1), np.inf))


class LowerBound:
    """The integral of potentials on two clouds, made feasible for the metric L L^T and summed exactly.

    x (n, d), y (m, d), ``masses`` their ``Masses``; L (d, r); ``f`` (n,), ``g`` (m,) any start; ``origin`` (d,) near
    most points, because rounding grows with the distance from it. ``value`` is the bound, ``f`` and ``g`` the
    potentials that give it, as pairs of arrays to be added exactly. ``improve(change)`` tries g + change, (m,): changes
    below the rounding of g count too. ``least``: another way to find what ``least_reduced`` finds in all pairs.
    """

    def __init__(self, gauge, x, y, masses, L, f, g, origin, least=None):
        self.least = least or least_reduced
        d, r = L.shape
        if isinstance(gauge, Quadratic):
            self.outside, excess = gauge.excess(L)
            # z^T diag(e) z of a displacement is at most twice those of its ends.
            a, b = masses.shares()
            self.loss = 2.0000001 * float(a @ ((x - origin) ** 2 @ excess) + b @ ((y - origin) ** 2 @ excess))
        else:
            self.outside, self.loss = metric_size(gauge, L @ L.T), np.inf
        self.masses, self.start = masses, (f, g)
        self.images = *mapped(x, origin, L), *mapped(y, origin, L)
        # A square loses (r + 6) eps/2 of its size. Images lose 2 (d + 2) eps^2 of their coordinates' sizes, which is
        # the larger loss where points nearly meet: 2 |z| loss <= eps/2 |z|^2 + 2 loss^2/eps.
        self.shrink = 1 - 0.5 * (r + 11) * EPS
        drops = (40 * r * (d + 2) ** 2 * EPS**3 * ((np.abs(z - origin) @ np.abs(L)).max(1) ** 2) + TINY for z in (x, y))
        self.drop_rows, self.drop_columns = drops
        self.value = 0.0
        self.improve(np.zeros(len(y)))

    def costs(self):
        """C (n, m) below the exact costs, by a few ulps of each: potentials that are optimal for C lose no more."""
        return self.shrink * squares(*self.images) - self.drop_columns

    def improve(self, change):
        f, g = self.start
        least = self.least(*self.images, self.shrink, self.drop_columns, f, g, change)
        rise = least - 4 * EPS * np.abs(least) - self.drop_rows
        value = self.masses.integral((f, rise), (g, change))
        value = max(value / self.outside * (1 - EPS), value - self.loss)
        value = max(float(np.nextafter(value, -np.inf)), 0.0)
        if value >= self.value:
            self.value, self.f, self.g = value, (f, rise), (g, change)


def line_bound(gauge, moment, x, y, rows, columns):
    """A lower bound in dimension one, or None: a monotone coupling is optimal there, whatever the gauge."""
    order = np.lexsort((y[columns, 0], x[rows, 0]))
    if (np.diff(y[columns[order], 0]) < 0).any():
        return None
    value = gauge.value(moment * (1 - 4 * EPS)) * (1 - gauge_error(1))
    return max(float(np.nextafter(value, -np.inf)), 0.0)
