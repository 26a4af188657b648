"""``transport`` against POT, CVXPY, SciPy, closed forms and the theorems of Sec. 3."""

from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import ot
import pytest
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from strategies import CONVEX, EPS, TwoFunctions, compositions, example

import swref
from swref.clouds import CloudOracle, distance
from swref.network.dense import NetworkSimplex, optimise
from swref.network.masses import FINEST, SPARE, Masses
from swref.network.tree_kernels import LIMB, preorder

OPERATOR, TRACE = swref.get_gauge("operator"), swref.get_gauge("trace")
FROBENIUS = swref.get_gauge("schatten", p=2)


def clouds(n, m, d, seed=0):
    """Two random clouds; the second is sheared, so that no gauge is trivial."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) + 0.3


def weights(n, seed):
    w = np.random.default_rng(seed).uniform(0.2, 1, n)
    return w / w.sum()


def all_gauges(d):
    built_in = [example(name, d) for name in CONVEX]
    plugins = [TwoFunctions(FROBENIUS), TwoFunctions(OPERATOR)] if d <= 3 else []
    return [*built_in, *compositions(d), *plugins]


def assert_certified(result, x, y, a, b, gauge, tol):
    """The certificate, recomputed here from the plan and the potentials alone."""
    plan = result.plan.toarray()
    assert (plan >= 0).all()
    np.testing.assert_allclose(plan.sum(1), a, atol=1e-12)
    np.testing.assert_allclose(plan.sum(0), b, atol=1e-12)
    D = y[None] - x[:, None]
    upper = gauge.value(np.einsum("ij,ijk,ijl->kl", plan, D, D))
    f, g = result.potentials
    cost = np.einsum("ijk,kl,ijl->ij", D, result.metric, D)
    scale = max(np.abs(cost).max(), np.finfo(float).tiny)
    assert (cost - f[:, None] - g).min() >= -1e3 * EPS * scale
    assert result.upper_bound == pytest.approx(upper, rel=1e-9)
    assert result.lower_bound == pytest.approx(max(a @ f + b @ g, 0), abs=1e3 * EPS * scale)
    assert gauge.polar(result.metric) <= 1 + 1e-8
    assert np.linalg.eigvalsh(result.metric)[0] >= -1e-12 * np.abs(result.metric).max()
    assert result.lower_bound <= result.upper_bound * (1 + 1e-12)
    assert result.relative_gap <= tol
    assert result.squared_distance == result.upper_bound
    assert result.distance == pytest.approx(np.sqrt(result.upper_bound))


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_every_gauge_returns_a_certificate_that_can_be_checked_by_hand(d):
    x, y = clouds(17, 13, d, seed=d)
    a, b = weights(17, 1), weights(13, 2)
    for gauge in all_gauges(d):
        assert_certified(swref.transport(x, y, gauge, a, b), x, y, a, b, gauge, 1e-6)


@pytest.mark.parametrize("n, d, tol", [(60, 10, 1e-6), (40, 20, 1e-6), (60, 50, 1e-4)], ids=["d=10", "d=20", "d=50"])
def test_high_dimensions_reach_the_tolerance(n, d, tol):
    x, y = clouds(n, n, d, seed=d)
    uniform = np.full(n, 1 / n)
    for gauge in (OPERATOR, FROBENIUS, swref.get_gauge("kyfan", k=3)):
        assert_certified(swref.transport(x, y, gauge, tol=tol), x, y, uniform, uniform, gauge, tol)


def test_a_plugin_with_two_functions_agrees_with_the_built_in_gauge_in_dimension_ten():
    x, y = clouds(40, 40, 10, seed=4)
    for gauge in (OPERATOR, FROBENIUS):
        plugin, built_in = swref.transport(x, y, TwoFunctions(gauge)), swref.transport(x, y, gauge)
        assert plugin.relative_gap <= 1e-6
        assert plugin.upper_bound == pytest.approx(built_in.upper_bound, rel=2e-6)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_trace_is_the_classical_distance_of_pot(d):
    x, y = clouds(30, 41, d)
    a, b = weights(30, 3), weights(41, 4)
    assert swref.transport(x, y, "trace", a, b).upper_bound == pytest.approx(ot.emd2(a, b, ot.dist(x, y)), rel=1e-12)


def test_a_linear_gauge_is_the_classical_distance_after_a_change_of_variables():
    x, y = clouds(25, 25, 3)
    A = np.random.default_rng(5).standard_normal((3, 3))
    gauge = swref.get_gauge("linear", Q0=A @ A.T)
    assert swref.transport(x, y, gauge).upper_bound == pytest.approx(ot.emd2([], [], ot.dist(x @ A, y @ A)), rel=1e-12)


def conic_value(x, y, a, b, gauge):
    """min over all couplings of gamma(moment), as one conic program: shares no code with the engine."""
    cp = pytest.importorskip("cvxpy")
    plan = cp.Variable((len(x), len(y)), nonneg=True)
    D = y[None] - x[:, None]
    S = sum(cp.multiply(plan[i, j], np.outer(D[i, j], D[i, j])) for i in range(len(x)) for j in range(len(y)))
    problem = cp.Problem(cp.Minimize(gauge(S, cp)), [cp.sum(plan, 1) == a, cp.sum(plan, 0) == b])
    return problem.solve(solver=cp.CLARABEL)


CONIC = {
    "frobenius": (FROBENIUS, lambda S, cp: cp.norm(S, "fro")),
    "operator": (OPERATOR, lambda S, cp: cp.lambda_max(S)),
    "kyfan": (swref.get_gauge("kyfan", k=2), lambda S, cp: cp.lambda_sum_largest(S, 2)),
    "sum": (OPERATOR + 0.5 * TRACE, lambda S, cp: cp.lambda_max(S) + 0.5 * cp.trace(S)),
    "max": (
        swref.gauges.maximum(OPERATOR, 0.45 * TRACE),
        lambda S, cp: cp.maximum(cp.lambda_max(S), 0.45 * cp.trace(S)),
    ),
    "block-sum": (
        swref.get_gauge("block-sum", blocks=[1, 2], scales=[1.0, 0.5]),
        lambda S, cp: S[0, 0] + 4 * cp.lambda_max(S[1:, 1:]),
    ),
    "block-max": (
        swref.get_gauge("block-max", blocks=[1, 2], scales=[1.0, 0.5]),
        lambda S, cp: cp.maximum(S[0, 0], 4 * cp.lambda_max(S[1:, 1:])),
    ),
}


@pytest.mark.parametrize("name", CONIC)
def test_small_problems_agree_with_the_full_conic_program(name):
    gauge, conic = CONIC[name]
    for seed in range(3):
        x, y = clouds(7, 6, 3, seed)
        a, b = weights(7, seed), weights(6, seed + 10)
        result = swref.transport(x, y, gauge, a, b, tol=1e-8)
        assert result.upper_bound == pytest.approx(conic_value(x, y, a, b, conic), rel=1e-6)


def test_splitting_beats_every_map():
    x, y = np.array([[-1.0, 0], [1, 0]]), np.array([[0, -1.0], [0, 1]])
    for p, value in ((1, 2), (2, np.sqrt(2)), (np.inf, 1)):
        result = swref.transport(x, y, swref.get_gauge("schatten", p=p), tol=1e-9)
        assert result.upper_bound == pytest.approx(value, rel=2e-9)
        if p > 1:
            np.testing.assert_allclose(result.plan.toarray(), np.full((2, 2), 0.25), atol=1e-4)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_a_translation_costs_the_gauge_of_its_outer_square(d):
    x, _ = clouds(20, 1, d)
    shift = np.arange(1.0, d + 1)
    for gauge in all_gauges(d):
        result = swref.transport(x, x + shift, gauge)
        assert result.upper_bound == pytest.approx(gauge.value(np.outer(shift, shift)), rel=1e-6)
        assert result.relative_gap <= 1e-6


def test_in_dimension_one_every_schatten_distance_is_sorting():
    x, y = clouds(33, 33, 1)
    expected = ((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2).mean()
    for p in (1, 1.7, np.inf):
        result = swref.transport(x, y, swref.get_gauge("schatten", p=p))
        assert result.upper_bound == pytest.approx(expected, rel=1e-13)


def test_sorting_with_weights_and_ties_agrees_with_pot():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (40, 1)).astype(float), rng.integers(2, 9, (25, 1)).astype(float)
    a, b = weights(40, 0), weights(25, 1)
    result = swref.transport(x, y, "trace", a, b)
    assert_certified(result, x, y, a, b, TRACE, 1e-12)
    assert result.upper_bound == pytest.approx(ot.emd2_1d(x[:, 0], y[:, 0], a, b), rel=1e-12)


def test_collinear_clouds_in_the_plane_cost_the_gauge_along_their_line():
    t, s = np.random.default_rng(2).standard_normal((2, 15, 1))
    u = np.array([[0.6, 0.8]])
    expected = ((np.sort(t[:, 0]) - np.sort(s[:, 0])) ** 2).mean()
    for gauge in (OPERATOR, FROBENIUS, TRACE):
        assert swref.transport(t @ u, s @ u, gauge).upper_bound == pytest.approx(expected, rel=1e-6)


def test_the_distance_is_a_metric():
    rng = np.random.default_rng(7)
    x, y, z = rng.standard_normal((3, 15, 3))
    for gauge in (OPERATOR, FROBENIUS, example("block-max", 3)):
        xy, yx = swref.transport(x, y, gauge), swref.transport(y, x, gauge)
        yz, xz = swref.transport(y, z, gauge), swref.transport(x, z, gauge)
        assert xy.upper_bound == pytest.approx(yx.upper_bound, rel=2e-6)
        assert np.sqrt(xz.lower_bound) <= np.sqrt(xy.upper_bound) + np.sqrt(yz.upper_bound)


def test_spectral_gauges_are_rotation_invariant_and_scale_with_multiples():
    x, y = clouds(20, 20, 3)
    R = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    for gauge in (OPERATOR, FROBENIUS, swref.get_gauge("kyfan", k=2)):
        value = swref.transport(x, y, gauge).upper_bound
        assert swref.transport(x @ R, y @ R, gauge).upper_bound == pytest.approx(value, rel=2e-6)
        assert swref.transport(x, y, 3 * gauge).upper_bound == pytest.approx(3 * value, rel=2e-6)


def test_comparison_with_the_classical_distance():
    """sqrt(c) W2 <= W <= sqrt(C) W2 with c = d^(1/p-1), C = 1 for Schatten and c = k/d for Ky Fan.  [Prop. 3.2]"""
    x, y = clouds(25, 25, 3)
    classical = ot.emd2([], [], ot.dist(x, y))
    bounds = {swref.get_gauge("schatten", p=p): 3.0 ** (1 / p - 1) for p in (1, 2, np.inf)}
    for gauge, c in {**bounds, swref.get_gauge("kyfan", k=2): 2 / 3}.items():
        result = swref.transport(x, y, gauge)
        assert c * classical * (1 - 1e-9) <= result.upper_bound
        assert result.lower_bound <= classical * (1 + 1e-9)


def test_max_sliced_is_a_lower_bound_for_the_operator_gauge():
    x, y = clouds(30, 30, 2)
    angles = np.linspace(0, np.pi, 200)
    slices = [ot.emd2_1d(x @ [np.cos(t), np.sin(t)], y @ [np.cos(t), np.sin(t)]) for t in angles]
    assert max(slices) <= swref.transport(x, y, OPERATOR).upper_bound


def test_large_shifts_leave_the_projected_problem():
    """W_p^2 - R^2 tends to W_{uu^T}^2 of the centred clouds for p > 1 and to W_2^2 for p = 1.  [Prop. A.8]"""
    x, y = clouds(20, 20, 2)
    x, y = x - x.mean(0), y - y.mean(0)
    u, R = np.array([0.6, 0.8]), 1e4
    sliced, classical = ot.emd2_1d(x @ u, y @ u), ot.emd2([], [], ot.dist(x, y))
    for gauge, limit in ((TRACE, classical), (FROBENIUS, sliced), (OPERATOR, sliced)):
        result = swref.transport(x, y + R * u, gauge, tol=1e-13, strict=False)
        assert result.upper_bound - R**2 == pytest.approx(limit, abs=1e-2)
        assert result.lower_bound - R**2 == pytest.approx(limit, abs=1e-2)


def test_identical_and_permuted_clouds_are_at_distance_zero():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 3)) + 100
    for y in (x, x[rng.permutation(50)]):
        result = swref.transport(x, y, OPERATOR)
        assert result.distance == result.upper_bound == result.lower_bound == result.relative_gap == 0.0


def test_one_point_each():
    result = swref.transport([[1.0, 2.0]], [[4.0, 6.0]], FROBENIUS)
    assert result.upper_bound == pytest.approx(25)
    assert result.plan.toarray() == [[1.0]]


@pytest.mark.parametrize("scale", [1e-150, 1e-170, 1e150, 1e170])
def test_scale_does_not_matter(scale):
    x, y = clouds(12, 12, 2)
    unit, scaled = swref.transport(x, y, OPERATOR), swref.transport(scale * x, scale * y, OPERATOR)
    assert scaled.distance == pytest.approx(scale * unit.distance, rel=2e-6)
    assert scaled.iterations == unit.iterations
    for array in (scaled.moment, scaled.plan.data, *scaled.potentials):
        assert not np.isnan(array).any()


def test_a_common_offset_costs_no_digits():
    x, y = clouds(12, 12, 2)
    near = swref.transport(x, y, OPERATOR)
    assert swref.transport(x + 1e7, y + 1e7, OPERATOR).upper_bound == pytest.approx(near.upper_bound, rel=1e-5)


def test_nearly_identical_clouds_converge_to_rounding():
    x, _ = clouds(40, 1, 3)
    jitter = 1e-7 * np.random.default_rng(1).standard_normal(x.shape)
    result = swref.transport(x, x + jitter, OPERATOR)
    assert result.status == "converged"
    assert result.upper_bound <= OPERATOR.value(jitter.T @ jitter / 40) * (1 + 1e-6)
    assert (
        result.upper_bound - result.lower_bound
        <= 1e-6 * result.upper_bound + 4 * EPS * np.abs(x - x.mean(0)).max() ** 2
    )


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("gauge", ["trace", "operator"])
def test_clouds_that_differ_in_their_last_digits_are_as_close_as_digits_tell(gauge, d):
    """Converged by the slack: gamma(I) times the mean of (4 eps |x|)^2 over what moves."""
    rng = np.random.default_rng(d)
    x = rng.normal(size=(12, d)) + 3
    y = x + np.spacing(x) * rng.integers(-1, 2, size=x.shape)
    result = swref.transport(x, y, gauge)
    size = swref.get_gauge(gauge).value(np.eye(d))
    assert 0 < result.upper_bound < size * (4 * EPS) ** 2 * (1 + EPS) ** 2 * np.maximum(x**2, y**2).sum(1).mean()


def test_a_kinked_optimum_is_reached_to_1e_8():
    """Four oracle calls a digit, and masters with a barrier of 1e-10, where rounding begins to show."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((12, 4)), rng.standard_normal((12, 4)) @ rng.standard_normal((4, 4)) / 2
    x, y = x - x.mean(0), (y - y.mean(0))[:9]
    result = swref.transport(x, y, OPERATOR, tol=1e-8)
    assert_certified(result, x, y, np.full(12, 1 / 12), np.full(9, 1 / 9), OPERATOR, 1e-8)
    assert result.iterations <= 60


def test_zero_weights_and_duplicates():
    x, y = clouds(9, 8, 2)
    a = weights(9, 0)
    a[[2, 5]] = 0
    a /= a.sum()
    full = swref.transport(x, y, OPERATOR, a=a)
    keep = a > 0
    assert full.plan.shape == (9, 8)
    assert full.plan.toarray()[~keep].sum() == 0
    assert full.upper_bound == pytest.approx(swref.transport(x[keep], y, OPERATOR, a=a[keep]).upper_bound, rel=2e-6)
    assert_certified(full, x, y, a, np.full(8, 1 / 8), OPERATOR, 1e-6)
    twice = swref.transport(np.repeat(x, 2, 0), y, OPERATOR, a=np.repeat(a, 2) / 2)
    assert twice.upper_bound == pytest.approx(full.upper_bound, rel=2e-6)


def test_inputs_are_not_modified_and_float32_is_computed_in_float64():
    x, y = (c.astype(np.float32) for c in clouds(10, 10, 2))
    before = x.copy(), y.copy()
    single, double = swref.transport(x, y, OPERATOR), swref.transport(x.astype(float), y.astype(float), OPERATOR)
    assert single.upper_bound == double.upper_bound
    assert (x == before[0]).all()
    assert (y == before[1]).all()


def simplex_on(a, b, seed=0):
    """A simplex that starts from the plan of points in random order."""
    rng = np.random.default_rng(seed)
    return NetworkSimplex(*Masses(a, b).limbs(), rng.permutation(len(a)), rng.permutation(len(b)))


def assert_solves(simplex, C, a, b, expected):
    rows, columns, masses, f, g, violation = simplex.solve(C)
    plan = np.zeros(C.shape)
    np.add.at(plan, (rows, columns), masses)
    np.testing.assert_allclose(plan.sum(1), a, atol=4 * EPS)
    np.testing.assert_allclose(plan.sum(0), b, atol=4 * EPS)
    tolerance = 100 * EPS * np.abs(C).max()
    assert (masses > 0).all()
    assert np.vdot(C, plan) == pytest.approx(expected, rel=0, abs=tolerance)
    assert a @ f + b @ g == pytest.approx(expected, rel=0, abs=tolerance)
    assert violation <= 4 * EPS * np.abs(C).max()
    assert (C - f[:, None] - g).min() >= -4 * EPS * np.abs(C).max()


def test_the_simplex_follows_a_sequence_of_metrics_with_few_pivots():
    """d = 5, n = 200: each value against SciPy's assignment. An unchanged cost takes no pivot."""
    x, y = clouds(200, 200, 5)
    uniform, rng = np.full(200, 1 / 200), np.random.default_rng(0)
    simplex, pivots = simplex_on(uniform, uniform), []
    for A in [np.eye(5)] * 2 + [np.eye(5) + 0.01 * rng.standard_normal((5, 5)) for _ in range(4)]:
        C = cdist(x @ A, y @ A, "sqeuclidean")
        pivots.append(optimise(deepcopy(simplex.basis), C, 4 * EPS * C.max()))
        assert_solves(simplex, C, uniform, uniform, C[linear_sum_assignment(C)].mean())
    assert pivots[1] == 0 < max(pivots[2:]) < pivots[0] / 4


@pytest.mark.parametrize("n, m", [(1, 1), (1, 9), (9, 1), (12, 12), (30, 20)])
def test_the_simplex_survives_ties_and_uneven_weights(n, m):
    """Integer costs, many of them equal or zero; equal weights leave nearly every cell of a basis empty."""
    rng = np.random.default_rng(n + m)
    spread = np.geomspace(1, 1e-12, n)
    for a, b in (
        (np.full(n, 1 / n), np.full(m, 1 / m)),
        (weights(n, 0), weights(m, 1)),
        (spread / spread.sum(), np.full(m, 1 / m)),
    ):
        simplex = simplex_on(a, b)
        for most in (4, 1, 9):
            C = rng.integers(0, most, (n, m)).astype(float)
            assert_solves(simplex, C, a, b, ot.emd2(a, b, C))
            assert_spanning(simplex.basis, n)


@pytest.mark.parametrize("n, m", [(17, 5), (8, 23)])
def test_the_simplex_agrees_with_linear_programming(n, m):
    """HiGHS on the full transport program, weights spread over eight decades, along a sequence of costs."""
    rng = np.random.default_rng(n)
    a, b = (w / w.sum() for w in (np.geomspace(1, 1e-8, n), rng.random(m)))
    incidence = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    simplex, accuracy = (
        simplex_on(a, b),
        dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), 1e-10),
    )
    for _ in range(4):
        C = rng.random((n, m))
        program = linprog(C.ravel(), A_eq=incidence, b_eq=np.append(a, b), method="highs-ds", options=accuracy)
        rows, columns, masses, f, g, _ = simplex.solve(C)
        assert np.vdot(C[rows, columns], masses) == pytest.approx(program.fun, rel=1e-8)
        assert a @ f + b @ g == pytest.approx(program.fun, rel=1e-8)


@pytest.mark.parametrize("n, m", [(1000, 1000), (1500, 400)])
def test_the_simplex_solves_large_problems(n, m):
    x, y = clouds(n, m, 2)
    C, a, b = cdist(x, y, "sqeuclidean"), np.full(n, 1 / n), np.full(m, 1 / m)
    simplex = simplex_on(a, b)
    assert_solves(simplex, C, a, b, ot.emd2(a, b, C, numItermax=10**8))
    assert_spanning(simplex.basis, n)


def assert_spanning(basis, n):
    """A spanning tree of nonempty cells between sources and sinks; its sizes count subtrees."""
    tree, nodes = basis.tree, np.arange(len(basis.tree))
    below = nodes[nodes != basis.root]
    assert tree["parent"][basis.root] == -1
    assert ((below < n) != (tree["parent"][below] < n)).all()
    count = np.ones(len(nodes), dtype=int)
    preorder(tree, basis.root, basis.order)
    for v in basis.order[:0:-1]:
        count[tree["parent"][v]] += count[v]
    assert count[basis.root] == len(nodes)
    assert (tree["count"] == count).all()
    assert (tree["high"][below] >= 0).all()
    assert ((tree["low"][below] >= 0) & (tree["low"][below] < LIMB)).all()
    assert (tree["high"][below] + tree["low"][below] > 0).all()


def whole(limbs):
    """Weights in units, and what is left of them."""
    return np.array([divmod(int(high) * LIMB + int(low), 2**SPARE) for high, low in limbs.T], dtype=object).T


def test_units_keep_equal_weights_equal_and_add_up():
    for n, m in ((3, 7), (1, 1), (97, 1000)):
        (A, spare), (B, rest) = map(whole, Masses(np.full(n, 1 / n), np.full(m, 1 / m)).limbs())
        assert sum(A) == sum(B) <= 2**FINEST
        assert len(set(A)) == len(set(B)) == 1
        assert [*spare] == [1] * n
        assert [*rest] == [n] + [0] * (m - 1)
    a, b = weights(50, 0), np.geomspace(1, 1e-200, 40)
    (A, _), (B, _) = map(whole, Masses(a, b).limbs())
    assert sum(A) == sum(B)
    assert min(A) >= 1
    assert min(B) >= 1
    np.testing.assert_allclose((A / sum(A)).astype(float), a, rtol=4 * EPS)
    np.testing.assert_allclose((B / sum(B)).astype(float), b / b.sum(), rtol=4 * EPS, atol=1e-29)


def test_the_oracle_value_is_the_transport_cost_in_its_metric():
    x, y = clouds(15, 12, 3)
    a, b = weights(15, 0), weights(12, 1)
    oracle = CloudOracle(x, y, a, b)
    for rank in (1, 2, 3):
        R = np.random.default_rng(rank).standard_normal((3, rank))
        value, moment, _ = oracle.evaluate(R @ R.T)
        expected = ot.emd2(a, b, ot.dist(x @ R, y @ R))
        assert value == pytest.approx(expected, rel=1e-11)
        assert np.vdot(R @ R.T, moment) == pytest.approx(expected, rel=1e-11)


def test_dropping_a_negligible_plan_keeps_the_marginals():
    identity, shifted = (
        SimpleNamespace(rows=np.arange(3), columns=np.roll(np.arange(3), k), masses=np.full(3, 1 / 3)) for k in (0, 1)
    )
    mixture = SimpleNamespace(weights=np.array([0.95, 0.05]), handles=[identity, shifted])
    oracle = CloudOracle(*clouds(3, 3, 2), *np.full((2, 3), 1 / 3))
    for budget, entries in ((0.04, 6), (0.06, 3)):
        plan = oracle.mixture(mixture, budget)
        assert plan.nnz == entries
        np.testing.assert_allclose(plan.sum(0), 1 / 3, rtol=1e-14)
        np.testing.assert_allclose(plan.sum(1), 1 / 3, rtol=1e-14)


def test_displacement_moves_at_constant_speed():
    x, y = clouds(12, 12, 2)
    for gauge in (FROBENIUS, OPERATOR):
        whole = swref.transport(x, y, gauge, tol=1e-8)
        points, masses = swref.displacement(x, y, whole.plan, 0.25)
        part = swref.transport(x, points, gauge, b=masses, tol=1e-8)
        assert part.distance == pytest.approx(0.25 * whole.distance, rel=1e-6)
    start, masses = swref.displacement(x, y, whole.plan, 0)
    assert swref.transport(start, x, OPERATOR, a=masses).distance <= 1e-7


@pytest.mark.parametrize("gauge", [TRACE, FROBENIUS, swref.get_gauge("schatten", p=4), TRACE + OPERATOR], ids=repr)
def test_the_gradient_is_that_of_the_squared_distance(gauge):
    """Against central differences of W^2 in random directions; a common translation changes nothing."""
    (x, y), rng = clouds(12, 9, 3), np.random.default_rng(5)
    a, b = weights(12, 1), weights(9, 2)

    def W2(t, u, v):
        return swref.transport(x + t * u, y + t * v, gauge, a, b, tol=1e-11, strict=False).upper_bound

    by_x, by_y = swref.transport(x, y, gauge, a, b, tol=1e-11, strict=False).gradient()
    assert by_x.shape == x.shape
    assert by_y.shape == y.shape
    np.testing.assert_allclose(by_x.sum(0), -by_y.sum(0), rtol=0, atol=1e-12)
    for _ in range(3):
        u, v, h = rng.standard_normal(x.shape), rng.standard_normal(y.shape), 1e-5
        slope = (W2(h, u, v) - W2(-h, u, v)) / (2 * h)
        assert np.vdot(by_x, u) + np.vdot(by_y, v) == pytest.approx(slope, rel=1e-5)


def test_the_gradient_ignores_points_of_zero_weight_and_scales():
    x, y = clouds(6, 5, 2)
    a = np.array([0.0, 0.1, 0.2, 0.3, 0.2, 0.2])
    by_x, _ = swref.transport(x, y, FROBENIUS, a).gradient()
    assert (by_x[0] == 0).all()
    far_x, _ = swref.transport(2.0**400 * x, 2.0**400 * y, FROBENIUS, a).gradient()
    np.testing.assert_allclose(far_x, 2.0**400 * by_x, rtol=1e-12)


def test_the_plan_is_a_sparse_array_whose_product_with_costs_is_entrywise():
    x, y = clouds(20, 20, 2)
    result = swref.transport(x, y, TRACE)
    assert (result.plan * cdist(x, y, "sqeuclidean")).sum() == pytest.approx(result.upper_bound, rel=1e-12)


def test_progress_shows_every_oracle_call(capsys):
    result = swref.transport(*clouds(20, 20, 2), OPERATOR, progress=True)
    shown = capsys.readouterr().err
    assert "gap" in shown
    assert f"{result.iterations} oracle calls" in shown


def test_missing_the_tolerance_raises_and_carries_the_result():
    x, y = clouds(30, 30, 3)
    with pytest.raises(swref.NotConverged, match="max_iter") as caught:
        swref.transport(x, y, OPERATOR, max_iter=3)
    uniform = np.full(30, 1 / 30)
    assert caught.value.result.status == "max_iter"
    assert_certified(caught.value.result, x, y, uniform, uniform, OPERATOR, 1.0)
    loose = swref.transport(x, y, OPERATOR, max_iter=3, strict=False)
    assert loose.upper_bound == caught.value.result.upper_bound
    exact = swref.transport(x, y, OPERATOR).upper_bound
    assert loose.lower_bound <= exact <= loose.upper_bound * (1 + 1e-6)


def test_an_interrupt_keeps_what_was_computed(monkeypatch):
    x, y = clouds(30, 30, 3)

    class Interrupted(CloudOracle):
        calls = 0

        def evaluate(self, Q):
            Interrupted.calls += 1
            if Interrupted.calls == 5:
                raise KeyboardInterrupt
            return super().evaluate(Q)

    monkeypatch.setattr(distance, "CloudOracle", Interrupted)
    with pytest.raises(swref.NotConverged, match="interrupted") as caught:
        swref.transport(x, y, OPERATOR)
    assert caught.value.result.iterations == 4
    assert caught.value.result.lower_bound > 0


def test_results_read_well():
    x, y = clouds(7, 5, 2)
    result = swref.transport(x, y, OPERATOR)
    assert "certified interval" in repr(result)
    page = result._repr_html_()
    assert page.count("<circle") == 7
    assert page.count("<rect") == 5
    assert page.count("<line") == result.plan.nnz
    flat = swref.transport(*clouds(7, 5, 3), OPERATOR)
    assert "<svg" not in flat._repr_html_()
    with pytest.raises(AttributeError):
        result.distance = 0.0


X = np.zeros((4, 2))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": X[0], "y": X}, "x: expected 2 axes, got shape"),
        ({"x": X, "y": np.zeros((4, 3))}, "y: expected d = 2"),
        ({"x": X[:0], "y": X}, "x: must not be empty"),
        ({"x": np.full((2, 2), np.nan), "y": X}, "x: must be finite"),
        ({"x": [["a", "b"]], "y": X}, "x: expected a real numeric array"),
        ({"x": X, "y": X, "a": np.ones(4)}, "a: must sum to one, got 4"),
        ({"x": X, "y": X, "a": np.ones(3) / 3}, r"a: expected shape \(4,\)"),
        ({"x": X, "y": X, "b": [1.5, -0.5, 0, 0]}, "b: must be nonnegative"),
        ({"x": X, "y": X, "gauge": "operatr"}, "did you mean 'operator'"),
        ({"x": X, "y": X, "gauge": swref.get_gauge("linear", Q0=np.eye(3))}, "accepts d = 3 only"),
        ({"x": X, "y": X, "gauge": 3.0}, "expected a name or a swref.Gauge"),
        ({"x": X, "y": X, "tol": 0}, "tol: expected a positive"),
        ({"x": X, "y": X, "max_iter": 0}, "max_iter: expected a positive integer"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        swref.transport(**{"gauge": "operator", **arguments})


def test_a_root_norm_gauge_has_no_certificate():
    with pytest.raises(swref.GaugeError, match="not convex"):
        swref.transport(*clouds(5, 5, 2), "root-schatten")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"t": 1.5}, "t: expected a number in"),
        ({"plan": np.ones((2, 2))}, "plan: expected shape"),
        ({"plan": -np.ones((4, 4))}, "plan: must be nonnegative"),
    ],
)
def test_displacement_names_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        swref.displacement(**{"x": X, "y": X, "plan": np.eye(4) / 4, "t": 0.5, **change})


def test_the_slack_is_that_of_the_docstring():
    """sum m (4 eps max(|x|, |y|))^2 over what moves: a looser one would call wide brackets converged."""
    x, y = np.array([[3.0, 4.0], [1e9, 0.0]]), np.array([[0.0, 6.0], [1e9, 0.0]])
    oracle = CloudOracle(x, y, np.full(2, 0.5), np.full(2, 0.5))
    assert oracle.noise([0, 1], [0, 1], np.array([0.25, 0.75])) == pytest.approx(0.25 * (4 * EPS * 6) ** 2, rel=1e-12)
    assert oracle.noise([0], [1], np.array([0.5])) == pytest.approx(0.5 * (4 * EPS * 1e9) ** 2, rel=1e-12)
