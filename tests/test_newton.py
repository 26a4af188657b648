"""The smoothed gauges and the barrier method, against finite differences and SciPy."""

import numpy as np
import pytest
from scipy.optimize import minimize
from strategies import CONVEX, compositions, example

import swref
from swref.gauges.newton import barrier_newton, curvature_gram, soft_max


def smoothed_gauges(d):
    schatten = [swref.get_gauge("schatten", p=p) for p in (1.3, 2, 9)]
    gauges = [example(name, d) for name in CONVEX] + compositions(d) + schatten + [swref.get_gauge("kyfan", k=2)]
    return [g for g in gauges if g._smoothed(np.eye(d), 1.0) is not None]


@pytest.mark.parametrize("gauge", smoothed_gauges(4), ids=repr)
def test_smoothed_gauges_have_the_derivatives_they_report(gauge):
    """value' = <Q, .> and value'' = gram, by central differences; Q is in K and nearly attains the gauge."""
    rng = np.random.default_rng(0)
    A, D = rng.standard_normal((4, 4)), rng.standard_normal((2, 4, 4))
    S, T, h, mu = A @ A.T, D + D.transpose(0, 2, 1), 1e-5, 0.05
    at = gauge._smoothed(S, mu)
    ahead, behind = gauge._smoothed(S + h * T[0], mu), gauge._smoothed(S - h * T[0], mu)
    assert (ahead.value - behind.value) / (2 * h) == pytest.approx(np.vdot(at.Q, T[0]), rel=1e-6)
    gram = at.gram(T)
    slopes = [np.vdot(ahead.Q - behind.Q, T[j]) / (2 * h) for j in (0, 1)]
    np.testing.assert_allclose(gram[0], slopes, rtol=1e-5, atol=1e-7 * max(1.0, np.abs(gram).max()))
    assert np.linalg.eigvalsh(gram)[0] >= -1e-10 * np.abs(gram).max()
    assert gauge.polar(at.Q) <= 1 + 1e-8
    assert np.vdot(at.Q, S) <= gauge.value(S) * (1 + 1e-12)
    sharp = gauge._smoothed(S, 1e-7)
    assert np.vdot(sharp.Q, S) == pytest.approx(gauge.value(S), rel=1e-4)


def test_soft_max_maximises_its_objective():
    """Against SciPy on the simplex, in the softmax parametrisation."""
    u, mu = np.array([0.3, 1.0, 0.9, -2.0]), 0.1

    def negative(z):
        theta = np.exp(z - z.max())
        theta /= theta.sum()
        return -(theta @ u + mu * np.log(theta).sum())

    value, theta, curvature = soft_max(u, mu)
    assert value == pytest.approx(-minimize(negative, np.zeros(4), tol=1e-12).fun, rel=1e-9)
    assert theta.sum() == pytest.approx(1, rel=1e-14)
    ahead, behind = soft_max(u + [0, 1e-6, 0, 0], mu)[1], soft_max(u - [0, 1e-6, 0, 0], mu)[1]
    hessian = curvature_gram(np.eye(4), curvature, np.ones(4))
    np.testing.assert_allclose(hessian[1], (ahead - behind) / 2e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("spread", [0.0, 1.0, 1e8])
def test_soft_max_is_exact_for_any_spread_of_values(spread):
    u = np.array([0.0, -1e-3, -1.0]) * spread
    _, theta, _ = soft_max(u, 1e-6)
    level = u + 1e-6 / theta  # mu/theta_i + u_i is the same number t for all i
    np.testing.assert_allclose(level, level[0], rtol=1e-9, atol=4 * np.finfo(float).eps * np.abs(u).max())


def test_the_barrier_method_finds_the_stationary_point():
    """At the minimum the scaled gradient x_i (f'_i - multiplier) equals mu for every i."""
    rng = np.random.default_rng(1)
    A, c, mu = rng.standard_normal((6, 6)), rng.standard_normal(6), 1e-3
    H = A @ A.T

    def f(x):
        return 0.5 * x @ H @ x + c @ x, lambda: (H @ x + c, H)

    x, _ = barrier_newton(f, np.full(6, 1 / 6), mu, decrement=1e-12)
    gradient = H @ x + c
    multiplier = x @ gradient - 6 * mu
    np.testing.assert_allclose(x * (gradient - multiplier), mu, rtol=1e-5)
    assert x.sum() == pytest.approx(1, rel=1e-14)


def test_a_tiny_entry_grows_in_a_few_steps():
    """The centre is (1/2, 1/2), x_1 starts at 1e-6: nineteen doublings, were the barrier's slope tied to x."""
    mu, steps = 1e-3, 0

    def f(x):
        def derivatives():
            nonlocal steps
            steps += 1
            return np.full(2, 2 * mu), np.zeros((2, 2))

        return 2 * mu * x.sum(), derivatives

    x, _ = barrier_newton(f, np.array([1e-6, 1 - 1e-6]), mu, decrement=1e-8)
    np.testing.assert_allclose(x, 0.5, rtol=1e-3)
    assert steps <= 12


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("hessian", [[[1, np.inf], [np.inf, 1]], [[1, 1e20], [1e20, 1]]])
def test_a_hessian_that_no_ridge_can_mend_is_an_error_and_no_endless_loop(hessian):
    def f(x):
        return -x.sum(), lambda: (-np.ones(2), np.array(hessian, dtype=float))

    with pytest.raises(np.linalg.LinAlgError, match="not finite, or not that of a convex function"):
        barrier_newton(f, np.ones(2), 1e-3)


def test_a_start_outside_the_domain_is_an_error():
    with pytest.raises(np.linalg.LinAlgError, match="outside the domain"):
        barrier_newton(lambda x: (np.inf, None), np.ones(2), 1e-3)
