"""What ``value`` and ``support`` determine: the polar, the projection on K and the measure-LMO multiplier.

Each is a convex problem over K. K is replaced by the hull of the atoms Q_j = support(S_j) found so far; Newton solves
that small problem, its dual matrix S proposes the next atom, and the difference of the two values is the certificate.
"""

import numpy as np

from .._validation import EPS, symmetrize
from .newton import barrier_newton

TOLERANCE = 1e-9
MAX_ATOMS = 600


def multiplier(gauge, C):
    """P = B^+ on the range of C, where B minimises tr(B^{-1} C) over K.  [Thm 2.5]

    With V = P C P, the velocity covariance, <B, V> <= gamma(V) and equality is optimality. Singular C needs care:
    atoms come from matrices on range(C), B is inverted on the atoms' range only, and C is never perturbed.
    """
    d, scale = len(C), np.trace(C)
    if scale == 0:
        return np.zeros((d, d))
    w, U = np.linalg.eigh(C / scale)
    keep = w > 10 * d * EPS * w[-1]
    U, R = U[:, keep], U[:, keep] * np.sqrt(w[keep])
    atoms = _cover(gauge, R, [gauge.support(R @ R.T), *(gauge.support(np.outer(u, u)) for u in U.T)])
    q = np.full(len(atoms), 1 / len(atoms))
    best, P, gap, unit = np.inf, None, 1.0, None
    while len(atoms) <= MAX_ATOMS:
        W = _range(atoms)
        T, B = W.T @ np.array(atoms) @ W, W.T @ R
        unit = unit or _inverse_trace(T, B, 1.0)(q)[0]
        f = _inverse_trace(T, B, unit)
        for mu in _schedule(gap, TOLERANCE, len(atoms)):
            q, derivatives = barrier_newton(f, q, mu, simplex=True)
        Y = np.linalg.solve(np.tensordot(q, T, 1), B)
        V = symmetrize(W @ Y @ Y.T @ W.T)
        attained, bound = gauge.value(V), (B * Y).sum()
        gap = 1 - bound / attained
        if gap < best:
            inverse = np.linalg.inv(np.tensordot(q, T, 1))
            best, P = gap, symmetrize(W @ inverse @ W.T) * (bound / attained)
        if gap <= TOLERANCE:
            break
        atoms, q = _extend(atoms, q, gauge.support(V), d)
    return P


def _inverse_trace(T, B, unit):
    """q -> tr((sum_j q_j T_j)^{-1} B B^T) / unit."""

    def f(q):
        M = np.tensordot(q, T, 1)
        try:
            L = np.linalg.cholesky(M)
        except np.linalg.LinAlgError:
            return np.inf, None
        X = np.linalg.solve(L, B)

        def derivatives():
            Y = np.linalg.solve(L.T, X)
            TY = T @ Y
            LTY = np.linalg.solve(L, TY).reshape(len(T), -1)
            return -(TY * Y).sum((1, 2)) / unit, 2 / unit * (LTY @ LTY.T)

        return (X**2).sum() / unit, derivatives

    return f


def polar(gauge, Q):
    """min {sum_j q_j : sum_j q_j Q_j >= Q}; the multiplier S of the matrix inequality certifies <Q, S>/gamma(S)."""
    scale = np.abs(Q).max()
    if scale == 0:
        return 0.0
    Q = Q / scale
    w, U = np.linalg.eigh(Q)
    keep = w > 10 * len(w) * EPS * w[-1]
    R = U[:, keep] * np.sqrt(w[keep])
    atoms = _cover(gauge, R, [gauge.support(Q), gauge.support(symmetrize(U[:, keep] @ U[:, keep].T))])
    W = _range(atoms)
    need = 1 / np.linalg.eigvalsh(W.T @ sum(atoms) @ W)[0]
    q = np.full(len(atoms), 1.1 * need)
    lower, upper, gap = 0.0, np.inf, 1.0
    while len(atoms) <= MAX_ATOMS:
        W = _range(atoms)
        T, target, unit = W.T @ np.array(atoms) @ W, W.T @ Q @ W, q.sum()
        for mu in _schedule(gap, TOLERANCE, len(atoms) + len(W.T)):
            q, _ = barrier_newton(_cover_cost(T, target, unit, mu), q, mu)
        S = symmetrize(W @ np.linalg.inv(np.tensordot(q, T, 1) - target) @ W.T)
        lower, upper = max(lower, (Q * S).sum() / gauge.value(S)), min(upper, q.sum())
        gap = 1 - lower / upper
        if gap <= TOLERANCE:
            break
        atoms, q = _extend(atoms, q, gauge.support(S), len(Q))
    return float(scale * upper)


def _cover_cost(T, target, unit, mu):
    """q -> sum_j q_j / unit - mu log det(sum_j q_j T_j - target)."""

    def f(q):
        try:
            L = np.linalg.cholesky(np.tensordot(q, T, 1) - target)
        except np.linalg.LinAlgError:
            return np.inf, None

        def derivatives():
            white = _whiten(L, T)
            gradient = 1 / unit - mu * np.trace(white, axis1=1, axis2=2)
            flat = white.reshape(len(T), -1)
            return gradient, mu * (flat @ flat.T)

        return q.sum() / unit - 2 * mu * np.log(np.diag(L)).sum(), derivatives

    return f


def project(gauge, A):
    """argmin |Q - A|^2 / 2 over 0 <= Q <= sum_j q_j Q_j, sum_j q_j <= 1; dual |A|^2/2 - |(A-S)_+|^2/2 - gamma(S)."""
    d = len(A)
    positive = _positive_part(A)
    if gauge.polar(positive) <= 1:
        return positive
    atoms = _cover(gauge, np.eye(d), [gauge.support(np.eye(d)), gauge.support(positive)])
    unit = np.abs(sum(atoms)).max() / len(atoms)
    A = A / unit
    atoms = [Q / unit for Q in atoms]
    basis = _symmetric_basis(d)
    weight = max(1.0, np.abs(A).max())
    q = np.full(len(atoms), 0.9 / len(atoms))
    x = np.concatenate([q, np.tensordot(basis, 0.5 * np.tensordot(q, np.array(atoms), 1), 2)])
    best, result, gap = np.inf, None, 1.0
    while len(atoms) <= MAX_ATOMS:
        T = np.array(atoms)
        for mu in _schedule(gap, 1e-2 * TOLERANCE, len(atoms) + 2 * d):
            x, _ = barrier_newton(_interval_cost(T, A, basis, weight, mu), x, mu, positive=len(T))
        q, Q = x[: len(T)], np.tensordot(x[len(T) :], basis, 1)
        S = symmetrize(np.linalg.inv(np.tensordot(q, T, 1) - Q)) * (mu * weight)
        bound = 0.5 * (A**2).sum() - 0.5 * (_positive_part(A - S) ** 2).sum() - gauge.value(S) / unit
        value = 0.5 * ((Q - A) ** 2).sum()
        gap = max(value - bound, 0) / (weight * (1 + value / weight))
        if gap < best:
            best, result = gap, Q
        if gap <= 1e-2 * TOLERANCE:
            break
        atoms.append(gauge.support(S) / unit)
        fresh = 0.1 * (1 - q.sum())
        x = np.concatenate([q, [fresh], x[len(q) :]])
    return result * unit


def _interval_cost(T, A, basis, weight, mu):
    """(q, Q) -> |Q - A|^2/(2 weight) - mu [log det Q + log det(sum_j q_j T_j - Q) + log(1 - sum_j q_j)]."""
    k = len(T)

    def f(x):
        q, Q = x[:k], np.tensordot(x[k:], basis, 1)
        slack = 1 - q.sum()
        if slack <= 0:
            return np.inf, None
        try:
            L, M = np.linalg.cholesky(Q), np.linalg.cholesky(np.tensordot(q, T, 1) - Q)
        except np.linalg.LinAlgError:
            return np.inf, None

        def derivatives():
            inner, outer = _whiten(L, basis), _whiten(M, np.concatenate([T, -basis]))
            gradient = -mu * np.trace(outer, axis1=1, axis2=2)
            gradient[:k] += mu / slack
            gradient[k:] += np.tensordot(basis, Q - A, 2) / weight - mu * np.trace(inner, axis1=1, axis2=2)
            inner, outer = inner.reshape(len(basis), -1), outer.reshape(len(x), -1)
            hessian = mu * (outer @ outer.T)
            hessian[:k, :k] += mu / slack**2
            hessian[k:, k:] += mu * (inner @ inner.T) + np.eye(len(basis)) / weight
            return gradient, hessian

        logs = 2 * np.log(np.diag(L)).sum() + 2 * np.log(np.diag(M)).sum() + np.log(slack)
        return 0.5 * ((Q - A) ** 2).sum() / weight - mu * logs, derivatives

    return f


def _schedule(gap, tolerance, complexity):
    """Barrier weights from a tenth of the current gap down to a tenth of the tolerance, by factors of 30 at most."""
    target, start = 0.1 * tolerance / complexity, 0.1 * min(max(gap, tolerance), 1.0) / complexity
    stages = 1 + int(np.ceil(np.log(start / target) / np.log(30)))
    return np.geomspace(start, target, stages) if stages > 1 else np.array([target])


def _cover(gauge, R, atoms):
    """Add supports of rank-one matrices until the atoms' ranges contain the columns of R."""
    while len(atoms) <= MAX_ATOMS:
        W = _range(atoms)
        missed, s, _ = np.linalg.svd(R - W @ (W.T @ R))
        if s[0] <= 1e-10 * np.linalg.norm(R, 2):
            break
        atoms.append(gauge.support(np.outer(missed[:, 0], missed[:, 0])))
    return atoms


def _range(atoms):
    """An orthonormal basis (d, k) of the sum of the ranges of the atoms."""
    w, U = np.linalg.eigh(sum(Q / np.trace(Q) for Q in atoms) / len(atoms))
    return U[:, w > 1e-13 * w[-1]]


def _extend(atoms, q, new, d):
    """Append an atom with a small weight; drop the negligible ones once there are more than an optimum can need."""
    keep = q > 1e-10 * q.max() if len(atoms) > d * (d + 1) // 2 + 5 else q > 0
    q = np.append(q[keep], 0.05 * q.sum())
    return [Q for Q, kept in zip(atoms, keep, strict=True) if kept] + [new], q / q.sum() * (
        q[:-1].sum() + q[-1]
    )


def _whiten(L, T):
    """L^{-1} T_j L^{-T} for each j: symmetric, and the only way a log determinant sees T."""
    half = np.linalg.solve(L, T)
    return np.linalg.solve(L, np.swapaxes(half, -1, -2))


def _positive_part(A):
    w, U = np.linalg.eigh(A)
    return (U * np.maximum(w, 0)) @ U.T


def _symmetric_basis(d):
    """An orthonormal basis (d(d+1)/2, d, d) of symmetric matrices."""
    i, j = np.triu_indices(d)
    basis = np.zeros((len(i), d, d))
    basis[np.arange(len(i)), i, j] = basis[np.arange(len(i)), j, i] = np.where(i == j, 1.0, np.sqrt(0.5))
    return basis
