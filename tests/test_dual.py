"""The defaults for plugins (polar, projection, multiplier) against closed forms and conic programs; Newton's method."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import (
    CONVEX,
    TwoFunctions,
    TwoSpectralFunctions,
    compositions,
    example,
    orthogonal,
    psd,
    seeds,
    spectral_gauges,
)

from swref import Gauge, GaugeError, check_gauge, dual_norm, get_gauge, lmo, measure_lmo, tangent_norm, transport
from swref.gauges import Trace
from swref.gauges.newton import barrier_newton

BLOCKS = {"blocks": [2, 1], "scales": [2, 0.5]}
Q0 = np.array([[2.0, 0.3, 0], [0.3, 1.0, 0.1], [0, 0.1, 0.7]])


def matrix_set(key):
    """(gauge, function that returns (B, t, constraints) of CVXPY: B in t K)."""
    t = cp.Variable(nonneg=True)
    if key == "linear":
        return get_gauge("linear", Q0=Q0), (t * Q0, t, [])
    if key == "sum":  # |.|_F + tr: the unit ball plus the identity
        B = cp.Variable((3, 3), PSD=True)
        return get_gauge("schatten", p=2) + get_gauge("trace"), (B + t * np.eye(3), t, [cp.norm(B, "fro") <= t])
    a, b = cp.Variable((2, 2), PSD=True), cp.Variable((1, 1), PSD=True)
    B = cp.bmat([[a, np.zeros((2, 1))], [np.zeros((1, 2)), b]])
    if key == "block-sum":
        return get_gauge("block-sum", **BLOCKS), (B, t, [cp.trace(a) <= t / 4, cp.trace(b) <= t / 0.25])
    return get_gauge("block-max", **BLOCKS), (B, t, [4 * cp.trace(a) + 0.25 * cp.trace(b) <= t])


KEYS = ["linear", "sum", "block-sum", "block-max"]


def random_psd(d, seed, decades=0.0):
    U = orthogonal(d, seed)
    return (U * np.geomspace(1, 10**-decades, d)) @ U.T


# -- polar --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3])
def test_default_polar_equals_the_closed_form(d):
    rank_one = np.outer(orthogonal(d, 1)[0], orthogonal(d, 1)[0])
    for gauge in [*spectral_gauges(d), example("linear", d)]:
        for Q in [np.eye(d), 1e-150 * rank_one, 1e150 * random_psd(d, 2, 3)]:
            assert_allclose(TwoFunctions(gauge).polar(Q), gauge.polar(Q), rtol=1e-9)


@pytest.mark.parametrize("p", [2, np.inf])
def test_default_polar_in_dimension_five(p):
    gauge = get_gauge("schatten", p=p)
    assert_allclose(TwoFunctions(gauge).polar(random_psd(5, 0, 2)), gauge.polar(random_psd(5, 0, 2)), rtol=1e-9)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("rank", [1, 3])
def test_polar_against_a_conic_program(key, rank):
    """min {t : Q <= B, B in t K}."""
    gauge, (B, t, constraints) = matrix_set(key)
    X = np.random.default_rng(rank).standard_normal((rank, 3))
    problem = cp.Problem(cp.Minimize(t), [*constraints, B >> X.T @ X])
    problem.solve(solver=cp.CLARABEL)
    assert_allclose(gauge.polar(X.T @ X), problem.value, rtol=1e-6)
    assert_allclose(TwoFunctions(gauge).polar(X.T @ X), problem.value, rtol=1e-6)


def test_polar_of_a_block_sum_is_not_the_largest_block_polar():
    gauge = get_gauge("block-sum", blocks=[1, 1])
    assert_allclose(gauge.polar(np.ones((2, 2))), 2, rtol=1e-9)  # each block alone has polar 1


@pytest.mark.parametrize("d", [2, 3])
def test_hoelder_inequality(d):
    """<Q, S> <= polar(Q) gamma(S), with equality for Q = support(S)."""
    rng = np.random.default_rng(0)
    for gauge in [*spectral_gauges(d), example("linear", d), example("block-max", d), *compositions(d)]:
        X = rng.standard_normal((d + 1, d))
        Q = gauge.support(X.T @ X)
        assert_allclose(gauge.polar(Q), 1, rtol=1e-8)
        assert_allclose(np.vdot(Q, X.T @ X), gauge.value(X.T @ X), rtol=1e-12)


# -- projection ---------------------------------------------------------------------------------------------------


def conic_projection(key, A):
    gauge, (B, t, constraints) = matrix_set(key)
    P = cp.Variable((3, 3), PSD=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(P - A)), [*constraints, t == 1, B - P >> 0])
    problem.solve(solver=cp.CLARABEL)
    return gauge, P.value


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_projection_against_a_conic_program(key, shift):
    A = np.random.default_rng(7).standard_normal((3, 3))
    A = A + A.T + shift * np.eye(3)
    gauge, P = conic_projection(key, A)
    assert_allclose(gauge.project(A), P, atol=1e-4)
    assert gauge.polar(gauge.project(A)) <= 1 + 1e-9


@pytest.mark.parametrize("size", [1e-150, 0.3, 1.0, 30.0, 1e6, 1e100])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_default_projection_equals_the_closed_form(d, size):
    A = np.random.default_rng(d).standard_normal((d, d))
    A = size * (A + A.T + np.eye(d))
    for gauge in [get_gauge("trace"), get_gauge("schatten", p=2), get_gauge("operator"), get_gauge("kyfan", k=d)]:
        P = TwoFunctions(gauge).project(A)
        assert_allclose(P, gauge.project(A), atol=2e-6 * max(np.abs(P).max(), 1e-300))
        assert gauge.polar(P) <= 1 + 1e-9


@pytest.mark.parametrize("p", [1, 1.001, 1.3, 2, 2.5, 7, 1000, np.inf])
@given(seed=seeds, size=st.sampled_from([1e-150, 0.1, 1.0, 10.0, 1e4, 1e150]))
def test_schatten_projection_is_optimal(p, seed, size):
    """<A - P, Q> is largest over K at Q = P: the maximum is |(A - P)_+|_{S_p}, NumPy's own norm."""
    A = np.random.default_rng(seed).standard_normal((4, 4))
    A = size * (A + A.T)
    P = get_gauge("schatten", p=p).project(A)
    scale = max(size, 1.0)
    positive = np.maximum(np.linalg.eigvalsh(A / scale - P / scale), 0)
    inside = get_gauge("schatten", p=p).polar(P)
    assert inside <= 1 + 1e-13
    if inside < 1 - 1e-9:
        assert_allclose(positive, 0, atol=1e-13)  # then P = A_+
    top = positive.max() or 1.0
    assert abs(top * np.linalg.norm(positive / top, p) - np.vdot(A / scale - P / scale, P)) <= 1e-10


@pytest.mark.parametrize("k", [1, 2, 3])
@given(seed=seeds, size=st.sampled_from([0.1, 1.0, 10.0, 1e150]))
def test_kyfan_projection_is_optimal(k, seed, size):
    A = np.random.default_rng(seed).standard_normal((3, 3))
    A = size * (A + A.T)
    P, scale = get_gauge("kyfan", k=k).project(A), max(size, 1.0)
    lam = np.linalg.eigvalsh(P)
    assert -1e-13 <= lam[0] <= lam[-1] <= 1 + 1e-13
    assert lam.sum() <= k + 1e-13
    top = np.maximum(np.linalg.eigvalsh(A / scale - P / scale), 0)[-k:].sum()
    assert abs(top - np.vdot(A / scale - P / scale, P)) <= 1e-13


def test_projection_of_equal_huge_eigenvalues_shares_the_ball():
    assert_allclose(get_gauge("operator").project(1e100 * np.eye(2)), 0.5 * np.eye(2))
    assert_allclose(get_gauge("kyfan", k=2).project(1e100 * np.diag([1, 1, 1, -1])), np.diag([2, 2, 2, 0]) / 3)


@pytest.mark.parametrize("d", [2, 3])
def test_projection_is_idempotent_and_keeps_what_is_inside(d):
    for gauge in [*spectral_gauges(d), *compositions(d)]:
        inside = 0.3 * gauge.support(random_psd(d, 5, 1))
        assert_allclose(gauge.project(inside), inside, atol=1e-14)
        indefinite = inside - np.eye(d) * np.linalg.norm(inside, 2) / 2
        lam, U = np.linalg.eigh(indefinite)
        assert_allclose(gauge.project(indefinite), (U * np.maximum(lam, 0)) @ U.T, atol=1e-14)


# -- together -----------------------------------------------------------------------------------------------------


CASES = [pytest.param(example(name, d), d, id=f"{name}-{d}") for name in CONVEX for d in (1, 3)]
CASES += [pytest.param(gauge, 2, id=repr(gauge)) for gauge in compositions(2)]


@pytest.mark.parametrize("gauge, d", CASES)
def test_two_functions_are_enough(gauge, d):
    """The defaults built on value and support agree with whatever the gauge brings itself, on a line too."""
    rng, bare = np.random.default_rng(d), TwoFunctions(gauge)
    w, line = rng.dirichlet(np.ones(6)), np.outer(rng.standard_normal(6), rng.standard_normal(d))
    for g in (rng.standard_normal((6, d)), line):
        v, dual = measure_lmo(g, gauge, w), dual_norm(g, gauge, w)
        assert_allclose(dual_norm(g, bare, w), dual, rtol=1e-9)
        assert_allclose(tangent_norm(v, gauge, w), dual, rtol=1e-9)
        assert_allclose(measure_lmo(g, bare, w), v, atol=1e-5 * np.abs(v).max())
    S = line.T @ line
    assert_allclose(bare.polar(S), gauge.polar(S), rtol=2e-9)
    size = np.linalg.norm(gauge.support(S), 2)
    A = 2 * gauge.support(S + np.eye(d)) - 0.3 * size * np.eye(d)
    P = gauge.project(A)
    assert_allclose(bare.project(A), P, atol=1e-5 * np.abs(A).max())
    assert bare.polar(P) <= 1 + 2e-9
    for Q in (gauge.support(S), gauge.support(np.eye(d)), np.zeros((d, d))):
        assert np.vdot(A - P, Q - P) <= 1e-7 * size**2  # no point of K is nearer


def test_a_gauge_written_on_the_spot_passes_through_every_door():
    """The larger of tr S and twice the first diagonal entry: two functions, and nothing else."""

    class FavouriteAxis(Gauge):
        def value(self, S):
            return max(np.trace(S), 2 * S[0, 0])

        def support(self, S):
            return np.eye(len(S)) if np.trace(S) >= 2 * S[0, 0] else 2 * np.diag(np.eye(len(S))[0])

    gauge, g = FavouriteAxis(), np.random.default_rng(0).standard_normal((8, 2))
    check_gauge(gauge)
    v = lmo(g, gauge)
    assert_allclose(-np.vdot(g, v), gauge.value(v.T @ v), rtol=1e-9)
    assert_allclose(gauge.polar(np.diag([1.5, 0.5])), 1, rtol=1e-9)  # halfway between I and 2 e_1 e_1^T
    assert_allclose(gauge.project(np.diag([3.0, 0.0])), np.diag([2.0, 0.0]), atol=1e-6)
    assert transport(g, g[::-1] + 1, gauge).relative_gap <= 1e-6


# -- multiplier ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [TwoFunctions, TwoSpectralFunctions])
@pytest.mark.parametrize("index", range(7))
@settings(max_examples=4)
@given(C=psd(d=3))
def test_default_multiplier_equals_the_closed_form(wrap, index, C):
    """tr(P C) = N*^2 to 1e-9, and P itself on the range of C where C is well conditioned."""
    gauge = [*spectral_gauges(3)[1:], example("linear", 3)][index]
    if wrap is TwoSpectralFunctions and index == 6:
        return
    size = np.abs(C).max() or 1.0
    P, closed = wrap(gauge).measure_multiplier(C), gauge.measure_multiplier(C)
    expected = np.vdot(closed, C / size)
    assert abs(np.vdot(P, C / size) - expected) <= 2e-9 * expected
    lam, U = np.linalg.eigh(C / size)
    U = U[:, lam > 1e-13 * lam[-1]]
    if lam[lam > 1e-13 * lam[-1]].min(initial=1) > 1e-3:
        assert_allclose(P @ U, closed @ U, atol=1e-5 * max(np.abs(closed).max(), 1.0))


@pytest.mark.parametrize("d", [5, 10])
@pytest.mark.parametrize("p", [2, np.inf])
def test_default_multiplier_in_higher_dimensions(d, p):
    gauge, C = get_gauge("schatten", p=p), random_psd(d, 1, 2)
    assert_allclose(TwoFunctions(gauge).measure_multiplier(C), gauge.measure_multiplier(C), rtol=0, atol=1e-5)


@pytest.mark.parametrize("p", [2, np.inf])
@pytest.mark.parametrize("ratio", [1e-4, 1e-6, 1e-8])
def test_small_directions_of_a_moment_are_no_rounding(p, ratio):
    """P has the eigenvectors of C and sqrt(v / c), where v = c^(1/(2p - 1)), up to a factor, is best for gamma(v)."""
    U, c = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0], np.array([1, 0.3, ratio])
    v = c ** (1 / (2 * p - 1))
    closed = (U * np.sqrt(v / c)) @ U.T * (np.sqrt(v) @ np.sqrt(c)) / np.linalg.norm(v, p)
    gauge = get_gauge("schatten", p=p)
    for other in (gauge, TwoFunctions(gauge), get_gauge("block-sum", blocks=[3], gauge=gauge)):
        P = other.measure_multiplier((U * c) @ U.T)
        assert_allclose(P, closed, rtol=0, atol=1e-4 * np.abs(closed).max())


@pytest.mark.parametrize("C", [np.ones((2, 2)), np.diag([1.0, 0]), np.array([[1.0, 2], [2, 4]])])
@pytest.mark.parametrize("name", ["block-sum", "block-max"])
def test_block_multipliers_for_singular_moments(name, C):
    """Forces along one line: the closed form against the certified default, which inverts on a range only."""
    gauge = get_gauge(name, blocks=[1, 1], scales=[1, 0.5])
    lam, U = np.linalg.eigh(C)
    line = U[:, -1] * np.sqrt(lam[-1])
    assert_allclose(TwoFunctions(gauge).measure_multiplier(C) @ line, gauge.measure_multiplier(C) @ line, atol=1e-6)


def test_block_max_of_a_line_by_hand():
    """g = (1, 1) everywhere: J = -(1 + 1) (1, 1), because both blocks move at one clock."""
    gauge = TwoFunctions(get_gauge("block-max", blocks=[1, 1]))
    assert_allclose(gauge.measure_multiplier(np.ones((2, 2))) @ [1, 1], [2, 2], rtol=1e-6)


@pytest.mark.parametrize(
    "gauge", [TwoFunctions(Trace()), TwoSpectralFunctions(get_gauge("operator")), get_gauge("operator")]
)
def test_nothing_moves_without_force(gauge):
    assert not gauge.measure_multiplier(np.zeros((2, 2))).any() or gauge.value(np.eye(2)) == 2
    assert gauge.polar(np.zeros((2, 2))) == 0
    assert not gauge.project(np.zeros((2, 2))).any()


def test_a_factor_keeps_directions_that_its_square_loses():
    R = np.diag([1.0, 1e-9])
    for gauge in [get_gauge("operator"), get_gauge("block-max", blocks=[2]), 2 * get_gauge("operator")]:
        P = gauge._multiply(np.eye(2), R)
        factor = 0.5 if type(gauge).__name__ == "Multiple" else 1.0
        assert_allclose(P, factor * (1 + 1e-9) * np.diag([1, 1e9]), rtol=1e-12)
        assert gauge.measure_multiplier(R.T @ R)[1, 1] == 0  # 1e-18 is rounding
    P = TwoFunctions(get_gauge("schatten", p=2))._multiply(np.eye(2), np.diag([1.0, 1e-3]))
    assert_allclose(P, get_gauge("schatten", p=2)._multiply(np.eye(2), np.diag([1.0, 1e-3])), rtol=1e-4, atol=1e-6)


def test_an_overridden_multiplier_is_used_by_every_hook():
    class Mine(TwoFunctions):
        def measure_multiplier(self, C):
            return 3 * np.eye(len(C))

    gauge = Mine(Trace())
    assert_allclose(gauge._multiply(np.ones((4, 2)), np.eye(2)), 3 * np.ones((4, 2)))
    assert_allclose(lmo(np.ones((4, 2)), gauge), -3 * np.ones((4, 2)))


def test_a_gauge_that_breaks_the_axioms_is_reported_not_computed():
    class Wrong(TwoFunctions):
        def support(self, S):
            return 0.9 * super().support(S)

    gauge = Wrong(get_gauge("schatten", p=2))
    for method in (gauge.measure_multiplier, gauge.polar, gauge.project):
        with pytest.raises(GaugeError, match=r"Schatten\(p=2.0\)\): <support\(S\), S> = .* but value\(S\) = .*\nS =\n"):
            method(np.diag([2.0, 1.0]))


# -- Newton's method ----------------------------------------------------------------------------------------------


def test_barrier_newton_meets_the_optimality_conditions():
    """x_i (gradient_i - multiplier) = mu."""
    rng = np.random.default_rng(0)
    H, c = rng.standard_normal((3, 6)), rng.standard_normal(6)

    def f(x):
        return 0.5 * (H @ x) @ (H @ x) + c @ x + 3 * x.sum(), lambda: (H.T @ (H @ x) + c + 3, H.T @ H)

    x = np.full(6, 1 / 6)
    for mu in np.geomspace(1e-1, 1e-10, 10):
        x, derivatives = barrier_newton(f, x, mu, decrement=1e-12)
        gradient = derivatives()[0]
        multiplier = x @ gradient - 6 * mu
        assert_allclose(x * (gradient - multiplier), mu, rtol=1e-4)
        assert abs(x.sum() - 1) < 1e-12
