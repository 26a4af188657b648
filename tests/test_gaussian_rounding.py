"""Bounds between Gaussians against 100-digit arithmetic: true to the last digit, whatever the scale or the status."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EPS, TwoFunctions, orthogonal, psd, seeds

import swref
from swref import _rounding
from swref.gaussians import GaussianOracle, bounds
from swref.gaussians import distance as gaussians

TRACE, OPERATOR = swref.get_gauge("trace"), swref.get_gauge("operator")
FROBENIUS, KYFAN = swref.get_gauge("schatten", p=2), swref.get_gauge("kyfan", k=2)
# Each gauge with its value and its polar as functions of the eigenvalues, in descending order.
GAUGES = {
    "trace": (TRACE, sum, max),
    "operator": (OPERATOR, max, sum),
    "kyfan": (KYFAN, lambda lam: sum(lam[:2]), lambda lam: max(lam[0], sum(lam) / 2)),
    "frobenius": (FROBENIUS, mp.norm, mp.norm),
    "plugin": (TwoFunctions(FROBENIUS), mp.norm, mp.norm),
}


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(100):
        yield


# -- the other route, in mpmath -----------------------------------------------------------------------------------


def exact(A):
    return mp.matrix(np.asarray(A, float).tolist())


def eigenvalues(S):
    return sorted((max(x, mp.mpf(0)) for x in mp.eigsy(S, eigvals_only=True)), reverse=True)


def root(S):
    """The root of the positive semidefinite part."""
    lam, U = mp.eigsy(S)
    cut = max(abs(x) for x in lam) * mp.mpf(10) ** -90
    return U * mp.diag([mp.sqrt(x) if x > cut else mp.mpf(0) for x in lam]) * U.T


def square(A):
    return sum(x * x for x in A)


def nuclear(A):
    return sum(mp.svd_r(A, compute_uv=False))


def squared(D, S0, S1, Q):
    """W_Q^2 = |R D|^2 + |R S0^(1/2)|^2 + |R S1^(1/2)|^2 - 2 |S1^(1/2) Q S0^(1/2)|_*, R = Q^(1/2), all in mpmath."""
    R = root(Q)
    A, B = R * root(S0), R * root(S1)
    return square(R * D) + square(A) + square(B) - 2 * nuclear(B.T * A)


def below(name, m0, S0, m1, S1, Q):
    """W_Q^2 over the polar of Q: below W_gamma^2 for every Q, and equal to it for the trace."""
    return squared(exact(m1) - exact(m0), exact(S0), exact(S1), exact(Q)) / GAUGES[name][2](eigenvalues(exact(Q)))


# -- families -------------------------------------------------------------------------------------------------------


def symmetric(S):
    return (S + S.T) / 2


def random_covariance(rng, d, rank=None):
    A = rng.standard_normal((d, rank or d))
    return symmetric(A @ A.T)


def image(S, size, rng):
    """The covariance of the image under a map that is the identity up to ``size``."""
    P = np.eye(len(S)) + size * rng.standard_normal(S.shape)
    return symmetric(P @ S @ P.T)


def decades(S, rng, spread):
    D = 10 ** rng.uniform(-spread, spread, len(S))
    return symmetric(D[:, None] * S * D)


def graded(rng, d):
    U = orthogonal(d, rng.integers(2**32))
    return symmetric((U * 10 ** -rng.uniform(0, 17, d)) @ U.T)


def pair(kind, d, rng):
    S = random_covariance(rng, d)
    return {
        "full": lambda: (S, random_covariance(rng, d)),
        "singular": lambda: (
            random_covariance(rng, d, max(d - 1, 1)),
            random_covariance(rng, d, rng.integers(1, d + 1)),
        ),
        "decades": lambda: (decades(S, rng, 15), decades(random_covariance(rng, d), rng, 15)),
        "diagonal": lambda: tuple(np.diag(10 ** rng.uniform(-30, 0, d)) for _ in range(2)),
        "graded": lambda: (graded(rng, d), graded(rng, d)),
        "near 1e-3": lambda: (S, image(S, 1e-3, rng)),
        "near 1e-7": lambda: (S, image(S, 1e-7, rng)),
        "near 1e-12": lambda: (S, image(S, 1e-12, rng)),
        "singular twins": lambda: (T := random_covariance(rng, d, max(d - 1, 1)), image(T, 1e-5, rng)),
        "equal": lambda: (S, S),
        "a point": lambda: (0 * S, S),
    }[kind]()


KINDS = ["full", "singular", "decades", "diagonal", "graded", "near 1e-3", "near 1e-7", "near 1e-12", "singular twins"]
KINDS += ["equal", "a point"]


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(seeds))
    kind, d = draw(st.sampled_from(KINDS)), draw(st.integers(1, 4))
    S0, S1 = pair(kind, d, rng)
    m0 = rng.standard_normal(d)
    shift = draw(st.sampled_from(["none", "one", "1e8", "offset 1e16"]))
    m1 = m0 + {"none": 0, "one": 1, "1e8": 1e8, "offset 1e16": 0}[shift] * rng.standard_normal(d)
    if shift.startswith("offset"):
        m0, m1 = 1e16 + 4 * rng.integers(-3, 4, d), 1e16 + 4 * rng.integers(-3, 4, d)
    scale = draw(st.sampled_from([1.0, 1e-100, 1e100]))
    return m0 * scale, S0 * scale * scale, m1 * scale, S1 * scale * scale


@settings(max_examples=150)
@given(problems(), st.sampled_from(list(GAUGES)))
def test_the_bounds_hold_to_the_last_digit(problem, name):
    if name == "kyfan" and len(problem[0]) == 1:
        name = "operator"
    result = swref.gaussian_transport(*problem, GAUGES[name][0], strict=False)
    value = below(name, *problem, result.metric)
    assert inside(value, result, size(problem))
    if name == "trace":
        assert result.relative_gap <= 1e-8 or result.status == "rounding" or result.distance**2 < 1e-9 * size(problem)
    assert result.status in ("converged", "rounding")


def inside(value, result, size):
    """The value, known to 90 digits of ``size``, lies between the bounds."""
    blur = mp.mpf(size) * mp.mpf(10) ** -90
    return result.lower_bound - blur <= value <= result.upper_bound + blur


def size(problem):
    m0, S0, m1, S1 = problem
    return max(np.abs(S0).max(), np.abs(S1).max(), (np.abs(m1 - m0).max()) ** 2)


@settings(max_examples=60)
@given(st.integers(1, 4), seeds, st.sampled_from([1, 2, np.inf]), st.sampled_from([0, 3, 30]))
def test_diagonal_covariances_have_their_closed_form_inside(d, seed, p, spread):
    """W_p^2 = |(sqrt(a_i) - sqrt(b_i))^2|_p.  [Cor. D.2] Here U is tested too: every gauge attains it."""
    rng = np.random.default_rng(seed)
    a, b = 10 ** -rng.uniform(0, spread, (2, d)) if spread else rng.choice([0.0, 0.5, 1.0, 4.0], (2, d))
    steps = [(mp.sqrt(x) - mp.sqrt(y)) ** 2 for x, y in zip(exact(a), exact(b), strict=True)]
    value = mp.norm(steps, mp.inf if p == np.inf else p)
    zero, gauge = np.zeros(d), swref.get_gauge("schatten", p=p)
    result = swref.gaussian_transport(zero, np.diag(a), zero, np.diag(b), gauge)
    assert result.lower_bound <= value <= result.upper_bound
    assert result.relative_gap <= 1e-8 or value < 1e-14


@given(seeds, st.integers(2, 4))
def test_on_ordinary_data_the_widening_is_a_few_hundred_units_in_the_last_place(seed, d):
    rng = np.random.default_rng(seed)
    S0, S1 = (random_covariance(rng, d) + np.eye(d) for _ in range(2))
    result = swref.gaussian_transport(rng.standard_normal(d), S0, rng.standard_normal(d) + 2, S1, TRACE)
    assert result.relative_gap <= 400 * d * EPS


def test_the_status_names_the_scale_that_rounding_blurs():
    """Ill-conditioned covariances that nearly coincide: the interval is true, and wider than the tolerance."""
    rng = np.random.default_rng(0)
    U = orthogonal(3, 1)
    S = symmetric((U * [1e6, 1.0, 1e-4]) @ U.T)
    other, zero = image(S, 1e-8, rng), np.zeros(3)
    with pytest.raises(
        swref.NotConverged, match=r"\(rounding: .*: covariances with standard deviations up to 898 hide"
    ) as caught:
        swref.gaussian_transport(zero, S, zero, other, TRACE)
    result = caught.value.result
    assert result.status == "rounding"
    assert result.lower_bound <= below("trace", zero, S, zero, other, np.eye(3)) <= result.upper_bound


# -- pieces -------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.sampled_from(["full", "singular", "decades", "diagonal", "graded", "indefinite"]), st.integers(1, 4), seeds)
def test_a_factor_is_as_near_to_its_covariance_as_it_says(kind, d, seed):
    """W_gamma(N(0, S), N(0, F F^T))^2 <= gamma(diag(delta^2)) for the trace, by the closed form."""
    rng = np.random.default_rng(seed)
    if kind == "indefinite":
        S = random_covariance(rng, d, max(d - 1, 1))
        S -= np.diag(rng.choice([1e-15, 1e-10], d) * np.abs(S).max())
    else:
        S, _ = pair(kind, d, rng)
    F, delta = bounds.covariance_factor(S)
    apart = squared(mp.matrix(d, 1), exact(S), exact(F) * exact(F).T if F.size else mp.matrix(d, d), mp.eye(d))
    assert apart <= square(exact(delta))
    # and near enough for the default tolerance, relative to the largest standard deviation
    limit = 1e-8 if kind == "indefinite" else 1e-9
    assert np.linalg.norm(delta) <= limit * np.sqrt(np.abs(S).max())
    if kind == "diagonal" or np.linalg.cond(S) < 1e3:
        assert np.linalg.norm(delta) <= 1e-13 * np.sqrt(np.abs(S).max())


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 40), seeds)
def test_differences_that_cancel_are_rounded_once(n, m, k, seed):
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((n, k)), rng.standard_normal((k, m)) * 1e-5
    M = A @ B
    value, error = _rounding.difference(A, B, M)
    true = np.array(
        [[sum(Fraction(a) * Fraction(b) for a, b in zip(row, col, strict=True)) for col in B.T] for row in A]
    )
    off = [Fraction(v) - (t - Fraction(w)) for v, t, w in zip(value.ravel(), true.ravel(), M.ravel(), strict=True)]
    once = [EPS * abs(Fraction(v)) for v in value.ravel()]
    assert sum(o * o for o in off) <= Fraction(error + float(np.linalg.norm(np.array(once, float)))) ** 2
    assert error <= 1e-25


@settings(max_examples=40)
@given(psd(3, scaled=False), st.sampled_from([1, 2, 3]), st.sampled_from([1e-9, 1e-5, 1.0]), seeds)
def test_one_metric_bounds_the_distance_from_below(Q, rank, apart, seed):
    """Singular metrics, factors of all ranks, Gaussians near and far: below the closed form, and not by much."""
    rng = np.random.default_rng(seed)
    F0 = rng.standard_normal((3, rank))
    F1 = F0 @ (np.eye(rank) + apart * rng.standard_normal((rank, rank)))
    shift = apart * rng.standard_normal(3)
    lam, U = np.linalg.eigh(Q)
    R = np.sqrt(np.maximum(lam, 0))[:, None] * U.T
    found = bounds.split_distance(R, F0, F1, shift, False)
    S0, S1 = (exact(F) * exact(F).T for F in (F0, F1))
    value = mp.sqrt(squared(exact(shift), S0, S1, exact(R).T * exact(R)))
    assert found <= value
    if rank == 3 and lam[0] > 1e-3 and np.linalg.cond(F0) < 30:
        assert found >= value * (1 - 1e-6) - 1e-13


@settings(max_examples=60)
@given(st.sampled_from([1e-3, 1e-6]), st.sampled_from([1e-4, 1.0]), seeds)
def test_nothing_is_assumed_of_lapack(noise, apart, seed):
    """Eigenvectors and singular vectors with errors of 1e-3: wider bounds, as true as ever."""
    rng = np.random.default_rng(seed)
    F0 = rng.standard_normal((3, 3)) + 2 * np.eye(3)
    F1 = F0 @ (np.eye(3) + apart * rng.standard_normal((3, 3)))
    S = symmetric(F0 @ F0.T) + 5 * np.eye(3)

    def rough(function):
        def call(*arguments, **options):
            return tuple(part + noise * rng.uniform(-1, 1, part.shape) for part in function(*arguments, **options))

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.linalg, "svd", rough(np.linalg.svd))
        patch.setattr(np.linalg, "eigh", rough(np.linalg.eigh))
        found = bounds.metric_distance(np.eye(3), F0, F1, np.zeros(3), False)
        F, delta = bounds.covariance_factor(S)
    S0, S1 = (exact(one) * exact(one).T for one in (F0, F1))
    assert found <= mp.sqrt(squared(mp.matrix(3, 1), S0, S1, mp.eye(3)))
    assert squared(mp.matrix(3, 1), exact(S), exact(F) * exact(F).T, mp.eye(3)) <= square(exact(delta))


@settings(max_examples=60)
@given(st.sampled_from([0.0, 1e-3, 0.03]), st.sampled_from([0.0, 0.1]), seeds)
def test_the_dual_bound_holds_for_any_coupling_and_any_map(angle, noise, seed):
    """An orthogonal coupling that is not the best costs more; what the map N says of it brings the bound below W."""
    rng = np.random.default_rng(seed)
    G0, G1 = np.eye(3) + 0.3 * rng.standard_normal((2, 3, 3))
    U, s, Vt = np.linalg.svd(G1.T @ G0)
    c, h = np.cos(angle), np.sin(angle)
    U = U @ np.array([[c, -h, 0], [h, c, 0], [0, 0, 1]])
    s = s * (1 + noise * rng.uniform(-1, 1, 3))
    turned = tuple(bounds._orthogonality(one) for one in (Vt.T, U))
    found = bounds._dual_bound(G0, G1, U, s, Vt, (np.linalg.norm(G0), np.linalg.norm(G1)), turned)
    S0, S1 = (exact(G) * exact(G).T for G in (G0, G1))
    value = mp.sqrt(squared(mp.matrix(3, 1), S0, S1, mp.eye(3)))
    assert found <= value
    if angle == noise == 0:
        assert found >= value * (1 - 1e-12)


def test_a_metric_outside_its_set_is_divided_by_its_polar():
    rng = np.random.default_rng(3)
    F0, F1 = rng.standard_normal((2, 3, 3))
    value = squared(mp.matrix(3, 1), exact(F0) * exact(F0).T, exact(F1) * exact(F1).T, mp.eye(3))
    for gauge, factor in ((TRACE, 1), (4 * TRACE, 4)):
        for size in (1.0, 1.5):
            lower = bounds.metric_lower(gauge, factor * size * np.eye(3), F0, F1, np.zeros(3), False, 0.0)
            assert factor * value * (1 - 1e-12) <= lower <= factor * value


@given(st.integers(1, 4), st.integers(1, 4), seeds)
def test_the_coupling_error_covers_the_loss_of_orthogonality(d, r, seed):
    """W W^T = I up to 1e-9: the least change of W that repairs it, times F1, is within delta."""
    rng = np.random.default_rng(seed)
    F0, F1 = rng.standard_normal((2, d, r))
    W = orthogonal(2 * r, seed)[:r] + 1e-9 * rng.standard_normal((r, 2 * r))
    steps, delta = bounds.coupling_steps(F0, F1, W)
    U, _, V = mp.svd_r(exact(W))
    moved = exact(F1) * (U * V - exact(W))
    for k in range(d):
        assert mp.norm(moved[k, :]) <= delta[k]
    np.testing.assert_allclose(steps, F1 @ W - np.column_stack([F0, 0 * F0]), atol=1e-13)


@given(seeds, st.sampled_from(["F0", "F1", "coupling"]), st.sampled_from(["trace", "operator"]))
def test_what_is_known_of_the_errors_reaches_both_bounds(seed, where, name):
    """Factors off by 1e-3, with the delta that says so, or a coupling off by 1e-2: the exact answer stays inside."""
    rng = np.random.default_rng(seed)
    d, gauge = 2, GAUGES[name][0]
    F0 = rng.standard_normal((d, d))
    F1 = F0 * rng.choice([0.5, 2.0], d)
    S0, S1 = (exact(F) * exact(F).T for F in (F0, F1))
    error = 1e-3 * rng.standard_normal((d, d))
    delta = np.sqrt(d) * np.linalg.norm(error, axis=1)
    zero = np.zeros(d)
    pair = {
        "F0": (zero, F0 + error, delta, F1, zero),
        "F1": (zero, F0, zero, F1 + error, delta),
        "coupling": (zero, F0, zero, F1, zero),
    }[where]
    mixed = gaussians._mixed_correlation
    with pytest.MonkeyPatch.context() as patch:
        if where == "coupling":
            size = 1 + rng.choice([-1e-2, 1e-2])
            patch.setattr(gaussians, "_mixed_correlation", lambda found: tuple(size * part for part in mixed(found)))
        result = gaussians._transport((zero, zero), pair, False, gauge, 1e-9, 500)
    metric = exact(result.metric)
    assert inside(squared(mp.matrix(d, 1), S0, S1, metric) / GAUGES[name][2](eigenvalues(metric)), result, 1.0)


@pytest.mark.parametrize("name", GAUGES)
def test_gauges_are_as_accurate_as_is_assumed(name):
    gauge, value, polar = GAUGES[name]
    rng = np.random.default_rng(0)
    for d in (2, 3, 6):
        for spread in (0, 3, 12):
            S = symmetric((U := orthogonal(d, spread)) * 10 ** -rng.uniform(0, spread, d) @ U.T)
            true = value(eigenvalues(exact(S)))
            assert abs(gauge.value(S) - true) <= 8 * d * EPS * true
            assert polar(eigenvalues(exact(gauge.support(S)))) <= 1 + 8 * d * EPS
            oracle = GaussianOracle(np.linalg.cholesky(S + 1e-3 * np.eye(d)), np.eye(d), np.ones(d))
            metric = swref.maxmin.solve(oracle, gauge, tol=1e-8, max_iter=200).metric
            assert polar(eigenvalues(exact(metric))) <= 1 + 8 * d * EPS


def test_a_moment_with_errors_relative_to_its_diagonal_has_no_larger_gauge():
    """M <= M + e d diag(M): adversarial signs, entries over 30 decades."""
    rng = np.random.default_rng(1)
    for name, (gauge, value, _) in GAUGES.items():
        for terms in (1, 7):
            steps = rng.standard_normal((3, terms)) * 10.0 ** rng.uniform(-15, 0, (3, 1))
            moment = steps @ steps.T
            root_diagonal = np.sqrt(moment.diagonal())
            e = 0.9 * _rounding.rounding(terms)
            worse = exact(moment) + mp.mpf(e) * exact(np.outer(root_diagonal, root_diagonal))
            upper = _rounding.moment_upper(gauge, moment, terms, 0.0)
            assert value(eigenvalues(worse)) <= upper <= float(gauge.value(moment)) * (1 + 100 * EPS * (terms + 8)), (
                name
            )
            assert (
                _rounding.moment_upper(gauge, moment, terms, 1.0)
                >= (1 + mp.sqrt(value(eigenvalues(exact(moment))))) ** 2
            )


# -- clouds ---------------------------------------------------------------------------------------------------------


def exact_moments(x, weights):
    """Mean and covariance as matrices of mpmath, with the weights divided by their exact sum."""
    w = [Fraction(float(one)) for one in weights]
    w = [mp.mpf(one.numerator) / one.denominator for one in (one / sum(w) for one in w)]
    rows = [exact(row) for row in x]
    mean = sum((one * row for one, row in zip(w, rows, strict=True)), mp.matrix(x.shape[1], 1))
    parts = (one * (row - mean) * (row - mean).T for one, row in zip(w, rows, strict=True))
    return mean, sum(parts, mp.matrix(x.shape[1], x.shape[1]))


@settings(max_examples=60)
@given(
    st.integers(1, 3),
    st.sampled_from(["plain", "offset 1e8", "far point", "decades", "tiny weights", "image", "point"]),
    st.sampled_from(["trace", "operator", "frobenius", "plugin"]),
    seeds,
)
def test_the_moment_bound_is_below_the_exact_one(d, kind, name, seed):
    rng = np.random.default_rng(seed)
    name = "trace" if kind == "image" else name  # only there is the reference exact to more than 1e-8
    n, m = rng.integers(2, 7, 2)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    a, b = (np.full(k, 1 / k) for k in (n, m))
    if kind == "offset 1e8":
        x, y = x + 1e8, y + 1e8
    elif kind == "far point":
        x[0] = y[0] = 1e9
    elif kind == "decades":
        x, y = x * 10.0 ** rng.uniform(-15, 0, d), y * 10.0 ** rng.uniform(-15, 0, d)
    elif kind == "tiny weights":
        a = 10.0 ** -rng.uniform(0, 300, n)
        a /= a.sum()
    elif kind == "image":
        y, b = x * (1 + 1e-8), a
    elif kind == "point":
        y = np.tile(y[:1], (m, 1))
    bound = swref.moment_lower_bound(x, y, GAUGES[name][0], a, b)
    (m0, S0), (m1, S1) = exact_moments(x, a), exact_moments(y, b)
    # W_gamma >= its lower bound at the metric found by the Gaussian solver; the trace is exact
    floats = [np.array(one.tolist(), float) for one in (m0, S0, m1, S1)]
    floats = [one.ravel() if one.shape[1] == 1 and k % 2 == 0 else one for k, one in enumerate(floats)]
    result = swref.gaussian_transport(*floats, GAUGES[name][0], strict=False)
    value = squared(m1 - m0, S0, S1, exact(result.metric)) / GAUGES[name][2](eigenvalues(exact(result.metric)))
    assert bound <= value * (1 if name == "trace" else 1 + mp.mpf(1e-8)) + (
        0 if name == "trace" else 1e-9 * result.upper_bound
    )
    if kind == "plain":
        assert bound >= value * (1 - mp.mpf(1e-8)) - 1e-12
