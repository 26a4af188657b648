"""Gaussians: a lower bound from one metric, the moment of a coupling, factors of covariances, all with their rounding.

Every error is a displacement: a factor F computed from S comes with delta (d,) such that
W_gamma(N(0, S), N(0, F F^T))^2 <= gamma(diag(delta^2)), and by the triangle inequality of W_gamma

    sqrt(L) = W_Q(F0, F1)/gamma_polar(Q)^(1/2) - r,    sqrt(U) = gamma(moment)^(1/2) + r,    r the ``radius`` of deltas.
"""

import numpy as np

from .._rounding import difference, metric_size, norm_upper, rounding
from .._validation import EPS, symmetrize

# Eigenvalues below this part of the largest are computed anew; what is left of their standard deviations is at most
# about sqrt(TAIL eps) times the largest.
TAIL = 1e-10
INVERTIBLE = 1e-13  # least ratio of singular values at which the dual map is used as an invertible matrix
KEPT = 1e-6  # directions are split at this part of the largest standard deviation


def metric_lower(gauge, Q, F0, F1, shift, equal, extra):
    """At most W_gamma^2 between N(0, S0) and N(shift, S1), from one metric Q in K, for Gaussians with factors F0, F1.

    ``extra`` is the radius of what separates the factors from the covariances; ``equal``: S0 = S1.
    """
    d = len(Q)
    lam, U = np.linalg.eigh(Q)
    keep = lam > d * EPS * lam[-1]
    R = np.sqrt(lam[keep])[:, None] * U[:, keep].T  # R^T R is positive semidefinite, whatever rounding did to Q
    size = np.sqrt(metric_size(gauge, R.T @ R)) * (1 + EPS)
    root = split_distance(R, F0, F1, shift, equal) / size - extra
    return max(root, 0.0) ** 2 * (1 - 4 * EPS)


def split_distance(R, F0, F1, shift, equal):
    """``metric_distance``, or if that is more the same on two orthogonal subspaces, where one is almost flat.

    |R x|^2 = |P^T R x|^2 + |P'^T R x|^2, and the two parts of a coupling cost at least as much as the best of each.
    """
    whole, thin = metric_distance(R, F0, F1, shift, equal), min(F0, F1, key=np.size)
    if equal or not thin.size:
        return whole
    P, s, _ = np.linalg.svd(R @ (thin if thin.shape[1] < len(R) else np.column_stack([F0, F1])))
    keep = np.append(s, np.zeros(len(P) - len(s))) > KEPT * s[0]
    if keep.all():
        return whole
    parts = [max(metric_distance(P[:, one].T @ R, F0, F1, shift, equal), 0.0) for one in (keep, ~keep)]
    return max(whole, np.hypot(*parts) * (1 - _orthogonality(P) - 2 * EPS))


def metric_distance(R, F0, F1, shift, equal):
    """At most the distance between N(0, F0 F0^T) and N(shift, F1 F1^T) in the metric |R x|, R (k, d)."""
    z, G0, G1 = R @ shift, R @ F0, R @ F1
    lost, centred = rounding(len(shift)) * np.linalg.norm(np.abs(R) @ np.abs(shift)), 0.0
    if not equal:
        lost += sum(norm_upper(*difference(R, F, G)) for F, G in ((F0, G0), (F1, G1)))
        centred = max(_nuclear_bound(G0, G1), 0.0)
    return np.hypot(centred, np.linalg.norm(z)) * (1 - rounding(len(z))) - lost


def _nuclear_bound(G0, G1):
    """At most the W_2 distance between N(0, G0 G0^T) and N(0, G1 G1^T), G (k, r): the larger of two bounds.

    The closed form |G0|^2 + |G1|^2 - 2 |G1^T G0|_*, to eps |G|^2; and by duality: for C = U_q V_q^T from
    G1^T G0 = U sigma V^T and any invertible N, 2 x.y <= |N^T y|^2 + |N^-1 x|^2 gives

        W^2 >= |G1 C - G0|^2 - |N^T G1 C - N^-1 G0|^2.

    With N = G0 V sigma^(-1/2), N^-1 = sigma^(-1/2) U^T G1^T, the last term is the square of rounding. The rest is a sum
    of squares, accurate for Gaussians that nearly coincide.
    """
    A = G1.T @ G0
    norms = np.linalg.norm(G0), np.linalg.norm(G1)
    if not A.size:
        return np.hypot(*norms) * (1 - rounding(G0.size + G1.size))
    U, s, Vt = np.linalg.svd(A)
    q = len(s)
    turned = _orthogonality(Vt.T), _orthogonality(U)
    residual = np.linalg.norm(A - (U[:, :q] * s) @ Vt[:q]) + rounding(len(A) + q) * s.sum()
    nuclear = s.sum() * (1 + 2 * sum(turned)) + np.sqrt(q) * (residual + rounding(len(G0)) * norms[0] * norms[1])
    closed = (norms[0] ** 2 + norms[1] ** 2) * (1 - rounding(G0.size + G1.size)) - 2 * nuclear
    return max(np.sqrt(max(closed, 0.0)), _dual_bound(G0, G1, U, s, Vt, norms, turned))


def _dual_bound(G0, G1, U, s, Vt, norms, turned):
    """The second of the two bounds; 0 where the map between the Gaussians is not safely invertible."""
    k = len(G0)
    if len(s) < k or s[k - 1] <= INVERTIBLE * s[0]:
        return 0.0
    # G0 V and G1 U for the nearest orthogonal U, V, up to eX and eY
    (X, eX), (Y, eY) = difference(G0, Vt.T), difference(G1, U)
    eX, eY = (size * (turn + EPS) + error for size, turn, error in zip(norms, turned, (eX, eY), strict=True))
    steps = _paired(Y, X, k)
    cost = np.linalg.norm(steps) * (1 - rounding(steps.size)) - eX - eY

    N, inverse = X[:, :k] / np.sqrt(s[:k]), (Y[:, :k] / np.sqrt(s[:k])).T
    off = np.abs(inverse @ N - np.eye(k)) + rounding(k) * np.abs(inverse) @ np.abs(N)
    spread = np.linalg.norm(off)
    if spread > 0.5:
        return 0.0
    TY, TX = N.T @ Y, inverse @ X
    slip = np.linalg.norm(off @ np.abs(TX)) / (1 - spread)  # N^-1 X = (I + off)^-1 (inverse X)
    slip += rounding(k) * (np.linalg.norm(np.abs(N.T) @ np.abs(Y)) + 2 * np.linalg.norm(np.abs(inverse) @ np.abs(X)))
    slip += np.linalg.norm(N) * eY + 2 * np.linalg.norm(inverse) * eX
    loss = np.linalg.norm(_paired(TY, TX, k)) * (1 + rounding(TX.size + TY.size)) + slip
    return np.sqrt(max(cost * cost * (1 - 2 * EPS) - loss * loss, 0.0)) if cost > 0 else 0.0


def _paired(Y, X, k):
    return np.column_stack([Y[:, :k] - X[:, :k], X[:, k:], Y[:, k:]])


def _orthogonality(U):
    """At least the Frobenius distance of U (n, r) to the nearest matrix with orthonormal columns: |U^T U - I|."""
    return norm_upper(*difference(U.T, U, np.eye(U.shape[1])))


def coupling_steps(F0, F1, W):
    """(steps, delta) for x = F0 xi, y = F1 W z, z = (xi, zeta): y - x = steps z; delta (d,): the error of W W^T = I.

    The nearest W with W W^T = I moves y by at most |W W^T - I| |F1|.
    """
    d = len(F0)
    steps, error = difference(F1, W, np.column_stack([F0, np.zeros((d, W.shape[1] - F0.shape[1]))]))
    return steps, np.sqrt(d) * np.linalg.norm(F1, axis=1) * _orthogonality(W.T) + error


# -- factors ------------------------------------------------------------------------------------------------------


def covariance_factor(S):
    """(F (d, r), delta (d,)) with W_gamma(N(0, S), N(0, F F^T))^2 <= gamma(diag(delta^2)) for a symmetric (d, d) S.

    S = D R D with powers of two D that make the diagonal of R about one, so that graded covariances keep their digits;
    rows that are zero stay zero. An S with a negative eigenvalue stands for its positive semidefinite part, for which
    D must be a multiple of the identity.
    """
    F, delta = np.zeros((len(S), 0)), np.zeros(len(S))
    live = S.any(1)
    if not live.any():
        return F, delta
    part = S[np.ix_(live, live)]
    diagonal, common = part.diagonal(), np.full(len(part), np.abs(part).max())
    for top in [diagonal, common] if (diagonal > 0).all() else [common]:
        exponent = (np.frexp(top)[1] + 1) // 2
        factor, rho, definite = _scaled_factor(np.ldexp(part, -(exponent[:, None] + exponent)))
        if definite:
            break
    F = np.zeros((len(S), factor.shape[1]))
    F[live] = np.ldexp(factor, exponent[:, None])
    delta[live] = np.ldexp(rho, exponent)
    return F, delta


def cloud_factor(x, weights):
    """(centre, rest, F, delta): a cloud x (n, d) has mean centre + rest and the covariance of F, up to delta (d,).

    z (n,) standard normal: x^T sqrt(w) z has the covariance of the cloud, and so has F P^T z if P has orthonormal
    columns.
    """
    n, d = x.shape
    centre = weights @ x
    near = x - centre
    rest = weights @ near
    rows = np.sqrt(weights)[:, None] * (near - rest)
    P, s, Vt = np.linalg.svd(rows, full_matrices=False)
    keep = s > max(n, d) * EPS * s[0]
    P, F = P[:, keep], Vt[keep].T * s[keep]
    size, spread = np.linalg.norm(rows, axis=0), np.sqrt(weights @ near**2)
    # the residual of the factor; its rounding; that of the weights, of rest and of the rows
    gap, error = difference(P, F.T, rows)
    delta = np.linalg.norm(gap, axis=0) + error + _orthogonality(P) * np.linalg.norm(F, axis=1)
    delta += 2 * rounding(n) * (size + spread)
    return centre, rest, F, np.sqrt(d) * delta


def _scaled_factor(R):
    """(F, rho, definite) with W_2(N(0, R), N(0, F F^T)) <= rho; ``definite``: R is certainly positive definite.

    F = U sqrt(lam), and E = R - F F^T is known to twice the digits. With Y_ij = (U^T E U)_ij / (sqrt(lam_i) +
    sqrt(lam_j)), F + U Y is a factor of R up to squares of rounding, Q, whose root costs |Q|/sqrt(lambda_min).
    """
    lam, U = np.linalg.eigh(R)
    top = max(lam[-1], -lam[0])
    main = lam > max(TAIL * top, -4 * lam[0])
    root = np.sqrt(lam * main, where=main, out=np.zeros(len(lam)))
    F = U[:, main] * root[main]
    E, error = difference(F, -F.T, -R)
    error += EPS * np.linalg.norm(E)
    turned = _orthogonality(U)
    error += 3 * (turned + len(R) * rounding(len(R))) * np.linalg.norm(E)  # of U^T E U, U replaced by its nearest
    least = lam[main][0] - 2 * np.linalg.norm(E) - rounding(len(R)) * top
    y = np.linalg.norm(U.T @ E @ U[:, main] / (root[:, None] + root[main]))
    second = y + (turned + 2 * EPS) * np.sqrt(top)
    rho = 1.5 * y + 3 * (error + second * second) / np.sqrt(least)
    if main.all():
        return F, rho, True
    tail, rest, definite = _tail_factor(U[:, ~main], E, error + 3 * second * second, y, least)
    return np.column_stack([F, tail]), rho + rest, definite


def _tail_factor(V, E, error, lean, least):
    """``_scaled_factor`` on the other eigenvectors V (d, t): those of T = V^T E V, the positive ones.

    R is congruent to a block on the main ones and a Schur complement S with |S - T| <= error. Replacing S by the
    positive part of T costs |S - T_+|_*^(1/2) (Powers, Stormer). If S has negative eigenvalues, the positive part of R
    is not that of S, because their eigenvectors lean out of V by at most lean / sqrt(least).
    """
    d, t = V.shape
    T = symmetrize(V.T @ E @ V)
    lam, N = np.linalg.eigh(T)
    size = np.abs(lam).max()
    error += np.linalg.norm(T @ N - N * lam) + (t * rounding(t) + 5 * _orthogonality(N)) * size
    negative = max(-lam[0], 0.0) + error
    error += np.sqrt(np.sqrt(t) * 2 * np.linalg.norm(E) * negative * lean / np.sqrt(least))
    root = np.sqrt(np.maximum(lam, 0))
    rho = np.sqrt(np.sqrt(t) * error) + 2 * _orthogonality(V) * np.sqrt(size)
    rho += np.sqrt(d) * rounding(t) * np.linalg.norm(root)
    return (V @ N) * root, rho, lam[0] > error
