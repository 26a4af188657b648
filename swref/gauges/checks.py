"""``check_gauge``: the axioms of a gauge on matrices chosen to break them, and what overrides must agree with."""

import numpy as np

from .._errors import GaugeError
from .._session import steady
from .._validation import check_count, symmetrize
from .axioms import AXIOMS, Probe, at_most, equal, fail, trial_matrices, trial_pairs
from .base import Gauge, SpectralGauge
from .registry import gauge_class, get_gauge

LOOSE = 1e-6  # relative: what projections and multipliers may miss, which two functions give by a search


@steady
def check_gauge(gauge: str | Gauge, d: int = 3, seed: int = 0) -> None:
    """Try the axioms of a gauge on random, rank-one, ordered and adversarial PSD (d, d) matrices; None if all hold.

    ``gauge`` is an instance, or a registered name, which stands for ``gauge_class(name).example(d)``. A gauge with a
    fixed ``dimension`` is tried there, whatever d is. Axioms, each to 1e-8 relative: ``value`` is finite, the same when
    asked twice, zero at zero, positive off zero, 1-homogeneous, convex and monotone; ``support`` is finite, symmetric
    and PSD, attains the value and is feasible; neither changes its argument. ``polar``, ``project`` and
    ``measure_multiplier`` must agree with these two, if the gauge brings its own.  [Sec. 2]

    Raises GaugeError with the name of the first broken axiom and the matrices that break it. Passing is evidence, not
    proof; another ``seed`` tries other matrices.
    """
    gauge = instance(gauge, check_count("d", d))
    d, rng = gauge.dimension or d, np.random.default_rng(seed)
    matrices = trial_matrices(d, rng)
    probe = Probe(gauge, d, matrices, trial_pairs(d, matrices, rng))
    for axiom in AXIOMS:
        axiom(probe)
    if _overrides(gauge, "polar"):
        _polar_agrees(probe)
    if _overrides(gauge, "project"):
        _project_agrees(probe)
    if _overrides(gauge, "measure_multiplier", "_multiply", "multiplier_values"):
        _multiplier_agrees(probe)


def instance(gauge, d):
    """A gauge, or the example for dimension d of the class with this name."""
    if not isinstance(gauge, str):
        return get_gauge(gauge)
    cls = gauge_class(gauge)
    try:
        return cls.example(d)
    except TypeError as error:
        raise GaugeError(f"example: {cls.__name__}.example({d}) must return an instance ({error})") from error


def _overrides(gauge, *names):
    """Whether a method is the gauge's own, neither Gauge's default nor SpectralGauge's."""
    defaults = [getattr(base, name, None) for base in (Gauge, SpectralGauge) for name in names]
    return any(getattr(type(gauge), name, None) not in defaults for name in names)


def _polar_agrees(probe):
    """polar(Q) = 1 for Q = support(S), and <Q, T> <= polar(Q) value(T)."""
    for S in probe.matrices[-12:]:
        Q = probe.support(S)
        equal("polar", ("polar(support(S))", probe.gauge.polar(Q)), ("<support(S), S> / value(S)", 1.0), S=S, Q=Q)
        polar = probe.gauge.polar(S)
        for T in probe.matrices:
            at_most("polar", ("<Q, T>", np.vdot(S, T)), ("polar(Q) value(T)", polar * probe.value(T)), Q=S, T=T)


def _project_agrees(probe):
    """P = project(A) lies in K, and <A - P, Q - P> <= 0 for every Q in K."""
    metrics = [probe.support(S) for S in probe.matrices]
    size = max(np.abs(Q).max() for Q in metrics)
    for S in probe.matrices[-12:]:
        A = size * (S / np.abs(S).max() - 0.3 * np.eye(probe.d))
        P = probe.gauge.project(A)
        for T in probe.matrices:
            pairing = "P = project(A) is outside K: <P, T>", np.vdot(P, T)
            at_most("project", pairing, ("value(T)", probe.value(T)), LOOSE, A=A, P=P, T=T)
        for Q in metrics + [0 * P, 0.5 * P]:
            if np.vdot(A - P, Q - P) > LOOSE * size**2:
                fail("project", "Q in K is nearer to A than P = project(A)", A=A, P=P, Q=Q)


def _multiplier_agrees(probe):
    """v = -P g solves the measure LMO: no other field A g has a larger pairing for its norm."""
    for C in probe.matrices[-12:]:
        C = C / np.trace(C)
        P = probe.gauge.measure_multiplier(C)
        square, dual = probe.value(symmetrize(P @ C @ P.T)), np.vdot(P, C)
        equal("measure_multiplier", ("value(P C P)", square), ("tr(P C)", dual), LOOSE, C=C, P=P)
        for E in probe.matrices:
            A = P + (0.1 * np.abs(P).max() / np.abs(E).max()) * E
            better = "v = -A g is a better field than v = -P g: tr(A C)^2", np.vdot(A, C) ** 2
            bound = "tr(P C) value(A C A^T)", dual * probe.value(symmetrize(A @ C @ A.T))
            at_most("measure_multiplier", better, bound, LOOSE, C=C, P=P, A=A)
