"""The bias of a direction on minibatches: none for gradient descent, known by hand in two small cases."""

import numpy as np
import pytest

import swref
from swref.energies import TwoLayerNet
from swref.experiments import minibatches

SIZES = (1, 4, 16)


def test_the_forces_of_the_data_have_the_force_of_the_energy_as_their_mean():
    rng = np.random.default_rng(0)
    forces = minibatches.network(n=4, size=30, noise=0.0)
    z, x = rng.standard_normal((30, 2)), rng.standard_normal((4, 3))
    assert np.allclose(forces.mean(0), TwoLayerNet(z, np.abs(z[:, 0])).force(x), rtol=1e-12)


def test_gradient_descent_is_unbiased():
    found = minibatches.bias(minibatches.network(), "trace", SIZES)
    assert (np.abs(found.along[:, 0] - 1) <= 4 * found.along[:, 1]).all()
    assert (np.abs(found.off[:, 0]) <= 4 * found.off[:, 1]).all()


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_one_particle_on_a_line_knows_no_gauge(p):
    """There J(g) = -g for every gauge with gamma(1) = 1, but J/N* is a sign, and loses it."""
    rng = np.random.default_rng(0)
    forces = rng.normal(0.3, 1.0, (500, 1, 1))
    gauge = swref.get_gauge("schatten", p=p)
    found = minibatches.bias(forces, gauge, [1], draws=2000)
    assert abs(found.along[0, 0] - 1) <= 4 * found.along[0, 1]
    signs = minibatches.bias(forces, gauge, [1], draws=2000, unit=True)
    assert abs(signs.along[0, 0] - np.sign(forces).mean()) <= 4 * signs.along[0, 1]
    assert abs(signs.off[0, 0] - (1 - np.sign(forces).mean()) ** 2) <= 4 * signs.off[0, 1]


def test_two_data_that_see_one_direction_each():
    """diag(2, 0) and diag(0, 2): J(mean) = -2 I at p = inf, the mean of J is -I."""
    forces = np.array([np.diag([2.0, 0.0]), np.diag([0.0, 2.0])])
    found = minibatches.bias(forces, "operator", [1, 2], draws=400)
    assert np.allclose(found.along[:, 0], [0.5, 1.0], atol=1e-12)
    assert abs(found.off[0, 0] - 0.25) <= 4 * found.off[0, 1]
    assert abs(found.off[1, 0]) <= 1e-20
