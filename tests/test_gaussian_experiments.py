"""Figure 6 and the Poincare constants: closed forms, one-dimensional problems, two discretisations."""

import numpy as np
import pytest
import scipy.linalg

from swref import get_gauge
from swref.experiments import linear_networks, poincare
from swref.gaussian_flows import modal_invariant

INF = np.inf


@pytest.mark.parametrize("p", linear_networks.EXPONENTS)
def test_leaves_are_level_sets_of_the_invariant_up_to_the_threshold(p):
    r, s = linear_networks.leaf(0.7, p)
    level = modal_invariant(r, s, get_gauge("schatten", p=p))
    np.testing.assert_allclose(level, modal_invariant(0.0, 0.7, get_gauge("schatten", p=p)), rtol=1e-9)
    assert (s >= np.abs(r) * (1 - 1e-14)).all()
    if p > 1:
        assert r.max() == pytest.approx(linear_networks.threshold(0.7, p), rel=1e-12)


def test_the_account_of_figure_6_has_every_case_and_settles():
    account = linear_networks.account((1e-8, 1e-11))
    assert account.shape == (24, 2, 3)
    assert account[..., 0].max() < 1e-6
    assert account[:, 1, 1].max() < 1e-8
    lost = np.isfinite(account[:, :, 2])
    np.testing.assert_array_equal(lost[:, 0], lost[:, 1])
    for (beta, r0, s0, p), gone in zip(linear_networks.cases(), lost[:, 1], strict=True):
        beyond = [abs(b) > linear_networks.threshold(s, p) for b, s in zip(beta, s0, strict=True)]
        assert gone == (any(beyond) if r0[0] == 0 else False)


@pytest.mark.parametrize("space", [poincare.polynomials(2, 6), poincare.finite_elements(2, 3)])
@pytest.mark.parametrize("p", [1, 2, INF])
def test_a_gaussian_gains_nothing(space, p):
    # exp(-|x|^2) has the covariance I/2: the constant is 2 for every p.
    assert space.constant(p)[0] == pytest.approx(2, rel=1e-4)


def marginal_gap(r, points=1500):
    """The spectral gap of the first coordinate's law, by finite differences on a line."""
    radius = poincare.TAIL ** (1 / r)
    edges = np.linspace(-radius, radius, points + 1)
    t = np.linspace(-radius, radius, 801)

    def law(x):
        return np.trapezoid(np.exp(-(np.hypot(x[:, None], t) ** r)), t, axis=1)

    h, mass, flux = edges[1] - edges[0], law((edges[1:] + edges[:-1]) / 2), law(edges[1:-1])
    root = np.sqrt(mass)
    diagonal = (np.append(flux, 0) + np.append(0, flux)) / mass / h**2
    off = -flux / (root[1:] * root[:-1]) / h**2
    return scipy.linalg.eigvalsh_tridiagonal(diagonal, off, select="i", select_range=(1, 1))[0]


@pytest.mark.parametrize("r", [1.5, 4])
def test_elsewhere_the_constant_grows_with_p_up_to_that_of_a_marginal(r):
    ours, elements = poincare.polynomials(r, 12), poincare.finite_elements(r, 4)
    constants = [ours.constant(p)[0] for p in (1, 2, INF)]
    assert constants[0] * 1.005 < constants[1] < constants[2]
    np.testing.assert_allclose([elements.constant(p)[0] for p in (1, 2, INF)], constants, rtol=3e-4)
    # A function of one coordinate has a moment of rank one, so its energy is the same for all p.
    assert constants[2] == pytest.approx(marginal_gap(r), rel=1e-4)


def test_polynomials_are_orthonormal_and_start_with_the_coordinates():
    space = poincare.polynomials(3, 5)
    np.testing.assert_allclose(space.mass, np.eye(21), atol=1e-12)
    np.testing.assert_allclose(space.xx[1, 1], space.yy[2, 2], rtol=1e-12)
    assert abs(space.xx[2, 2]) < 1e-12
    # 1 / E x^2, by the integral of rho^3 exp(-rho^r) against that of rho exp(-rho^r).
    from scipy.special import gamma

    assert space.xx[1, 1] == pytest.approx(2 * gamma(2 / 3) / gamma(4 / 3), rel=1e-10)


@pytest.mark.parametrize("p", [1, 2])
def test_the_linearised_flow_decays_at_last_as_fast_as_the_constant_says_and_never_more_slowly(p):
    space, gauge = poincare.polynomials(4, 8), get_gauge("schatten", p=p)
    u = np.zeros(len(space.mass))
    u[1:6] = [1, 0.5, 0.3, -0.2, 0.4]
    times = np.linspace(0, 2.5, 26)
    variances, energies = space.decay(u, gauge, times)
    rates = -np.diff(np.log(variances)) / np.diff(times) / 2
    kappa = space.constant(p)[0]
    assert (rates >= kappa * (1 - 1e-5)).all()
    assert rates[-1] == pytest.approx(kappa, rel=1e-4)
    assert (energies >= kappa * variances * (1 - 1e-5)).all()
    q = 2 * p / (2 * p - 1)
    s = np.sqrt(np.linalg.eigvalsh(space.gradients(u)))
    assert energies[0] == pytest.approx((s**q).sum() ** (2 / q), rel=1e-8)


def test_the_spectral_dirichlet_energy_is_no_quadratic_form():
    # Standard normal, p = inf, u = x^2 - 1, w = y^2 - 1: E = 4 each, 16 for u + w and for u - w.
    def energy(G):
        return np.sqrt(np.linalg.eigvalsh(G)).sum() ** 2

    x = np.random.default_rng(0).standard_normal((400_000, 2))
    gradients = {"u": 2 * x * [1, 0], "w": 2 * x * [0, 1], "+": 2 * x, "-": 2 * x * [1, -1]}
    found = {name: energy(g.T @ g / len(x)) for name, g in gradients.items()}
    np.testing.assert_allclose([found[name] for name in "uw+-"], [4, 4, 16, 16], rtol=0.02)
