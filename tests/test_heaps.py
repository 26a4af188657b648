"""The turning heaps of the dynamic chapter: what is poured, and two solvers on the same cells."""

import numpy as np
import pytest

import swref
from swref.experiments import heaps


@pytest.mark.parametrize("floor", [0, 0.05])
def test_a_heap_has_mass_one_its_mean_and_its_width(floor):
    n, place = 60, np.array([0.3, -0.2])
    rho = heaps.poured(n, place, width=0.2, floor=floor)
    mass = rho * (heaps.SIDE / n) ** 2
    x = heaps.centers(n)
    assert mass.sum() == pytest.approx(1, rel=1e-12)
    assert mass.min() >= floor / n**2
    np.testing.assert_allclose(np.tensordot(mass, x, 2), (1 - floor) * place, atol=1e-5)
    even = heaps.SIDE**2 / 12 * (1 - 1 / n**2)  # second moment of the floor, the mean of the square being 0
    second = np.einsum("xy,xya,xyb->ab", mass, x, x)
    want = (1 - floor) * (0.04 * np.eye(2) + np.outer(place, place)) + floor * even * np.eye(2)
    np.testing.assert_allclose(second, want, atol=1e-4)


def test_the_holes_are_the_heaps_turned_by_sixty_degrees():
    n = 48
    cell, x = (heaps.SIDE / n) ** 2, heaps.centers(n)
    first, last = (np.einsum("xy,xya,xyb->ab", rho * cell, x, x) for rho in heaps.turning(n, floor=0))
    c, s = np.cos(np.pi / 3), np.sin(np.pi / 3)
    turn = np.array([[c, -s], [s, c]])
    # The wall, 2.5 widths away, cuts 0.6 % off a heap and nothing off a hole.
    np.testing.assert_allclose(last, turn @ first @ turn.T, atol=0.01)


def test_plan_and_fluid_agree_on_a_heap_of_two_cells_width():
    n = 16
    ends = [heaps.poured(n, (side, 0), width=2 * heaps.SIDE / n) for side in (-0.5, 0.5)]
    x, plan = heaps.planned(ends, "trace")
    flow = heaps.flowing(ends, "trace", tol=5e-3)
    assert x.shape == (n * n, 2)
    assert flow.upper_bound == pytest.approx(plan.squared_distance, rel=0.02)
    prices = [swref.get_gauge("trace").value(S) for S in heaps.velocity_moments(flow)]
    assert np.mean(prices) == pytest.approx(flow.upper_bound, rel=1e-6)  # the bound adds its rounding
