"""Bounds that hold in real arithmetic: what a plan, a metric and potentials prove, whoever found them.

**Theorem.** Let x_i, y_j, the weights, the cells and masses of a plan, L and (f, g) be any floats. If

  (F) float64 addition, multiplication and division round to nearest, and nothing contracts or reorders them;
  (G) ``gauge.value`` is right to a relative ``gauge_rounding(d)``, and so is its own ``polar``, if it has one; if not,
      gamma_polar(L L^T) <= 1 + 2 ``gauge_rounding(d)``;

then lower <= W_gamma(mu, nu)^2 <= upper, where mu and nu are the measures of exactly these points and of exactly these
weights, each divided by the exact sum of its side.

*Upper.* ``Masses.coupling`` makes the plan a coupling of the exact marginals, in integers; its masses are then rounded,
each to a relative eps/2. A displacement y_j - x_i is one rounding from exact. So an entry of the computed moment M has
|error_kl| <= 4 eps sum m |z_k| |z_l| <= 4 eps (S_kk S_ll)^(1/2), S the exact moment. Therefore the error is at most
4 eps d diag(S) in the Loewner order (Cauchy-Schwarz), and gamma is monotone: no decade of a coordinate hides another.

*Lower.* C_ij = |L^T (x_i - y_j)|^2 is a sum of squares of differences that keep twice the digits, so it is right to
(r + 8) eps/2 of its own size. Shrunk by that, it is below the exact cost. f_i is replaced by min_j (C_ij - f_i - g_j)
added to it, the minimum lowered by its own rounding. The new potentials are feasible for L L^T, and their integral is
summed in integers. [Thm 3.3] Dividing by the polar of L L^T puts it in K.

(G) is LAPACK's backward stability for the gauges of this package. For a plugin it is a promise of its author, and a
congruence with an ill-conditioned matrix breaks it by about the condition number.
"""

import numpy as np

from ._validation import EPS, symmetrize
from .gauges import Gauge, Multiple

TINY = 2.0**-1000  # where squares underflow, in the unit of the largest displacement


class CrossedBounds(AssertionError):
    """A lower bound above the upper one: an error in this package, or a gauge that is none. Never hidden."""


def gauge_rounding(d):
    """The relative error allowed for a gauge of (d, d) matrices."""
    return 2 * (d + 2) * EPS


def outside(gauge, L):
    """An upper bound of gamma_polar(L L^T), at least one: how far rounding may have put the metric outside K."""
    error = gauge_rounding(len(L))
    while isinstance(gauge, Multiple):  # whose polar is closed only if that of its gauge is
        gauge, L = gauge.gauge, L / np.sqrt(gauge.factor)
    if type(gauge).polar is Gauge.polar:
        return 1 + 2 * error
    return max(gauge.polar(symmetrize(L @ L.T)), 1.0) * (1 + error)


def metric_factor(Q):
    """L (d, r) with L L^T = Q, up to eigenvalues below 1e-15 of the largest once the diagonal is scaled to one."""
    scale = np.sqrt(np.diag(Q))
    scale[scale == 0] = 1.0
    lam, U = np.linalg.eigh(Q / np.outer(scale, scale))
    keep = lam > 1e-15 * lam[-1]
    return scale[:, None] * U[:, keep] * np.sqrt(lam[keep])


def moment_of(x, y, plan):
    """(M, M_up), (d, d): M = sum m (y_j - x_i)(y_j - x_i)^T over a plan (rows, columns, masses), and M_up above it.

    Exactly zero when nothing moves.
    """
    from ._certificate_kernels import plan_moment

    rows, columns, masses = plan
    M, d = plan_moment(x, y, rows, columns, masses), x.shape[1]
    if not M.any() and (x[rows] == y[columns]).all():
        return M, M
    return M, M + np.diag(5 * EPS * d * np.diag(M) + TINY)  # 4 would do but for the rounding of this line


def upper_bound(gauge, M_up):
    """gamma(M_up), rounded up by the gauge's own error; exactly zero at zero."""
    if not M_up.any():
        return 0.0
    return float(np.nextafter(gauge.value(M_up) * (1 + gauge_rounding(len(M_up))), np.inf))


class LowerBound:
    """The integral of potentials on two clouds, made feasible for the metric L L^T and summed exactly.

    x (n, d), y (m, d), ``masses`` their ``Masses``; L (d, r); ``f`` (n,), ``g`` (m,) any start; ``origin`` (d,) near
    most points, because rounding grows with the distance from it. ``value`` is the bound, ``f`` and ``g`` the potentials
    that give it, rounded. ``improve(change)`` tries g + change, (m,), kept apart from g, so that changes below the
    rounding of g count.
    """

    def __init__(self, gauge, x, y, masses, L, f, g, origin):
        from ._certificate_kernels import mapped

        self.masses, self.start, self.outside = masses, (f, g), outside(gauge, L)
        d, r = L.shape
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
        from ._certificate_kernels import squared_distances

        return self.shrink * squared_distances(*self.images) - self.drop_columns

    def improve(self, change):
        from ._certificate_kernels import least_reduced

        f, g = self.start
        least = least_reduced(*self.images, self.shrink, self.drop_columns, f, g, change)
        rise = least - 4 * EPS * np.abs(least) - self.drop_rows
        value = self.masses.integral((f, rise), (g, change))
        value = max(float(np.nextafter(value / self.outside * (1 - EPS), -np.inf)), 0.0)
        if value >= self.value:
            self.value, self.f, self.g = value, f + rise, g + change


def moved_size(x, y, rows, columns, masses):
    """sum m max(|x_i|, |y_j|)^2 over the cells that move: times (4 eps)^2, what the last digits of clouds can cost."""
    moved = (x[rows] != y[columns]).any(1)
    rows, columns = rows[moved], columns[moved]
    return float(masses[moved] @ np.maximum((x[rows] ** 2).sum(1), (y[columns] ** 2).sum(1)))


def line_bound(gauge, x, y, plan):
    """A lower bound in dimension one, or None: a monotone coupling is optimal there, whatever the gauge."""
    rows, columns, _ = plan
    order = np.lexsort((y[columns, 0], x[rows, 0]))
    if (np.diff(y[columns[order], 0]) < 0).any():
        return None
    M = moment_of(x, y, plan)[0]
    value = gauge.value(M * (1 - 4 * EPS)) * (1 - gauge_rounding(1)) if M.any() else 0.0
    return max(float(np.nextafter(value, -np.inf)), 0.0)
