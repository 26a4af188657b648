"""``gaussian_transport`` against CVXPY, POT, closed forms and the theorems of Sec. 3 and App. D."""

import cvxpy as cp
import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from strategies import CONVEX, EPS, TwoFunctions, TwoSpectralFunctions, compositions, example, orthogonal, psd, seeds

import swref
from swref.gaussians import GaussianOracle
from swref.gaussians.bounds import covariance_factor

TRACE, OPERATOR = swref.get_gauge("trace"), swref.get_gauge("operator")
FROBENIUS = swref.get_gauge("schatten", p=2)
EXPONENTS = [1, 1.5, 2, 7, np.inf]
TOL = 1e-8


def covariance(d, rank, seed):
    A = np.random.default_rng(seed).standard_normal((d, rank))
    return A @ A.T / d


def problem(d, ranks=None, seed=0, shift=0.5):
    """(m0, S0, m1, S1) with the given ranks (full by default)."""
    rng = np.random.default_rng(seed)
    r0, r1 = (d, d) if ranks is None else ranks
    return rng.normal(size=d), covariance(d, r0, seed + 1), rng.normal(size=d) * shift, covariance(d, r1, seed + 2)


def schatten(p):
    return swref.get_gauge("schatten", p=p)


def solve(m0, S0, m1, S1, gauge, **options):
    return swref.gaussian_transport(m0, S0, m1, S1, gauge, **options)


def assert_certified(result, m0, S0, m1, S1, gauge, tol=TOL):
    """The certificate, recomputed here from the cross-covariance and the metric by other formulas."""
    K, Q, D = result.cross_covariance, result.metric, m1 - m0
    size = max(np.abs(S0).max(), np.abs(S1).max(), (D**2).max())
    rounding = 50 * len(D) * EPS * size
    block = np.block([[S0, K], [K.T, S1]])
    assert np.linalg.eigvalsh(block)[0] >= -rounding
    total = np.outer(D, D) + S0 + S1
    np.testing.assert_allclose(result.moment, total - K - K.T, atol=rounding)
    cost = rounding * gauge.value(np.eye(len(D)))
    assert result.upper_bound == pytest.approx(gauge.value(total - K - K.T), abs=cost, rel=1e-10)
    root = sqrt_psd(S1) @ Q @ sqrt_psd(S0)
    linear = np.vdot(Q, total) - 2 * np.linalg.svd(root, compute_uv=False).sum()
    # Square roots of zero eigenvalues that rounding moved: sqrt(eps) enters, and only here.
    assert result.lower_bound == pytest.approx(linear, abs=100 * len(D) * np.sqrt(EPS) * size * np.trace(Q))
    closed = type(gauge).polar is not swref.Gauge.polar
    assert gauge.polar(Q) <= 1 + (1e-12 if closed else 1e-8)
    assert np.linalg.eigvalsh(Q)[0] >= -1e-13 * np.abs(Q).max()
    assert result.lower_bound <= result.upper_bound == result.squared_distance
    assert result.distance == pytest.approx(np.sqrt(result.upper_bound))
    assert result.upper_bound - result.lower_bound <= tol * result.upper_bound + rounding * EPS
    assert result.status == "converged"


def sqrt_psd(S):
    lam, U = np.linalg.eigh(S)
    return (U * np.sqrt(np.maximum(lam, 0))) @ U.T


def all_gauges(d):
    plugins = [TwoFunctions(FROBENIUS), TwoFunctions(OPERATOR), TwoSpectralFunctions(schatten(3))]
    return [*(example(name, d) for name in CONVEX), *compositions(d), *plugins]


@pytest.mark.parametrize("d, ranks", [(1, None), (2, None), (3, (2, 1)), (4, (4, 2)), (6, None)])
def test_every_gauge_returns_a_certificate_that_can_be_checked_by_hand(d, ranks):
    data = problem(d, ranks, seed=d)
    for gauge in all_gauges(d):
        assert_certified(solve(*data, gauge), *data, gauge)


SEMIDEFINITE = {
    "frobenius": (FROBENIUS, lambda S: cp.norm(S, "fro")),
    "operator": (OPERATOR, cp.lambda_max),
    "kyfan": (swref.get_gauge("kyfan", k=2), lambda S: cp.lambda_sum_largest(S, 2)),
    "sum": (OPERATOR + 0.5 * TRACE, lambda S: cp.lambda_max(S) + 0.5 * cp.trace(S)),
    "block-max": (
        swref.get_gauge("block-max", blocks=[1, 2], scales=[1.0, 0.5]),
        lambda S: cp.maximum(S[0, 0], 4 * cp.lambda_max(S[1:, 1:])),
    ),
    "plugin": (TwoFunctions(OPERATOR), cp.lambda_max),
}


def semidefinite_value(m0, S0, m1, S1, gauge):
    """Prop. 3.4 as one semidefinite program: shares no code with the oracle or the engine.

    The block matrix is PSD exactly when K = A C B^T with S0 = A A^T, S1 = B B^T, |C| <= 1; for singular covariances
    only this form has an interior, without which Clarabel warns that it is inaccurate.
    """
    d, D = len(m0), m1 - m0
    if max(np.linalg.cond(S0), np.linalg.cond(S1)) < 1e8:
        K = cp.Variable((d, d))
        feasible = [cp.bmat([[S0, K], [K.T, S1]]) >> 0]
    else:
        A, B = (U[:, lam > 1e-12] * np.sqrt(lam[lam > 1e-12]) for lam, U in map(np.linalg.eigh, (S0, S1)))
        C = cp.Variable((A.shape[1], B.shape[1]))
        K, feasible = A @ C @ B.T, [cp.norm(C, 2) <= 1]
    moment = np.outer(D, D) + S0 + S1 - K - K.T
    return cp.Problem(cp.Minimize(gauge(moment)), feasible).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("name", SEMIDEFINITE)
@pytest.mark.parametrize("ranks", [(3, 3), (2, 3), (1, 2), (1, 1)])
def test_small_problems_agree_with_the_semidefinite_program(name, ranks):
    gauge, conic = SEMIDEFINITE[name]
    for shift in (0, 0.5):
        data = problem(3, ranks, seed=sum(ranks), shift=shift)
        value = semidefinite_value(*data, conic)
        assert solve(*data, gauge).upper_bound == pytest.approx(value, rel=2e-6)


@given(psd(4, scaled=False), psd(4, scaled=False), seeds)
def test_the_trace_is_the_bures_distance_of_pot(S0, S1, seed):
    """POT takes square roots of rounded zero eigenvalues; its distance is good to sqrt(eps) there."""
    m0, m1 = np.random.default_rng(seed).standard_normal((2, 4))
    S0, S1 = S0 + 1e-3 * np.eye(4), S1 + 1e-3 * np.eye(4)
    expected = ot.gaussian.bures_wasserstein_distance(m0, m1, S0, S1)
    assert solve(m0, S0, m1, S1, "trace").distance == pytest.approx(expected, rel=1e-9)


@given(
    st.lists(st.sampled_from([0.0, 0.0, 1e-3, 0.5, 1.0, 4.0]), min_size=8, max_size=8),
    st.sampled_from(EXPONENTS),
    seeds,
)
def test_commuting_covariances_have_a_closed_form(lam, p, seed):
    """W_p^2 = |(sqrt(a_i) - sqrt(b_i))^2|_p.  [Cor. D.2]"""
    a, b = np.reshape(lam, (2, 4))
    U, zero = orthogonal(4, seed), np.zeros(4)
    result = solve(zero, (U * a) @ U.T, zero, (U * b) @ U.T, schatten(p))
    expected = np.linalg.norm((np.sqrt(a) - np.sqrt(b)) ** 2, p)
    # An eigenvalue rounded by 10 eps moves its root by at most eps / sqrt(1e-3), but that of zero by sqrt(40 eps).
    moved = np.sqrt(4 * 40 * EPS) if 0 in lam else 1e3 * EPS
    rounding = moved * (2 * np.sqrt(expected) + moved)
    assert result.lower_bound - rounding <= expected <= result.upper_bound + rounding
    assert result.upper_bound - result.lower_bound <= TOL * expected + rounding


@pytest.mark.parametrize("d", [2, 5])
def test_isotropic_pairs_attain_the_lower_comparison_bound(d):
    """W^2 = gamma(I)/d W_2^2 for N(0, aI), N(0, bI) and spectral gauges.  [Prop. 3.2, Cor. D.2]"""
    zero, one = np.zeros(d), np.eye(d)
    for gauge in [schatten(p) for p in EXPONENTS] + [swref.get_gauge("kyfan", k=2)]:
        result = solve(zero, one, zero, 9 * one, gauge)
        assert result.upper_bound == pytest.approx(gauge.value(one) * 4, rel=TOL)


def test_one_dimension_is_two_subtractions():
    for gauge in all_gauges(1):
        result = solve([1.0], [[4.0]], [4.0], [[9.0]], gauge)
        assert result.upper_bound == pytest.approx(gauge.value(np.array([[9.0 + 1.0]])), rel=1e-14)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_translations_and_points_cost_what_they_must(d):
    m0, S0, m1, _ = problem(d, seed=d)
    D = m1 - m0
    for gauge in all_gauges(d):
        translation = solve(m0, S0, m1, S0, gauge).upper_bound
        assert translation == pytest.approx(gauge.value(np.outer(D, D)), rel=2 * TOL)
        from_a_point = solve(m0, 0 * S0, m1, S0, gauge)
        assert from_a_point.upper_bound == pytest.approx(gauge.value(np.outer(D, D) + S0), rel=2 * TOL)
        assert (from_a_point.cross_covariance == 0).all()
        two_points = solve(m0, 0 * S0, m1, 0 * S0, gauge)
        assert two_points.upper_bound == pytest.approx(gauge.value(np.outer(D, D)), rel=2 * TOL)


def test_a_mean_shift_adds_to_the_closed_form_only_along_an_eigenvector():
    a, b = np.diag([9.0, 1.0]), np.diag([1.0, 4.0])
    closed = (np.sqrt(a) - np.sqrt(b)) @ (np.sqrt(a) - np.sqrt(b))
    for p in (1, 2, np.inf):
        gauge = schatten(p)
        along, across = np.array([1.5, 0]), np.array([1.0, 1.0])
        value = solve(0 * along, a, along, b, gauge).upper_bound
        assert value == pytest.approx(gauge.value(closed + np.outer(along, along)), rel=TOL)
        ratio = solve(0 * across, a, across, b, gauge).upper_bound / gauge.value(closed + np.outer(across, across))
        assert ratio == pytest.approx(1, rel=TOL) if p == 1 else ratio < 0.995


@given(psd(2, scaled=False), psd(2, scaled=False), seeds)
def test_at_p_infinity_the_distance_is_the_largest_along_a_line(S0, S1, seed):
    """W_inf^2 = max_u (u.D)^2 + (|S1^(1/2) u| - |S0^(1/2) u|)^2: proved in the chapter on Gaussians; here by a scan."""
    D = np.random.default_rng(seed).standard_normal(2) * (seed % 2)
    angle = np.linspace(0, np.pi, 20001)
    u = np.array([np.cos(angle), np.sin(angle)])
    spread = [np.sqrt(np.maximum(((S @ u) * u).sum(0), 0)) for S in (S0, S1)]
    best = ((D @ u) ** 2 + (spread[1] - spread[0]) ** 2).max()
    result = solve(0 * D, S0, D, S1, OPERATOR)
    # Both terms change by at most 2 * size * |u - u'| between two nodes of the scan.
    size = D @ D + np.linalg.norm(S0, 2) + np.linalg.norm(S1, 2)
    assert best <= result.upper_bound * (1 + TOL) + 1e-7 * size
    assert result.lower_bound <= best + 4 * size * angle[1]


def test_small_eigenvalues_are_not_mistaken_for_rounding():
    """diag(1, 1e-12) to I by the map diag(1, 1e6)."""
    small, zero = np.diag([1.0, 1e-12]), np.zeros(2)
    for gauge in (TRACE, FROBENIUS):
        result = solve(zero, small, zero, np.eye(2), gauge)
        assert result.upper_bound == pytest.approx((1 - 1e-6) ** 2, rel=1e-12)
        T, N = result.conditional()
        np.testing.assert_allclose(np.diag(T), [1, 1e6], rtol=1e-9)
        np.testing.assert_allclose(N, 0, atol=1e-12)


def test_gaussians_that_nearly_coincide_keep_their_digits():
    """Relative to its own size, W^2 is 1e-14 of the covariance here: a difference of traces would be noise."""
    a = np.array([3.0, 1.0, 0.2])
    b = a * (1 + 1e-7 * np.array([1.0, -2.0, 3.0])) ** 2
    U, zero = orthogonal(3, 5), np.zeros(3)
    for p in (1, 2, np.inf):
        expected = np.linalg.norm((np.sqrt(a) - np.sqrt(b)) ** 2, p)
        result = solve(zero, (U * a) @ U.T, zero, (U * b) @ U.T, schatten(p))
        rounding = 32 * 3 * EPS * np.sqrt(3 * 3 ** (1 / p) / expected)  # the slack that the docstring states
        assert rounding < 5e-7
        assert result.upper_bound == pytest.approx(expected, rel=rounding)
        assert result.relative_gap <= rounding


def test_equal_gaussians_are_at_distance_exactly_zero():
    for rank in (0, 1, 4):
        m, S, *_ = problem(4, (rank, 1))
        for gauge in (TRACE, FROBENIUS, OPERATOR, TwoFunctions(OPERATOR)):
            result = solve(m, S, m, S, gauge)
            assert (result.lower_bound, result.distance) == (0, 0)
            np.testing.assert_allclose(result.cross_covariance, S, atol=4 * EPS * np.abs(S).max())


def test_a_translation_is_exact():
    """Equal covariances: W^2 = gamma(D D^T), which is |D|^2 for every gauge with gamma(u u^T) = |u|^2."""
    m, S, other, _ = problem(4, (4, 1))
    for gauge in (TRACE, FROBENIUS, OPERATOR):
        result = solve(m, S, other, S, gauge)
        assert result.upper_bound == pytest.approx(((other - m) ** 2).sum(), rel=10 * EPS)
        assert np.linalg.matrix_rank(result.moment) == 1


def test_the_distance_is_a_metric():
    Gaussians = [problem(3, (r, 3), seed=10 * r)[:2] for r in (1, 2, 3)]
    for gauge in (OPERATOR, FROBENIUS, example("block-max", 3)):
        x, y, z = Gaussians
        xy, yx, yz, xz = (solve(*u, *v, gauge) for u, v in ((x, y), (y, x), (y, z), (x, z)))
        assert xy.upper_bound == pytest.approx(yx.upper_bound, rel=2 * TOL)
        assert np.sqrt(xz.lower_bound) <= xy.distance + yz.distance


def test_spectral_gauges_are_rotation_invariant_and_scale_with_multiples():
    m0, S0, m1, S1 = problem(4, (4, 2))
    R = orthogonal(4, 3)
    for gauge in (OPERATOR, FROBENIUS, swref.get_gauge("kyfan", k=2)):
        value = solve(m0, S0, m1, S1, gauge).upper_bound
        turned = solve(R @ m0, R @ S0 @ R.T, R @ m1, R @ S1 @ R.T, gauge).upper_bound
        assert turned == pytest.approx(value, rel=3 * TOL)
        assert solve(m0, S0, m1, S1, 3 * gauge).upper_bound == pytest.approx(3 * value, rel=2 * TOL)


@pytest.mark.parametrize("gauge", [FROBENIUS, OPERATOR, swref.get_gauge("kyfan", k=3)], ids=repr)
def test_a_plugin_agrees_with_the_built_in_gauge_in_dimension_eight(gauge):
    data = problem(8, (8, 5))
    value = solve(*data, gauge).upper_bound
    for plugin in (TwoFunctions(gauge), TwoSpectralFunctions(gauge)):
        assert solve(*data, plugin).upper_bound == pytest.approx(value, rel=2 * TOL)


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_dimension_one_hundred(p):
    data = problem(100, (100, 100))
    assert_certified(solve(*data, schatten(p)), *data, schatten(p))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_ky_fan_metrics_stay_in_their_set_at_high_accuracy(k):
    """Covariances whose best metric has equal eigenvalues: tau must then be known far below eps lambda / mu."""
    U, zero, gauge = orthogonal(6, 1), np.zeros(6), swref.get_gauge("kyfan", k=k)
    spectrum = np.geomspace(1, 1e-12, 6)
    result = solve(zero, (U * spectrum) @ U.T, zero, (U * spectrum[::-1]) @ U.T, gauge)
    assert gauge.polar(result.metric) <= 1 + 1e-14
    assert result.iterations <= 60


@pytest.mark.parametrize("scale", [1e-150, 1e-7, 1e150])
def test_scale_does_not_matter(scale):
    m0, S0, m1, S1 = problem(3, (3, 2))
    for gauge in (TRACE, FROBENIUS, OPERATOR):
        unit = solve(m0, S0, m1, S1, gauge)
        scaled = solve(scale * m0, scale * (scale * S0), scale * m1, scale * (scale * S1), gauge)
        assert scaled.distance == pytest.approx(scale * unit.distance, rel=TOL)
        K = scaled.cross_covariance / scale / scale
        np.testing.assert_allclose(K, unit.cross_covariance, atol=1e-3)  # unique only up to the tolerance
        assert abs(scaled.iterations - unit.iterations) <= 2
        for array in (scaled.moment, scaled.metric, scaled.history, *scaled.conditional(), *scaled.sample(3, 0)):
            assert np.isfinite(array).all()


def test_far_means_cost_no_digits_of_the_shift():
    m0, S0, m1, S1 = problem(3)
    far = 2.0**30
    near = solve(m0, S0, m1, S1, OPERATOR).upper_bound
    assert solve(m0 + far, S0, m1 + far, S1, OPERATOR).upper_bound == pytest.approx(near, rel=1e-6)


@pytest.mark.parametrize("ranks", [(3, 3), (3, 2), (1, 3), (2, 0), (0, 3)])
def test_the_coupling_has_the_covariances_it_promises(ranks):
    data = problem(3, ranks)
    S0, S1 = data[1], data[3]
    for gauge in (TRACE, FROBENIUS, OPERATOR):
        result = solve(*data, gauge)
        K, (T, N) = result.cross_covariance, result.conditional()
        np.testing.assert_allclose(T @ S0, K.T, atol=1e-13 if ranks[0] in (0, 3) else 1e-7)  # T drops what is rounding
        np.testing.assert_allclose(T @ S0 @ T.T + N, S1, atol=1e-13)
        assert np.linalg.eigvalsh(N)[0] >= -1e-15
        null = np.linalg.eigh(S0)[1][:, : 3 - ranks[0]]
        np.testing.assert_allclose(T @ null, 0, atol=1e-7)
        if ranks == (3, 3) and gauge is not OPERATOR:  # K positive definite: a map.  [Prop. C.5]
            np.testing.assert_allclose(N, 0, atol=1e-6)


def test_samples_have_the_moments_of_the_coupling():
    m0, S0, m1, S1 = data = problem(3, (3, 2))
    n = 200_000
    for gauge in (TRACE, OPERATOR):
        result = solve(*data, gauge)
        x, y = result.sample(n, np.random.default_rng(0))
        assert x.shape == y.shape == (n, 3)
        five_sigma = 5 * 3 / np.sqrt(n)  # entries of the covariances are below 3
        np.testing.assert_allclose(x.mean(0), m0, atol=five_sigma)
        np.testing.assert_allclose(y.mean(0), m1, atol=five_sigma)
        joint = np.cov(np.column_stack([x, y]).T)
        K = result.cross_covariance
        np.testing.assert_allclose(joint, np.block([[S0, K], [K.T, S1]]), atol=five_sigma)
        assert gauge.value((y - x).T @ (y - x) / n) == pytest.approx(result.upper_bound, rel=0.03)
        T, N = result.conditional()
        noise = y - m1 - (x - m0) @ T.T
        np.testing.assert_allclose(noise.T @ noise / n, N, atol=five_sigma)
        np.testing.assert_allclose(noise.T @ (x - m0) / n, 0, atol=five_sigma)
    again, other = result.sample(4, 7), result.sample(4, 7)
    np.testing.assert_array_equal(again, other)


def test_interpolants_move_at_constant_speed():
    """Solved anew between any two times: W(mu_s, mu_t) = |t - s| W(mu_0, mu_1).  [Cor. 4.4]"""
    data = problem(3, (3, 2))
    S0, S1 = data[1], data[3]
    for gauge in (FROBENIUS, OPERATOR):
        whole = solve(*data, gauge)
        np.testing.assert_allclose(whole.interpolate(0)[1], S0, atol=1e-14)
        np.testing.assert_allclose(whole.interpolate(1)[1], S1, atol=1e-14)
        K = whole.cross_covariance
        middle = (0.09 * S1 + 0.49 * S0) + 0.21 * (K + K.T)
        np.testing.assert_allclose(whole.interpolate(0.3)[1], middle, atol=1e-14)
        for s, t in ((0, 0.3), (0.3, 0.8)):
            part = solve(*whole.interpolate(s), *whole.interpolate(t), gauge)
            assert part.distance == pytest.approx((t - s) * whole.distance, rel=1e-7)


def cloud(n, d, seed):
    return np.random.default_rng(seed).exponential(size=(n, d)) @ covariance(d, d, seed)


def test_the_moment_bound_is_below_the_distance_of_the_clouds():
    for d, n in ((1, 10), (2, 25), (3, 25), (6, 4)):
        x, y = cloud(n, d, 1), cloud(n + 5, d, 2) - 1
        for gauge in all_gauges(d)[:8]:
            bound = swref.moment_lower_bound(x, y, gauge)
            assert 0 < bound <= swref.transport(x, y, gauge).upper_bound


def test_the_moment_bound_is_reached_by_affine_images():
    """y = T x + c with T positive definite is optimal for the trace, and its cost depends on the moments only."""
    x = cloud(30, 3, 0)
    w = np.random.default_rng(1).dirichlet(np.ones(30))
    y = x @ covariance(3, 3, 4) + [1, -2, 0]
    exact = (w * ((y - x) ** 2).sum(1)).sum()
    assert swref.moment_lower_bound(x, y, "trace", w, w) == pytest.approx(exact, rel=TOL)
    assert swref.transport(x, y, "trace", w, w).upper_bound == pytest.approx(exact, rel=TOL)


def test_the_moment_bound_uses_the_fitted_gaussians():
    x, y = cloud(40, 3, 0), cloud(50, 3, 1) + 2
    a = np.random.default_rng(1).dirichlet(np.ones(40))
    a[:3] = 0
    a /= a.sum()
    fitted = a @ x, np.cov(x.T, aweights=a, bias=True), y.mean(0), np.cov(y.T, bias=True)
    for gauge in (FROBENIUS, OPERATOR):
        expected = solve(*fitted, gauge)
        for scale in (1.0, 1e-150, 1e150):
            bound = swref.moment_lower_bound(scale * x, scale * y, gauge, a=a) / scale / scale
            assert expected.lower_bound * (1 - TOL) <= bound <= expected.upper_bound * (1 + 1e-12)


def test_the_oracle_is_the_least_cost_over_contractions():
    """Every K = S0^(1/2) C S1^(1/2), |C| <= 1, costs at least the oracle's value."""
    m0, S0, m1, S1 = problem(3, (3, 2))
    oracle = GaussianOracle(covariance_factor(S0)[0], covariance_factor(S1)[0], m1 - m0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        R, C = rng.standard_normal((2, 3, 3))
        Q = R @ R.T
        value, moment, _ = oracle.evaluate(Q)
        assert value == pytest.approx(np.vdot(Q, moment), rel=1e-12)
        K = sqrtm(S0).real @ (C / np.linalg.norm(C, 2)) @ sqrt_psd(S1)
        D = m1 - m0
        assert value <= np.vdot(Q, np.outer(D, D) + S0 + S1 - K - K.T)


def test_missing_the_tolerance_raises_and_carries_the_result():
    data = problem(5)
    with pytest.raises(swref.NotConverged, match="max_iter") as caught:
        solve(*data, OPERATOR, max_iter=3)
    loose = solve(*data, OPERATOR, max_iter=3, strict=False)
    exact = solve(*data, OPERATOR)
    assert caught.value.result.status == loose.status == "max_iter"
    assert loose.iterations == 3
    assert loose.lower_bound <= exact.upper_bound
    assert exact.lower_bound <= loose.upper_bound
    assert loose.relative_gap > TOL


def test_inputs_are_not_modified_and_float32_is_computed_in_float64():
    data = tuple(part.astype(np.float32) for part in problem(3))
    before = tuple(part.copy() for part in data)
    single, double = solve(*data, OPERATOR), solve(*(part.astype(float) for part in data), OPERATOR)
    assert single.upper_bound == double.upper_bound
    for part, copy in zip(data, before, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_results_read_well():
    result = solve(*problem(2), OPERATOR)
    assert "GaussianResult" in repr(result)
    assert "certified interval" in result._repr_html_()
    with pytest.raises(AttributeError):
        result.distance = 0.0


ZERO, ONE = np.zeros(2), np.eye(2)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"m0": 0.0}, r"m0: expected 1 axes, got shape \(\)"),
        ({"m1": np.zeros(3)}, r"m1: expected shape \(2,\), got \(3,\)"),
        ({"m0": [0, np.nan]}, "m0: must be finite"),
        ({"m0": [0, 1e308], "m1": [0, -1e308]}, "m1 - m0: must be finite"),
        ({"S0": np.eye(3)}, r"S0: expected shape \(2, 2\), got \(3, 3\)"),
        ({"S1": np.ones(2)}, "S1: expected 2 axes"),
        ({"S1": [[1, 2], [0, 1]]}, "S1: must be symmetric"),
        ({"S0": np.diag([1, -0.1])}, "S0: must be positive semidefinite, got eigenvalue -0.1"),
        ({"S0": np.full((2, 2), np.inf)}, "S0: must be finite"),
        ({"gauge": "operatr"}, "did you mean 'operator'"),
        ({"gauge": swref.get_gauge("linear", Q0=np.eye(3))}, "accepts d = 3 only"),
        ({"gauge": "root-schatten"}, "not convex"),
        ({"tol": -1}, "tol: expected a positive"),
        ({"max_iter": 2.5}, "max_iter: expected a positive integer"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        swref.gaussian_transport(**{"m0": ZERO, "S0": ONE, "m1": ZERO, "S1": ONE, "gauge": "operator", **arguments})


def test_bad_requests_to_a_result_and_to_the_bound_are_named():
    result = solve(ZERO, ONE, ZERO, 4 * ONE, OPERATOR)
    with pytest.raises(ValueError, match="n: expected a positive integer, got 0"):
        result.sample(0)
    with pytest.raises(ValueError, match="t: expected a number in"):
        result.interpolate(1.2)
    with pytest.raises(ValueError, match="y: expected d = 2 columns"):
        swref.moment_lower_bound(np.ones((4, 2)), np.ones((4, 3)), "trace")
    with pytest.raises(ValueError, match="a: must sum to one"):
        swref.moment_lower_bound(np.ones((4, 2)), np.ones((4, 2)), "trace", a=np.ones(4))
    with pytest.raises(swref.GaugeError, match="not convex"):
        swref.moment_lower_bound(np.ones((4, 2)), np.eye(2), "root-schatten")


@pytest.mark.parametrize("d", [1, 3])
def test_between_two_points_everything_is_known(d):
    """Both covariances zero: the coupling is a map, of nothing."""
    result = swref.gaussian_transport(np.zeros(d), np.zeros((d, d)), np.ones(d), np.zeros((d, d)), "trace")
    assert result.squared_distance == pytest.approx(d, rel=1e-14)
    assert not np.any([*result.conditional(), result.interpolate(0.5)[1]])
    assert [z.tolist() for z in result.sample(2, rng=0)] == [[[0.0] * d] * 2, [[1.0] * d] * 2]


@pytest.mark.parametrize("p", [1e5, 1e6, 1e8])
def test_huge_exponents_are_solved_where_eigenvalues_nearly_meet(p):
    """At the optimum two eigenvalues of the moment differ by about 1/p of themselves: x^p is far from linear there."""
    S1 = np.array([[1.1409015518341388, -0.39506765157813295], [-0.39506765157813295, 1.4671735892787268]])
    result = swref.gaussian_transport([0, 0], np.diag([0.0, 1.0]), [0, 0], S1, swref.get_gauge("schatten", p=p))
    operator = swref.gaussian_transport([0, 0], np.diag([0.0, 1.0]), [0, 0], S1, OPERATOR)
    assert result.lower_bound <= operator.upper_bound * 2 ** (1 / p)  # gamma_inf <= gamma_p <= 2^(1/p) gamma_inf
    assert operator.lower_bound <= result.upper_bound
