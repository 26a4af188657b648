"""The Newton system of the joint program, factored one of two ways: by metric, or by pairs.

Unknown are changes of the potentials f (n,), g (m,), of the metric dQ = V Y V^T, of t and of the plan pi. With the rows
A_p = svec of (V^T z_p)(V^T z_p)^T, w = pi/s, D the side's diagonal and N = V^T normal V,

    sum_j dpi = r_f, sum_i dpi = r_g,   dpi = h - w (A Y - df - dg),   A^T dpi - D Y - dt N = -R,   <N, Y> = r_t.

Both functions return ``solve(h, rp, R, rt)`` -> (df, dg, dQ, dt, dpi or None); rp = (r_f, r_g), R (d, d).
"""

from functools import cache

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_solve, get_blas_funcs, lu_factor, lu_solve, solve_triangular

from .._validation import symmetrize

BLOCK = 2**22  # entries of rows A that are held at a time, 32 MB
RIDGE = 1e-15  # of the diagonal, raised tenfold until a matrix that rounding made indefinite has its Cholesky factor

(dsyrk,) = get_blas_funcs(("syrk",), dtype=np.float64)


@cache
def _triangle(d):
    i, j = np.triu_indices(d)
    return i, j, np.where(i == j, 1.0, np.sqrt(2))


def svec(X):
    """The upper triangle of X (d, d), off-diagonal entries times sqrt(2): inner products are those of matrices."""
    i, j, root = _triangle(len(X))
    return X[i, j] * root


def smat(v, d):
    i, j, root = _triangle(d)
    X = np.empty((d, d))
    X[i, j] = X[j, i] = v / root
    return X


def quadratic(Z, Q):
    """z^T Q z for the rows z of Z."""
    return ((Z @ Q) * Z).sum(1)


def by_metric(pairs, shape, side):
    """Eliminate f, a diagonal, then g, a Laplacian, then factor the matrix of Y: for more pairs than dimensions of Q.

    (A^T w A + D - B^T L^-1 B) Y = ..., and w, D > 0: the cost is P N^2 + m^2 N + N^3/3 for P pairs and N = d (d+1)/2.
    """
    (n, m), I, J, w, Z = shape, pairs.I, pairs.J, pairs.pi / pairs.s, pairs.Z @ side.V
    d, Wt = Z.shape[1], sp.csr_array((w, (J, I)), shape=(m, n))
    K, Bf, Bg = _moments(Z, w, I, J, shape)
    r = np.bincount(I, w, n)
    K = dsyrk(-1.0, (Bf / np.sqrt(r)[:, None]).T, beta=1.0, c=K, overwrite_c=1, lower=1)
    L = -(Wt @ sp.diags_array(1 / r) @ Wt.T).toarray()
    np.fill_diagonal(L, 0)
    np.fill_diagonal(L, -L.sum(1))  # of a Laplacian: from its rows nothing cancels
    L = _cholesky(L[:-1, :-1], np.bincount(J, w, m)[:-1])
    Y = solve_triangular(L, (Bg - Wt @ (Bf / r[:, None]))[:-1], lower=True, check_finite=False)
    K = dsyrk(-1.0, Y.T, beta=1.0, c=K, overwrite_c=1, lower=1)
    K[np.diag_indices(len(K))] += side.D[_triangle(d)[:2]]
    K = _cholesky(K, K.diagonal().copy())
    normal = svec(side.V.T @ side.normal @ side.V)
    along = cho_solve((K, True), normal, check_finite=False)

    def solve(h, rp, R, rt):
        rf, rg = rp[:n] - np.bincount(I, h, n), rp[n:] - np.bincount(J, h, m)
        u = solve_triangular(L, (rg - Wt @ (rf / r))[:-1], lower=True, check_finite=False)
        right = svec(side.V.T @ R @ side.V + (Z.T * h) @ Z) + Bf.T @ (rf / r) + Y.T @ u
        z = cho_solve((K, True), right, check_finite=False)
        dt = (normal @ z - rt) / (normal @ along)
        y = z - dt * along
        dg = np.append(solve_triangular(L, u + Y @ y, lower=True, trans=1, check_finite=False), 0.0)
        return (rf + Bf @ y - Wt.T @ dg) / r, dg, side.V @ smat(y, d) @ side.V.T, dt, None

    return solve


def _moments(Z, w, I, J, shape):
    """(A^T w A, its lower triangle; sum_j w A; sum_i w A), with the rows A in blocks."""
    i, j, root = _triangle(Z.shape[1])
    K = np.zeros((len(i), len(i)), order="F")
    sums, step = [np.zeros((size, len(i))) for size in shape], max(BLOCK // len(i), 1)
    for low in range(0, len(w), step):
        part = slice(low, low + step)
        half, z = np.sqrt(w[part]), Z[part]
        A = z[:, i] * z[:, j] * root * half[:, None]
        K = dsyrk(1.0, A.T, beta=1.0, c=K, overwrite_c=1, lower=1)
        for total, ends in zip(sums, (I[part], J[part]), strict=True):
            total += sp.csr_array((half, (ends, np.arange(len(half)))), shape=(len(total), len(half))) @ A
    return K, *sums


def by_pairs(pairs, shape, side):
    """Eliminate Y by 1/D, then one LU of size P + n + m, refined twice: for fewer pairs P than dimensions of Q.

    (diag(s/pi) + A D^-1 A^T, -B; -B^T, C). Here dpi is what comes out accurately.
    """
    (n, m), I, J, P, ratio = shape, pairs.I, pairs.J, len(pairs.I), pairs.s / pairs.pi
    Z, N, e = pairs.Z @ side.V, side.V.T @ side.normal @ side.V, len(pairs.I) + n + m - 1
    U, last, K = N / side.D, np.flatnonzero(J < m - 1), np.zeros((e + 1, e + 1))
    K[:P, :P] = _gram(Z, side.D)
    K[np.arange(P), np.arange(P)] += ratio
    K[np.arange(P), P + I] = K[last, P + n + J[last]] = -1
    K[:P, e] = -quadratic(Z, U)
    K[P:, :P] = K[:P, P:].T
    K[e, e] = np.vdot(U, N)
    size = K.diagonal().copy()
    size[P:e] = np.append(np.bincount(I, 1 / size[:P], n), np.bincount(J, 1 / size[:P], m)[:-1])
    K[np.arange(P, e), np.arange(P, e)] = -1e-14 * size[P:e]  # pairs may all but fall apart into pieces
    size = np.sqrt(size)
    K /= size[:, None]
    K /= size
    LU = lu_factor(K, check_finite=False)

    def solve(h, rp, R, rt):
        R = (side.V.T @ R @ side.V) / side.D
        right = np.concatenate([h * ratio - quadratic(Z, R), -rp[:-1], [np.vdot(N, R) - rt]]) / size
        z = lu_solve(LU, right, check_finite=False)
        for _ in range(2):
            z += lu_solve(LU, right - K @ z, check_finite=False)
        z /= size
        Y = symmetrize((Z.T * z[:P]) @ Z) / side.D + R - z[e] * U
        return z[P : P + n], np.append(z[P + n : e], 0.0), side.V @ Y @ side.V.T, z[e], z[:P]

    return solve


def _gram(Z, D):
    """sum_ij z_i z_j z'_i z'_j / D_ij for all pairs of rows: 1/D is a sum of few products, numerically."""
    c, U = np.linalg.eigh(1 / D)
    keep = np.abs(c) > 1e-14 * np.abs(c).max()
    return sum(weight * ((Z * u) @ Z.T) ** 2 for weight, u in zip(c[keep], U[:, keep].T, strict=True))


def _cholesky(K, diagonal):
    """The lower Cholesky factor of K, which is overwritten; with more of its ``diagonal`` where rounding needs it."""
    ridge = RIDGE
    while ridge < 1:
        K[np.diag_indices(len(K))] += ridge * diagonal
        try:
            return np.linalg.cholesky(K)
        except np.linalg.LinAlgError:
            ridge *= 10
    raise np.linalg.LinAlgError("a Newton system of the joint program is not finite")
