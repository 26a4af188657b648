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
    bottom = mean + 2 * p * math.cos(angle + 2 * math.pi / 3)
    return bottom, 3 * mean - bottom - top, top


@njit(cache=True, error_model="numpy")
def _eigenvector(a11, a12, a22, a13, a23, a33, lam):
    """A unit vector of the null space of A - lam I: the longest cross product of two of its rows."""
    a11, a22, a33 = a11 - lam, a22 - lam, a33 - lam
    x, y, z = a12 * a23 - a13 * a22, a13 * a12 - a11 * a23, a11 * a22 - a12 * a12
    best = x * x + y * y + z * z
    u, v, w = a12 * a33 - a13 * a23, a13 * a13 - a11 * a33, a11 * a23 - a12 * a13
    size = u * u + v * v + w * w
    if size > best:
        x, y, z, best = u, v, w, size
    u, v, w = a22 * a33 - a23 * a23, a23 * a13 - a12 * a33, a12 * a23 - a22 * a13
    size = u * u + v * v + w * w
    if size > best:
        x, y, z, best = u, v, w, size
    if best < 1e-300:
        return 1.0, 0.0, 0.0
    length = 1 / math.sqrt(best)
    return x * length, y * length, z * length


@njit(cache=True, error_model="numpy")
def psd_part(a11, a12, a22, a13, a23, a33):
    """The positive semidefinite matrix nearest to a symmetric 3 x 3 one. One eigenpair is enough."""
    bottom, middle, top = _eigenvalues(a11, a12, a22, a13, a23, a33)
    if bottom >= 0:
        return a11, a12, a22, a13, a23, a33
    if top <= 0:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if middle >= 0:
        x, y, z = _eigenvector(a11, a12, a22, a13, a23, a33, bottom)
        return (
            a11 - bottom * x * x,
            a12 - bottom * x * y,
            a22 - bottom * y * y,
            a13 - bottom * x * z,
            a23 - bottom * y * z,
            a33 - bottom * z * z,
        )
    x, y, z = _eigenvector(a11, a12, a22, a13, a23, a33, top)
    return top * x * x, top * x * y, top * y * y, top * x * z, top * y * z, top * z * z


@njit(cache=True, error_model="numpy")
def admm_cells(a, bx, by, Q, N, U, L, alpha):
    """N, U <- Y_+, Y_+ - Y with Y = alpha M + (1 - alpha) N - U in every cell, M = [[L Q_k, b/2], [b^T/2, -a/L]].

    a, bx, by (n_time, cells): time and space differences of phi. Q (n_time, 3), N, U (6, n_time, cells): the entries
    11, 12, 22 (, 13, 23, 33) of symmetric matrices. Returns |N - N_old|^2, |N - M|^2 and the mean over cells of the
    11, 12, 22 entries of N + U, (n_time, 3).
    """
    n_time, cells = a.shape
    mean = np.zeros((n_time, 3))
    change, residual = 0.0, 0.0
    for k in range(n_time):
        for c in range(cells):
            m11, m12, m22 = L * Q[k, 0], L * Q[k, 1], L * Q[k, 2]
            m13, m23, m33 = 0.5 * bx[k, c], 0.5 * by[k, c], -a[k, c] / L
            n11, n12, n22 = N[0, k, c], N[1, k, c], N[2, k, c]
            n13, n23, n33 = N[3, k, c], N[4, k, c], N[5, k, c]
            y11 = alpha * m11 + (1 - alpha) * n11 - U[0, k, c]
            y12 = alpha * m12 + (1 - alpha) * n12 - U[1, k, c]
            y22 = alpha * m22 + (1 - alpha) * n22 - U[2, k, c]
            y13 = alpha * m13 + (1 - alpha) * n13 - U[3, k, c]
            y23 = alpha * m23 + (1 - alpha) * n23 - U[4, k, c]
            y33 = alpha * m33 + (1 - alpha) * n33 - U[5, k, c]
            p11, p12, p22, p13, p23, p33 = psd_part(y11, y12, y22, y13, y23, y33)
            change += (p11 - n11) ** 2 + (p22 - n22) ** 2 + (p33 - n33) ** 2
            change += 2 * ((p12 - n12) ** 2 + (p13 - n13) ** 2 + (p23 - n23) ** 2)
            residual += (p11 - m11) ** 2 + (p22 - m22) ** 2 + (p33 - m33) ** 2
            residual += 2 * ((p12 - m12) ** 2 + (p13 - m13) ** 2 + (p23 - m23) ** 2)
            N[0, k, c], N[1, k, c], N[2, k, c] = p11, p12, p22
            N[3, k, c], N[4, k, c], N[5, k, c] = p13, p23, p33
            U[0, k, c], U[1, k, c], U[2, k, c] = p11 - y11, p12 - y12, p22 - y22
            U[3, k, c], U[4, k, c], U[5, k, c] = p13 - y13, p23 - y23, p33 - y33
            mean[k, 0] += 2 * p11 - y11
            mean[k, 1] += 2 * p12 - y12
            mean[k, 2] += 2 * p22 - y22
    return change, residual, mean / cells


@njit(cache=True)
def hopf_lax(phi, Q, hx, hy):
    """psi(x) = max_y phi(y) - (y - x)^T Q (y - x) over the centres of cells hx x hy; phi (nx, ny), Q (2, 2)."""
    nx, ny = phi.shape
    psi = np.empty((nx, ny))
    q11, q12, q22 = Q[0, 0] * hx * hx, 2 * Q[0, 1] * hx * hy, Q[1, 1] * hy * hy
    for i in range(nx):
        for j in range(ny):
            best = phi[i, j]
            for k in range(nx):
                u = k - i
                base, slope = q11 * u * u, q12 * u
                for l in range(ny):
                    v = l - j
                    value = phi[k, l] - (base + (slope + q22 * v) * v)
                    best = max(best, value)
            psi[i, j] = best
    return psi
