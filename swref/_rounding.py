"""Rounding: what is assumed of float64 and of gauges, and what every bound is widened by.

Assumed. (1) IEEE double precision, in which a sum or matrix product of length n, in any order, has
|fl(A B) - A B| <= n u/(1 - n u) |A| |B|, u = 2^-53, and in which nothing under- or overflows: inputs are scaled first.
(2) A gauge's ``value`` and closed ``polar`` have relative error at most 4 (d + 1) eps; where the polar is not closed,
every computed metric Q has gamma_polar(Q) <= 1 + 4 (d + 1) eps. For the gauges of this package that is LAPACK's
backward stability. For a plugin it is a promise of its author, and a congruence with an ill-conditioned matrix breaks
it by about the condition number. Nothing else is assumed of LAPACK or of a solver: what they return is measured.

Proved. N(V) = gamma(V^T V)^(1/2) is a norm (Prop. A.3), so that errors of displacements add to *distances*: if those of
second moment diag(delta^2) are added to a coupling, its distance grows by at most gamma(diag(delta^2))^(1/2).
The moment rule: if each entry of a computed moment M obeys |error_kl| <= e sqrt(M_kk M_ll), the exact one is at most
M + e d diag(M) in the Loewner order, and a gauge is monotone.
"""

from math import frexp, ldexp, sqrt

import numpy as np

from ._validation import EPS, symmetrize
from .gauges import Gauge, Multiple


def rounding(n):
    """Relative error of a sum of n products, doubled, so that it also covers the evaluation of the bound itself."""
    return (n + 4) * EPS


def gauge_error(d):
    """Assumption (2)."""
    return 4 * (d + 1) * EPS


def radius(gauge, *deltas):
    """At least sum_k sqrt(gamma(diag(delta_k^2))), what displacements of second moment diag(delta_k^2) may cost."""
    if not deltas:
        return 0.0
    square = len(deltas) * np.sum([delta * delta for delta in deltas], 0)
    return np.sqrt(gauge.value(np.diag(square))) * (1 + gauge_error(len(square)))


def gauge_upper(gauge, moment, terms):
    """At least gamma(exact moment), for ``moment`` (d, d) computed as a sum of ``terms`` squares."""
    d = len(moment)
    raised = moment + np.diag(d * rounding(terms) * moment.diagonal())
    return gauge.value(raised) * (1 + gauge_error(d))


def moment_upper(gauge, moment, terms, extra):
    """At least (sqrt(gamma(exact moment)) + extra)^2, for ``moment`` (d, d) computed as a sum of ``terms`` squares."""
    root = np.sqrt(gauge_upper(gauge, moment, terms)) + extra
    return root * root * (1 + 2 * EPS)


def metric_size(gauge, Q):
    """At least gamma_polar(Q), and at least 1; measured where it is closed, else by assumption (2)."""
    factor = 1.0
    while isinstance(gauge, Multiple):
        gauge, factor = gauge.gauge, factor * gauge.factor
    polar = gauge.polar(symmetrize(Q)) / factor if type(gauge).polar is not Gauge.polar else 1.0
    return max(1.0, polar) * (1 + gauge_error(len(Q)))


# -- differences that cancel ----------------------------------------------------------------------------------------


def difference(A, B, M: float | np.ndarray = 0.0):
    """(A B - M, error): rounded once, as if computed exactly, up to a Frobenius norm ``error`` near eps^2 |A| |B|.

    A and B are cut in slices of so few bits that the products of the leading ones are exact in any order.
    """
    n = A.shape[1]
    bits = (53 - n.bit_length()) // 2
    (A1, A2, A3, top), (B1, B2, B3, other) = _slices(A, bits), _slices(B, bits)
    first, e1 = _two_sum(A1 @ B1, -M)
    second, e2 = _two_sum(A1 @ B2, A2 @ B1)
    total, e3 = _two_sum(first, second)
    value = total + (e1 + e2 + e3 + (A1 @ B3 + A2 @ (B2 + B3) + A3 @ B))
    return value, 16 * n * rounding(n) * 0.25**bits * top * other * sqrt(value.size)


def _slices(A, bits):
    """A = A1 + A2 + A3, with A1, A2 multiples of 2^-bits and 2^(-2 bits) times top, a power of two above |A|."""
    exponent = frexp(max(A.max(initial=0), -A.min(initial=0)))[1]
    grid = ldexp(1.5, 52 - bits + exponent)
    A1 = (A + grid) - grid
    rest, grid = A - A1, ldexp(grid, -bits)
    A2 = (rest + grid) - grid
    return A1, A2, rest - A2, ldexp(1.0, exponent)


def _two_sum(a, b):
    """a + b and its rounding error, exactly (Knuth)."""
    s = a + b
    c = s - a
    return s, (a - (s - c)) + (b - c)


def norm_upper(value, error):
    """At least the Frobenius norm of what ``difference`` approximates."""
    return np.linalg.norm(value) * (1 + rounding(value.size)) + error
