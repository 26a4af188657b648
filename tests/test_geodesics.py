"""Speeds, densities and momenta of displacement geodesics against theorems, SciPy and finite differences."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from strategies import EPS, TwoFunctions, seeds, weights

import swref
from swref import geodesics
from swref.experiments import interpolation

GAUGES = ["trace", swref.get_gauge("schatten", p=2), "operator"]
GAUGES.append(TwoFunctions(swref.get_gauge("operator")))


def clouds(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) + 0.3


@pytest.mark.parametrize("gauge", GAUGES, ids=repr)
@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_an_optimal_plan_moves_at_constant_speed(gauge, scale):
    """W(mu_s, mu_t) = |t - s| W(mu_0, mu_1), solved anew between all neighbours.  [Cor. 4.4]"""
    x, y = clouds(12, 9, 2)
    tol = 1e-8
    whole = swref.transport(scale * x, scale * y, gauge, tol=tol)
    bounds = geodesics.speeds(scale * x, scale * y, whole.plan, gauge, [0, 0.2, 0.5, 1], tol=tol) / scale
    distance = whole.distance / scale
    assert bounds.shape == (3, 2)
    assert (bounds[:, 0] <= distance * (1 + tol)).all()
    # The plan is optimal to tol in the square; the triangle inequality spreads its excess over 5 parts at worst.
    np.testing.assert_allclose(bounds, distance, rtol=5 * tol)


def test_another_plan_is_no_faster_than_its_own_cost():
    x, y = clouds(15, 15, 2)
    plan = np.eye(15)[::-1] / 15
    cost = np.sqrt(np.linalg.eigvalsh((y[::-1] - x).T @ (y[::-1] - x) / 15)[-1])
    bounds = geodesics.speeds(x, y, plan, "operator", np.linspace(0, 1, 5))
    assert (bounds[:, 1] <= cost * (1 + 1e-6)).all()
    assert bounds[:, 0].max() > 1.01 * swref.transport(x, y, "operator").distance


@given(st.integers(1, 3), st.integers(1, 6), seeds, st.sampled_from([0.05, 0.15, 1.0, 1e5]), st.data())
def test_the_density_is_the_mixture_of_scipy(d, n, seed, width, data):
    rng = np.random.default_rng(seed)
    points, w = width * rng.normal(size=(n, d)), data.draw(weights(n))
    axes = [width * np.sort(rng.normal(size=size)) for size in (5, 4, 3)[:d]]
    rho = geodesics.density(points, axes, w, width=width)
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    expected = sum(
        wi * multivariate_normal(p, width**2 * np.eye(d)).pdf(nodes) for wi, p in zip(w, points, strict=True)
    )
    np.testing.assert_allclose(rho, np.reshape(expected, rho.shape), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("d", [1, 2])
def test_a_density_is_nonnegative_and_has_mass_mean_and_spread_of_the_smoothed_cloud(d):
    points = np.random.default_rng(0).uniform(-1, 1, (30, d))
    w = np.random.default_rng(1).dirichlet(np.ones(30))
    axes = geodesics.axes_around(points, cells=60, width=0.2)
    rho = geodesics.density(points, axes, w, width=0.2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, d)
    mass = rho.ravel() * cell
    assert rho.min() >= 0
    tail = 1e-5  # beyond 5 widths
    assert mass.sum() == pytest.approx(1, abs=tail)
    np.testing.assert_allclose(mass @ nodes, w @ points, atol=tail)
    second = (nodes * mass[:, None]).T @ nodes
    np.testing.assert_allclose(second, (points * w[:, None]).T @ points + 0.04 * np.eye(d), atol=tail)


def test_equal_weights_are_the_default_and_one_axis_may_come_alone():
    axis = np.linspace(-1, 1, 7)
    rho = geodesics.density([[0.0], [0.5]], axis)
    np.testing.assert_array_equal(rho, geodesics.density([[0.0], [0.5]], [axis], [0.5, 0.5]))
    assert rho.shape == (7,)


def test_the_momentum_carries_the_density():
    """d rho/dt + div m = 0 by central differences, and m/rho is the conditional mean where two streams cross."""
    x, y = clouds(8, 8, 2)
    plan = swref.transport(x, y, "operator").plan
    start, w = swref.displacement(x, y, plan, 0)
    velocities = swref.displacement(x, y, plan, 1)[0] - start
    axes = geodesics.axes_around(x, y, cells=400, width=0.5)
    tau = 1e-4
    before, after = (geodesics.density(start + t * velocities, axes, w, width=0.5) for t in (0.3 - tau, 0.3 + tau))
    m = geodesics.momentum(start + 0.3 * velocities, velocities, axes, w, width=0.5)
    h = axes[0][1] - axes[0][0]
    change = (after - before)[1:-1, 1:-1] / (2 * tau)
    divergence = (m[0][2:, 1:-1] - m[0][:-2, 1:-1] + m[1][1:-1, 2:] - m[1][1:-1, :-2]) / (2 * h)
    assert np.abs(change + divergence).max() <= 2e-3 * np.abs(change).max()
    crossing = np.zeros((2, 2))
    both = np.array([[1.0, 2.0], [3.0, -4.0]])
    node = [np.array([0.1]), np.array([-0.2])]
    rho = geodesics.density(crossing, node, [0.25, 0.75])
    mean = geodesics.momentum(crossing, both, node, [0.25, 0.75]) / rho
    np.testing.assert_allclose(mean.ravel(), [0.25 * 1 + 0.75 * 3, 0.25 * 2 - 0.75 * 4], rtol=1e-14)


def test_axes_cover_the_clouds_with_equal_steps():
    x, y = clouds(20, 20, 3)
    axes = geodesics.axes_around(x, y, cells=50, width=0.1)
    steps = np.concatenate([np.diff(axis) for axis in axes])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-12)
    both = np.concatenate([x, y])
    for k, axis in enumerate(axes):
        assert axis[0] <= both[:, k].min() - 0.5 + 1e-12
        assert axis[-1] >= both[:, k].max() + 0.5 - 1e-12
    assert max(map(len, axes)) == 51


@pytest.mark.parametrize("call, message", [
    (lambda: geodesics.speeds(np.ones((2, 1)), np.ones((2, 1)), np.eye(2) / 2, "trace", [0.5]), "times: expected"),
    (lambda: geodesics.speeds(np.ones((2, 1)), np.ones((2, 1)), np.eye(2) / 2, "trace", [0, 1.5]), "times: must"),
    (lambda: geodesics.density(np.ones(3), [np.arange(3)]), "points: expected 2 axes"),
    (lambda: geodesics.density(np.ones((3, 2)), [np.arange(3)]), "axes: expected d = 2 arrays"),
    (lambda: geodesics.density(np.ones((3, 1)), [np.zeros(3)]), r"axes\[0\]: expected increasing numbers"),
    (lambda: geodesics.density(np.ones((3, 1)), [np.arange(3)], width=0), "width: expected a positive"),
    (lambda: geodesics.density(np.ones((3, 1)), [np.arange(3)], [1, 1, 1]), "weights: must sum to one"),
    (lambda: geodesics.momentum(np.ones((3, 1)), np.ones((3, 2)), [np.arange(3)]), "velocities: expected shape"),
    (lambda: geodesics.axes_around(np.ones((3, 1)), cells=0), "cells: expected a positive integer"),
])  # fmt: skip
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("figure, names", [
    (interpolation.figure_2, ["annulus to two disks"]),
    (interpolation.figure_8, ["bunny to clover", "cross to heart", "cat to annulus"]),
])  # fmt: skip
def test_a_figure_interpolates_its_pairs(figure, names):
    panels = figure(n=40, cells=60)
    stored = f"book/_static/figures/{figure.__name__.replace('figure', 'interpolation')}.json"
    pairs = json.loads((Path(__file__).resolve().parents[1] / stored).read_text(encoding="utf-8"))["numbers"]
    assert list(panels) == list(pairs) == names
    for panel in panels.values():
        cell = (panel.axes[0][1] - panel.axes[0][0]) * (panel.axes[1][1] - panel.axes[1][0])
        for rho in panel.densities.values():
            assert rho.shape == (5, len(panel.axes[0]), len(panel.axes[1]))
            assert rho.min() >= 0
            np.testing.assert_allclose(rho.sum((1, 2)) * cell, 1, atol=1e-5)
        ends = [geodesics.density(z - z.mean(0), panel.axes) for z in (panel.x, panel.y)]
        for rho in panel.densities.values():
            np.testing.assert_allclose(rho[[0, -1]], ends, atol=1e-9)
        assert np.abs(panel.densities["trace"][2] - panel.densities["operator"][2]).max() > 0.01
        assert panel.operator.upper_bound <= panel.trace.upper_bound
        assert panel.y.mean(0)[0] - panel.x.mean(0)[0] == pytest.approx(4.2, abs=100 * EPS)


def test_the_figures_have_the_sizes_of_the_paper():
    defaults = [figure.__defaults__ for figure in (interpolation.figure_2, interpolation.figure_8)]
    assert defaults == [(1500,), (1200,)]
    assert interpolation.TIMES == (0, 0.25, 0.5, 0.75, 1)
    assert geodesics.WIDTH == 0.15
