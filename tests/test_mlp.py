"""The experiment of Figure 3: settings, the paper's loop in coordinates, and what the theorems say of the flows."""

import numpy as np
import pytest
from scipy.special import i0e
from strategies import EPS

import swref
from swref.experiments import mlp


@pytest.fixture(scope="module")
def quick():
    return mlp.figure_3("quick", tol=1e-2, t_end=20, n_snapshots=5)


def test_the_defaults_are_the_settings_of_the_paper():
    full = mlp.problem()
    assert full.start.shape == (1920, 3)
    assert full.energy.inputs.shape == (2000, 2)
    np.testing.assert_array_equal(full.teacher[:, 0], [1, 1, -1])
    np.testing.assert_allclose(np.arctan2(*full.teacher[:, :0:-1].T) % (2 * np.pi), [0.38, 2.42, 4.63], rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(full.teacher[:, 1:], axis=1), 1, rtol=1e-14)
    spread = full.teacher.std(0) / np.sqrt(2)
    assert (np.abs(full.start.mean(0) - full.teacher.mean(0)) < 5 * spread / np.sqrt(1920)).all()
    assert (np.abs(full.start.std(0) / spread - 1) < 5 / np.sqrt(2 * 1920)).all()
    assert full.energy.value(full.teacher) < EPS**2
    # Its own loop: 2000 steps of 75 (p = 1) and 50 (p = inf), on a clock 1920 times slower than the intrinsic one.
    assert pytest.approx([75, 50]) == [1920 * mlp.HORIZONS[p] / mlp.STEPS for p in (1, np.inf)]


def test_seeds_are_fixed_and_differ():
    one, same, other = mlp.problem(9, 20, seed=1), mlp.problem(9, 20, seed=1), mlp.problem(9, 20, seed=2)
    np.testing.assert_array_equal(one.start, same.start)
    np.testing.assert_array_equal(one.energy.inputs, same.energy.inputs)
    assert np.abs(one.start - other.start).min() > 0


def test_the_initial_ratio_is_that_of_two_matrix_norms():
    for seed in range(5):
        setting = mlp.problem(seed=seed)
        g = setting.energy.force(setting.start)
        expected = (np.linalg.norm(g, "nuc") / np.linalg.norm(g)) ** 2
        assert mlp.dissipation_ratio(setting.energy, setting.start) == pytest.approx(expected, rel=1e-12)
        assert 2.3 < expected < 2.7  # the paper's own draw gives 2.558
    assert mlp.dissipation_ratio(setting.energy, setting.start, "trace") == pytest.approx(1, rel=1e-12)
    gauge = swref.get_gauge("schatten", p=2)
    assert 1 <= mlp.dissipation_ratio(setting.energy, setting.start, gauge) <= expected


@pytest.mark.parametrize("p, dt", [(1, 75.0), (np.inf, 50.0)])
def test_clipped_steps_are_those_of_the_loop_in_coordinates(p, dt):
    n = 96
    setting = mlp.problem(n, 150, seed=3)
    z, y, X = setting.energy.inputs, setting.energy.targets, setting.start.copy()
    ours = mlp.clipped_flow(setting, swref.get_gauge("schatten", p=p), steps=2000, n_snapshots=2001)
    # The loop on F(X) itself: its gradient is g / n, so that the same motion takes n times longer.
    dt, cap = dt * n / 1920, 0.20 * np.sqrt(n / 1920)
    for k in range(150):
        np.testing.assert_allclose(ours.positions[k], X, rtol=1e-8, atol=1e-10)
        hidden = np.maximum(z @ X[:, 1:].T, 0)
        r = (hidden @ X[:, 0] / n - y) / len(z)
        active = (hidden > 0) * r[:, None]
        G = np.column_stack([hidden.T @ r, X[:, :1] * (active.T @ z)]) / n
        U, s, Wt = np.linalg.svd(G, full_matrices=False)
        step = -dt * (G if p == 1 else s.sum() * U @ Wt)
        size = np.linalg.norm(step)
        assert ours.clipped[k] == (size > cap)
        assert ours.dissipation[k] == pytest.approx(n * (s**2).sum() if p == 1 else n * s.sum() ** 2, rel=1e-7)
        assert ours.energy[k] == pytest.approx((len(z) * r) @ r / 2, rel=1e-8)
        assert ours.length[k + 1] - ours.length[k] == pytest.approx(min(size, cap) / np.sqrt(n), rel=1e-7)
        X = X + step * min(1, cap / size)
    assert ours.clipped[0]
    assert not ours.clipped[-1]


def test_the_account_of_the_clipped_loop(quick):
    for p, run in quick.clipped.items():
        nominal = mlp.HORIZONS[p] / mlp.STEPS
        steps = np.diff(run.times)
        np.testing.assert_allclose(steps[~run.clipped[:-1]], nominal, rtol=1e-9)
        assert (steps[run.clipped[:-1]] < nominal).all()
        assert (np.diff(run.length) <= mlp.CAP / np.sqrt(mlp.NEURONS) * (1 + 1e-9)).all()
        assert len(run.progress) == 2001
        assert (run.progress[0], run.progress[-1]) == (0, 1)
        np.testing.assert_array_equal(run.snapshot_progress, [0, 0.25, 0.5, 0.75, 1])
        assert run.positions.shape == (5, 240, 3)
        np.testing.assert_array_equal(run.positions[0], quick.problem.start)
        assert quick.problem.energy.value(run.positions[-1]) == pytest.approx(run.energy[-1], rel=1e-12)
        # Euler steps this short lose the dissipation that the clock promises, to a few percent.
        lost = run.energy[0] - run.energy[-1]
        assert np.sum(steps * run.dissipation[:-1]) == pytest.approx(lost, rel=0.05)


def test_the_flows_obey_the_dissipation_identity(quick):
    for p, result in quick.flows.items():
        assert result.status == "finished"
        np.testing.assert_array_equal(result.positions[0], quick.problem.start)
        assert (np.diff(result.energy) < 0).all()
        assert abs(result.residual[-1]) <= 0.02 * (result.energy[0] - result.energy[-1])
        assert result.dissipation[0] == pytest.approx(
            swref.dual_norm(quick.problem.energy.force(quick.problem.start), swref.get_gauge("schatten", p=p)) ** 2
        )
    # The paper's loop, unclipped almost always, is Euler for the same flow: compare at the same intrinsic time.
    for p, run in quick.clipped.items():
        t = np.array([5.0, 10.0])
        ours, loop = (np.log(r.energy_at(t)) for r in (quick.flows[p], run))
        np.testing.assert_allclose(ours, loop, atol=0.1)


def test_at_p_1_every_neuron_keeps_the_difference_of_its_squared_weights(quick):
    """d/dt (u^2 - |v|^2) = 0 as the ReLU is homogeneous; at p = inf one matrix mixes u and v, and it is not kept."""

    def imbalance(x):
        return x[..., 0] ** 2 - (x[..., 1:] ** 2).sum(-1)

    change = {
        p: np.abs(np.diff(imbalance(result.positions[[0, -1]]), axis=0)).max() for p, result in quick.flows.items()
    }
    assert change[1] < 0.02
    assert change[np.inf] > 0.2


def test_energies_are_read_off_and_levels_found(quick):
    loop = quick.clipped[1]
    assert loop.energy_at(loop.times[700]) == pytest.approx(loop.energy[700])
    assert loop.energy_at([-1, 1e9]) == pytest.approx(loop.energy[[0, -1]])
    middle = 0.5 * (loop.times[3] + loop.times[4])
    assert loop.energy_at(middle) == pytest.approx(np.sqrt(loop.energy[3] * loop.energy[4]))
    for axis in ("times", "progress", "length"):
        level = loop.energy_at(getattr(loop, axis)[321], axis)
        assert loop.when(level / loop.energy[0], axis) == pytest.approx(getattr(loop, axis)[321])


def test_presets_and_exponents_are_checked():
    with pytest.raises(ValueError, match="preset: expected one of"):
        mlp.figure_3("slow")
    with pytest.raises(ValueError, match="cap: expected a positive"):
        mlp.clipped_flow(mlp.problem(5, 5), "trace", cap=0)
    with pytest.raises(ValueError, match="horizon: expected a positive"):
        mlp.clipped_flow(mlp.problem(5, 5), "trace", horizon=-1)


def test_reduced_neurons_act_alike():
    x = np.random.default_rng(0).standard_normal((8, 3))
    np.testing.assert_allclose(mlp.reduced(x), np.abs(x[:, :1]) * x[:, 1:])
    np.testing.assert_array_equal(mlp.reduced(np.stack([x, 2 * x])), [mlp.reduced(x), 4 * mlp.reduced(x)])
    same = np.column_stack([np.sign(x[:, 0]), mlp.reduced(x)])
    energy = mlp.problem(8, 50).energy
    np.testing.assert_allclose(energy.predict(x), energy.predict(same), atol=1e-14)


def test_the_angular_density_of_one_neuron_is_the_kernel():
    angles, density = mlp.angular_density([[-2.0, 0.0, 3.0]], bandwidth=0.1)
    expected = np.exp(-0.5 * ((angles - np.pi / 2) / 0.1) ** 2) / (0.1 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(density, expected, atol=1e-9)
    # Across the cut at angle 0 as well, where the von Mises density with kappa = 1/bandwidth^2 is close.
    angles, density = mlp.angular_density([[1.0, 1.0, 0.0]], bandwidth=0.05)
    mises = np.exp(400 * (np.cos(angles) - 1)) / (2 * np.pi * i0e(400))
    np.testing.assert_allclose(density, mises, atol=0.02)


def test_the_angular_density_weighs_and_integrates_to_one():
    x, w = np.random.default_rng(1).standard_normal((20, 3)), np.random.default_rng(2).dirichlet(np.ones(20))
    density = mlp.angular_density(x, w)[1]
    assert density.mean() * 2 * np.pi == pytest.approx(1)
    parts = [mlp.angular_density(row[None])[1] for row in x]
    mass = w * np.abs(x[:, 0]) * np.hypot(x[:, 1], x[:, 2])
    np.testing.assert_allclose(density, mass @ parts / mass.sum(), rtol=1e-9)
    np.testing.assert_allclose(mlp.angular_density(5 * x, w)[1], density, rtol=1e-9)
    assert (mlp.angular_density(0 * x)[1] == 0).all()
    with pytest.raises(ValueError, match="bandwidth: expected a positive"):
        mlp.angular_density(x, bandwidth=0)


def test_alignment_counts_neurons_near_a_teacher_of_their_sign():
    teacher = mlp.problem(5, 5).teacher
    assert mlp.alignment(teacher) == 1
    assert mlp.alignment(teacher * [-1, 1, 1]) == 0
    turned = np.column_stack([mlp.SIGNS, np.cos(np.add(mlp.ANGLES, 0.25)), np.sin(np.add(mlp.ANGLES, 0.25))])
    assert (mlp.alignment(turned), mlp.alignment(turned, width=0.3)) == (0, 1)
    # Masses |u| |v| = 6, 1, 1 with weights 1/2, 1/4, 1/4; the first is near.
    x = np.array(
        [[2, 3 * np.cos(0.5), 3 * np.sin(0.5)], [1, np.cos(1.5), np.sin(1.5)], [-1, np.cos(0.38), np.sin(0.38)]]
    )
    assert mlp.alignment(x, [0.5, 0.25, 0.25]) == pytest.approx(3 / 3.5)
    assert mlp.alignment(0 * x) == 0
