"""The battery can fail: for each check a gauge that breaks it, and for harmless habits none."""

import subprocess
import sys

import numpy as np
import pytest
from strategies import TwoFunctions

from swref import Gauge, GaugeError, SpectralGauge, get_gauge
from swref.gauges import Linear
from swref.testing import gauge_checks, parametrize_with_gauge_checks

FROBENIUS, OPERATOR, TRACE = get_gauge("schatten", p=2), get_gauge("operator"), get_gauge("trace")


def top(S):
    return np.linalg.eigh(S)[1][:, -1]


# -- one fault each ---------------------------------------------------------------------------------------------------


class Overflows(TwoFunctions):
    """(sum_i lambda_i^3)^(1/3), whose cubes leave the range of floats."""

    def __init__(self):
        super().__init__(get_gauge("schatten", p=3))

    def value(self, S):
        return (np.linalg.eigvalsh(S) ** 3).sum() ** (1 / 3)


class Cutoff(TwoFunctions):
    """Takes small matrices for zero."""

    def support(self, S):
        return self.gauge.support(S) if np.abs(S).max() > 1e-100 else np.zeros_like(S)


class NotMonotone(Gauge):
    """tr S + 3 sum_{i<j} |S_ij|.  [App. C]"""

    def value(self, S):
        return np.trace(S) + 3 * np.abs(np.triu(S, 1)).sum()

    def support(self, S):
        return np.eye(len(S)) + 1.5 * np.sign(S - np.diag(np.diag(S)))


class Peaked(type(get_gauge("root-schatten"))):
    """Twice as large on rank one as elsewhere: more mass may count less. Says that it is not convex."""

    def value(self, S):
        lam = np.linalg.eigvalsh(S)
        return (2.0 if (lam[:-1] <= 1e-9 * lam[-1]).all() else 1.0) * super().value(S)


class Vandal(TwoFunctions):
    """Writes on its argument."""

    def value(self, S):
        value = self.gauge.value(S)
        S[:] = 0
        return value


class Short(TwoFunctions):
    """A support that does not attain."""

    def support(self, S):
        return (1 - 1e-7) * self.gauge.support(S)


class Outside(TwoFunctions):
    """A support that leaves K along a null direction."""

    def support(self, S):
        lam, U = np.linalg.eigh(S)
        return self.gauge.support(S) + 1e-4 * (lam[0] < 1e-9 * lam[-1]) * np.outer(U[:, 0], U[:, 0])


class CappedPolar(TwoFunctions):
    """Right near K, not homogeneous."""

    def polar(self, Q):
        return min(self.gauge.polar(Q), 100.0)


class LargePolar(TwoFunctions):
    """Right on K, too large outside: still an upper bound of every <Q, S>/gamma(S)."""

    def polar(self, Q):
        polar = self.gauge.polar(Q)
        return polar if polar < 1.01 else 1.01 * polar


class FarProjection(TwoFunctions):
    """Right but for negative matrices, whose nearest point is zero."""

    def project(self, A):
        return 0.1 * self.gauge.support(-A) if (np.linalg.eigvalsh(A) < 0).all() else self.gauge.project(A)


class LongProjection(TwoFunctions):
    def project(self, A):
        return (1 + 1e-5) * self.gauge.project(A)


class RightMultiplier(TwoFunctions):
    """A right multiplier, for a field that is not what it says."""

    def measure_multiplier(self, C):
        return self.gauge.measure_multiplier(C)

    def _multiply(self, g, R):
        return self._field(g, R, (np.square(R).sum(1) / np.square(g).sum(1))[:, None])


class NormalizedWeights(RightMultiplier):
    """A field for weights that sum to one; ``lmo`` has weights one."""

    def _field(self, g, R, weights):
        return weights.sum() * self.gauge._multiply(g, R)


class NoWeights(RightMultiplier):
    def _field(self, g, R, weights):
        return self.gauge._multiply(g, np.sqrt(weights.mean()) * g)


class Crooked(RightMultiplier):
    """A field with a part orthogonal to the forces: the pairing is right, the norm is not."""

    def _field(self, g, R, weights):
        v, u = self.gauge._multiply(g, R), np.roll(g, 1, axis=0)
        u = u - g * ((weights * g * u).sum() / (weights * g * g).sum())
        return v + 0.1 * np.abs(v).max() / np.abs(u).max() * u


class LargeMultiplier(TwoFunctions):
    """Right for moments of order one."""

    def measure_multiplier(self, C):
        return (1.0 if np.trace(C) < 1e3 else 1.1) * self.gauge.measure_multiplier(C)


class ScaledMultiplier(TwoFunctions):
    """Depends on the scale of its argument, which it must not."""

    def measure_multiplier(self, C):
        return np.trace(C) ** 0.01 * self.gauge.measure_multiplier(C)

    def _multiply(self, g, R):
        return self.gauge._multiply(g, R)


class WrongExponent(SpectralGauge):
    phi, dphi = type(OPERATOR).phi, type(OPERATOR).dphi
    p = np.inf

    def multiplier_values(self, s):
        p = np.where(s > 0, s, 1) ** -0.5
        return p * (s**2 @ p) / (s**2 * p**2).max()


class FarBarrier(type(OPERATOR)):
    """A barrier for the Newton steps of the engine whose maximizer lies outside K."""

    def _smoothed(self, S, mu):
        smoothed = super()._smoothed(S, mu)
        return smoothed._replace(Q=2 * smoothed.Q)


class OwnArray(Gauge):
    """The trace, with its only support handed out: no door copies the answers of a built-in gauge."""

    __module__ = "swref.gauges.mine"
    identity = {d: np.eye(d) for d in (1, 2, 3)}  # noqa: RUF012

    def value(self, S):
        return float(np.trace(S))

    def support(self, S):
        return self.identity[len(S)]


class OwnArgument(type(TRACE)):
    """Projects what lies in K by handing it back, and skips the copy."""

    __module__ = "swref.gauges.mine"

    def project(self, A):
        P = super().project(A)
        return A if np.abs(P - A).max() <= 1e-12 else P


class OptsOut(TwoFunctions):
    """A convex gauge that says it is not, to be spared."""

    convex = False


class NotConvexYetProjects(type(get_gauge("root-schatten"))):
    def project(self, A):
        return A


class Raises(TwoFunctions):
    def polar(self, Q):
        raise ZeroDivisionError("mine")


BROKEN = {  # the gauge, the checks that fail
    "overflow": (Overflows(), {"value_at_any_scale", "support_at_any_scale"}),
    "cutoff": (Cutoff(FROBENIUS), {"support_at_any_scale"}),
    "writes on its argument": (Vandal(OPERATOR), {"axioms"}),
    "polar capped": (CappedPolar(FROBENIUS), {"polar"}),
    "polar large": (LargePolar(OPERATOR), {"polar"}),
    "projection far": (FarProjection(OPERATOR), {"project"}),
    "projection long": (LongProjection(OPERATOR), {"axioms", "project"}),
    "weights normalized": (NormalizedWeights(FROBENIUS), {"lmo"}),
    "weights ignored": (NoWeights(FROBENIUS), {"measure_lmo", "measure_multiplier"}),
    "field crooked": (Crooked(FROBENIUS), {"lmo", "measure_lmo", "measure_multiplier"}),
    "multiplier large": (LargeMultiplier(OPERATOR), {"measure_multiplier"}),
    "multiplier scaled": (ScaledMultiplier(OPERATOR), {"measure_multiplier"}),
    "wrong exponent": (WrongExponent(), {"axioms", "measure_lmo"}),
    "barrier": (FarBarrier(), {"transport"}),
    "own array": (OwnArray(), {"arrays"}),
    "own argument": (OwnArgument(), {"arrays"}),
    "opts out": (OptsOut(OPERATOR), {"refusals"}),
    "projects": (NotConvexYetProjects(), {"refusals"}),
}

ROTTEN = {  # a wrong value or support breaks what is built on it: the checks that must be among those that fail
    "not monotone": (NotMonotone(), {"axioms", "value_is_monotone"}),
    "not monotone, nor convex": (Peaked(), {"value_is_monotone"}),
    "support short": (Short(FROBENIUS), {"axioms", "support_at_any_scale"}),
    "support outside": (Outside(OPERATOR), {"axioms", "support_at_any_scale", "polar"}),
}


def failures(gauge, d):
    """The text of each failure by the name of its check."""
    found = {}
    for name, check in gauge_checks(gauge, d):
        try:
            check()
        except (AssertionError, GaugeError) as error:
            found[name] = str(error)
    return found


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_found_by_its_check_and_by_no_other(fault):
    gauge, names = BROKEN[fault]
    assert failures(gauge, 2).keys() == names


@pytest.mark.parametrize("fault", ROTTEN)
def test_a_wrong_value_or_support_is_found_by_its_check(fault):
    gauge, names = ROTTEN[fault]
    assert names <= failures(gauge, 2).keys()


def test_every_check_can_fail():
    checks = {name for gauge in (OPERATOR, get_gauge("root-schatten")) for name, _ in gauge_checks(gauge)}
    assert checks == set().union(*(names for _, names in [*BROKEN.values(), *ROTTEN.values()]))


def test_the_message_names_the_gauge_and_shows_the_matrices():
    found = failures(LargePolar(OPERATOR), 2)["polar"]
    assert found.startswith(f"{LargePolar(OPERATOR)!r} in dimension 2: polar(Q) and the maximum found from support: ")
    assert "\nQ =\n[[" in found
    found = failures(Raises(OPERATOR), 2)["polar"]
    assert found == f"{Raises(OPERATOR)!r} in dimension 2: ZeroDivisionError: mine"


# -- what is no fault ----------------------------------------------------------------------------------------------


class Buffered(TwoFunctions):
    """Writes into one array and returns it each time."""

    buffers = {}  # noqa: RUF012

    def support(self, S):
        buffer = self.buffers.setdefault(len(S), np.empty(S.shape))
        return np.copyto(buffer, self.gauge.support(S)) or buffer


class Lists(TwoFunctions):
    def value(self, S):
        return np.array(self.gauge.value(S))

    def support(self, S):
        return self.gauge.support(S).tolist()


class Searched(TwoFunctions):
    """Accurate to 1e-9, as a gauge that is computed by a search."""

    def value(self, S):
        return (1 + 5e-10 * np.sin(np.abs(S).sum())) * self.gauge.value(S)


@parametrize_with_gauge_checks(Buffered(OPERATOR), Lists(FROBENIUS), Searched(FROBENIUS), dimensions=[3])
def test_harmless_habits_pass(check):
    check()


# -- the decorator and the list ------------------------------------------------------------------------------------


def cases(*arguments, **options):
    """The identifiers of the cases that the decorator makes."""
    return [case.id for case in parametrize_with_gauge_checks(*arguments, **options).args[1]]


def test_the_checks_depend_on_convexity_alone():
    lists = {
        gauge: [name for name, _ in gauge_checks(gauge, d)]
        for gauge, d in ((OPERATOR, 2), ("linear", 5), (Lists(TRACE), 1), ("root-schatten", 2), (OptsOut(TRACE), 3))
    }
    convex, linear, plugin, root, spared = lists.values()
    assert convex == linear == plugin
    assert root == spared
    assert "refusals" in root
    assert "refusals" not in convex


def test_a_gauge_of_one_dimension_is_checked_there_and_once():
    fixed = Linear(np.diag([1.0, 2.0, 3.0]))
    assert all(name.endswith("-3") for name in cases(fixed))
    assert len(cases(fixed)) == len(gauge_checks(fixed, 7))


def test_identifiers_are_the_same_in_every_process():
    names = cases("operator", Lists(OPERATOR), 2 * TwoFunctions(OwnArray()))
    assert len(set(names)) == len(names) == 3 * 3 * len(gauge_checks("operator"))
    assert names[:2] == ["operator-value_at_any_scale-1", "operator-value_is_monotone-1"]
    assert "2 * TwoFunctions(OwnArray)-polar-5" in names
    assert not any("0x" in name for name in names)


def test_bad_arguments_are_value_errors():
    with pytest.raises(ValueError, match="gauges: expected at least one gauge"):
        parametrize_with_gauge_checks()
    with pytest.raises(ValueError, match="dimensions: expected a positive integer, got 0"):
        parametrize_with_gauge_checks("trace", dimensions=[0])
    with pytest.raises(ValueError, match="d: expected a positive integer, got 1.5"):
        gauge_checks("trace", 1.5)
    with pytest.raises(ValueError, match="an instance, not the class"):
        gauge_checks(TwoFunctions)


def test_pytest_is_needed_by_the_decorator_only():
    code = "import sys, swref.testing; swref.testing.gauge_checks('trace')[0][1](); print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
