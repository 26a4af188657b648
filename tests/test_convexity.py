"""Moduli against searches and closed forms, convexity along computed geodesics, entropy against formulas."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from strategies import CONVEX, TwoFunctions, compositions, example, orthogonal, seeds

import swref
from swref import convexity, get_gauge, transport
from swref.convexity import along, entropy, modulus, regularized_transport, two_optimal_plans
from swref.energies import MMD, Interaction, Potential, TwoLayerNet

INF = np.inf


def schatten(p):
    return get_gauge("schatten", p=p)


def definite(d, seed, spread=10.0):
    U = orthogonal(d, seed)
    return (U * np.geomspace(1, spread, d)) @ U.T


def cloud(n, seed, d=2):
    return np.random.default_rng(seed).standard_normal((n, d))


def quadratic(A, center=0.0):
    return Potential(lambda x: ((x - center) @ A * (x - center)).sum(1) / 2, lambda x: (x - center) @ A)


# -- modulus ------------------------------------------------------------------------------------------------------


@given(seed=seeds, p=st.sampled_from([1, 1.5, 2, INF]))
def test_for_schatten_gauges_the_modulus_is_the_smallest_eigenvalue(seed, p):
    A = definite(3, seed)
    assert modulus(A, schatten(p)) == pytest.approx(1, rel=1e-12)
    assert modulus(1e200 * A, schatten(p)) == pytest.approx(1e200, rel=1e-12)
    assert modulus(A, TwoFunctions(schatten(p))) == pytest.approx(1, rel=1e-9)  # by the search


@settings(max_examples=5)
@given(seed=seeds)
def test_closed_forms_of_gauges_that_see_more_than_eigenvalues(seed):
    A, Q0, B = definite(4, seed), definite(4, seed + 1, 3), orthogonal(4, seed + 2) + 2 * np.eye(4)
    assert modulus(A, get_gauge("linear", Q0=Q0)) == pytest.approx(scipy.linalg.eigvalsh(A, Q0)[0], rel=1e-10)
    assert modulus(A, get_gauge("kyfan", k=2)) == pytest.approx(1, rel=1e-12)
    blocks, scales = [[0, 2], [1, 3]], [1.0, 3.0]
    assert modulus(A, get_gauge("block-sum", blocks=blocks)) == pytest.approx(1, rel=1e-10)
    # min u.A u over |u_b| = scale: the other block is free, so the Schur complement, a block of the inverse.
    inverse = np.linalg.inv(A)
    schur = [s**2 / np.linalg.eigvalsh(inverse[np.ix_(b, b)])[-1] for b, s in zip(blocks, scales, strict=True)]
    ours = modulus(A, get_gauge("block-max", blocks=blocks, scales=scales))
    assert ours == pytest.approx(min(schur), rel=1e-8)
    assert modulus(A, schatten(1) + schatten(INF)) == pytest.approx(1 / 2, rel=1e-10)
    assert modulus(A, schatten(2).congruence(B)) == pytest.approx(scipy.linalg.eigvalsh(A, B @ B.T)[0], rel=1e-10)


@pytest.mark.parametrize("gauge", [example(name, 3) for name in CONVEX] + compositions(3), ids=repr)
def test_no_direction_found_at_random_beats_the_modulus(gauge):
    A, rng = definite(3, 5), np.random.default_rng(1)
    kappa = modulus(A, gauge)

    def ratio(u):
        return u @ A @ u / gauge.value(np.outer(u, u))

    tried = sorted(rng.standard_normal((300, 3)), key=ratio)
    best = min(
        minimize(ratio, u, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13}).fun for u in tried[:5]
    )
    assert kappa == pytest.approx(best, rel=1e-7)
    for _ in range(50):
        S = rng.standard_normal((3, 2))
        assert np.linalg.eigvalsh(A - kappa * gauge.support(S @ S.T))[0] >= -1e-8


def test_a_flat_hessian_has_modulus_zero_and_a_saddle_none():
    assert modulus(np.diag([1.0, 0]), "operator") == 0
    assert modulus(np.zeros((2, 2)), get_gauge("linear", Q0=np.eye(2))) == 0
    with pytest.raises(ValueError, match=r"^A: must be positive semidefinite"):
        modulus(np.diag([1.0, -0.1]), "operator")
    with pytest.raises(swref.GaugeError):
        modulus(np.eye(2), get_gauge("root-schatten", p=0.5))


# -- energies along geodesics -------------------------------------------------------------------------------------

TIMES = np.linspace(0, 1, 21)


@pytest.mark.parametrize("gauge", [*compositions(2), schatten(1), schatten(2), schatten(INF)], ids=repr)
def test_a_potential_is_as_convex_along_geodesics_as_its_modulus_says(gauge):
    x, y, A = cloud(12, 0), cloud(15, 1) * [2, 0.5] + [1, 0], definite(2, 3)
    result, kappa = transport(x, y, gauge), modulus(A, gauge)
    E = along(quadratic(A, [1, -2]), x, y, result.plan, TIMES)
    chord = (1 - TIMES) * E[0] + TIMES * E[-1]
    gain = kappa * TIMES * (1 - TIMES) * result.squared_distance / 2
    slack = 1e-6 * result.squared_distance
    assert (E <= chord - gain + slack).all()
    # Exactly: E is a parabola with the second derivative <A, moment>.
    np.testing.assert_allclose(E, chord - np.vdot(A, result.moment) * TIMES * (1 - TIMES) / 2, atol=1e-9)


@pytest.mark.parametrize("p", [1, 2, INF])
def test_the_modulus_is_sharp_along_the_softest_direction(p):
    A = definite(2, 7)
    x, softest = cloud(9, 4), np.linalg.eigh(A)[1][:, 0]
    y = x + 0.7 * softest
    result = transport(x, y, schatten(p))
    E = along(quadratic(A), x, y, result.plan, TIMES)
    gain = modulus(A, schatten(p)) * TIMES * (1 - TIMES) * result.squared_distance / 2
    np.testing.assert_allclose(E, (1 - TIMES) * E[0] + TIMES * E[-1] - gain, atol=1e-10)


@pytest.mark.parametrize("p", [1, 3, INF])
def test_jointly_convex_interactions_are_convex_along_geodesics(p):
    def h(x, y):
        return np.log(np.cosh(x - y)).sum(-1) + np.linalg.norm(x - y, axis=-1)

    energy = Interaction(h, lambda x, y: np.tanh(x - y))  # the gradient is not called
    x, y = cloud(20, 2), cloud(20, 3) * [3, 0.2]
    E = along(energy, x, y, transport(x, y, schatten(p)).plan, TIMES)
    assert (np.diff(E, 2) >= -1e-9).all()
    assert np.diff(E, 2).max() > 1e-4


def test_mmd_and_networks_are_not_convex_along_geodesics():
    # Pairs repel by -|x - x'|, which is concave along every displacement; a far target pulls almost linearly.
    x, y = cloud(20, 2), cloud(20, 3) * [3, 0.2]
    plan = transport(x, y, "operator").plan
    assert np.diff(along(MMD(y + [1000, 0]), x, y, plan, TIMES), 2).max() < -1e-3
    z = cloud(50, 5)
    net = TwoLayerNet(z, np.abs(z[:, 0]))
    x, y = cloud(10, 6, 3), cloud(10, 7, 3)
    assert np.diff(along(net, x, y, transport(x, y, "operator").plan, TIMES), 2).min() < -1e-4


def test_along_reads_energies_at_displaced_points_in_the_order_of_times():
    x, y = np.zeros((1, 2)), np.array([[2.0, 0]])
    height = Potential(lambda x: x[:, 0], lambda x: x)
    np.testing.assert_allclose(along(height, x, y, [[1.0]], [0, 1, 0.25]), [0, 2, 0.5])
    with pytest.raises(ValueError, match=r"^plan: must have total mass one"):
        along(height, x, y, [[0.5]], [0, 1])


# -- entropy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("width", [1e-3, 0.2, 50.0])
def test_the_entropy_of_one_point_is_that_of_the_kernel(d, width):
    H, error = entropy(np.full((1, d), 3.0), width=width)
    exact = -d / 2 * np.log(2 * np.pi * np.e * width**2)
    assert abs(H - exact) <= 1e-12 * d + error
    assert error < 1e-5
    apart, _ = entropy(np.arange(2)[:, None] * np.full((1, d), 30 * width), [0.25, 0.75], width=width)
    assert apart == pytest.approx(exact + 0.25 * np.log(0.25) + 0.75 * np.log(0.75), abs=1e-9)


def test_the_entropy_of_a_smoothed_gaussian_is_that_of_a_wider_one():
    # Quantiles of N(0, s^2) as points, smoothed: N(0, s^2 + width^2), up to the spacing of the points.
    from scipy.stats import norm

    x, width = norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None] * 0.7, 0.3
    H, error = entropy(x, width=width)
    assert abs(H + 0.5 * np.log(2 * np.pi * np.e * (0.49 + 0.09))) <= 1e-4
    assert error < 1e-6
    assert H < -0.5 * np.log(2 * np.pi * np.e * 0.49)  # at most that of what it smooths


def test_the_error_of_the_entropy_bounds_what_a_finer_grid_changes():
    x, w = cloud(30, 8), np.random.default_rng(0).dirichlet(np.ones(30))
    H, error = entropy(x, w, width=0.3)
    finer = convexity._grid_entropy(x, w, 0.3, 0.3 / 8)
    assert abs(H - finer) <= error
    assert error < 1e-3
    moved, _ = entropy(x @ orthogonal(2, 1) + [5, -3], w, width=0.3)
    assert moved == pytest.approx(H, abs=1e-5)
    scaled, _ = entropy(100 * x, w, width=30)
    assert scaled == pytest.approx(H - 2 * np.log(100), abs=1e-9)


# -- the counterexample, and what regularisation selects ---------------------------------------------------------


@pytest.mark.parametrize("height, shift", [(0.5, 1.0), (0.6, 0.7)])
def test_translation_and_reflection_are_both_optimal_for_the_operator_gauge_only(height, shift):
    x, y, *plans = two_optimal_plans(6, 5, height=height, shift=shift)
    certified = transport(x, y, "operator", tol=1e-8)
    for plan in plans:
        np.testing.assert_allclose([plan.sum(0), plan.sum(1)], 1 / 30)
        cells = plan.tocoo()
        steps = y[cells.col] - x[cells.row]
        moment = (cells.data[:, None] * steps).T @ steps
        assert np.linalg.eigvalsh(moment)[-1] == pytest.approx(shift**2, rel=1e-12)
    assert certified.lower_bound == pytest.approx(shift**2, rel=1e-7)
    assert np.trace(moment) > 1.2 * shift**2
    with pytest.raises(ValueError, match=r"^shift:"):
        two_optimal_plans(6, 5, height=1.0, shift=1.0)


def test_along_the_reflection_the_entropy_diverges_at_the_rate_of_the_kernel():
    # At t = 1/2 all mass is on a segment of length one: H = 0 along it, and that of the kernel across it.
    x, y, translation, reflection = two_optimal_plans(400, 4)
    middle = {}
    for width in (0.04, 0.02, 0.01):
        points, masses = swref.displacement(x, y, reflection, 0.5)
        middle[width], error = entropy(points, masses / masses.sum(), width=width)
        kernel = -0.5 * np.log(2 * np.pi * np.e * width**2)
        assert abs(middle[width] - kernel) < 2 * width + error  # the two ends are smoothed, too
    assert middle[0.01] - middle[0.02] == pytest.approx(np.log(2), abs=0.02)
    points, masses = swref.displacement(x, y, translation, 0.5)
    assert entropy(points, masses / masses.sum(), width=0.1)[0] == pytest.approx(entropy(x, width=0.1)[0], abs=1e-6)


@pytest.mark.parametrize("eps", [0.3, 0.03])
def test_regularisation_selects_the_translation(eps):
    x, y, translation, _ = two_optimal_plans(5, 4)
    result = regularized_transport(x, y, "operator", eps)
    assert abs(result.plan - translation).max() < 1e-3
    assert result.squared_distance == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("gauge", [schatten(INF), get_gauge("kyfan", k=1), schatten(2)], ids=repr)
def test_regularised_plans_become_optimal_as_the_bound_says(gauge):
    x, y, Q0 = cloud(15, 11), cloud(18, 12) * [0.5, 2], definite(2, 4, 3)
    exact = transport(x, y, gauge, tol=1e-8)
    excesses = []
    for eps in (0.3, 0.1, 0.01, 1e-3):
        result = regularized_transport(x, y, gauge, eps, Q0, tol=1e-8)
        assert np.linalg.eigvalsh(result.metric - eps * Q0)[0] >= -1e-9
        excesses.append(gauge.value(result.moment) - exact.lower_bound)
        assert excesses[-1] <= eps / (1 - eps) * np.vdot(Q0, exact.moment) + 1e-6
    assert excesses[-1] < 2e-3 * exact.squared_distance


@pytest.mark.parametrize("seed", range(4))
def test_along_regularised_gaussian_geodesics_the_entropy_is_convex(seed):
    # For Gaussians H = -log det(S_t)/2 + constant, without a kernel. [Thm H.5]
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((2, 2, 2))
    ends = np.zeros(2), A @ A.T + 0.01 * np.eye(2), np.zeros(2), B @ B.T + 0.01 * np.eye(2)
    gauge = 0.95 * get_gauge("operator") + 0.05 * get_gauge("trace")
    result = swref.gaussian_transport(*ends, gauge, tol=1e-10)
    H = [-np.linalg.slogdet(result.interpolate(float(t))[1])[1] / 2 for t in TIMES]
    assert (np.diff(H, 2) >= -1e-6).all()
    assert np.diff(H, 2).max() > 1e-5


def test_along_a_regularised_plan_of_a_cloud_the_smoothed_entropy_is_convex_within_its_error():
    x, y, _, _ = two_optimal_plans(24, 12)
    bent = y * [1, 0.4] + [0, 0.3]
    plan = regularized_transport(x, bent, "operator", 0.1, tol=1e-4).plan
    rows = [swref.displacement(x, bent, plan, float(t)) for t in TIMES[::4]]
    H = np.array([entropy(points, masses / masses.sum(), width=0.12) for points, masses in rows])
    assert (np.diff(H[:, 0], 2) >= -4 * H[:, 1].max()).all()


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: regularized_transport(cloud(2, 0), cloud(2, 1), "trace", 1.0), "eps"),
        (lambda: regularized_transport(cloud(2, 0), cloud(2, 1), "trace", 0.1, np.eye(3)), "Q0"),
        (lambda: regularized_transport(cloud(2, 0), cloud(2, 1), "trace", 0.1, np.diag([1.0, 0])), "Q0"),
        (lambda: entropy(cloud(2, 0), width=0), "width"),
        (lambda: entropy(cloud(2, 0), width=1e-9), "width"),
        (lambda: entropy(cloud(2, 0, 4), width=1), "points"),
        (lambda: two_optimal_plans(0, 3), "columns"),
        (lambda: modulus(np.eye(3), get_gauge("linear", Q0=np.eye(2))), "gauge"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=rf"^{named}:"):
        call()
