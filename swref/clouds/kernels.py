"""Compiled loops of certificates, with errors that ``certificate`` bounds: no fastmath, no contraction."""

import numpy as np

from .._njit import njit
from ..network.basic_kernels import two_sum

FOUR_EPS = 2.0**-50
SPLIT = 2.0**27 + 1  # Veltkamp: halves of 26 bits, whose products are exact


@njit(cache=True)
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
def mapped(x, origin, L):
    """(H, T), both (n, r): H + T = (x - origin) L in twice the working precision, for x (n, d), L (d, r)."""
    n, d = x.shape
    r = L.shape[1]
    H, T = np.empty((n, r)), np.empty((n, r))
    for i in range(n):
        for k in range(r):
            high, low = 0.0, 0.0
            for l in range(d):
                z, rest = two_sum(x[i, l], -origin[l])
                p, e = _two_product(z, L[l, k])
                high, carry = two_sum(high, p)
                low += carry + (e + rest * L[l, k])
            H[i, k], T[i, k] = two_sum(high, low)
    return H, T


@njit(cache=True)
def _row_of_squares(i, X, X_low, Y, Y_low, row):
    """row_j = |X_i - Y_j|^2, each to a few ulps of its own; Y, Y_low (r, m)."""
    row[:] = 0.0
    for k in range(len(Y)):
        high, low = X[i, k], X_low[i, k]
        for j in range(len(row)):
            step = (high - Y[k, j]) + (low - Y_low[k, j])
            row[j] += step * step


@njit(cache=True)
def squared_distances(X, X_low, Y, Y_low):
    """C (n, m): |X_i - Y_j|^2, each to a few ulps of its own, for images (n, r), (m, r) from ``mapped``."""
    Y, Y_low = np.ascontiguousarray(Y.T), np.ascontiguousarray(Y_low.T)
    C = np.empty((len(X), Y.shape[1]))
    for i in range(len(X)):
        _row_of_squares(i, X, X_low, Y, Y_low, C[i])
    return C


@njit(cache=True)
def least_reduced(X, X_low, Y, Y_low, shrink, drop, f, g, change):
    """min_j C_ij - f_i - g_j - change_j, C_ij = shrink |X_i - Y_j|^2 - drop_j, (n,): how far f_i may rise.

    Right to 4 eps of the result, C_ij taken as computed.
    """
    n, m = len(X), len(Y)
    Y, Y_low = np.ascontiguousarray(Y.T), np.ascontiguousarray(Y_low.T)
    least, row = np.empty(n), np.empty(m)
    for i in range(n):
        _row_of_squares(i, X, X_low, Y, Y_low, row)
        best = np.inf
        for j in range(m):
            s, e = two_sum(f[i], g[j])
            reduced = ((shrink * row[j] - drop[j] - s) - e) - change[j]
            best = min(best, reduced - FOUR_EPS * (abs(e) + abs(change[j])))
        least[i] = best
    return least


@njit(cache=True)
def plan_moment(x, y, rows, columns, masses):
    """sum_e masses_e (y_j - x_i)(y_j - x_i)^T, (d, d), with compensated sums."""
    d = x.shape[1]
    S, rest, step = np.zeros((d, d)), np.zeros((d, d)), np.empty(d)
    for e in range(len(masses)):
        for k in range(d):
            step[k] = y[columns[e], k] - x[rows[e], k]
        for k in range(d):
            weighted = masses[e] * step[k]
            for l in range(k + 1):
                S[k, l], error = two_sum(S[k, l], weighted * step[l])
                rest[k, l] += error
    for k in range(d):
        for l in range(k + 1):
            S[k, l] += rest[k, l]
            S[l, k] = S[k, l]
    return S
