"""LMOs: closed forms against NumPy and SciPy, the optimality conditions, conic programs, and scale."""

import cvxpy as cp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import (
    EPS,
    TINY,
    TwoFunctions,
    TwoSpectralFunctions,
    compositions,
    example,
    forces,
    orthogonal,
    seeds,
    spectral_gauges,
    weights,
)

import swref
from swref import dual_norm, get_gauge, lmo, measure_lmo, tangent_norm

POWERS = [0.5, 0.6, 0.9, 1, 1.3, 2, 7, np.inf]
HADAMARD = scipy.linalg.hadamard(4) / 2  # orthogonal, exact in binary


def power_gauge(p):
    return get_gauge("schatten" if p >= 1 else "root-schatten", p=p)


def dual_exponent(p):
    return {0.5: np.inf, np.inf: 1.0}.get(p) or 2 * p / (2 * p - 1)


def schatten_norm(A, q):
    """NumPy's own singular values and vector norm; scaled, because those do not avoid overflow."""
    scale = np.abs(A).max() or 1.0
    return scale * np.linalg.norm(np.linalg.svd(A / scale, compute_uv=False), q)


# -- the definition -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p, order", [(1, "fro"), (np.inf, "nuc"), (0.5, 2)])
@given(G=forces(scaled=False))
def test_the_dual_norms_numpy_has_too(p, order, G):
    gauge, dual = power_gauge(p), np.linalg.norm(G, order)
    V = lmo(G, gauge)
    tol = 100 * G.size * EPS * max(dual**2, TINY)
    assert abs(np.vdot(G, V) + dual**2) <= tol
    assert abs(len(V) * tangent_norm(V, gauge) ** 2 - dual**2) <= tol


@pytest.mark.parametrize("p", POWERS)
@given(G=forces())
def test_schatten_lmo_attains_the_dual_norm(p, G):
    V, dual = lmo(G, power_gauge(p)), schatten_norm(G, dual_exponent(p))
    unit = np.abs(G).max() or 1.0
    tol = 200 * G.size * EPS * (dual / unit) ** 2
    assert abs(np.vdot(G / unit, V / unit) + (dual / unit) ** 2) <= tol
    assert abs(schatten_norm(V, 2 * p) - dual) <= 1e-13 * dual


@pytest.mark.parametrize("d", [1, 2, 4])
@given(seed=seeds)
def test_nothing_does_better_than_the_lmo(d, seed):
    """<G, V> >= -N*(G) N(V) for random V, and the LMO turns it into an equality: every gauge, every composition."""
    rng = np.random.default_rng(seed)
    G, w = rng.standard_normal((6, d)), rng.dirichlet(np.ones(6))
    gauges = spectral_gauges(d) + [example("linear", d), example("block-sum", d), example("block-max", d)]
    for gauge in gauges:
        dual, v = dual_norm(G, gauge, w), measure_lmo(G, gauge, w)
        assert_allclose(tangent_norm(v, gauge, w), dual, rtol=1e-12)
        for V in [rng.standard_normal((6, d)), v + 0.1 * rng.standard_normal((6, d)), G]:
            assert (w[:, None] * G * V).sum() <= dual * tangent_norm(V, gauge, w) * (1 + 1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_compositions_attain_their_dual_norm(d):
    rng = np.random.default_rng(d)
    G, w = rng.standard_normal((7, d)), rng.dirichlet(np.ones(7))
    for gauge in compositions(d):
        dual, v = dual_norm(G, gauge, w), measure_lmo(G, gauge, w)
        assert_allclose(tangent_norm(v, gauge, w), dual, rtol=1e-9)
        for V in [G, *rng.standard_normal((20, 7, d)), *(v + 0.05 * rng.standard_normal((20, 7, d)))]:
            assert (w[:, None] * G * V).sum() <= dual * tangent_norm(V, gauge, w) * (1 + 1e-9)


# -- V itself -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 5), (3, 50), (60, 4)])
def test_operator_lmo_is_the_polar_factor(shape):
    G = np.random.default_rng(0).standard_normal(shape)
    factor = scipy.linalg.polar(G)[0]
    assert_allclose(lmo(G, "muon"), -np.linalg.norm(G, "nuc") * factor, atol=1e-12)


def test_operator_lmo_of_a_very_tall_matrix():
    G = np.random.default_rng(0).standard_normal((100_000, 3)) @ np.diag([1, 0.1, 1e-4])
    U, s, Wt = np.linalg.svd(G, full_matrices=False)
    assert_allclose(lmo(G, "operator"), -s.sum() * (U @ Wt), atol=1e-9 * s.sum() * np.abs(U @ Wt).max())


@pytest.mark.parametrize("p", POWERS)
@given(seed=seeds, zeros=st.integers(0, 2))
def test_lmo_from_prescribed_singular_values(p, seed, zeros):
    s = np.append([1.0, 0.7, 0.2, 1e-3][: 4 - zeros], np.zeros(zeros))
    U, W = orthogonal(9, seed)[:, :4], orthogonal(4, seed + 1)
    q = dual_exponent(p)
    keep = (s == 1) if np.isinf(q) else s > 0
    response = np.where(keep, np.where(keep, s, 1) ** (0 if np.isinf(q) else q - 1), 0)
    size = 1 / keep.sum() if np.isinf(q) else np.linalg.norm(s, q) ** (2 - q)
    assert_allclose(lmo((U * s) @ W.T, power_gauge(p)), -size * (U * response) @ W.T, atol=1e-11)


def test_top_singular_space_is_averaged_at_one_half():
    U, W = orthogonal(6, 0)[:, :3], orthogonal(3, 1)
    V = lmo((U * [2, 2, 0.5]) @ W.T, "root-schatten")
    assert_allclose(V, -(U[:, :2] @ W[:, :2].T), atol=1e-13)  # sigma_1 / 2 for each of the two


@pytest.mark.parametrize("p", [1.3, 2, np.inf])
@pytest.mark.parametrize("small", [2.0**-23, 2.0**-33])
@pytest.mark.parametrize("columns", [3, 4])
def test_small_directions_keep_their_digits(p, small, columns):
    """G = U diag(1, 1/2, .., small) W^T, exact in binary. The pairing identity cannot see the smallest direction.

    Its polar factor is well conditioned for square G; for a tall one an error of eps in G moves it by eps / small.
    """
    s = np.array([1, 0.5, 0.25, small][4 - columns :] if columns == 4 else [1, 0.5, small])
    W = HADAMARD if columns == 4 else np.eye(3)
    G = (HADAMARD[:, :columns] * s) @ W.T
    q = dual_exponent(p)
    exact = -(np.linalg.norm(s, q) ** (2 - q)) * (HADAMARD[:, :columns] * s ** (q - 1)) @ W.T
    loss = 1 + (q - 1) * small ** (q - 2) if columns == 4 else 1 / small
    tol = 100 * EPS * loss * np.abs(exact).max()
    assert np.abs(lmo(G, power_gauge(p)) - exact).max() <= tol


def test_the_smallest_direction_kept_and_the_largest_dropped():
    tall = np.zeros((4, 2))
    tall[0, 0], tall[1, 1] = 1, 1e-10
    assert_allclose(lmo(tall, "operator"), -(1 + 1e-10) * np.eye(4, 2), atol=1e-15)
    tall[1, 1] = 0.9 * 4 * EPS  # below max(n, d) eps: rounding, and at rest
    assert_allclose(lmo(tall, "operator"), -np.outer(np.eye(4)[0], [1, 0]), atol=2e-15)
    tall[1, 1] = 1.1 * 4 * EPS
    assert_allclose(lmo(tall, "operator"), -np.eye(4, 2), atol=2e-15)


def test_operator_lmo_jumps_where_the_rank_changes():
    assert_allclose(lmo(np.diag([1, 1e-6]), "operator"), -(1 + 1e-6) * np.eye(2), atol=1e-15)
    assert_allclose(lmo(np.diag([1, 0.0]), "operator"), -np.diag([1, 0]), atol=1e-15)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_kyfan_saturates_its_largest_directions(k):
    """q_i = min(1, s_i / theta) with sum q = k: solved here by bisection in theta."""
    s = np.array([5.0, 3.0, 1.0, 0.2])
    low, high = 1e-6, 100.0
    for _ in range(200):
        theta = 0.5 * (low + high)
        low, high = (theta, high) if np.minimum(1, s / theta).sum() > k else (low, theta)
    U, W = orthogonal(7, 3)[:, :4], orthogonal(4, 4)
    V = lmo((U * s) @ W.T, get_gauge("kyfan", k=k))
    assert_allclose(V, -(U * (s / np.minimum(1, s / theta))) @ W.T, atol=1e-12)


# -- blocks (App. B, corrected) -----------------------------------------------------------------------------------


def test_block_lmos_of_operator_gauges():
    rng, eta = np.random.default_rng(0), np.array([1.0, 0.5, 2.0])
    blocks = [[0, 3], [1], [2, 4, 5]]
    G = rng.standard_normal((9, 6))
    factors = [scipy.linalg.polar(G[:, b])[0] for b in blocks]
    nuclear = np.array([np.linalg.norm(G[:, b], "nuc") for b in blocks])
    own = lmo(G, get_gauge("block-sum", blocks=blocks))
    common = lmo(G, get_gauge("block-max", blocks=blocks))
    scaled = lmo(G, get_gauge("block-max", blocks=blocks, scales=eta))
    for b, P, size, e in zip(blocks, factors, nuclear, eta, strict=True):
        assert_allclose(own[:, b], -size * P, atol=1e-12)
        assert_allclose(common[:, b], -nuclear.sum() * P, atol=1e-12)
        assert_allclose(scaled[:, b], -e * (eta @ nuclear) * P, atol=1e-12)


def test_block_sum_scales_each_block_by_its_squared_factor():
    G = np.random.default_rng(1).standard_normal((5, 3))
    V = lmo(G, get_gauge("block-sum", blocks=[2, 1], scales=[3, 0.5], gauge="schatten", p=2))
    for b, eta in [(slice(0, 2), 3), (slice(2, 3), 0.5)]:
        assert_allclose(V[:, b], eta**2 * lmo(G[:, b], get_gauge("schatten", p=2)), atol=1e-12)


@pytest.mark.parametrize("small", [0.0, 1e-200])
def test_common_clock_with_a_block_at_rest_or_far_smaller(small):
    G = np.array([[1.0, 0.0], [1.0, small]])
    V = lmo(G, get_gauge("block-max", blocks=[1, 1]))
    assert_allclose(V[:, 0], -np.ones(2))
    assert_allclose(V[:, 1], [0, -np.sqrt(2) if small else 0], rtol=1e-14)


# -- particles and weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trace", "operator", "kyfan", "linear", "block-max", "root-schatten"])
def test_clock_of_matrices_and_measures(name):
    """measure_lmo(n G) = n lmo(G): with F(X) = n F(mu_X) the two flows are the same."""
    G, gauge = np.random.default_rng(0).standard_normal((11, 3)), example(name, 3)
    assert_allclose(measure_lmo(11 * G, gauge), 11 * lmo(G, gauge), rtol=1e-12)
    assert_allclose(dual_norm(11 * G, gauge), np.sqrt(-11 * np.vdot(G, lmo(G, gauge))), rtol=1e-12)


@pytest.mark.parametrize("p", [0.6, 1, 2, np.inf])
@given(data=st.data(), g=forces(n=6, d=3, scaled=False))
def test_measure_lmo_depends_on_the_second_moment_only(p, data, g):
    """v = -P g, P = |S^(1/2)|_q^(2-q) S^(q/2-1) from an eigendecomposition of S = sum w g g^T.  [Prop. 2.6]"""
    w = data.draw(weights(6))
    S = (g * w[:, None]).T @ g
    lam, U = np.linalg.eigh(S)
    s, keep = np.sqrt(np.maximum(lam, 0)), lam > 1e-9 * lam[-1]
    if keep.sum() < 3 and (lam[~keep] > 1e-13 * lam[-1]).any():
        return  # S has lost those directions to rounding; measure_lmo has not
    q = dual_exponent(p)
    P = (U[:, keep] * (np.linalg.norm(s[keep], q) / s[keep]) ** (2 - q)) @ U[:, keep].T if keep.any() else 0 * S
    g = g @ U[:, keep] @ U[:, keep].T if p != 1 else g
    expected = -g @ (P if p != 1 else np.eye(3))
    assert_allclose(measure_lmo(g, power_gauge(p), w), expected, atol=1e-7 * max(np.abs(expected).max(), TINY))


@pytest.mark.parametrize("name", ["schatten", "kyfan", "block-max", "root-schatten", "linear"])
def test_integer_weights_are_repeated_particles(name):
    rng, gauge = np.random.default_rng(2), example(name, 3)
    g, times = rng.standard_normal((5, 3)), np.array([1, 3, 0, 2, 2])
    v = measure_lmo(g, gauge, times / 8)
    assert_allclose(np.repeat(v, times, axis=0), measure_lmo(np.repeat(g, times, axis=0), gauge), atol=1e-12)
    assert_allclose(v, -g @ gauge.measure_multiplier((g * times[:, None] / 8).T @ g), atol=1e-10)  # weight 0 moves too


def test_weights_over_twelve_decades():
    w = np.geomspace(1, 1e-12, 6) / np.geomspace(1, 1e-12, 6).sum()
    g = np.random.default_rng(3).standard_normal((6, 2))
    root = np.sqrt(w)[:, None]
    factor = scipy.linalg.polar(root * g)[0]
    v = measure_lmo(g, "operator", w)
    assert_allclose(root * v, -np.linalg.norm(root * g, "nuc") * factor, atol=1e-13)


# -- symmetries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.5, 0.8, 1, 2, np.inf])
@given(G=forces(n=6, d=3, scaled=False), seed=seeds)
def test_rotations_pass_through(p, G, seed):
    O, L = orthogonal(3, seed), orthogonal(6, seed + 1)
    V, tol = lmo(G, power_gauge(p)), 1e-9 * max(np.abs(G).max(), TINY)
    assert_allclose(lmo(G @ O, power_gauge(p)), V @ O, atol=tol)
    assert_allclose(lmo(L @ G, power_gauge(p)), L @ V, atol=tol)


@pytest.mark.parametrize("t", [1e-150, 1e-8, 3.0, 1e150])
@pytest.mark.parametrize("name", ["trace", "operator", "kyfan", "linear", "block-sum", "block-max", "root-schatten"])
def test_scale_does_not_matter(name, t):
    G, gauge = np.random.default_rng(0).standard_normal((7, 3)), example(name, 3)
    assert_allclose(lmo(t * G, gauge), t * lmo(G, gauge), rtol=1e-9)
    assert_allclose(measure_lmo(t * G, gauge), t * measure_lmo(G, gauge), rtol=1e-9)
    assert_allclose(dual_norm(t * G, gauge), t * dual_norm(G, gauge), rtol=1e-12)
    assert_allclose(tangent_norm(t * G, gauge), t * tangent_norm(G, gauge), rtol=1e-12)


def test_scale_does_not_matter_to_a_plugin():
    """Powers of two change no digit. Others round G, which may end the search one step earlier or later."""
    G, gauge = np.random.default_rng(0).standard_normal((7, 2)), TwoFunctions(get_gauge("schatten", p=2))
    V = lmo(G, gauge)
    for t in (2.0**-500, 2.0**500):
        np.testing.assert_array_equal(lmo(t * G, gauge), t * V)
    for t in (1e-150, 1e150):
        assert_allclose(lmo(t * G, gauge) / t, V, rtol=0, atol=1e-9 * np.abs(V).max())


RESTING = [*spectral_gauges(2), example("block-max", 2), example("linear", 2), get_gauge("root-schatten")]


@pytest.mark.parametrize("gauge", RESTING)
def test_zero_forces_stay_at_rest(gauge):
    zero = np.zeros((4, 2))
    assert not lmo(zero, gauge).any()
    assert not measure_lmo(zero, gauge).any()
    assert dual_norm(zero, gauge) == 0
    assert tangent_norm(zero, gauge) == 0
    alone = np.eye(4, 2)
    v = measure_lmo(alone, gauge, [0, 0, 0.5, 0.5])  # the only forces have weight zero
    assert np.isfinite(v).all()
    assert dual_norm(alone, gauge, [0, 0, 0.5, 0.5]) == 0


def test_a_positive_multiple_divides_velocities():
    G = np.random.default_rng(0).standard_normal((7, 2))
    for gauge in [get_gauge("schatten", p=3), example("block-max", 2), get_gauge("root-schatten")]:
        assert_allclose(lmo(G, 4 * gauge), lmo(G, gauge) / 4, rtol=1e-12)
        assert_allclose(tangent_norm(G, 4 * gauge), 2 * tangent_norm(G, gauge), rtol=1e-12)
        assert_allclose(dual_norm(G, 4 * gauge), dual_norm(G, gauge) / 2, rtol=1e-12)


# -- other routes -------------------------------------------------------------------------------------------------


def conic_gauges():
    """(gauge, its value on a CVXPY matrix S >= V^T V)."""
    Q0 = np.array([[2.0, 0.3, 0], [0.3, 1.0, 0.1], [0, 0.1, 0.7]])
    A = np.random.default_rng(5).standard_normal((3, 4))
    frobenius, operator = get_gauge("schatten", p=2), get_gauge("operator")
    return {
        "trace": (get_gauge("trace"), cp.trace),
        "frobenius": (frobenius, lambda S: cp.norm(S, "fro")),
        "operator": (operator, cp.lambda_max),
        "kyfan": (get_gauge("kyfan", k=2), lambda S: cp.lambda_sum_largest(S, 2)),
        "linear": (get_gauge("linear", Q0=Q0), lambda S: cp.trace(Q0 @ S)),
        "block-sum": (
            get_gauge("block-sum", blocks=[2, 1], scales=[2, 0.5]),
            lambda S: cp.lambda_max(S[:2, :2]) / 4 + cp.lambda_max(S[2:, 2:]) / 0.25,
        ),
        "block-max": (
            get_gauge("block-max", blocks=[2, 1], scales=[2, 0.5]),
            lambda S: cp.maximum(cp.lambda_max(S[:2, :2]) / 4, cp.lambda_max(S[2:, 2:]) / 0.25),
        ),
        "sum": (frobenius + operator, lambda S: cp.norm(S, "fro") + cp.lambda_max(S)),
        "max": (
            swref.gauges.maximum(1.5 * frobenius, get_gauge("trace")),
            lambda S: cp.maximum(1.5 * cp.norm(S, "fro"), cp.trace(S)),
        ),
        "congruence": (operator.congruence(A), lambda S: cp.lambda_max(A.T @ S @ A)),
        "plugin": (TwoFunctions(get_gauge("kyfan", k=2)), lambda S: cp.lambda_sum_largest(S, 2)),
    }


@pytest.mark.parametrize("key", sorted(conic_gauges()))
def test_lmo_against_a_conic_program(key):
    """min <G, V> + gamma(S)/2 with [[S, V^T], [V, I]] >= 0, that is S >= V^T V."""
    gauge, value = conic_gauges()[key]
    G = np.random.default_rng(4).standard_normal((4, 3))
    M = cp.Variable((7, 7), PSD=True)
    S, V = M[:3, :3], M[3:, :3]
    objective = cp.sum(cp.multiply(G, V)) + value(0.5 * (S + S.T)) / 2
    problem = cp.Problem(cp.Minimize(objective), [M[3:, 3:] == np.eye(4)])
    problem.solve(solver=cp.CLARABEL)
    assert_allclose(np.vdot(G, lmo(G, gauge)) / 2, problem.value, rtol=1e-7)
    assert_allclose(lmo(G, gauge), V.value, atol=2e-4 * np.abs(V.value).max())


@pytest.mark.parametrize("wrap", [TwoFunctions, TwoSpectralFunctions])
@pytest.mark.parametrize("p", [1, 1.3, 2, 7, np.inf])
@settings(max_examples=5)
@given(g=forces(n=5, d=3))
def test_a_plugin_reaches_the_closed_form(wrap, p, g):
    closed = power_gauge(p)
    dual = dual_norm(g, closed)
    assert abs(dual_norm(g, wrap(closed)) - dual) <= 1e-9 * dual
    s = np.linalg.svd(g / (np.abs(g).max() or 1.0), compute_uv=False)
    if p != 1 and s[-1] > 1e-2 * s[0]:
        error = np.abs(measure_lmo(g, wrap(closed)) - measure_lmo(g, closed)).max()
        assert error <= 1e-5 * np.abs(measure_lmo(g, closed)).max()


# -- the door -----------------------------------------------------------------------------------------------------

BAD = [
    (np.ones(3), "expected 2 axes"),
    (np.ones((0, 2)), "must not be empty"),
    ([[1, np.nan]], "must be finite"),
    ([["a", "b"]], "expected a real numeric array"),
    ([[1j, 0]], "expected a real numeric array"),
]


@pytest.mark.parametrize("bad, message", BAD)
@pytest.mark.parametrize("call, name", [(lmo, "G"), (measure_lmo, "g"), (dual_norm, "g"), (tangent_norm, "V")])
def test_bad_arrays_are_named(call, name, bad, message):
    with pytest.raises(ValueError, match=f"^{name}: {message}"):
        call(bad, "trace")


@pytest.mark.parametrize("call", [measure_lmo, dual_norm, tangent_norm])
@pytest.mark.parametrize(
    "w, message",
    [
        ([0.5, 0.5], r"weights: expected shape \(3,\), got \(2,\)"),
        ([0.5, 0.7, -0.2], "weights: must be nonnegative, got -0.2"),
        ([0.5, 0.5, 0.5], "weights: must sum to one, got 1.5"),
        ([0.5, 0.5, np.nan], "weights: must be finite"),
    ],
)
def test_bad_weights_are_named(call, w, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((3, 2)), "trace", w)


@pytest.mark.parametrize("call", [lmo, measure_lmo, dual_norm, tangent_norm])
def test_wrong_gauges_are_named(call):
    with pytest.raises(ValueError, match=r"gauge: BlockMax.* accepts d = 3 only, got d = 2"):
        call(np.ones((3, 2)), get_gauge("block-max", blocks=[2, 1]))
    with pytest.raises(ValueError, match="k: expected k <= d, got k = 3 in dimension d = 2"):
        call(np.ones((3, 2)), get_gauge("kyfan", k=3))
    with pytest.raises(ValueError, match="gauge: unknown name 'traec'; did you mean 'trace'"):
        call(np.ones((3, 2)), "traec")


def test_inputs_are_not_modified_and_float32_is_computed_in_float64():
    G, w = np.random.default_rng(0).standard_normal((4, 2)), np.full(4, 0.25)
    before = G.copy(), w.copy()
    for name in ("trace", "operator", "kyfan", "linear", "block-max", "root-schatten"):
        gauge = example(name, 2)
        lmo(G, gauge), measure_lmo(G, gauge, w), dual_norm(G, gauge, w), tangent_norm(G, gauge, w)
    assert np.array_equal(G, before[0])
    assert np.array_equal(w, before[1])
    single = G.astype(np.float32)
    assert lmo(single, "operator").dtype == np.float64
    assert_allclose(lmo(single, "operator"), lmo(single.astype(float), "operator"), rtol=1e-14)
