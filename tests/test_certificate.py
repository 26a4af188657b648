"""The pieces of a certificate, each against fractions: exact couplings, moments, feasible potentials."""

from fractions import Fraction
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EPS, seeds

import swref
from swref._errors import CrossedBounds
from swref._results import scaled_back, squared_back
from swref.clouds.certificate import TINY, LowerBound, line_bound, metric_factor, moment_of, upper_bound
from swref.network.masses import Masses

TRACE, OPERATOR = swref.get_gauge("trace"), swref.get_gauge("operator")
exact = np.vectorize(lambda v: Fraction(float(v)), otypes=[object])


def masses_of(n, m, seed, spread):
    """Weights over ``spread`` decades, and their ``Masses``."""
    rng = np.random.default_rng(seed)
    a, b = (10.0 ** rng.uniform(-spread, 0, k) for k in (n, m))
    return a, b, Masses(a, b)


def assert_coupling(rows, columns, masses, a, b):
    """Each mass is a rounding of an exact coupling's: marginals agree to eps/2 of the masses in their row."""
    assert (masses > 0).all()
    for index, weights in ((rows, a), (columns, b)):
        total = sum(exact(weights))
        for k, w in enumerate(exact(weights)):
            assert abs(sum(exact(masses[index == k]), Fraction(0)) - w / total) <= Fraction(EPS) / 2 * w / total


# -- exact couplings --------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 6), m=st.integers(1, 6), seed=seeds, spread=st.sampled_from([0, 3, 16, 300]))
def test_any_plan_becomes_an_exact_coupling(n, m, seed, spread):
    """A random plan with cycles, zeros and wrong marginals, down to no plan at all."""
    a, b, masses = masses_of(n, m, seed, spread)
    rng = np.random.default_rng(seed + 1)
    plan = rng.random((n, m)) * (rng.random((n, m)) < 0.7)
    rows, columns = np.nonzero(plan)
    order = rng.permutation(n), rng.permutation(m)
    assert_coupling(*masses.coupling(rows, columns, plan[rows, columns], order), a, b)


@given(n=st.integers(2, 6), m=st.integers(2, 6), seed=seeds)
def test_a_coupling_right_to_rounding_changes_by_rounding_only(n, m, seed):
    """The independent coupling: all cells, many cycles. Cells off the forest keep their masses."""
    a, b, masses = masses_of(n, m, seed, 1)
    plan = np.outer(a / a.sum(), b / b.sum())
    rows, columns = np.nonzero(plan)
    i, j, repaired = masses.coupling(rows, columns, plan[rows, columns], (np.arange(n), np.arange(m)))
    assert len(repaired) == n * m
    np.testing.assert_allclose(repaired, plan[i, j], rtol=1e3 * EPS)


def test_integrals_are_exact_before_they_are_rounded_once():
    a, b, masses = masses_of(5, 4, 0, 200)
    f, g = np.array([1e300, -1e300, 1.0, 1e-200, 3e20]), np.array([-7e250, 2.0, 1e-100, 5.0])
    small = np.full(5, 1e-30)
    value = sum(exact(a) * (exact(f) + exact(small))) / sum(exact(a)) + sum(exact(b) * exact(g)) / sum(exact(b))
    assert masses.integral((f, small), (g,)) == float(value)


# -- moments ----------------------------------------------------------------------------------------------------------


def test_a_moment_is_right_to_four_eps_of_its_diagonal_however_many_terms_it_has():
    """A unit step and 1e5 steps of 1e-17: added one by one, the small ones would be lost."""
    n = 100_000
    rng = np.random.default_rng(0)
    x, y = np.zeros((n + 1, 2)), np.vstack([[[1.0, -1.0]], 1e-2 * rng.standard_normal((n, 2))])
    masses = np.append(1.0, np.full(n, 1e-13))
    M = moment_of(x, y, np.arange(n + 1), np.arange(n + 1), masses)
    for k in range(2):
        for l in range(2):
            total = fsum(masses * y[:, k] * y[:, l])
            assert abs(M[k, l] - total) <= 4 * EPS * np.sqrt(M[k, k] * M[l, l])
    plain = np.cumsum(masses * y[:, 0] ** 2)[-1]  # one by one; since Python 3.12 `sum` is compensated
    assert abs(plain - M[0, 0]) > 4 * EPS * M[0, 0]  # the test sees what it is about


def test_an_upper_bound_is_zero_only_when_nothing_moves():
    """Displacements whose squares underflow still cost something."""
    x, y = np.zeros((1, 2)), np.full((1, 2), 1e-200)
    M = moment_of(x, y, np.zeros(1, int), np.zeros(1, int), np.ones(1))
    assert not M.any()
    assert upper_bound(TRACE, M, moved=True) >= 2 * TINY
    assert upper_bound(TRACE, M, moved=False) == 0


class Pessimist(swref.Gauge):
    """The trace, wrong by as much as a gauge may be: too small."""

    def value(self, S):
        return np.trace(S) * (1 - 4 * (len(S) + 1) * EPS)

    def support(self, S):
        return np.eye(len(S))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_an_upper_bound_covers_the_errors_that_it_allows(d):
    """The moment too small by 4 eps in every entry, the gauge by all that is assumed of it."""
    S = np.ones((d, d))
    assert upper_bound(Pessimist(), S * (1 - 4 * EPS), moved=True) >= d
    assert upper_bound(TRACE, S * (1 - 4 * EPS), moved=True) >= d
    assert upper_bound(Pessimist(), S, moved=True) >= d


# -- potentials -------------------------------------------------------------------------------------------------------


@given(seed=seeds, size=st.sampled_from([0.0, 1.0, 1e8, 1e16, 1e24]), jitter=st.sampled_from([1.0, 1e-9, 1e-15]))
def test_potentials_are_feasible_in_exact_arithmetic(seed, size, jitter):
    """Whatever they start from: large ones that nearly cancel, and clouds that nearly coincide."""
    rng = np.random.default_rng(seed)
    n, m, d = 4, 5, 3
    x = rng.standard_normal((n, d)) + 1e3
    y = x[rng.integers(n, size=m)] + jitter * rng.standard_normal((m, d))
    R = rng.standard_normal((d, d))
    L = metric_factor(R @ R.T)
    shift = size * rng.standard_normal()
    f, g = shift + rng.standard_normal(n), -shift + rng.standard_normal(m)
    bound = LowerBound(TRACE, x, y, Masses(np.ones(n), np.ones(m)), L, f, g, x[0])
    bound.improve(EPS * size * rng.standard_normal(m))
    X, Y = exact(x).dot(exact(L)), exact(y).dot(exact(L))
    F, G = (exact(u) + exact(v) for u, v in (bound.f, bound.g))
    costs = ((X[:, None] - Y) ** 2).sum(-1)
    assert (F[:, None] + G <= costs).all()
    # and tight: in every row some cell has less slack than a few ulps of what its terms are made of
    slack = (costs - F[:, None] - G).min(1).astype(float)
    terms = (costs.max(1) + abs(F)).astype(float)
    assert (slack <= 40 * EPS * costs.astype(float).max(1) + 8 * EPS**2 * terms + 8 * EPS**2 * size).all()


@pytest.mark.parametrize("d", [2, 3, 4])
def test_costs_of_points_one_digit_apart_stay_below_the_exact_ones(d):
    """There the images' own rounding, eps^2 of their size, is more than that of the square: ``drop`` pays for it."""
    rng = np.random.default_rng(d)
    for _ in range(100):
        x, L = rng.standard_normal((3, d)), rng.standard_normal((d, rng.integers(1, d + 1)))
        y = np.nextafter(x, x + rng.integers(-1, 2, x.shape))
        bound = LowerBound(
            TRACE, x, y, Masses(np.ones(3), np.ones(3)), L, np.zeros(3), np.zeros(3), rng.random() * x[0]
        )
        costs = exact(bound.costs()) - exact(bound.drop_rows)[:, None]
        assert (costs <= (((exact(x)[:, None] - exact(y)).dot(exact(L))) ** 2).sum(-1)).all()


@pytest.mark.parametrize("excess", [1e-15, 1e-9, 0.5])
def test_a_metric_outside_its_set_is_divided_by_its_polar(excess):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 2)), rng.standard_normal((6, 2))
    square = swref.transport(x, y, TRACE)
    f, g = square.potentials
    masses = Masses(np.ones(6), np.ones(6))
    L = np.sqrt(1 + excess) * np.eye(2)
    bound = LowerBound(TRACE, x, y, masses, L, (1 + excess) * f, (1 + excess) * g, x[0])
    assert bound.value <= square.upper_bound
    assert bound.value == pytest.approx(square.lower_bound, rel=1e-13)


def test_the_metric_factor_keeps_small_directions():
    """Q with a diagonal over 30 decades: the factor is right to its own size in every direction."""
    rng = np.random.default_rng(1)
    scale = np.array([1.0, 1e-8, 1e-15])
    R = rng.standard_normal((3, 3))
    Q = scale[:, None] * (R @ R.T) * scale
    L = metric_factor(Q)
    np.testing.assert_allclose(L @ L.T / np.outer(scale, scale), R @ R.T, rtol=0, atol=1e-13)


@pytest.mark.parametrize("corner", [[0.0, -1e-17], [1e-17, 0.0], [1e-17, -1e-17], [1e-18, 1e-38]])
def test_rows_of_a_metric_that_are_rounding_only_count_as_zero(corner):
    """Semidefinite to the last digit, but with a diagonal that is negative, or too small for what stands beside it."""
    Q = np.array([[1.0, corner[0]], corner])
    L = metric_factor(Q)
    np.testing.assert_allclose(L @ L.T, np.diag([1.0, 0.0]), rtol=0, atol=2 * EPS)
    beside = 1e40 * np.block([[Q, np.zeros((2, 1))], [np.zeros((1, 2)), 1e-20]])  # another row keeps its digits
    L = metric_factor(beside)
    assert (L @ L.T)[2, 2] == pytest.approx(1e20, rel=4 * EPS)
    x, y = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]]), np.array([[7.0, 3.0], [3.0, 5.0], [1.0, 1.0]])
    result = swref.exact_transport(x, y, metric=Q)
    assert result.status == "converged"
    assert result.lower_bound <= 7 * (1 + 4 * EPS)  # (1^2 + 2^2 + 4^2)/3, by sorting
    assert result.upper_bound >= 7 * (1 - 4 * EPS)


def test_on_the_line_only_a_monotone_coupling_proves_itself():
    x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])
    M = np.ones((1, 1))
    assert line_bound(TRACE, M, x, y, np.array([0, 1]), np.array([1, 0])) is None
    assert 0 < line_bound(TRACE, M, x, y, np.array([1, 0]), np.array([1, 0])) < 1


# -- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 0.3, 1e-160, 1e-161, 3e160, 2.0**-530, 2.0**600])
def test_bounds_are_scaled_outwards(scale):
    value = 1 + EPS
    square = Fraction(value) * Fraction(scale) ** 2
    assert Fraction(squared_back(value, scale, 0.0)) <= square
    above = squared_back(value, scale, np.inf)
    assert np.isinf(above) or square <= Fraction(above)
    assert squared_back(0.0, scale, 0.0) == squared_back(0.0, scale, np.inf) == 0


def test_crossed_bounds_are_seen():
    with pytest.raises(CrossedBounds, match="lower bound 2.0 above upper bound 1.0"):
        scaled_back(None, 1.0, 2.0, 1.0, np.eye(1), np.eye(1), 0.5)
