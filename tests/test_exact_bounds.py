"""Bounds against exact rational arithmetic: lower <= W^2 <= upper to the last digit, whatever input and status.

Exact values: the best permutation of equal weights; sorting, for points on a line; the moment, when all mass goes to
one point. Comparisons with eigenvalues are comparisons with determinants, so that nothing is ever rounded.
"""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EPS, TwoFunctions

import swref

EXAMPLES = settings(max_examples=60)


class Halfway(swref.Gauge):
    """A plugin: the mean of trace and largest eigenvalue."""

    def value(self, S):
        return (np.trace(S) + np.linalg.eigvalsh(S)[-1]) / 2

    def support(self, S):
        u = np.linalg.eigh(S)[1][:, -1]
        return (np.eye(len(S)) + np.outer(u, u)) / 2


# -- inputs -----------------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
KINDS = ["plain", "integers", "decades", "offset", "scaled", "close"]


def coordinates(kind, rng, n, d):
    plain = rng.standard_normal((n, d))
    return {
        "plain": plain,
        "integers": rng.integers(-3, 4, (n, d)).astype(float),
        "decades": plain * 10.0 ** rng.integers(-15, 16, (n, d)),
        "offset": plain + 10.0 ** rng.integers(3, 17),
        "scaled": np.ldexp(rng.integers(-(2**20), 2**20, (n, d)).astype(float), int(rng.integers(-300, 300))),
        "close": 1 + 1e-3 * plain,
    }[kind]


@st.composite
def clouds(draw, d, most, equal=False, single=False):
    """Two clouds of at most ``most`` points, coordinates over 30 decades, duplicates, and far points in common."""
    rng = np.random.default_rng(draw(seeds))
    n = draw(st.integers(1, most))
    m = n if equal else 1 if single else draw(st.integers(1, most))
    x, y = coordinates(draw(st.sampled_from(KINDS)), rng, n, d), coordinates(draw(st.sampled_from(KINDS)), rng, m, d)
    if draw(st.booleans()):
        x, y = np.vstack([x, x[:1]]), y if single else np.vstack([y, y[:1]])
    far = [np.full((1, d), draw(st.sampled_from([1.0, 2.0])) * 10.0 ** draw(st.integers(5, 20)))] * draw(
        st.integers(0, 2)
    )
    return np.vstack([x, *far]), y if single else np.vstack([y, *far])


@st.composite
def weights(draw, n):
    """None, or weights (n,) from 1 down to 1e-300."""
    rng, kind = np.random.default_rng(draw(seeds)), draw(st.sampled_from(["none", "random", "wide", "tiny"]))
    if kind == "none":
        return None
    w = {
        "random": rng.uniform(0.1, 1, n),
        "wide": 10.0 ** rng.uniform(-16, 0, n),
        "tiny": 10.0 ** rng.uniform(-300, 0, n),
    }[kind]
    return w / w.sum()


def exact(points):
    return [[Fraction(float(v)) for v in point] for point in points]


def exact_weights(w, n):
    w = [Fraction(1)] * n if w is None else [Fraction(float(v)) for v in w]
    return [v / sum(w) for v in w]


# -- exact values -----------------------------------------------------------------------------------------------------


def permuted(x, y):
    """The least cost of a permutation: W_2^2 for equal weights (Birkhoff)."""
    X, Y = exact(x), exact(y)
    C = [[sum((u - v) ** 2 for u, v in zip(p, q, strict=True)) for q in Y] for p in X]
    return min(sum(C[i][k] for i, k in enumerate(order)) for order in permutations(range(len(X)))) / len(X)


def sorted_cost(s, a, t, b):
    """W_2^2 of weighted points on the line, by the monotone coupling."""
    left, right, total = sorted(zip(s, a, strict=True)), sorted(zip(t, b, strict=True)), Fraction(0)
    (u, p), (v, q) = left.pop(), right.pop()
    while True:
        mass = min(p, q)
        total += mass * (u - v) ** 2
        p, q = p - mass, q - mass
        if not p and not left:
            return total
        if not p:
            u, p = left.pop()
        if not q and right:
            v, q = right.pop()


def moment(x, w, y):
    """sum_i w_i (x_i - y)(x_i - y)^T."""
    D = [[u - v for u, v in zip(point, y, strict=True)] for point in exact(x)]
    d = range(len(y))
    return [[sum(p * z[k] * z[l] for p, z in zip(w, D, strict=True)) for l in d] for k in d]


def positive_semidefinite(M):
    """By elimination, in place."""
    for k in range(len(M)):
        pivot = M[k][k]
        if pivot < 0 or (pivot == 0 and any(M[k][k:])):
            return False
        for i in range(k + 1, len(M) if pivot else 0):
            factor = M[i][k] / pivot
            M[i] = [v - factor * u for u, v in zip(M[k], M[i], strict=True)]
    return True


def largest_at_most(M, bound):
    """Whether the largest eigenvalue of M is at most ``bound``."""
    return positive_semidefinite([[bound * (k == l) - v for l, v in enumerate(row)] for k, row in enumerate(M)])


def smallest_at_least(M, bound):
    return positive_semidefinite([[v - bound * (k == l) for l, v in enumerate(row)] for k, row in enumerate(M)])


def trace(M):
    return sum(M[k][k] for k in range(len(M)))


# For each gauge: whether gamma(M) <= bound, exactly.
BELOW = {
    "trace": lambda M, bound: trace(M) <= bound,
    "operator": largest_at_most,
    "halfway": lambda M, bound: largest_at_most(M, 2 * bound - trace(M)),
    "kyfan": lambda M, bound: trace(M) <= bound if len(M) < 3 else smallest_at_least(M, trace(M) - bound),
}
GAUGES = {
    "trace": lambda d: swref.get_gauge("trace"),
    "operator": lambda d: swref.get_gauge("operator"),
    "halfway": lambda d: Halfway(),
    "kyfan": lambda d: swref.get_gauge("kyfan", k=min(2, d)),
}
gauges = pytest.mark.parametrize("name", GAUGES)
dimensions = pytest.mark.parametrize("d", [1, 2, 3])


def bracket(x, y, gauge, a=None, b=None):
    """(L, U) as fractions, U None when it is infinite; the result carries one of the documented states."""
    result = swref.transport(x, y, gauge, a, b, strict=False)
    assert result.status in ("converged", "rounding", "stalled")
    if result.status == "converged":
        assert result.relative_gap <= 1e-6 or result.upper_bound <= 1e-12 * np.abs(x).max() ** 2
    upper = None if np.isinf(result.upper_bound) else Fraction(result.upper_bound)
    return Fraction(result.lower_bound), upper


def assert_inside(bounds, value):
    lower, upper = bounds
    assert lower <= value
    assert upper is None or value <= upper


# -- tests ------------------------------------------------------------------------------------------------------------


@dimensions
@EXAMPLES
@given(data=st.data())
def test_permutations(d, data):
    x, y = data.draw(clouds(d, 3, equal=True))
    assert_inside(bracket(x, y, "trace"), permuted(x, y))


@gauges
@dimensions
@EXAMPLES
@given(data=st.data())
def test_points_on_a_line(name, d, data):
    """x_i = s_i u, u of small integers and s_i of few digits, so that products are exact: W^2 = |u|^2 W(s, t)^2."""
    u = np.array([[1.0], [3.0, 4.0], [1.0, 2.0, 2.0]][d - 1])
    s, t = data.draw(clouds(1, 6))
    with np.errstate(over="ignore"):
        s, t = (z[np.isfinite(np.float32(z[:, 0]))].astype(np.float32).astype(float) for z in (s, t))
    if not len(s) or not len(t):
        return
    a, b = data.draw(weights(len(s))), data.draw(weights(len(t)))
    bounds = bracket(s * u, t * u, GAUGES[name](d), a, b)
    (s, t), a, b = ([p for (p,) in exact(z)] for z in (s, t)), exact_weights(a, len(s)), exact_weights(b, len(t))
    assert_inside(bounds, sorted_cost(s, a, t, b) * int(u @ u))


@gauges
@dimensions
@EXAMPLES
@given(data=st.data())
def test_everything_to_one_point(name, d, data):
    x, y = data.draw(clouds(d, 7, single=True))
    a = data.draw(weights(len(x)))
    lower, upper = bracket(x, y, GAUGES[name](d), a)
    M = moment(x, exact_weights(a, len(x)), exact(y)[0])
    assert lower == 0 or not BELOW[name](M, lower * (1 - Fraction(1, 10**40)))
    assert upper is None or BELOW[name](M, upper)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_on_ordinary_data_rounding_widens_the_interval_by_a_few_ulps(d):
    """The trace needs one transport problem, so the gap is that of rounding alone: 20 d eps is generous."""
    rng = np.random.default_rng(d)
    for n, m in ((40, 40), (30, 47)):
        x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
        for a in (None, rng.dirichlet(np.ones(n))):
            assert swref.transport(x, y, "trace", a).relative_gap <= (20 * d + 20) * EPS


@pytest.mark.parametrize("gauge", ["trace", "operator", TwoFunctions(swref.get_gauge("operator"))], ids=str)
@pytest.mark.parametrize("far", [1e5, 1e8, 1e11])
def test_a_far_point_in_common_costs_nothing_and_loosens_nothing(gauge, far):
    """Without it the interval is about the same: W^2 scales by the mass of the rest."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 2)), rng.standard_normal((5, 2))
    alone = swref.transport(x, y, gauge)
    joined = swref.transport(np.vstack([x, [[far, far]]]), np.vstack([y, [[far, far]]]), gauge)
    assert joined.relative_gap <= 1e-6
    assert joined.upper_bound == pytest.approx(5 / 6 * alone.upper_bound, rel=2e-6)


@pytest.mark.parametrize("w, far", [(1e-12, 1e6), (1e-15, 1e7), (1e-20, 1e8), (1e-200, 1e100)])
def test_a_light_weight_on_a_far_point(w, far):
    x, y, a = np.array([[0.0, 0], [far, 0]]), np.array([[0.0, 1]]), np.array([1 - w, w])
    result = swref.transport(x, y, "trace", a=a)
    assert result.upper_bound == pytest.approx(1 + w * far**2, rel=1e-12)
    assert result.relative_gap <= 1e-13


@pytest.mark.parametrize("jitter", [1e-3, 1e-7, 1e-11])
def test_clouds_that_nearly_coincide_are_resolved(jitter):
    """Their distance is that of the jitter, once that is much less than the gaps: the identity is optimal."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 3))
    y = x + jitter * rng.standard_normal(x.shape)
    for gauge in ("trace", "operator"):
        result = swref.transport(x, y, gauge)
        step = y - x
        assert result.relative_gap <= 1e-6
        assert result.upper_bound == pytest.approx(swref.get_gauge(gauge).value(step.T @ step / 40), rel=1e-6)


def test_when_rounding_prevents_the_tolerance_the_error_says_so_and_which_scale_is_to_blame():
    x, y = np.array([[0.0, 0], [1e18, 1e18]]), np.array([[1.0, 0.5], [1e18, 1e18]])
    with pytest.raises(swref.NotConverged, match=r"rounding: .*: coordinates differ by up to 1e\+18") as caught:
        swref.transport(x, y, "trace")
    result = caught.value.result
    assert result.status == "rounding"
    assert result.lower_bound <= 0.625 <= result.upper_bound <= 0.626


def test_a_displacement_whose_square_underflows_is_not_nothing():
    result = swref.transport([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1e-200]], "trace", strict=False)
    assert result.upper_bound > 0
    assert result.lower_bound == 0


@pytest.mark.parametrize("scale", [1e-160, 1e-155, 1e153])
def test_bounds_outside_the_range_of_float64_are_rounded_squared_back(scale):
    x, y = np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[1.0, 1.0], [0.5, 3.0]])
    value = permuted(scale * x, scale * y)
    result = swref.transport(scale * x, scale * y, "trace")
    assert Fraction(result.lower_bound) <= value
    assert np.isinf(result.upper_bound) or value <= Fraction(result.upper_bound)
    assert np.isfinite(result.lower_bound)
    assert result.upper_bound > 0
