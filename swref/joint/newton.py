"""The Newton system of the joint program, factored one of two ways: by metric, or by pairs.

Unknown are changes of the potentials f (n,), g (m,), of the metric dQ = V Y V^T, of t and of the plan pi. With the rows
A_p = svec of (V^T z_p)(V^T z_p)^T, w = pi/s, D the side's diagonal and N = V^T normal V,

    sum_j dpi = r_f, sum_i dpi = r_g,   dpi = h - w (A Y - df - dg),   A^T dpi - D Y - dt N = -R,   <N, Y> = r_t.

Both functions return ``solve(h, rp, R, rt)`` -> (df, dg, dQ, dt, dpi); rp = (r_f, r_g), R (d, d).
"""

from functools import cache, partial

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_solve, cholesky, get_blas_funcs, lu_factor, lu_solve, solve_triangular

from .._validation import symmetrize
from ..network.search import row_blocks

BLOCK = 2**19  # entries of rows A, or of their products, that are held at a time: 4 MB
RIDGE = 1e-15  # of the diagonal, raised tenfold until a matrix that rounding made indefinite has its Cholesky factor

dsyrk, dtrsm = get_blas_funcs(("syrk", "trsm"), dtype=np.float64)


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
    return np.einsum("pi,pi->p", Z @ Q, Z)


def by_metric(pairs, shape, side):
    """Eliminate f, a diagonal, then g, a Laplacian, then factor the matrix of Y: for more pairs than dimensions of Q.

    (A^T w A + D - B^T L^-1 B) Y = ..., and w, D > 0: the cost is P N^2 + m^2 N + N^3/3 for P pairs and N = d (d+1)/2.
    """
    (n, m), I, J, Z, w, d = shape, pairs.I, pairs.J, pairs.Z, pairs.pi / pairs.s, len(side.V)
    r = np.bincount(I, w, n)
    W = sp.csr_array((w / np.sqrt(r)[I], (J, I)), shape=(m, n))
    K, B = _without_f(Z, side.V, w, I, J, W)
    L = W @ -W.T
    L.setdiag(0)
    L.setdiag(-L.sum(1))  # of a Laplacian: from its rows nothing cancels
    L = _cholesky(partial(L[:-1, :-1].toarray, order="F"), np.bincount(J, w, m)[:-1])
    Y = dtrsm(1.0, L, B[:-1].T, side=1, lower=1, trans_a=1, overwrite_b=1)  # (L^-1 B)^T, in the place of B
    K = dsyrk(-1.0, Y, beta=1.0, c=K, overwrite_c=1, lower=1)
    K[np.diag_indices(len(K))] += side.D[_triangle(d)[:2]]
    K = _cholesky(partial(K.copy, order="F"), K.diagonal())
    along = cho_solve((K, True), normal := svec(side.V.T @ side.normal @ side.V), check_finite=False)

    def solve(h, rp, R, rt):
        rf = rp[:n] - np.bincount(I, h, n)
        v = h + w * (rf / r)[I]
        u = solve_triangular(L, (rp[n:] - np.bincount(J, v, m))[:-1], lower=True, check_finite=False)
        right = svec(side.V.T @ (R + (Z.T * v) @ Z) @ side.V) + Y @ u
        z = cho_solve((K, True), right, check_finite=False)
        dt = (normal @ z - rt) / (normal @ along)
        y = z - dt * along
        dg = np.append(solve_triangular(L, u + Y.T @ y, lower=True, trans=1, check_finite=False), 0.0)
        dQ = side.V @ smat(y, d) @ side.V.T
        ds = quadratic(Z, dQ) - dg[J]
        df = (rf + np.bincount(I, w * ds, n)) / r
        return df, dg, dQ, dt, h - w * (ds - df[I])

    return solve


def _without_f(Z, V, w, I, J, W):
    """What is left of A^T w A, its lower triangle, and of sum_i w A once f is eliminated; the rows A in blocks."""
    i, j, root = _triangle(len(V))
    K, (m, n) = np.zeros((len(i), len(i)), order="F"), W.shape
    F, B = (np.zeros((size, len(i))) for size in (n, m))
    for part in row_blocks(len(w), len(i), BLOCK):
        half = np.sqrt(w[part])
        z = np.sqrt(half)[:, None] * (Z[part] @ V)
        A = np.take(z, i, 1) * np.take(z, j, 1)  # row by row, which z[:, i] would not be: ten times faster
        A *= root
        K = dsyrk(1.0, A.T, beta=1.0, c=K, overwrite_c=1, lower=1)
        for total, ends in ((F, I[part]), (B, J[part])):
            met, place = np.unique(ends, return_inverse=True)
            total[met] += sp.csr_array((half, (place, np.arange(len(half)))), shape=(len(met), len(half))) @ A
    F /= np.sqrt(np.bincount(I, w, n))[:, None]
    K = dsyrk(-1.0, F.T, beta=1.0, c=K, overwrite_c=1, lower=1)
    for rows in row_blocks(m, len(i), BLOCK):
        B[rows] -= W[rows] @ F
    return K, B


def by_pairs(pairs, shape, side):
    """Eliminate Y by 1/D, then one LU of size P + n + m, refined twice: for fewer pairs P than dimensions of Q.

    (diag(s/pi) + A D^-1 A^T, -B; -B^T, C). Here dpi is what comes out accurately.
    """
    (n, m), I, J, P, ratio = shape, pairs.I, pairs.J, len(pairs.I), pairs.s / pairs.pi
    Z, N, e = pairs.Z @ side.V, side.V.T @ side.normal @ side.V, len(pairs.I) + n + m - 1
    U, last, K = N / side.D, np.flatnonzero(J < m - 1), np.zeros((e + 1, e + 1))
    _add_gram(K[:P, :P], Z, side.D)
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


def _add_gram(K, Z, D):
    """Add sum_ij z_i z_j z'_i z'_j / D_ij for all pairs of rows: 1/D is a sum of few products, numerically."""
    c, U = np.linalg.eigh(1 / D)
    keep = np.abs(c) > 1e-14 * np.abs(c).max()
    for rows in row_blocks(len(Z), len(Z), BLOCK):
        for weight, u in zip(c[keep], U[:, keep].T, strict=True):
            K[rows] += weight * ((Z[rows] * u) @ Z.T) ** 2


def _cholesky(fresh, diagonal):
    """The lower Cholesky factor of the matrix ``fresh()``, in its place; with what rounding needs of ``diagonal``."""
    ridge = RIDGE
    while ridge < 1:
        K = fresh()
        K[np.diag_indices(len(K))] += ridge * diagonal
        try:
            return cholesky(K, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            ridge *= 10
    raise np.linalg.LinAlgError("a Newton system of the joint program is not finite")
