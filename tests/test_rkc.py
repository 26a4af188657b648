"""The Chebyshev steps: order and stability on linear problems, and the spectral radius against NumPy."""

import numpy as np
import pytest
from scipy.linalg import expm

from swref.flows import stepper


def linear(rates):
    """A symmetric matrix with these eigenvalues, negated, and the field y -> A y."""
    U = np.linalg.qr(np.random.default_rng(len(rates)).standard_normal((len(rates), len(rates))))[0]
    A = -(U * rates) @ U.T
    return A, lambda y: A @ y


@pytest.mark.parametrize("stages", [2, 3, 5, 20])
def test_a_step_is_of_second_order_and_its_error_estimate_of_third(stages):
    A, field = linear([1.0, 0.5, 0.1])
    y = np.array([1.0, -2.0, 0.5])
    errors, estimates = [], []
    for h in (0.02, 0.01):
        new = stepper.step(field, y, field(y), h, stages)
        errors.append(np.linalg.norm(new - expm(h * A) @ y))
        estimates.append(np.linalg.norm(stepper.local_error(y, field(y), new, field(new), h)))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3, abs=0.1)
    assert np.log2(estimates[0] / estimates[1]) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("h_rho", [1.0, 10, 100, 1e4, stepper.MOST_H_RHO])
def test_the_stages_asked_for_are_stable_up_to_h_rho_and_no_fewer_are(h_rho):
    rates = np.linspace(0, h_rho, 2001)
    stages = stepper.stages_for(h_rho)
    assert stages <= stepper.MOST_STAGES
    growth = np.abs(stepper.step(lambda y: -rates * y, np.ones_like(rates), -rates, 1.0, stages))
    assert growth.max() <= 1 + 1e-12
    assert growth[rates > min(10, 0.5 * h_rho)].max(initial=0) <= 0.97  # damped, not only bounded
    if stages > 2:
        beyond = 1.1 * 0.66 * (stages - 1) ** 2
        assert abs(stepper.step(lambda y: -beyond * y, 1.0, -beyond, 1.0, stages - 1)) > 1


def test_the_spectral_radius_is_the_largest_eigenvalue_with_a_margin():
    A, field = linear(np.array([50.0, 7, 3, 1, 0.1, 0]))
    y = np.arange(6.0)
    rho, direction = stepper.spectral_radius(field, y, field(y), np.ones(6), 1e-6, 30)
    assert 50 * 1.1 <= rho <= 50 * 1.25
    assert np.linalg.norm(A @ direction + 50 * direction) <= 0.2 * 50 * np.linalg.norm(direction)
    assert stepper.spectral_radius(lambda y: np.ones(6), y, np.ones(6), np.ones(6), 1e-6, 30)[0] == 0
