"""Compiled loops of certificates, with errors that ``certificate`` bounds: no fastmath, no contraction."""

import numpy as np

from .._njit import inner, njit
from ..network.basic_kernels import two_sum

FOUR_EPS = 2.0**-50
SPLIT = 2.0**27 + 1  # Veltkamp: halves of 26 bits, whose products are exact


@inner
def _two_product(a, b):
    """(p, e): p = fl(a b) and a b = p + e exactly, barring underflow."""
    p = a * b
    t = SPLIT * a
    a1 = t - (t - a)
    a2 = a - a1
    t = SPLIT * b
    b1 = t - (t - b)
    b2 = b - b1
    return p, a2 * b2 - (((p - a1 * b1) - a2 * b1) - a1 * b2)


@njit(cache=True)
def map_to(x, origin, L, H, T):
    """H + T = (x - origin) L in twice the working precision, for x (n, d), L (d, r), into H and T (n, r)."""
    n, r = H.shape
    for i in range(n):
        for k in range(r):
            high, low = 0.0, 0.0
            for l in range(len(L)):
                z, rest = two_sum(x[i, l], -origin[l])
                p, e = _two_product(z, L[l, k])
                high, carry = two_sum(high, p)
                low += carry + (e + rest * L[l, k])
            H[i, k], T[i, k] = two_sum(high, low)


@inner
def _row_of_squares(i, X, X_low, Y, Y_low, row):
    """row_j = |X_i - Y_j|^2, each to a few ulps of its own; Y, Y_low (r, m)."""
    for j in range(len(row)):
        row[j] = 0.0
    for k in range(len(Y)):
        high, low = X[i, k], X_low[i, k]
        for j in range(len(row)):
            step = (high - Y[k, j]) + (low - Y_low[k, j])
            row[j] += step * step


@njit(cache=True)
def squares_to(X, X_low, Y, Y_low, C):
    """``squares`` into C (n, m); Y, Y_low (r, m)."""
    for i in range(len(C)):
        _row_of_squares(i, X, X_low, Y, Y_low, C[i])


@njit(cache=True)
def least_to(X, X_low, Y, Y_low, shrink, drop, f, g, change, row, least):
    """``least_reduced`` into least (n,); Y, Y_low (r, m); row (m,) is overwritten."""
    for i in range(len(f)):
        _row_of_squares(i, X, X_low, Y, Y_low, row)
        best = np.inf
        for j in range(len(g)):
            s, e = two_sum(f[i], g[j])
            reduced = ((shrink * row[j] - drop[j] - s) - e) - change[j]
            best = min(best, reduced - FOUR_EPS * (abs(e) + abs(change[j])))
        least[i] = best


@njit(cache=True)
def add_squares(x, y, rows, columns, masses, S, rest, step):
    """Add sum_e masses_e z_e z_e^T, z_e = y_j - x_i, to the lower triangles of S + rest (d, d); step (d,) is used."""
    for e in range(len(masses)):
        for k in range(len(step)):
            step[k] = y[columns[e], k] - x[rows[e], k]
        for k in range(len(step)):
            weighted = masses[e] * step[k]
            for l in range(k + 1):
                S[k, l], error = two_sum(S[k, l], weighted * step[l])
                rest[k, l] += error
