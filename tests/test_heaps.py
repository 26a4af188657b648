"""The turning heaps of the dynamic chapter: what is poured, and two solvers on the same cells."""

import numpy as np
import pytest

import swref
from swref import geodesics
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


TIMES = np.linspace(0, 1, 5)


def test_shuffled_grains_have_the_moments_of_the_fluid():
    """Grains drawn by lot, their mean velocity per cell: it knows no formula."""
    n, grains, rng = 48, 400_000, np.random.default_rng(0)
    lot = heaps.shuffled(n, TIMES)
    signs = rng.choice([-1, 1], (2, grains, 1))
    x, y = signs * np.stack([heaps.HEAP, heaps.HOLE])[:, None] + heaps.WIDTH * rng.normal(size=(2, grains, 2))
    for t, S in zip(TIMES, heaps.velocity_moments(lot), strict=True):
        cell = np.floor(((1 - t) * x + t * y + heaps.SIDE / 2) * n / heaps.SIDE).astype(int)
        inside = ((cell >= 0) & (cell < n)).all(1)
        place = np.ravel_multi_index(cell[inside].T, (n, n))
        count, east, north = (np.bincount(place, weights, n * n) for weights in (None, *(y - x)[inside].T))
        p = np.stack([east, north])
        measured = p / np.maximum(count, 1) @ p.T / grains
        np.testing.assert_allclose(S, measured, atol=0.02)
        # The fluid of any plan pays no more than its grains, whose moment is the sum of both ends' here.
        ends = [np.outer(c, c) + heaps.WIDTH**2 * np.eye(2) for c in (heaps.HEAP, heaps.HOLE)]
        assert np.linalg.eigvalsh(sum(ends) - S)[0] > -1e-3


def test_shuffled_fluid_moves_its_mass():
    """d rho / dt + div m = 0, by central differences in time and space, up to second order in both."""
    residual = []
    for n in (40, 80):
        h, dt = heaps.SIDE / n, 1 / (4 * n)
        _, rho, m = heaps.shuffled(n, [0.3 - dt, 0.3, 0.3 + dt])
        rate = (rho[2] - rho[0]) / (2 * dt)
        outflow = np.gradient(m[1, ..., 0], h, axis=0) + np.gradient(m[1, ..., 1], h, axis=1)
        residual.append(np.abs(rate + outflow)[1:-1, 1:-1].max() / np.abs(rate).max())
    assert residual[1] < residual[0] / 3.5
    assert residual[1] < 0.05


def test_shuffled_fluid_begins_as_the_heaps_and_ends_as_the_holes():
    n = 24
    _, rho, m = heaps.shuffled(n, [0, 1])
    np.testing.assert_allclose(rho, heaps.turning(n, floor=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(m[0], -rho[0, ..., None] * heaps.centers(n), atol=1e-12)  # towards the mean of all ends
    np.testing.assert_allclose(m[1], rho[1, ..., None] * heaps.centers(n), atol=1e-12)
    with pytest.raises(ValueError, match=r"times: must increase within \[0, 1\]"):
        heaps.shuffled(n, [0, 1.5])


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_prices_of_three_ways_against_routes_that_share_no_code(p):
    """Straight: solved anew between times. Fluid: its action, its bracket. Shuffled: dearer than the distance."""
    gauge, ends = swref.get_gauge("schatten", p=p), heaps.turning(12)
    x, plan = heaps.planned(ends, gauge)
    masses = [rho.ravel() * heaps.SIDE**2 / rho.size for rho in ends]
    assert plan.squared_distance == pytest.approx(gauge.value(plan.moment), rel=1e-3)
    np.testing.assert_allclose(plan.plan.sum(axis=1), masses[0], atol=1e-12)
    speed = geodesics.speeds(x, x, plan.plan, gauge, [0.2, 0.4, 0.5], tol=1e-4)
    np.testing.assert_allclose(speed**2, plan.squared_distance, rtol=1e-3)
    flow = heaps.flowing(ends, gauge)
    prices = np.array([gauge.value(S) for S in heaps.velocity_moments(flow)])
    assert flow.lower_bound <= prices.mean() * (1 + 1e-9)
    assert prices.mean() == pytest.approx(flow.upper_bound, rel=1e-5)
    lots = [gauge.value(S) for S in heaps.velocity_moments(heaps.shuffled(12, np.linspace(0, 1, 21)))]
    assert np.trapezoid(lots, dx=0.05) > 1.5 * plan.upper_bound
