"""What ``value`` and ``support`` determine: the measure LMO, the polar, the projection on K.

Each is a convex problem over K. K is replaced by the hull of the atoms Q_j = support(S_j) found so far; Newton with a
log barrier solves that small problem; its dual matrix S proposes the next atom; the difference of the two values
is the certificate. The barrier follows the gap down: exact solutions sit at corners, where cuts are shallow.
"""

import numpy as np

from .._validation import symmetrize
from .axioms import check_at
from .door import ATTAINED, attained, check_feasible, fault
from .newton import _factor, _solve, barrier_newton

TOLERANCE = 1e-9  # the relative gap promised
LONGEST = 25  # most supports that a search asks for, per dimension of K, and 100 more; fifteen were met, at corners
PATIENCE, LAST_DIGITS = 100, 10  # supports without halving the gap that end a search: short of TOLERANCE, and beyond it
MULTIPLIER, POLAR, PROJECTION = 1e-12, 5e-10, 1e-11  # relative gaps that the searches aim at
LOOSE, LOOSER = 0.3, 0.6  # of the gap is left to the barrier: in weights of atoms, in S, whose steps cost more
NEW_SHARE = 0.05  # most weight that new atoms start with; it is the root of the gap when that is less
NEGLIGIBLE, UNUSED = 0.1, 1e-9  # atoms dropped: together within this part of the gap, and of this part of the weight
MISSED, RANK = 1e-10, 1e-13  # relative: a direction outside the ranges of the atoms, an eigenvalue that counts as zero
FAR, SHOWS = 1e10, 1e4  # times too large: what a projection first moves towards 0; where its rounding shows
CLOSE = 1e-12  # relative: eigenvalues whose divided difference is the derivative
MOST_STEPS, DECREMENT = 50, 1e-2  # of Newton's method in S, and the part of mu at which its decrement ends it
BOUNDARY, SHORTEST, ARMIJO = 0.95, 1e-14, 1e-4  # of its line search: of the way out of the cone, least, share of gain


class _Search:
    """The best candidate so far, its gap, and when to stop: at ``target``, or when the gap no longer halves."""

    def __init__(self, gauge, target, looseness, start):
        self.gauge, self.target, self.looseness, self.S = gauge, target, looseness, start
        self.gap, self.best, self.candidate = 1.0, np.inf, start
        self.halved, self.waited, self.asked = np.inf, 0, 0
        self.most = PATIENCE + LONGEST * len(start) * (len(start) + 1) // 2

    def report(self, gap, candidate, S, value, atoms):
        """A candidate and its gap; S, of this value, is the matrix at which the gauge proposes the next atom.

        GaugeError if the gap is negative because one of the atoms met earlier is outside K.
        """
        if gap < -ATTAINED:
            check_feasible(self.gauge, np.array(atoms), S, value)
        self.S, self.asked = S, self.asked + 1
        self.gap = min(abs(gap), 10 * self.gap)  # a jump up tells of one bad candidate: do not start again
        self.waited += 1
        if abs(gap) < self.best:
            self.best, self.candidate = abs(gap), candidate
        if self.best < 0.5 * self.halved:
            self.halved, self.waited = self.best, 0

    @property
    def active(self):
        patient = self.waited < (PATIENCE if self.best > TOLERANCE else LAST_DIGITS) and self.asked < self.most
        return self.best > self.target and patient

    def barrier(self, terms):
        """The barrier weight at which ``terms`` barriers cost a fraction ``looseness`` of the gap."""
        self.gap = min(max(self.gap, self.target), 1.0)
        return self.looseness * self.gap / terms

    def result(self):
        if self.best > TOLERANCE:
            check_at(self.gauge, self.S)
            what = f"the certificate stopped at a relative gap of {self.best:.2g} instead of {TOLERANCE:g}, although "
            what += "no axiom fails at S. Does swref.check_gauge accept this gauge?"
            raise fault(self.gauge, what, S=self.S)
        return self.candidate


def descent_factor(gauge, R) -> np.ndarray:
    """A = B^{-1} R (d, r) with B minimising tr(R^T B^{-1} R) over K, for R (d, r) of rank r.  [Thm 2.5]

    v = -A z solves the measure LMO of the forces g = R z, z white. With V = A A^T, the velocity covariance,
    <B, V> <= gamma(V), and equality is optimality. B may be singular if its range contains that of R: atoms come
    from matrices on range(R), B is inverted on the atoms' range only, and R is never perturbed.
    """
    scale = np.linalg.norm(R, 2)
    R = R / scale
    U = np.linalg.qr(R)[0]
    atoms = _cover(gauge, R, [attained(gauge, S)[0] for S in (symmetrize(R @ R.T), *(np.outer(u, u) for u in U.T))])
    search = _Search(gauge, target=MULTIPLIER, looseness=LOOSE, start=symmetrize(R @ R.T))
    q, unit = np.full(len(atoms), 1 / len(atoms)), None
    while search.active:
        try:
            Y, T, q = _least_inverse(R, atoms, q, unit, search)
        except np.linalg.LinAlgError:  # by rounding it is over, and with a broken gauge anything may happen
            break
        # For most gauges velocities stay in range(R). Where B nearly vanishes outside it, Y leaves it by rounding
        # errors that grow from call to call; the second candidate does not.
        candidates = [Y] if U.shape[1] == len(U) else [Y, U @ (U.T @ Y)]
        velocities = [symmetrize(Z @ Z.T) for Z in candidates]
        unit, pairings = np.vdot(R, Y), [np.vdot(R, Z) for Z in candidates]
        supports, values = zip(*(attained(gauge, V) for V in velocities), strict=True)
        gaps = [1 - p**2 / (unit * v) for p, v in zip(pairings, values, strict=True)]
        k = int(np.argmin(gaps))
        search.report(gaps[k], candidates[k] * (pairings[k] / values[k]), velocities[k], values[k], atoms)
        atoms, q = _prune(atoms, q, T, R, search.gap)
        atoms += supports
        share = min(NEW_SHARE, np.sqrt(search.gap))
        q = np.append((1 - share) * q, np.full(len(velocities), share / len(velocities)))
    return search.result() * scale


def _least_inverse(R, atoms, q, unit, search):
    """(B^{-1} R, the atoms on their range, q) for the B = sum_j q_j Q_j with the least tr(R^T B^{-1} R).

    In units of ``unit``, a value met before, or None; to the accuracy of the barrier of ``search``.
    """
    W = _range(atoms)
    T, X = W.T @ np.array(atoms) @ W, W.T @ R
    unit = unit or _inverse_trace(T, X, 1.0)(q)[0]
    q, _ = barrier_newton(_inverse_trace(T, X, unit), q, search.barrier(len(q)))
    return W @ np.linalg.solve(np.tensordot(q, T, 1), X), T, q


def _prune(atoms, q, T, R, gap):
    """Drop atoms that together move B by less than the gap, and those without weight that R does not need.

    The leverage q_j tr(B^{-1} Q_j) compares an atom to B in its own directions: where B is small, the atoms that matter
    have small weights. Weights that vanish serve only directions that R does not have, where B cannot be inverted.
    """
    try:
        leverage = q * np.tensordot(T, np.linalg.inv(np.tensordot(q, T, 1)), 2)
    except np.linalg.LinAlgError:
        return atoms, q
    order = np.argsort(leverage)
    useful = np.empty(len(q), dtype=bool)
    useful[order] = np.cumsum(leverage[order]) > NEGLIGIBLE * gap
    for keep in (useful & (q > UNUSED * q.max()), useful):
        kept = [Q for Q, k in zip(atoms, keep, strict=True) if k]
        if _missed(kept, R) is None:
            break
    return kept, q[keep] / q[keep].sum()


def _inverse_trace(T, X, unit):
    """q -> tr(X^T (sum_j q_j T_j)^{-1} X) / unit."""

    def f(q):
        try:
            L = np.linalg.cholesky(np.tensordot(q, T, 1))
        except np.linalg.LinAlgError:
            return np.inf, None
        Z = np.linalg.solve(L, X)

        def derivatives():
            Y = np.linalg.solve(L.T, Z)
            TY = T @ Y
            LTY = np.linalg.solve(L, TY).reshape(len(T), -1)
            return -(TY * Y).sum((1, 2)) / unit, 2 / unit * (LTY @ LTY.T)

        return (Z**2).sum() / unit, derivatives

    return f


def _cover(gauge, R, atoms):
    """Add supports of rank-one matrices until the atoms' ranges contain the columns of R.

    u is orthogonal to these ranges and <Q, u u^T> = value(u u^T) > 0, so that each Q adds a dimension.
    """
    for _ in range(len(R) + 1):
        u = _missed(atoms, R)
        if u is None:
            return atoms
        atoms.append(attained(gauge, np.outer(u, u))[0])
    raise fault(gauge, "value(S) is too small: support(S) = Q hardly sees S", S=np.outer(u, u), Q=atoms[-1])


def _missed(atoms, R):
    """A unit vector (d,) of range(R) that the ranges of the atoms do not contain, or None."""
    W = _range(atoms)
    U, s, _ = np.linalg.svd(R - W @ (W.T @ R))
    return U[:, 0] if s[0] > MISSED * np.linalg.norm(R, 2) else None


def _range(atoms):
    """An orthonormal basis (d, k) of the sum of the ranges of the atoms."""
    w, U = np.linalg.eigh(sum(Q / np.trace(Q) for Q in atoms) / len(atoms))
    return U[:, w > RANK * w[-1]]


def polar(gauge, Q) -> float:
    """max <Q, S>/gamma(S), where log <Q, S> - gamma(S) is largest."""
    scale = np.abs(Q).max()
    if scale == 0:
        return 0.0
    Q = Q / scale

    def log_pairing(S):
        pairing = np.vdot(Q, S)

        def derivatives(E):
            slope = E @ Q.ravel() / pairing
            return slope, np.outer(slope, slope)

        return np.log(pairing), derivatives

    S = _maximize(gauge, log_pairing, len(Q), target=POLAR)
    return float(scale * (np.vdot(Q, S) / gauge.value(S)))


def project(gauge, A) -> np.ndarray:
    """argmin |P - A|^2/2 over K: P = (A - S)_+ where -|(A - S)_+|^2/2 - gamma(S), over S PSD, is largest.

    A is divided by the size of A_+ and K by its size in that direction, so that p = P/size minimises
    |p|^2/(2 excess) - <A, p>. An A more than ``FAR`` times too large is first moved towards 0: P depends on digits that
    such an A does not have.
    """
    positive, _, _ = _positive_part(A)
    polar = gauge.polar(positive)
    if polar <= 1:
        return positive
    scale = np.linalg.norm(positive, 2)
    size, excess, A = scale / polar, min(polar, FAR), A / scale

    def distance(S):
        X, slopes, U = _positive_part(A - S)

        def derivatives(E):
            rotated = (U.T @ E.reshape(-1, *S.shape) @ U).reshape(len(E), -1)
            return excess * (E @ X.ravel()), excess * (rotated * slopes.ravel()) @ rotated.T

        return -0.5 * excess * (X**2).sum(), derivatives

    S = _maximize(gauge * (1 / size), distance, len(A), target=PROJECTION)
    P = size * excess * _positive_part(A - S)[0]
    return P / max(1.0, gauge.polar(P)) if excess > SHOWS else P  # by then rounding shows


def _positive_part(A):
    """(A_+, the divided differences of max(., 0) at the eigenvalues of A, the eigenvectors)."""
    w, U = np.linalg.eigh(A)
    up = np.maximum(w, 0)
    gap = w[:, None] - w
    same = np.abs(gap) <= CLOSE * np.abs(w).max()
    slopes = np.where(same, (w > 0)[:, None], (up[:, None] - up) / np.where(same, 1, gap))
    return symmetrize((U * up) @ U.T), slopes, U


def _maximize(gauge, h, d, target):
    """The S (d, d) PSD where h(S) - gamma(S) is largest, to a gap of ``target``.

    ``h(S)`` returns (value, derivatives); ``derivatives(E)`` returns the slopes (k,) and minus the second derivative
    (k, k) along the k directions in the rows of E, flattened symmetric matrices. S is the variable, not a multiplier,
    so the bound h(S) - gamma(S) has no rounding but its own.
    """
    first, size = attained(gauge, np.eye(d))
    S, t, atoms = np.eye(d) / size, 1.0, _cover(gauge, np.eye(d), [first])
    search = _Search(gauge, target, looseness=LOOSER, start=S)
    while search.active:
        mu, Q = search.barrier(len(atoms) + d), np.array(atoms).reshape(len(atoms), -1)
        try:
            S, t = _central(h, Q, S, max(t, (Q @ S.ravel()).max()) + mu, mu)
        except np.linalg.LinAlgError:  # as in ``descent_factor``
            break
        atom, value = attained(gauge, S)
        search.report(value - t + (len(atoms) + d) * mu, S, S, value, atoms)
        atoms.append(atom)
    return search.result()


def _central(h, Q, S, t, mu):
    """argmax h(S) - t + mu [log det S + sum_j log(t - <Q_j, S>)], from a start (S, t).

    Each step uses coordinates in which S is the identity: there the Hessian of log det S is the identity too, however
    singular S becomes. At the maximum h(S) - t is within (len(Q) + d) mu of its value without the barrier.
    """
    basis = _symmetric_basis(len(S))

    def merit(S, t):
        slack = t - Q @ S.ravel()
        try:
            diagonal = np.diag(np.linalg.cholesky(S))
        except np.linalg.LinAlgError:
            return -np.inf
        return h(S)[0] - t + mu * (2 * np.log(diagonal).sum() + np.log(slack).sum()) if slack.min() > 0 else -np.inf

    for _ in range(MOST_STEPS):
        L = np.linalg.cholesky(S)
        E = (L @ basis @ L.T).reshape(len(basis), -1)
        q = mu / (t - Q @ S.ravel())
        slope, curvature = h(S)[1](E)
        rows = np.column_stack([-(Q @ E.T), np.ones(len(Q))])  # of t - <Q_j, S>
        gradient = q @ rows + np.append(slope + mu * np.trace(basis, axis1=1, axis2=2), -1.0)
        system = (rows.T * (q**2 / mu)) @ rows
        system[:-1, :-1] += curvature
        step = _solve(_factor(system, np.append(np.full(len(E), mu), 0.0)), gradient)
        gain = gradient @ step
        if not gain > DECREMENT * mu:
            break
        X = np.tensordot(step[:-1], basis, 1)
        length = min(1.0, BOUNDARY / max(-np.linalg.eigvalsh(X)[0], 1e-300))
        before, tiny = merit(S, t), 1e-15 * (1 + abs(t))
        while length > SHORTEST:
            S1, t1 = symmetrize(S + length * (L @ X @ L.T)), t + length * step[-1]
            if merit(S1, t1) >= before + ARMIJO * length * gain - tiny:
                break
            length /= 2
        else:
            break
        S, t = S1, t1
    return S, t


def _symmetric_basis(d):
    """An orthonormal basis (d(d+1)/2, d, d) of symmetric matrices."""
    i, j = np.triu_indices(d)
    basis = np.zeros((len(i), d, d))
    basis[np.arange(len(i)), i, j] = basis[np.arange(len(i)), j, i] = np.where(i == j, 1.0, np.sqrt(0.5))
    return basis
