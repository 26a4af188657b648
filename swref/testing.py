"""The battery of checks that every gauge must pass, from its axioms to a certified distance.

The library runs it on all gauges of its registry; a package runs it on its own, in one line. No gauge can leave a check
out: ``convex = False`` only exchanges the checks that need a support for one that all of these are refused.
"""

import re
from functools import partial

import numpy as np

from ._errors import shown
from ._validation import check_count, symmetrize
from .clouds import transport
from .gauges import Gauge, GaugeError, check_gauge, get_gauge
from .gauges.axioms import TOLERANCE, trial_matrices, trial_pairs
from .gauges.checks import instance
from .lmo import dual_norm, lmo, measure_lmo, tangent_norm

__all__ = ["gauge_checks", "parametrize_with_gauge_checks"]

TINY, HUGE = 1e-150, 1e150  # factors at which the answer must still be the scaled one
FIELD = 1e-4  # relative, the root of TOLERANCE: how far off a minimizer may be when its value is right
NEAREST = 1e-7  # relative: by how much the projection may miss the inequality that defines it


def gauge_checks(gauge, d=3):
    """The checks for PSD (d, d) moments: a list of pairs (name, check), each check a function without arguments.

    ``gauge`` is an instance, or a registered name, which stands for ``gauge_class(name).example(d)``; a gauge with a
    fixed ``dimension`` is checked there, whatever d is. A check returns None, or raises AssertionError or GaugeError
    with what went wrong and the matrices that show it; it needs no other check to have run before.

    The gauge must be accurate to 1e-8 relative, at any scale: moments and forces are also tried times 1e-150 and 1e150.
    Raises ValueError for a malformed gauge or d.
    """
    gauge = instance(gauge, check_count("d", d))
    checks = [*_EVERY, *(_CONVEX if gauge.convex else _NOT_CONVEX)]
    return [(check.__name__.strip("_"), partial(_run, check, gauge, gauge.dimension or d)) for check in checks]


def parametrize_with_gauge_checks(*gauges, dimensions=(1, 2, 5)):
    """A decorator of pytest that runs a test once for each of the ``gauge_checks`` of all gauges in all dimensions.

    ``gauges``: instances or registered names. ``dimensions``: the values of d, by default those that the library tries.
    The test has one argument, ``check``, and calls it::

        @parametrize_with_gauge_checks("my-gauge", MyGauge(2.0))
        def test_my_gauges(check):
            check()

    Raises ValueError if no gauge is given. Needs pytest, which ``swref`` itself does not install.
    """
    import pytest

    if not gauges:
        raise ValueError("gauges: expected at least one gauge, got none")
    cases = []
    for gauge in gauges:
        orders = {instance(gauge, check_count("dimensions", d)).dimension or d for d in dimensions}
        for d in sorted(orders):
            cases += [pytest.param(check, id=f"{_label(gauge)}-{name}-{d}") for name, check in gauge_checks(gauge, d)]
    return pytest.mark.parametrize("check", cases)


def _label(gauge):
    """A name, or the repr without addresses, which differ between the processes of one test run."""
    return (
        gauge if isinstance(gauge, str) else re.sub(r"<(?:\w+\.|<locals>\.)*(\w+) object at \w+>", r"\1", repr(gauge))
    )


def _run(check, gauge, d):
    try:
        check(gauge, d)
    except GaugeError:
        raise
    except Exception as error:  # a gauge may raise anything
        what = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        raise AssertionError(f"{gauge!r} in dimension {d}: {what}") from error


def _require(holds, what, **matrices):
    if not holds:
        raise AssertionError(what + shown(matrices))


def _agree(what, got, want, tolerance=TOLERANCE, **matrices):
    """Two numbers or arrays are the same, relative to the largest entry of the second."""
    if np.ndim(got) == 0:
        _require(abs(got - want) <= tolerance * abs(want), f"{what}: {got:.10g} and {want:.10g}", **matrices)
    else:
        holds = np.abs(got - want).max() <= tolerance * np.abs(want).max()
        _require(holds, f"{what}: they differ", **matrices, first=got, second=want)


# -- what is tried --------------------------------------------------------------------------------------------------


def _moments(d):
    """PSD matrices (d, d): full rank, rank one, a coordinate projector, the identity, spread eigenvalues."""
    rng = np.random.default_rng(d)
    X, u, spread = rng.standard_normal((d, d)), rng.standard_normal(d), np.geomspace(1, 1e-6, d)
    Z = rng.standard_normal((d, d)) * spread
    return [X @ X.T, np.outer(u, u), np.diag(np.eye(d)[0]), np.eye(d), Z.T @ Z]


def _clouds(d):
    rng = np.random.default_rng(10 + d)
    return rng.standard_normal((9, d)), rng.standard_normal((7, d)) @ rng.standard_normal((d, d)) + 0.3


def _forces(d):
    """Forces (7, d) of full rank, of rank one and with spread singular values; and weights (7,)."""
    rng = np.random.default_rng(20 + d)
    G = rng.standard_normal((7, d))
    return [G, np.outer(G[:, 0], rng.standard_normal(d)), G * np.geomspace(1, 1e-3, d)], rng.dirichlet(np.ones(7))


# -- value and support ------------------------------------------------------------------------------------------------


def _value_at_any_scale(gauge, d):
    """gamma(0) = 0, and gamma(tS) = t gamma(S) > 0, a float."""
    _require(gauge.value(np.zeros((d, d))) == 0, "value(0) is not 0")
    for S in _moments(d):
        value = gauge.value(S)
        _require(isinstance(value, float), f"value(S) is a {type(value).__name__}, not a float", S=S)
        _require(value > 0, f"value(S) = {value:.10g} although S != 0", S=S)
        for t in (TINY, 1e-3, 7.0, HUGE):
            _agree(f"value({t:g} S)/{t:g} and value(S)", gauge.value(t * S) / t, value, S=S)


def _value_is_monotone(gauge, d):
    """gamma(S) <= gamma(S + T)."""
    rng = np.random.default_rng(d)
    for S, T in trial_pairs(d, trial_matrices(d, rng), rng):
        small, large = gauge.value(S), gauge.value(S + T)
        what = f"value(S) = {small:.10g} > value(S + T) = {large:.10g}"
        _require(small <= large * (1 + TOLERANCE), what, S=S, T=T)


def _axioms(gauge, d):
    check_gauge(gauge, d)


def _support_at_any_scale(gauge, d):
    """Q = support(tS) is PSD, <Q, S> = gamma(S), and Q lies in K."""
    for S in [*_moments(d), np.zeros((d, d))]:
        for t in (TINY, 1.0, HUGE):
            Q = gauge.support(t * S)
            low = np.linalg.eigvalsh(Q)[0]
            _require(low >= -TOLERANCE * np.abs(Q).max(), f"support(S) has the eigenvalue {low:.6g}", S=t * S, Q=Q)
            _agree("<support(S), S> and value(S)", t * np.vdot(Q, S), gauge.value(t * S), S=t * S, Q=Q)
            polar = gauge.polar(Q)
            _require(polar <= 1 + TOLERANCE, f"polar(support(S)) = {polar:.10g} > 1", S=t * S, Q=Q)


def _polar(gauge, d):
    """gamma_polar(0) = 0, gamma_polar(tQ) = t gamma_polar(Q), and gamma_polar(Q) is the maximum of <Q, S>/gamma(S)."""
    _require(gauge.polar(np.zeros((d, d))) == 0, "polar(0) is not 0")
    for Q in _moments(d)[:3]:
        polar = gauge.polar(Q)
        _agree("polar(1e5 Q) and 1e5 polar(Q)", gauge.polar(1e5 * Q), 1e5 * polar, Q=Q)
        for S in _moments(d):
            pairing, bound = np.vdot(Q, S), polar * gauge.value(S)
            what = f"<Q, S> = {pairing:.10g} > polar(Q) value(S) = {bound:.10g}"
            _require(pairing <= bound * (1 + TOLERANCE), what, Q=Q, S=S)
        if type(gauge).polar is not Gauge.polar:
            _agree("polar(Q) and the maximum found from support", polar, Gauge.polar(gauge, Q), Q=Q)


# -- linear minimization oracles --------------------------------------------------------------------------------------


def _lmo(gauge, d):
    """<G, J> = -N*(G)^2 and N(J) = N*(G), at any scale; dual_norm takes weights 1/n where lmo sums."""
    for G in _forces(d)[0]:
        n = len(G)
        J, dual = lmo(G, gauge), dual_norm(n * G, gauge) / np.sqrt(n)
        _agree("-<G, lmo(G)> and the dual norm squared", -np.vdot(G, J), dual**2, G=G)
        _agree("the norm of lmo(G) and the dual norm", np.sqrt(n) * tangent_norm(J, gauge), dual, G=G)
        for t in (TINY, HUGE):
            _agree(f"lmo({t:g} G)/{t:g} and lmo(G)", lmo(t * G, gauge) / t, J, FIELD, G=G)
    _require(not lmo(0 * G, gauge).any(), "lmo(0) is not 0")


def _measure_lmo(gauge, d):
    """The same with weights; and no field V pairs better with the forces: sum_i w_i g_i.V_i <= N*(g) N(V)."""
    (forces, w), rng = _forces(d), np.random.default_rng(d)
    for g in forces:
        v, dual = measure_lmo(g, gauge, w), dual_norm(g, gauge, w)
        _agree("-<g, measure_lmo(g)> and the dual norm squared", -(w[:, None] * g * v).sum(), dual**2, g=g)
        _agree("the norm of measure_lmo(g) and the dual norm", tangent_norm(v, gauge, w), dual, g=g)
        near = [
            step / np.abs(step).max() for step in (*rng.standard_normal((3, *g.shape)), *(g @ S for S in _moments(d)))
        ]
        for V in [g, *near, *(-v + t * np.abs(v).max() * step for step in near for t in (-0.1, 0.1))]:
            pairing, bound = (w[:, None] * g * V).sum(), dual * tangent_norm(V, gauge, w)
            what = f"a field V has <g, V> = {pairing:.10g} > N*(g) N(V) = {bound:.10g}"
            _require(pairing <= bound * (1 + TOLERANCE), what, g=g, V=V)


def _measure_multiplier(gauge, d):
    """P, from the second moment C alone, is symmetric, does not depend on its scale, and gives the field -P g."""
    forces, w = _forces(d)
    for g in forces:
        C = (g * w[:, None]).T @ g
        P, v = gauge.measure_multiplier(C), measure_lmo(g, gauge, w)
        _agree("measure_multiplier(C) and its transpose", P, P.T, C=C)
        _agree("<P, C> and -<g, measure_lmo(g)>", np.vdot(P, C), -(w[:, None] * g * v).sum(), C=C, P=P)
        _agree("-P g and measure_lmo(g)", -g @ P, v, FIELD, C=C, P=P)
        _agree("measure_multiplier(1e5 C) and measure_multiplier(C)", gauge.measure_multiplier(1e5 * C), P, FIELD, C=C)


# -- what needs K -----------------------------------------------------------------------------------------------------


def _project(gauge, d):
    """P = project(A) lies in K, is its own projection, and <A - P, Q - P> <= 0 for all Q in K."""
    rng, S = np.random.default_rng(d), _moments(d)
    X = rng.standard_normal((2, d, d))
    for A in [3 * S[0], X[0] + X[0].T, 10 * gauge.support(S[0]) + 0.1 * (X[1] + X[1].T), -np.eye(d)]:
        P, size = gauge.project(A), 1 + np.linalg.norm(A)
        _require(np.abs(P - P.T).max() <= 1e-12 * size, "project(A) is not symmetric", A=A, P=P)
        low = np.linalg.eigvalsh(P)[0]
        _require(low >= -1e-9 * size, f"project(A) has the eigenvalue {low:.6g}", A=A, P=P)
        polar = gauge.polar(symmetrize(P) + 1e-9 * size * np.eye(d))
        _require(polar <= 1 + NEAREST * size, f"project(A) lies outside K: polar = {polar:.10g}", A=A, P=P)
        again = gauge.project(P)
        _require(np.abs(again - P).max() <= 1e-6 * size, "project(P) is not P = project(A)", A=A, P=P, again=again)
        # The candidate that most nearly breaks the inequality is the support at (A - P)_+.
        lam, U = np.linalg.eigh(A - P)
        for Q in [0 * P, *map(gauge.support, [*S, (U * np.maximum(lam, 0)) @ U.T])]:
            _require(np.vdot(A - P, Q - P) <= NEAREST * size**2, "Q in K is nearer to A than P", A=A, P=P, Q=Q)
    inside = 0.5 * gauge.support(S[0])
    _agree("project(Q) and Q in K", gauge.project(inside), inside)


def _transport(gauge, d):
    """The bounds of a distance are those that its plan, its metric and its potentials prove, and they are near."""
    x, y = _clouds(d)
    result = transport(x, y, gauge)
    D = y[None] - x[:, None]
    moment = symmetrize(np.einsum("ij,ijk,ijl->kl", result.plan.toarray(), D, D))
    cost, (f, g) = np.einsum("ijk,kl,ijl->ij", D, result.metric, D), result.potentials
    _agree("value(moment of the plan) and the upper bound", gauge.value(moment), result.upper_bound, moment=moment)
    _agree("the mean of the potentials and the lower bound", f.mean() + g.mean(), result.lower_bound)
    slack = (cost - f[:, None] - g).min()
    _require(slack >= -1e-12 * cost.max(), f"the potentials exceed the cost by {-slack:.6g}", metric=result.metric)
    polar = gauge.polar(result.metric)
    _require(polar <= 1 + TOLERANCE, f"the metric lies outside K: polar = {polar:.10g}", metric=result.metric)
    _require(result.relative_gap <= 1e-6, f"the relative gap is {result.relative_gap:.6g}")
    low, high = result.lower_bound, result.upper_bound
    _require(low <= high * (1 + 1e-12), f"the lower bound {low:.16g} is above the upper bound {high:.16g}")


def _refusals(gauge, d):
    """A gauge that is not convex has no K: it says so wherever one is needed."""
    x, y = _clouds(d)
    for what, call in {
        "support": lambda: gauge.support(np.eye(d)),
        "polar": lambda: gauge.polar(np.eye(d)),
        "project": lambda: gauge.project(np.eye(d)),
        "transport": lambda: transport(x, y, gauge),
        "transport with 2 * gauge": lambda: transport(x, y, 2 * gauge),
    }.items():
        _refuses(what, call, GaugeError, "not convex")
    # In one dimension every gauge is a multiple of the trace: there is nothing that is not convex.
    _refuses("check_gauge", lambda: check_gauge(gauge, d), GaugeError, "convex" if d == 1 else "convex: ")
    _refuses("gauge + trace", lambda: gauge + get_gauge("trace"), ValueError, "convex")
    _refuses("congruence", lambda: gauge.congruence(np.eye(d)), ValueError, "convex")


def _refuses(what, call, error_class, text):
    try:
        call()
    except error_class as error:
        _require(text in str(error), f"{what} must be refused with {text!r}, not with: {error}")
    else:
        _require(False, f"{what} must be refused with a {error_class.__name__}, as convex = False")


# -- arrays -----------------------------------------------------------------------------------------------------------


def _arrays(gauge, d):
    """Read-only arrays pass; an answer shares no memory with an argument, nor with the answer of the next call."""
    (g, *_), w = _forces(d)
    given = S, near, g, w, x, y = _moments(d)[0], 1e-3 * _moments(d)[0], g, w, *_clouds(d)
    for array in given:
        array.setflags(write=False)
    calls = {
        "lmo": lambda: lmo(g, gauge),
        "measure_lmo": lambda: measure_lmo(g, gauge, w),
        "measure_multiplier": lambda: gauge.measure_multiplier(S),
        "numbers": lambda: np.array([gauge.value(S), dual_norm(g, gauge, w), tangent_norm(g, gauge, w)]),
    }
    if gauge.convex:
        calls |= {
            "support": lambda: gauge.support(S),
            "polar": lambda: np.array(gauge.polar(S)),
            "project": lambda: gauge.project(S),
            "project inside K": lambda: gauge.project(near),
            "metric": lambda: transport(x, y, gauge, strict=False).metric,
            "moment": lambda: transport(x, y, gauge, strict=False).moment,
        }
    for name, call in calls.items():
        answer = call()
        _require(not any(np.shares_memory(answer, array) for array in given), f"{name}: a view of an argument")
        first, again = answer.copy(), call()
        shared = answer.flags.writeable and np.shares_memory(answer, again)
        _require(not shared, f"{name}: two calls return the same array, which the caller may write to")
        _require(np.array_equal(first, answer), f"{name}: another call changes an array returned before")


_EVERY = [_value_at_any_scale, _value_is_monotone, _lmo, _measure_lmo, _measure_multiplier, _arrays]
_CONVEX = [_axioms, _support_at_any_scale, _polar, _project, _transport]
_NOT_CONVEX = [_refusals]
