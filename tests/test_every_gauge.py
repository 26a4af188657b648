"""What every registered gauge must satisfy. The list comes from the registry: a new gauge is tried without being told.

A gauge that cannot be made without arguments says how in ``Gauge.example``.
"""

import numpy as np
import pytest
from strategies import EPS, example

import swref
from swref import GaugeError, dual_norm, lmo, measure_lmo, tangent_norm
from swref.gauges.registry import gauge_class

NAMES = swref.list_gauges()
CONVEX = [name for name in NAMES if gauge_class(name).convex]
NOT_CONVEX = [name for name in NAMES if not gauge_class(name).convex]

every = pytest.mark.parametrize("name", NAMES)
convex = pytest.mark.parametrize("name", CONVEX)
not_convex = pytest.mark.parametrize("name", NOT_CONVEX)
dimensions = pytest.mark.parametrize("d", [1, 2, 5])


def moments(d):
    """PSD matrices (d, d): full rank, rank one, a coordinate projector, the identity, spread eigenvalues."""
    rng = np.random.default_rng(d)
    X, u, spread = rng.standard_normal((d, d)), rng.standard_normal(d), np.geomspace(1, 1e-6, d)
    Z = rng.standard_normal((d, d)) * spread
    return [X @ X.T, np.outer(u, u), np.diag(np.eye(d)[0]), np.eye(d), Z.T @ Z]


def clouds(d):
    rng = np.random.default_rng(10 + d)
    return rng.standard_normal((9, d)), rng.standard_normal((7, d)) @ rng.standard_normal((d, d)) + 0.3


def forces(d):
    """Forces (7, d) of full rank, of rank one and with spread singular values; and weights (7,)."""
    rng = np.random.default_rng(20 + d)
    G = rng.standard_normal((7, d))
    return [G, np.outer(G[:, 0], rng.standard_normal(d)), G * np.geomspace(1, 1e-3, d)], rng.dirichlet(np.ones(7))


def frozen(array):
    """A read-only copy: whoever writes to it raises."""
    array = np.array(array, dtype=float)
    array.setflags(write=False)
    return array


# -- value and support --------------------------------------------------------------------------------------------


@every
@dimensions
def test_value_is_a_float_and_homogeneous_at_any_scale(name, d):
    gauge = example(name, d)
    assert gauge.value(np.zeros((d, d))) == 0
    for S in moments(d):
        value = gauge.value(S)
        assert isinstance(value, float)
        assert value > 0
        for t in (1e-150, 1e-3, 7.0, 1e150):
            assert gauge.value(t * S) / t == pytest.approx(value, rel=1e-12)


@convex
@dimensions
def test_support_attains_and_lies_in_K_at_any_scale(name, d):
    gauge = example(name, d)
    for S in [*moments(d), np.zeros((d, d))]:
        for t in (1e-150, 1.0, 1e150):
            Q = gauge.support(t * S)
            assert np.abs(Q - Q.T).max() <= 10 * EPS * np.abs(Q).max()
            assert np.linalg.eigvalsh(Q)[0] >= -1e-13 * np.abs(Q).max()
            assert np.vdot(Q, S) == pytest.approx(gauge.value(S), rel=1e-12)
            assert gauge.polar(Q) <= 1 + 1e-8


@convex
@dimensions
def test_polar_is_the_gauge_of_K(name, d):
    """polar(tQ) = t polar(Q), zero at zero; <Q, S> <= polar(Q) gamma(S)."""
    gauge = example(name, d)
    assert gauge.polar(np.zeros((d, d))) == 0
    for Q in moments(d)[:3]:
        polar = gauge.polar(Q)
        assert gauge.polar(1e5 * Q) == pytest.approx(1e5 * polar, rel=1e-8)
        for S in moments(d):
            assert np.vdot(Q, S) <= polar * gauge.value(S) * (1 + 1e-8)


# -- LMOs ---------------------------------------------------------------------------------------------------------


@every
@dimensions
def test_lmo_identities(name, d):
    """<G, J> = -N*(G)^2 and N(J) = N*(G); dual_norm takes weights 1/n where lmo sums."""
    gauge = example(name, d)
    for G in forces(d)[0]:
        n = len(G)
        J, dual = lmo(G, gauge), dual_norm(n * G, gauge) / np.sqrt(n)
        assert np.vdot(G, J) == pytest.approx(-(dual**2), rel=1e-8)
        assert np.sqrt(n) * tangent_norm(J, gauge) == pytest.approx(dual, rel=1e-8)
    for t in (1e-150, 1e150):
        np.testing.assert_allclose(lmo(t * G, gauge) / t, J, rtol=0, atol=1e-8 * np.abs(J).max())
    assert not lmo(0 * G, gauge).any()


@every
@dimensions
def test_measure_lmo_identities_and_optimality(name, d):
    gauge, rng = example(name, d), np.random.default_rng(d)
    for g, w in [(g, forces(d)[1]) for g in forces(d)[0]]:
        v, dual = measure_lmo(g, gauge, w), dual_norm(g, gauge, w)
        assert (w[:, None] * g * v).sum() == pytest.approx(-(dual**2), rel=1e-8)
        assert tangent_norm(v, gauge, w) == pytest.approx(dual, rel=1e-8)
        for V in [g, *rng.standard_normal((3, *g.shape)), *(v + 0.1 * rng.standard_normal((3, *g.shape)))]:
            assert (w[:, None] * g * V).sum() <= dual * tangent_norm(V, gauge, w) * (1 + 1e-8)


@every
@dimensions
def test_the_multiplier_of_the_second_moment_gives_the_same_field(name, d):
    """v = -P g. Squaring g costs half of the digits of a singular value 1e-3 times the largest: 1e-10, not 1e-16."""
    gauge = example(name, d)
    for g, w in [(g, forces(d)[1]) for g in forces(d)[0]]:
        C = (g * w[:, None]).T @ g
        P, v = gauge.measure_multiplier(C), measure_lmo(g, gauge, w)
        np.testing.assert_allclose(P, P.T, rtol=0, atol=1e-12 * np.abs(P).max())
        power = (w[:, None] * g * v).sum()
        assert -np.vdot(P, C) == pytest.approx(power, rel=1e-8)
        np.testing.assert_allclose(-g @ P, v, rtol=0, atol=1e-5 * np.abs(v).max())
        np.testing.assert_allclose(gauge.measure_multiplier(1e5 * C), P, rtol=0, atol=1e-5 * np.abs(P).max())


# -- projection ---------------------------------------------------------------------------------------------------


@convex
@dimensions
def test_project_is_the_nearest_point_of_K(name, d):
    """In K, where it is the identity; and <A - P, Q - P> <= 0 for Q in K, here for the supports of many matrices."""
    gauge, rng = example(name, d), np.random.default_rng(d)
    S = moments(d)
    X = rng.standard_normal((2, d, d))
    outside = [3 * S[0], X[0] + X[0].T, 10 * gauge.support(S[0]) + 0.1 * (X[1] + X[1].T), -np.eye(d)]
    for A in outside:
        P = gauge.project(A)
        size = 1 + np.linalg.norm(A)
        assert np.abs(P - P.T).max() <= 1e-12 * size
        assert np.linalg.eigvalsh(P)[0] >= -1e-9 * size
        assert gauge.polar(0.5 * (P + P.T) + 1e-9 * size * np.eye(d)) <= 1 + 1e-7 * size
        np.testing.assert_allclose(gauge.project(P), P, rtol=0, atol=1e-6 * size)
        # The candidate that most nearly breaks the inequality is the support at (A - P)_+.
        lam, U = np.linalg.eigh(A - P)
        for T in [*S, (U * np.maximum(lam, 0)) @ U.T]:
            Q = gauge.support(T)
            assert np.vdot(A - P, Q - P) <= 1e-7 * size**2
        assert np.vdot(A - P, -P) <= 1e-7 * size**2  # 0 is in K
    inside = 0.5 * gauge.support(S[0])
    np.testing.assert_allclose(gauge.project(inside), inside, rtol=0, atol=1e-9 * np.abs(inside).max())


# -- transport ----------------------------------------------------------------------------------------------------


@convex
@dimensions
def test_transport_returns_a_bracket_that_its_plan_and_metric_prove(name, d):
    gauge, (x, y) = example(name, d), clouds(d)
    result = swref.transport(x, y, gauge)
    D = y[None] - x[:, None]
    moment = np.einsum("ij,ijk,ijl->kl", result.plan.toarray(), D, D)
    f, g = result.potentials
    cost = np.einsum("ijk,kl,ijl->ij", D, result.metric, D)
    assert gauge.value(0.5 * (moment + moment.T)) == pytest.approx(result.upper_bound, rel=1e-9)
    assert f.mean() + g.mean() == pytest.approx(result.lower_bound, rel=1e-9)
    assert (cost - f[:, None] - g).min() >= -1e-12 * cost.max()
    assert gauge.polar(result.metric) <= 1 + 1e-8
    assert result.lower_bound <= result.upper_bound * (1 + 1e-12)
    assert result.relative_gap <= 1e-6


# -- gauges that are not convex -----------------------------------------------------------------------------------


@not_convex
@dimensions
def test_a_gauge_that_is_not_convex_refuses_what_it_cannot_give(name, d):
    gauge, (x, y) = example(name, d), clouds(d)
    for refused in (
        lambda: gauge.support(np.eye(d)),
        lambda: gauge.polar(np.eye(d)),
        lambda: gauge.project(np.eye(d)),
        lambda: swref.transport(x, y, gauge),
        lambda: swref.transport(x, y, 2 * gauge),
    ):
        with pytest.raises(GaugeError, match="not convex"):
            refused()
    with pytest.raises(GaugeError, match="convex"):
        swref.check_gauge(name, d)
    with pytest.raises(ValueError, match="convex"):
        gauge + swref.get_gauge("trace")
    with pytest.raises(ValueError, match="convex"):
        gauge.congruence(np.eye(d))


# -- the door -----------------------------------------------------------------------------------------------------


@every
@dimensions
def test_inputs_are_not_modified(name, d):
    """Read-only arrays pass, and what is returned is not a view of what was given."""
    gauge = example(name, d)
    (g, *_), w = forces(d)
    S, g, w = frozen(moments(d)[0]), frozen(g), frozen(w)
    outputs = [lmo(g, gauge), measure_lmo(g, gauge, w), gauge.measure_multiplier(S)]
    gauge.value(S), dual_norm(g, gauge, w), tangent_norm(g, gauge, w)
    if gauge.convex:
        gauge.polar(S)
        x, y = map(frozen, clouds(d))
        result = swref.transport(x, y, gauge)
        outputs += [gauge.support(S), gauge.project(S), gauge.project(frozen(1e-3 * S)), result.metric, result.moment]
    for output in outputs:
        assert not any(np.shares_memory(output, given) for given in (S, g, w))
        if output.flags.writeable:
            output[:] = 0
    assert gauge.value(S) == example(name, d).value(S)  # nor does a gauge hand out its own arrays


def methods(gauge):
    one = ["value", "measure_multiplier"]
    return [getattr(gauge, m) for m in (one + ["support", "polar"] if gauge.convex else one)]


@every
@dimensions
def test_bad_matrices_are_value_errors(name, d):
    gauge = example(name, d)
    nan, lopsided = np.eye(d), np.eye(d)
    nan[0, -1] = nan[-1, 0] = np.nan
    lopsided[0, -1] += 0.1
    bad = [
        -np.eye(d),
        nan,
        np.full((d, d), np.inf),
        np.ones(d),
        np.eye(d)[None],
        np.ones((d, d + 1)),
        np.zeros((0, 0)),
        "S",
        None,
    ]
    if d > 1:
        bad += [lopsided, np.diag([1.0] * (d - 1) + [-1e-3]), np.ones((d, d)) - np.eye(d)]
    if gauge.dimension is not None:
        bad += [np.eye(d + 1), np.eye(d + 2)]
    for method in methods(gauge):
        for S in bad:
            with pytest.raises(ValueError):
                method(S)
    if gauge.convex:
        for A in [S for S in bad if not (np.ndim(S) == 2 and np.shape(S) == (d, d))] + [nan] + [lopsided] * (d > 1):
            with pytest.raises(ValueError):
                gauge.project(A)


@every
@dimensions
def test_bad_forces_are_value_errors(name, d):
    gauge = example(name, d)
    G = np.ones((4, d))
    bad = [G * np.nan, np.full((4, d), np.inf), G[0], G[None], G[:0], "G"]
    if gauge.dimension is not None:
        bad += [np.ones((4, d + 1))]
    for function in (lmo, measure_lmo, dual_norm, tangent_norm):
        for g in bad:
            with pytest.raises(ValueError):
                function(g, gauge)
