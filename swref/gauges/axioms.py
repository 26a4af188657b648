"""The axioms of a gauge, one function each: what ``value`` and ``support`` must do at given matrices."""

import numpy as np

from .._errors import GaugeError, shown
from .._validation import symmetrize
from .door import behind_the_door

TOLERANCE = 1e-8  # relative; a gauge that is computed, not just evaluated, must be this accurate
NEAR = 8  # directions of a matrix around which ``check_at`` looks


def check_at(gauge, S):
    """Try the axioms near one PSD matrix S, where a search went wrong: GaugeError if one fails, else None."""
    U = np.linalg.eigh(S)[1]
    matrices = [S / np.abs(S).max(), np.eye(len(S)), *(np.outer(u, u) for u in U.T[:NEAR])]
    probe = Probe(gauge, len(S), matrices, [(S, T) for S in matrices for T in matrices])
    try:
        for axiom in AXIOMS:
            axiom(probe)
    except GaugeError as error:
        raise GaugeError(f"{gauge!r}: {error}") from None


class Probe:
    """The gauge under test, the matrices to try it on, and calls that check what any call must respect."""

    def __init__(self, gauge, d, matrices, pairs):
        self.gauge, self.d, self._values = gauge, d, {}
        self.matrices, self.pairs = matrices, pairs

    def value(self, S):
        key = S.tobytes()
        if key not in self._values:
            self._values[key] = self.asked_value(S)
        return self._values[key]

    def asked_value(self, S):
        result = self._call("value", S)
        if np.ndim(result) != 0 or np.asarray(result).dtype.kind not in "iuf":
            fail("finite", f"value(S) must be one real number, got {result!r}", S=S)
        if not np.isfinite(result):
            fail("finite", f"value(S) = {result!r}", S=S)
        return float(result)

    def support(self, S):
        Q = np.asarray(self._call("support", S))
        if Q.shape != (self.d, self.d) or not np.isrealobj(Q) or not np.isfinite(Q).all():
            fail("support finite", f"support(S) must be a finite real ({self.d}, {self.d}) matrix", S=S, Q=Q)
        return np.array(Q, dtype=float)

    def _call(self, name, S):
        argument = S.copy()
        try:
            result = behind_the_door(self.gauge, name)(argument)
        except Exception as error:  # a plugin may raise anything: report it with the matrix that did it
            fail("defined", f"{name}(S) raised {type(error).__name__}: {error}", S=S)
        if not np.array_equal(argument, S):
            fail("no mutation", f"{name}(S) changed its argument", before=S, after=argument)
        return result


def trial_matrices(d, rng):
    """Unit vectors, sums and differences of two, I, 1 1^T, Wishart matrices of every rank, spread diagonals."""
    unit = np.eye(d)
    special = [np.eye(d), np.ones((d, d)), np.diag(1.0 + np.arange(d))]
    special += [np.outer(e, e) for e in unit[:12]]
    special += [np.outer(u, u) for pair in _plus_minus(d, rng) for u in pair]
    random = [rng.standard_normal((1 + k % (d + 1), d)) for k in range(max(12, 2 * d + 2))]
    spread = [rng.standard_normal((d, d)) * np.geomspace(1, 1e-3, d) for _ in range(3)]
    return special + [X.T @ X for X in random] + [X @ X.T for X in spread] + [X.T @ X for X in spread]


def trial_pairs(d, matrices, rng):
    """Pairs (S, T): e_i + e_j against e_i - e_j, a matrix against its complement in lambda_max I, random pairs."""
    pairs = [(np.outer(u, u), np.outer(v, v)) for u, v in _plus_minus(d, rng)]
    pairs += [(S, symmetrize(np.linalg.norm(S, 2) * np.eye(d) - S)) for S in matrices]
    chosen = rng.integers(len(matrices), size=(100, 2))
    return pairs + [(matrices[i], matrices[j]) for i, j in chosen]


def _plus_minus(d, rng):
    """(e_i + e_j, e_i - e_j) for all i < j, or 30 of them."""
    i, j = np.triu_indices(d, 1)
    chosen = rng.permutation(len(i))[:30]
    unit = np.eye(d)
    return [(unit[a] + unit[b], unit[a] - unit[b]) for a, b in zip(i[chosen], j[chosen], strict=True)]


def _value_fits(probe):
    for S in probe.matrices:
        if not probe.value(S) > 0:
            fail("positive", f"value(S) = {probe.value(S):.6g} although S != 0", S=S)
        equal("repeatable", ("value(S)", probe.value(S)), ("asked again, value(S)", probe.asked_value(S)), S=S)


def _homogeneous(probe):
    at_zero = probe.value(np.zeros((probe.d, probe.d)))
    if abs(at_zero) > 1e-12 * probe.value(np.eye(probe.d)):
        fail("homogeneous", f"value(0) = {at_zero:.6g}, not 0")
    for S in probe.matrices:
        for t in (1e-6, 0.3, 7.0, 1e6):
            equal("homogeneous", (f"value({t:g} S)", probe.value(t * S)), (f"{t:g} value(S)", t * probe.value(S)), S=S)


def _convex(probe):
    for S, T in probe.pairs:
        middle, mean = probe.value(0.5 * (S + T)), 0.5 * (probe.value(S) + probe.value(T))
        at_most("convex", ("value((S + T)/2)", middle), ("(value(S) + value(T))/2", mean), S=S, T=T)


def _monotone(probe):
    ordered = [(S, S + T) for S, T in probe.pairs] + [pair for S in probe.matrices[-6:] for pair in _descents(probe, S)]
    for S, T in ordered:
        at_most("monotone", ("S <= T but value(S)", probe.value(S)), ("value(T)", probe.value(T)), S=S, T=T)


def _descents(probe, S):
    """S against S + t u u^T, u the direction in which the finite-difference gradient of ``value`` is smallest."""
    h, gradient, unit = 1e-5 * np.trace(S), np.zeros_like(S), np.eye(probe.d)
    S = S + h * unit  # room for the differences below
    for i, j in zip(*np.triu_indices(probe.d), strict=True):
        E = h * symmetrize(np.outer(unit[i], unit[j]))
        gradient[i, j] = gradient[j, i] = probe.value(S + E) - probe.value(S - E)
    u = np.linalg.eigh(gradient)[1][:, 0]
    return [(S, S + t * np.trace(S) * np.outer(u, u)) for t in (1e-3, 0.03, 1.0)]


def _support_fits(probe):
    for S in probe.matrices:
        Q = probe.support(S)
        size = np.abs(Q).max()
        if np.abs(Q - Q.T).max() > TOLERANCE * size:
            fail("support symmetric", "support(S) = Q is not symmetric", S=S, Q=Q)
        low = np.linalg.eigvalsh(symmetrize(Q))[0]
        if low < -TOLERANCE * size:
            fail("support PSD", f"support(S) = Q has the eigenvalue {low:.6g} (K must lie in the PSD cone)", S=S, Q=Q)
        equal("support attains", ("<support(S), S>", np.vdot(Q, S)), ("value(S)", probe.value(S)), S=S, Q=Q)


def _support_feasible(probe):
    """<Q, T> <= value(T), T from the list and from the eigenspaces of Q, where a Q outside K is most likely caught."""
    for S in probe.matrices:
        Q = probe.support(S)
        w, U = np.linalg.eigh(symmetrize(Q))
        leading = [U[:, -k:] @ U[:, -k:].T for k in range(1, probe.d + 1)]
        powers = [(U * np.maximum(w, 0) ** r) @ U.T for r in (0.5, 1, 3)]
        for T in probe.matrices + leading + powers:
            at_most("support feasible", ("<support(S), T>", np.vdot(Q, T)), ("value(T)", probe.value(T)), S=S, T=T, Q=Q)


AXIOMS = [_value_fits, _convex, _homogeneous, _monotone, _support_fits, _support_feasible]


def equal(axiom, left, right, tolerance=TOLERANCE, **matrices):
    """GaugeError unless left = right, each a pair (what it is, its value); ``tolerance`` is relative."""
    if abs(left[1] - right[1]) > tolerance * right[1]:
        fail(axiom, f"{left[0]} = {left[1]:.10g} but {right[0]} = {right[1]:.10g}", **matrices)


def at_most(axiom, left, right, tolerance=TOLERANCE, **matrices):
    """GaugeError unless left <= right, as for ``equal``."""
    if left[1] > right[1] * (1 + tolerance):
        fail(axiom, f"{left[0]} = {left[1]:.10g} > {right[0]} = {right[1]:.10g}", **matrices)


def fail(axiom, what, **matrices):
    raise GaugeError(f"{axiom}: {what}{shown(matrices)}")
