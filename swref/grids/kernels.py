"""Compiled loops over the cells of a space-time grid: plain arrays in and out."""

import math

import numpy as np

from .._njit import njit


@njit(cache=True, error_model="numpy")
def _eigenvalues(a11, a12, a22, a13, a23, a33):
    """The eigenvalues, ascending, of a symmetric matrix: the trigonometric solution of the cubic.

    Absolute error: a few eps |A|, and about eps^(1/2) |A| where two eigenvalues meet.
    """
    mean = (a11 + a22 + a33) / 3
    b11, b22, b33 = a11 - mean, a22 - mean, a33 - mean
    spread = b11 * b11 + b22 * b22 + b33 * b33 + 2 * (a12 * a12 + a13 * a13 + a23 * a23)
    if spread <= 1e-300:
        return mean, mean, mean
    p = math.sqrt(spread / 6)
    det = b11 * (b22 * b33 - a23 * a23) - a12 * (a12 * b33 - a23 * a13) + a13 * (a12 * a23 - b22 * a13)
    angle = math.acos(min(1.0, max(-1.0, det / (2 * p * p * p)))) / 3
    top = mean + 2 * p * math.cos(angle)
    bottom = mean - p * (math.cos(angle) + math.sqrt(3) * math.sin(angle))
    return bottom, 3 * mean - bottom - top, top


@njit(cache=True, error_model="numpy")
def _eigenvector(a11, a12, a22, a13, a23, a33, lam):
    """A unit vector of the null space of A - lam I: the longest cross product of two of its rows."""
    a11, a22, a33 = a11 - lam, a22 - lam, a33 - lam
    u, v, w, best = 1.0, 0.0, 0.0, 1e-300
    for x, y, z in (
        (a12 * a23 - a13 * a22, a13 * a12 - a11 * a23, a11 * a22 - a12 * a12),
        (a12 * a33 - a13 * a23, a13 * a13 - a11 * a33, a11 * a23 - a12 * a13),
        (a22 * a33 - a23 * a23, a23 * a13 - a12 * a33, a12 * a23 - a22 * a13),
    ):
        size = x * x + y * y + z * z
        if size > best:
            u, v, w, best = x, y, z, size
    length = math.sqrt(u * u + v * v + w * w)
    return u / length, v / length, w / length


@njit(cache=True, error_model="numpy")
def psd_part(a11, a12, a22, a13, a23, a33):
    """The positive semidefinite matrix nearest to a symmetric 3 x 3 one. One eigenpair is enough."""
    bottom, middle, top = _eigenvalues(a11, a12, a22, a13, a23, a33)
    if bottom >= 0:
        return a11, a12, a22, a13, a23, a33
    if top <= 0:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    lam = bottom if middle >= 0 else top
    u, v, w = _eigenvector(a11, a12, a22, a13, a23, a33, lam)
    x, y, z = lam * u, lam * v, lam * w
    if middle >= 0:
        return a11 - x * u, a12 - x * v, a22 - y * v, a13 - x * w, a23 - y * w, a33 - z * w
    return x * u, x * v, y * v, x * w, y * w, z * w


@njit(cache=True, error_model="numpy")
def admm_cells(a, bx, by, Q, N, U, L, alpha, mean):
    """N, U <- Y_+, Y_+ - Y with Y = alpha M + (1 - alpha) N - U in every cell, M = [[L Q_k, b/2], [b^T/2, -a/L]].

    a, bx, by (n_time, cells): time and space differences of phi. Q (n_time, 3), N, U (6, n_time, cells): the entries
    11, 12, 22 (, 13, 23, 33) of symmetric matrices. The first three of 2 Y_+ - Y, averaged over the cells, go into
    mean (n_time, 3). Returns |Y_+ - N|^2 and |Y_+ - M|^2.
    """
    n_time, cells = a.shape
    mean[:], Y, change, residual = 0.0, np.empty(6), 0.0, 0.0
    for k in range(n_time):
        for c in range(cells):
            M = L * Q[k, 0], L * Q[k, 1], L * Q[k, 2], 0.5 * bx[k, c], 0.5 * by[k, c], -a[k, c] / L
            for e in range(6):
                Y[e] = alpha * M[e] + (1 - alpha) * N[e, k, c] - U[e, k, c]
            P = psd_part(Y[0], Y[1], Y[2], Y[3], Y[4], Y[5])
            for e in range(6):
                moved, off = P[e] - N[e, k, c], P[e] - M[e]
                times = 1 if e == 0 or e == 2 or e == 5 else 2  # that the entry stands in the matrix
                change, residual = change + times * moved * moved, residual + times * off * off
                N[e, k, c], U[e, k, c] = P[e], P[e] - Y[e]
            for e in range(3):
                mean[k, e] += 2 * P[e] - Y[e]
    mean /= cells
    return change, residual
