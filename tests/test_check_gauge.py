"""check_gauge: each axiom has a gauge that breaks it and nothing else, and the message shows the matrices."""

import warnings

import numpy as np
import pytest
from strategies import TwoFunctions, compositions, spectral_gauges

from swref import Gauge, GaugeError, SpectralGauge, check_gauge, get_gauge
from swref.gauges import Linear, Operator, Trace


class NonMonotone(Gauge):
    """tr S + M sum_{i<j} |S_ij|: a norm, not monotone for M > 2.  [App. C]"""

    def __init__(self, M):
        self.M = M

    def value(self, S):
        return np.trace(S) + self.M * np.abs(np.triu(S, 1)).sum()

    def support(self, S):
        return np.eye(len(S)) + 0.5 * self.M * np.sign(S - np.diag(np.diag(S)))


class NonMonotoneTrace(NonMonotone):
    """The same values, with a support that hides it."""

    def support(self, S):
        return np.eye(len(S))


class DiagonalDifference(Gauge):
    """tr S + c |S_11 - S_22|, c slightly above 1: monotone except for a thin cone of directions."""

    def value(self, S):
        return np.trace(S) + 1.01 * abs(S[0, 0] - S[-1, -1])

    def support(self, S):
        Q, sign = np.eye(len(S)), 1.01 * np.sign(S[0, 0] - S[-1, -1])
        Q[0, 0] += sign
        Q[-1, -1] -= sign
        return Q


class SquaredTrace(Gauge):
    def value(self, S):
        return np.trace(S) ** 2

    def support(self, S):
        return np.trace(S) * np.eye(len(S))


class Negative(Gauge):
    """-tr S."""

    def value(self, S):
        return -np.trace(S)

    def support(self, S):
        return -np.eye(len(S))


class FirstEntry(Gauge):
    def value(self, S):
        return S[0, 0]

    def support(self, S):
        return np.diag(np.eye(len(S))[0])


class RootTrace(Gauge):
    """(tr S^{1/2})^2 with the supergradient as support."""

    def value(self, S):
        return np.sqrt(np.maximum(np.linalg.eigvalsh(S), 0)).sum() ** 2

    def support(self, S):
        return np.eye(len(S))


class Affine(Trace):
    def value(self, S):
        return super().value(S) + 1e-6


class Almost(Trace):
    def support(self, S):
        return (1 - 1e-6) * np.eye(len(S))


def null_direction(S):
    """A unit null vector of S, or None."""
    lam, U = np.linalg.eigh(S)
    return U[:, 0] if lam[0] < 1e-9 * lam[-1] and len(S) > 1 else None


class Outside(Operator):
    """Adds a little along a null direction: attains the value, and leaves K."""

    def __init__(self, amount):
        super().__init__()
        object.__setattr__(self, "amount", amount)

    def support(self, S):
        Q, u = super().support(S), null_direction(S)
        return Q if u is None else Q + self.amount * np.outer(u, u)


class Asymmetric(Trace):
    def support(self, S):
        Q = np.eye(len(S))
        Q[0, -1] += 1e-6
        Q[-1, 0] -= 1e-6
        return Q


class ChangesItsArgument(Trace):
    def value(self, S):
        trace = super().value(S)
        S *= 0.5
        return trace


class SupportChangesItsArgument(Trace):
    def support(self, S):
        S[0, 0] += 1
        return np.eye(len(S))


class NotANumber(Trace):
    def value(self, S):
        return super().value(S) if S[0, -1] >= 0 else np.nan


class ComplexValue(Trace):
    def value(self, S):
        return super().value(S) + 0j


class ArrayValue(Trace):
    def value(self, S):
        return np.array([super().value(S)])


class InfiniteSupport(Trace):
    def support(self, S):
        return np.full(S.shape, np.inf)


class WrongShape(Trace):
    def support(self, S):
        return np.ones(len(S))


class Raises(Trace):
    def support(self, S):
        raise ZeroDivisionError("nothing there")


BROKEN = [
    (NonMonotone(2.01), "monotone: S <= T but"),
    (NonMonotoneTrace(2.01), "monotone: S <= T but"),
    (DiagonalDifference(), "monotone: S <= T but"),
    (SquaredTrace(), r"homogeneous: value\(1e-06 S\)"),
    (Affine(), r"homogeneous: value\(0\) = 1e-06, not 0"),
    (FirstEntry(), r"positive: value\(S\) = 0 although S != 0"),
    (Negative(), r"positive: value\(S\) = -\d.* although S != 0"),
    (RootTrace(), r"convex: value\(\(S \+ T\)/2\)"),
    (get_gauge("root-schatten"), r"convex: value\(\(S \+ T\)/2\)"),
    (Almost(), r"support attains: <support\(S\), S>"),
    (Outside(1e-5), r"support feasible: <support\(S\), T>"),
    (Outside(-1e-5), r"support PSD: support\(S\) = Q has the eigenvalue -1e-05"),
    (Asymmetric(), "support symmetric"),
    (ChangesItsArgument(), r"no mutation: value\(S\) changed its argument"),
    (SupportChangesItsArgument(), r"no mutation: support\(S\) changed its argument"),
    (NotANumber(), r"finite: value\(S\) = nan"),
    (ComplexValue(), r"finite: value\(S\) must be one real number"),
    (ArrayValue(), r"finite: value\(S\) must be one real number"),
    (InfiniteSupport(), "support finite"),
    (WrongShape(), "support finite"),
    (Raises(), r"defined: support\(S\) raised ZeroDivisionError: nothing there"),
]


@pytest.mark.parametrize("d", [2, 3, 6])
@pytest.mark.parametrize("gauge, message", BROKEN, ids=lambda x: type(x).__name__ if isinstance(x, Gauge) else "")
def test_a_broken_axiom_is_named(gauge, message, d):
    with pytest.raises(GaugeError, match=f"^{message}"):
        check_gauge(gauge, d)


@pytest.mark.parametrize("seed", range(5))
def test_no_seed_lets_the_non_monotone_norm_pass(seed):
    for gauge in (NonMonotone(2.001), NonMonotoneTrace(2.001), DiagonalDifference()):
        with pytest.raises(GaugeError, match="^monotone"):
            check_gauge(gauge, seed=seed)
    check_gauge(NonMonotoneTrace(0.0), seed=seed)


def test_the_message_shows_the_matrices():
    with pytest.raises(GaugeError) as caught:
        check_gauge(NonMonotone(2.5), d=2)
    assert str(caught.value) == (
        "monotone: S <= T but value(S) = 4.5 > value(T) = 4\nS =\n[[1. 1.]\n [1. 1.]]\nT =\n[[2. 0.]\n [0. 2.]]"
    )
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("d", [1, 2])
def test_gauges_with_other_parameters_pass(d):
    for gauge in [*spectral_gauges(d), *compositions(d)]:
        check_gauge(gauge, d)


def test_a_fixed_dimension_is_respected():
    check_gauge(Linear(np.diag([1.0, 2.0, 3.0, 4.0])), d=3)
    with pytest.raises(GaugeError, match="k: expected k <= d, got k = 4 in dimension d = 3"):
        check_gauge(get_gauge("kyfan", k=4), d=3)


def test_names_stand_for_examples():
    check_gauge("linear", d=5)  # has no default parameters
    with pytest.raises(ValueError, match="unknown name 'lineer'; did you mean 'linear'"):
        check_gauge("lineer")
    with pytest.raises(GaugeError, match="^convex"):
        check_gauge("root-schatten")
    with pytest.raises(ValueError, match="an instance, not the class"):
        check_gauge(Trace)


def test_a_class_without_an_example_says_so():
    from swref.gauges import registry

    class NeedsParameters(TwoFunctions):
        pass

    registry._registered["needs-parameters"] = NeedsParameters
    try:
        with pytest.raises(GaugeError, match=r"example: NeedsParameters.example\(3\) must return an instance"):
            check_gauge("needs-parameters")
    finally:
        del registry._registered["needs-parameters"]


def test_checking_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_gauge("schatten", d=2)


# -- methods that a plugin brings itself --------------------------------------------------------------------------


class WrongPolar(TwoFunctions):
    def polar(self, Q):
        return 1.001 * super().polar(Q)


class SmallPolar(TwoFunctions):
    def polar(self, Q):
        return np.trace(Q) / len(Q)


class ProjectsOutside(TwoFunctions):
    def project(self, A):
        return 1.001 * self.gauge.project(A)


class ProjectsTooFar(TwoFunctions):
    def project(self, A):
        return 0.9 * self.gauge.project(A)


class WrongScale(TwoFunctions):
    def measure_multiplier(self, C):
        return 1.01 * self.gauge.measure_multiplier(C)


class WrongDirection(TwoFunctions):
    def measure_multiplier(self, C):
        return np.eye(len(C)) * np.trace(C) / self.value(C)


class WrongExponent(SpectralGauge):
    phi, dphi = Operator.phi, Operator.dphi
    p = np.inf

    def multiplier_values(self, s):
        p = np.where(s > 0, s, 1) ** -0.5
        return p * (s**2 @ p) / (s**2 * p**2).max()


@pytest.mark.parametrize(
    "gauge, message",
    [
        (
            WrongPolar(get_gauge("schatten", p=2)),
            r"polar: polar\(support\(S\)\) = 1.001 but <support\(S\), S> / value\(S\) = 1",
        ),
        (SmallPolar(get_gauge("trace")), "polar: <Q, T>"),
        (ProjectsOutside(get_gauge("operator")), r"project: P = project\(A\) is outside K"),
        (ProjectsTooFar(get_gauge("operator")), r"project: Q in K is nearer to A than P = project\(A\)"),
        (WrongScale(get_gauge("kyfan", k=2)), r"measure_multiplier: value\(P C P\)"),
        (WrongDirection(get_gauge("operator")), "measure_multiplier: v = -A g is a better field"),
        (WrongExponent(), "measure_multiplier: v = -A g is a better field"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Gauge) else "",
)
def test_own_methods_must_agree_with_value_and_support(gauge, message):
    with pytest.raises(GaugeError, match=f"^{message}"):
        check_gauge(gauge, d=3)
