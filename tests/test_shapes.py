"""Figures 1 and 7: the shapes, the paper's heuristic, and their certified matchings."""

import numpy as np
import ot
import pytest
from matplotlib.path import Path
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

import swref
from swref.experiments import shapes

EPS = np.finfo(float).eps


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_a_sample_is_centred_scaled_even_and_repeatable(shape):
    z = shapes.sample(shape, 300, seed=4, radius=1.55)
    assert z.shape == (300, 2)
    assert np.abs(z.mean(0)).max() <= 300 * EPS
    assert np.linalg.norm(z, axis=1).max() == pytest.approx(1.55, rel=4 * EPS)
    np.testing.assert_array_equal(z, shapes.sample(shape, 300, seed=4, radius=1.55))
    assert np.abs(z - shapes.sample(shape, 300, seed=5, radius=1.55)).max() > 0.01
    nearest = cKDTree(z).query(z, 2)[0][:, 1]
    assert nearest.std() < 0.15 * nearest.mean()  # independent uniform points give 0.52


def test_the_simple_shapes_have_their_closed_form_geometry():
    r = np.linalg.norm(shapes.sample("annulus", 700), axis=1)
    assert r.min() > 0.65
    assert np.mean(r**2) == pytest.approx((1 + 0.65**2) / 2, rel=0.03)  # uniform on the annulus
    disks = shapes.sample("two disks", 700)
    assert np.sum(disks[:, 1] > 0) == pytest.approx(350, abs=5)
    cross = shapes.sample("cross", 600)
    arms = np.abs(cross).max(1) > 0.3
    assert np.mean(arms) == pytest.approx(4 * 0.54 * 0.65 / (4 * 0.54 * 0.65 + 0.6**2), abs=0.06)


def test_the_polygon_test_agrees_with_matplotlib():
    points = np.random.default_rng(3).uniform(-1.2, 1.2, (4000, 2))
    turn, r = np.arange(10) * np.pi / 5, np.tile([1, 0.4], 5)
    star = np.column_stack([r * np.cos(turn), r * np.sin(turn)])
    for vertices in (star, [(-1, -1), (1, -1), (1, 0), (0, 0), (0, 1), (-1, 1)]):
        inside = Path(vertices).contains_points(points)
        np.testing.assert_array_equal(shapes._polygon(points, vertices), inside)


@pytest.mark.parametrize("name", shapes.PAIRS)
def test_a_pair_is_two_centred_shapes_and_a_shift(name):
    x, y = shapes.pair(name, n=60)
    centred = shapes.pair(name, shift=(0, 0), n=60)
    np.testing.assert_array_equal(x, centred[0])
    np.testing.assert_allclose(y, centred[1] + [4.2, 0], rtol=2 * EPS)
    assert np.abs(y.mean(0) - [4.2, 0]).max() <= 1e-14
    for cloud in centred:
        assert np.linalg.norm(cloud, axis=1).max() == pytest.approx(1.45 if "heart" in name else 1.55)


def test_the_pairs_have_the_sizes_of_the_paper():
    assert [len(cloud) for name in shapes.PAIRS for cloud in shapes.pair(name)] == 2 * [700] + 6 * [600]


def test_bad_requests_are_named():
    with pytest.raises(ValueError, match="shape: got 'dog'"):
        shapes.sample("dog", 10)
    with pytest.raises(ValueError, match="n: expected a positive integer, got 0"):
        shapes.sample("cat", 0)
    with pytest.raises(ValueError, match="name: got 'cat to dog'"):
        shapes.pair("cat to dog")
    with pytest.raises(ValueError, match="rounds: expected a positive integer, got 0"):
        shapes.rank_one_heuristic(np.eye(2), np.eye(2), rounds=0)
    with pytest.raises(ValueError, match="y: expected 2 points like x"):
        shapes.rank_one_heuristic(np.eye(2), np.ones((3, 2)))


def test_one_round_of_the_heuristic_is_the_assignment_of_first_coordinates():
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    found = shapes.rank_one_heuristic(x, y, rounds=1)
    rows, columns = linear_sum_assignment((x[:, None, 0] - y[None, :, 0]) ** 2)
    np.testing.assert_array_equal(found.permutation[rows], columns)
    step = y[columns] - x
    np.testing.assert_allclose(found.moment, np.cov(step.T, bias=True) + np.outer(step.mean(0), step.mean(0)))
    assert found.value == pytest.approx(np.linalg.norm(found.moment, 2))
    assert (found.rounds, found.settled) == (1, False)


def test_the_heuristic_keeps_its_best_round():
    x, y = shapes.pair("bunny to clover", shift=(0, 0), n=80)
    values = [shapes.rank_one_heuristic(x, y, rounds).value for rounds in range(1, 12)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_a_heuristic_that_settles_is_optimal_and_one_that_does_not_can_be_far_off():
    shifted = shapes.match("cat to annulus", n=120)
    centred = shapes.match("cat to annulus", shift=(0, 0), n=120)
    assert shifted.heuristic.settled
    assert shifted.heuristic_ratio[0] <= 1 + 1e-12
    assert 1 - 1e-12 <= shifted.heuristic_ratio[1] <= 1 + 2e-6
    assert not centred.heuristic.settled
    assert centred.heuristic_ratio[0] > 2
    low, high = np.array(centred.classical_ratio) / np.linalg.norm(centred.trace.moment, 2)
    assert low == pytest.approx(1 / centred.operator.upper_bound)
    assert high == pytest.approx(1 / centred.operator.lower_bound)
    assert centred.classical_ratio[1] < 2  # at most d, whatever the clouds


def test_the_best_single_direction_agrees_with_one_dimensional_transport():
    for shift, least in [((4.2, 0), 0.999), ((0, 0), 0)]:
        panel = shapes.match("bunny to clover", shift=shift, n=60)
        directions = np.column_stack([np.cos(t := np.linspace(0, np.pi, 721)), np.sin(t)])
        costs = [ot.wasserstein_1d(panel.x @ u, panel.y @ u, p=2) for u in directions]
        assert panel.sliced_ratio == pytest.approx(max(costs) / panel.operator.upper_bound)
        assert least < panel.sliced_ratio <= 1 + 1e-12


def test_permutations_alone_cannot_reach_the_optimum():
    """The Monge restriction is strict: lambda_max is 2 for both maps, 1 for the split plan.  [App. C]"""
    x, y = np.array([[-1.0, 0], [1, 0]]), np.array([[0.0, -1], [0, 1]])
    assert shapes.rank_one_heuristic(x, y).value == pytest.approx(2, rel=4 * EPS)
    assert swref.transport(x, y, "operator").squared_distance == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("figure, names", [
    (shapes.figure_1, ["annulus to two disks"]),
    (shapes.figure_7, ["bunny to clover", "cross to heart", "cat to annulus"]),
])  # fmt: skip
@pytest.mark.parametrize("shift", [shapes.SHIFT, (0, 0)])
def test_a_figure_orders_its_bounds(figure, names, shift):
    panels = figure(shift=shift, n=50)
    assert list(panels) == names
    for panel in panels.values():
        moved = ot.dist(panel.x, panel.y, "sqeuclidean")
        assert panel.trace.upper_bound == pytest.approx(ot.emd2([], [], moved), rel=1e-9)
        assert panel.operator.lower_bound <= panel.operator.upper_bound <= panel.trace.upper_bound
        assert panel.operator.lower_bound <= panel.heuristic.value * (1 + 1e-12)
        assert panel.operator.moment.shape == panel.operator.metric.shape == (2, 2)
