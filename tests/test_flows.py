"""``flow`` against closed forms, SciPy on moment equations, the identity of Thm 5.1, invariances, and its promises."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from scipy.integrate import solve_ivp
from strategies import CONVEX, EPS, TwoFunctions, compositions, example, orthogonal

import swref
from swref import FlowResult, NotConverged, flow, get_gauge
from swref.energies import MMD, Interaction, Potential, TwoLayerNet
from swref.flows import descent_velocity

OPERATOR, TRACE = get_gauge("operator"), get_gauge("trace")
INF = np.inf


def schatten(p):
    return get_gauge("schatten", p=p)


def quadratic(H):
    """x -> x^T H x / 2 for a symmetric H (d, d), or H times |x|^2 / 2."""
    H = H * np.eye(1) if np.isscalar(H) else H
    act = (lambda x: H[0, 0] * x) if H.shape == (1, 1) else (lambda x: x @ H)
    return Potential(lambda x: (x * act(x)).sum(1) / 2, act)


def cloud(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)) + 0.3


def some_weights(n, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(n, 3.0))


def root_mean_square(x, weights):
    return np.sqrt(weights @ (x**2).sum(1))


def assert_promises(result, tol):
    """What the docstring promises of every run, whatever the gauge, the energy and the status."""
    fall, noise = result.energy[0] - result.energy, 64 * EPS * np.abs(result.energy).max() * len(result.times)
    assert (np.abs(result.residual) <= tol / (1 - tol) * fall + noise).all()
    assert (np.diff(result.energy) <= noise).all()
    assert (np.diff(result.times) > 0).all()
    np.testing.assert_allclose(np.cumsum(result.step_sizes), result.times, rtol=1e-12)
    assert len({len(getattr(result, name)) for name in ("times", "energy", "dissipation", "residual", "rank")}) == 1
    assert (result.speed**2 >= result.dissipation * (1 - 1e-9)).all()


# -- closed forms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-5])
def test_at_p_1_a_quadratic_well_contracts_exponentially(tol):
    x0, w = cloud(12, 3), some_weights(12)
    result = flow(quadratic(1.0), x0, TRACE, t_end=2, weights=w, tol=tol, n_snapshots=9)
    assert_promises(result, tol)
    for t, x in zip(result.snapshot_times, result.positions, strict=True):
        assert root_mean_square(x - np.exp(-t) * x0, w) <= tol * root_mean_square(x0, w)
    np.testing.assert_allclose(result.dissipation, 2 * result.energy, rtol=1e-12)


def test_errors_and_residual_are_proportional_to_tol():
    x0, errors, residuals = cloud(12, 3), [], []
    best = flow(quadratic(np.diag([1.0, 3, 0.2])), x0, schatten(2), t_end=1, tol=1e-7).final
    for tol in (1e-3, 1e-4, 1e-5):
        result = flow(quadratic(np.diag([1.0, 3, 0.2])), x0, schatten(2), t_end=1, tol=tol)
        errors.append(np.abs(result.final - best).max())
        residuals.append(abs(result.residual[-1]))
    for sizes in (errors, residuals):
        assert (np.log10(np.array(sizes[:-1]) / sizes[1:]) > 0.8).all()


@pytest.mark.parametrize(
    "gauge", [schatten(1), schatten(1.5), schatten(4), OPERATOR, get_gauge("kyfan", k=2)], ids=repr
)
def test_a_single_particle_follows_the_ordinary_gradient_flow(gauge):
    # S_g = g g^T has one singular value: every Schatten and Ky Fan multiplier is 1 on it. Two directions are null.
    H = np.array([[2.0, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 0.4]])
    x0 = np.array([[1.0, -2, 0.5]])
    result = flow(quadratic(H), x0, gauge, t_end=1.5, tol=1e-5)
    np.testing.assert_allclose(result.final, x0 @ scipy.linalg.expm(-1.5 * H), atol=3e-5)
    assert set(result.rank) == {1}


def diagonal_cloud(values):
    """(d + 1 or more, d) points, equal weights, with second moment diag(values^2) in turned axes."""
    d = len(values)
    orthonormal = orthogonal(6 * d, 1)[:, :d] * np.sqrt(6 * d)
    return orthonormal * values @ orthogonal(d, 2)


def singular_values(x):
    return np.linalg.svd(x / np.sqrt(len(x)), compute_uv=False)


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-5])
def test_at_p_infinity_the_smaller_direction_arrives_first_and_stays(tol):
    # sigma_i' = -(sigma_1 + sigma_2) until sigma_2 = 0, then sigma_1' = -sigma_1.
    large, small = 1.0, 0.3
    total, arrival = large + small, -0.5 * np.log(1 - 2 * small / (large + small))
    result = flow(quadratic(1.0), diagonal_cloud([large, small]), OPERATOR, t_end=2, tol=tol, n_snapshots=21)
    for t, x in zip(result.snapshot_times, result.positions, strict=True):
        lost = total / 2 * (1 - np.exp(-2 * min(t, arrival)))
        exact = [(large - lost) * np.exp(-max(t - arrival, 0)), small - lost]
        np.testing.assert_allclose(singular_values(x), exact, atol=3 * tol)
    assert_promises(result, tol)
    assert result.status == "finished"
    before, after = result.times < arrival - 2 * tol, result.times > arrival + 10 * tol
    assert set(result.rank[before]) == {2}
    assert set(result.rank[after]) == {1}
    # The price of the rule: idle before, then the arrived direction may add up to cutoff = tol to the speed.
    np.testing.assert_allclose(result.speed[before] ** 2, result.dissipation[before], rtol=1e-9)
    assert (result.speed**2 <= result.dissipation * (1 + 2 * tol)).all()
    assert len(result.times) < 40 / np.sqrt(tol)


def schatten_multiplier(C, p):
    """P = tr(C^{q/2})^{(2-q)/q} C^{q/2-1}."""
    q = 1.0 if np.isinf(p) else 2 * p / (2 * p - 1)
    lam, U = np.linalg.eigh(C)
    return (lam ** (q / 2)).sum() ** ((2 - q) / q) * (U * lam ** (q / 2 - 1)) @ U.T


def kyfan_multiplier(C, k):
    """min tr(Q^{-1} C) over 0 <= Q <= I, tr Q <= k, by bisection on q_i = min(1, s_i / theta)."""
    lam, U = np.linalg.eigh(C)
    s, low, high = np.sqrt(lam), 0.0, np.sqrt(lam).sum()
    for _ in range(200):
        theta = (low + high) / 2
        low, high = (theta, high) if np.minimum(1, s / theta).sum() > k else (low, theta)
    return (U / np.minimum(1, s / high)) @ U.T


@pytest.mark.parametrize(
    "gauge, multiplier",
    [(schatten(p), lambda C, p=p: schatten_multiplier(C, p)) for p in (1, 1.5, 2, 8, INF)]
    + [(get_gauge("kyfan", k=2), lambda C: kyfan_multiplier(C, 2))],
    ids=["1", "1.5", "2", "8", "inf", "kyfan"],
)
def test_quadratic_wells_obey_the_moment_equation(gauge, multiplier):
    # x' = -P H x with P a function of H S H: the moment obeys S' = -P H S - S H P, solved here by SciPy.
    H = np.array([[2.0, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 0.6]])
    x0, w, t_end = cloud(15, 3), some_weights(15), 0.08

    def moment(x):
        return (x * w[:, None]).T @ x

    def slope(_, S):
        S = S.reshape(3, 3)
        P = multiplier(H @ S @ H)
        return -(P @ H @ S + S @ H @ P).ravel()

    exact = solve_ivp(slope, (0, t_end), moment(x0).ravel(), rtol=1e-10, atol=1e-12).y[:, -1].reshape(3, 3)
    result = flow(quadratic(H), x0, gauge, t_end=t_end, weights=w, tol=1e-5)
    assert set(result.rank) == {3}
    np.testing.assert_allclose(moment(result.final), exact, atol=1e-5 * np.trace(moment(x0)))


def test_a_constant_force_translates_the_cloud_in_one_step():
    pull = np.array([3.0, 4.0])
    result = flow(Potential(lambda x: x @ pull, lambda x: np.tile(pull, (len(x), 1))), cloud(5, 2), OPERATOR, t_end=2)
    np.testing.assert_allclose(result.final, cloud(5, 2) - 2 * pull, rtol=1e-12)
    np.testing.assert_allclose(result.dissipation, 25, rtol=1e-12)
    assert len(result.times) == 2


# -- the identity of Thm 5.1 for every gauge and several energies ---------------------------------------------------


def energies(d):
    return {
        "mmd": MMD(cloud(9, d, 5) * 0.5 + 2),
        "interaction": Interaction(
            lambda x, y: ((x - y) ** 2).sum(-1) ** 2 / 4, lambda x, y: ((x - y) ** 2).sum(-1, keepdims=True) * (x - y)
        ),
        "double well": Potential(lambda x: ((x**2 - 1) ** 2).sum(1) / 4, lambda x: (x**2 - 1) * x),
    }


@pytest.mark.parametrize("name", ["mmd", "interaction", "double well"])
def test_speed_slope_and_energy_agree_for_every_gauge(name):
    gauges = [example(g, 3) for g in CONVEX] + [get_gauge("root-schatten", p=0.7), get_gauge("kyfan", k=2)]
    for gauge in gauges + compositions(3)[:4]:
        x0, w = cloud(8, 3), some_weights(8)
        energy = energies(3)[name]
        result = flow(energy, x0, gauge, t_end=0.2, weights=w, tol=1e-2)
        assert_promises(result, 1e-2)
        # The recorded slope is the dual norm of the force, and its integral by another quadrature is the fall of E.
        assert result.dissipation[0] == pytest.approx(swref.dual_norm(energy.force(x0, w), gauge, w) ** 2, rel=1e-8)
        end = swref.dual_norm(energy.force(result.final, w), gauge, w) ** 2
        assert result.dissipation[-1] == pytest.approx(end, rel=1e-8)
        assert result.energy[-1] == pytest.approx(energy.value(result.final, w), rel=1e-12)
        fall = result.energy[0] - result.energy[-1]
        assert np.trapezoid(result.dissipation, result.times) == pytest.approx(fall, rel=0.05)


@pytest.mark.parametrize("gauge", [TRACE, OPERATOR], ids=repr)
def test_the_promise_holds_across_the_kinks_of_a_relu_network(gauge):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 2))
    net, x0 = TwoLayerNet(z, np.abs(z[:, 0])), rng.standard_normal((200, 3))
    result = flow(net, x0, gauge, t_end=1, tol=0.1)
    assert_promises(result, 0.1)
    assert len(result.times) < 50
    # Particles stick to kinks, where the force is no gradient: the steps end, what was done holds.
    assert_promises(flow(net, x0, gauge, t_end=1, tol=1e-3, max_steps=500, strict=False), 1e-3)


@pytest.mark.parametrize("gauge", [schatten(2), OPERATOR, get_gauge("kyfan", k=2)], ids=repr)
def test_the_velocity_is_the_measure_lmo_above_the_cutoff_and_keeps_the_clock_below(gauge):
    w = some_weights(10)
    g = cloud(10, 3)
    v, slope2, rank = descent_velocity(g, gauge, w, 1e-3)
    assert rank == 3
    np.testing.assert_allclose(v, swref.measure_lmo(g, gauge, w), rtol=1e-10, atol=1e-12)
    for small in (1e-5, 1e-12, 0):
        weak = g * [1, 1, small]
        v, slope2, rank = descent_velocity(weak, gauge, w, 1e-3)
        assert rank == 2
        assert slope2 == pytest.approx(swref.dual_norm(weak, gauge, w) ** 2, rel=1e-9)
        assert (w[:, None] * weak * v).sum() == pytest.approx(-slope2, rel=1e-12)
        assert np.abs(v[:, 2]).max() <= 1e4 * small * np.abs(g).max()  # in proportion to the force


# -- invariances --------------------------------------------------------------------------------------------------


def test_permutations_rotations_and_weights_commute_with_the_flow():
    target, x0, w = cloud(7, 3, 5) + 1, cloud(9, 3), some_weights(9)
    options = {"t_end": 1, "tol": 1e-3}
    first = flow(MMD(target), x0, OPERATOR, weights=w, **options)
    order, U = np.random.default_rng(1).permutation(9), orthogonal(3, 4)
    again = flow(MMD(target @ U), (x0 @ U)[order], OPERATOR, weights=w[order], **options)
    np.testing.assert_allclose(again.final, (first.final @ U)[order], atol=2e-3)
    # A particle of weight w is two particles of weight w/2 at one place.
    double = flow(MMD(target), np.repeat(x0, 2, 0), OPERATOR, weights=np.repeat(w, 2) / 2, **options)
    np.testing.assert_allclose(double.final[::2], first.final, atol=2e-3)
    np.testing.assert_allclose(double.final[1::2], double.final[::2], atol=1e-12)


@pytest.mark.parametrize("gauge", [schatten(2), OPERATOR], ids=repr)
def test_a_multiple_of_a_gauge_slows_time(gauge):
    x0 = cloud(10, 2)
    once, slow = flow(MMD(x0 * 0.5 + 2), x0, gauge, t_end=2), flow(MMD(x0 * 0.5 + 2), x0, 4 * gauge, t_end=8)
    np.testing.assert_allclose(slow.final, once.final, atol=1e-9)
    np.testing.assert_allclose(slow.times, 4 * once.times, rtol=1e-9)
    np.testing.assert_allclose(slow.dissipation, once.dissipation / 4, rtol=1e-8)


@pytest.mark.parametrize("length, force", [(1e100, 1.0), (1e-100, 1.0), (1.0, 1e100), (1.0, 1e-100), (1e100, 1e-100)])
def test_scale_does_not_matter(length, force):
    x0 = cloud(6, 2)

    def run(length, force):
        well = Potential(
            lambda x: force * length * np.sqrt(1 + (x / length) ** 2).sum(1),
            lambda x: force * (x / length) / np.sqrt(1 + (x / length) ** 2),
        )
        return flow(well, length * x0, OPERATOR, t_end=1.2 * length / force)

    one, other = run(1.0, 1.0), run(length, force)
    assert len(one.times) == len(other.times)
    np.testing.assert_allclose(other.final / length, one.final, atol=1e-8)
    np.testing.assert_allclose(other.energy / (force * length), one.energy, rtol=1e-8)
    np.testing.assert_allclose(other.dissipation / force / force, one.dissipation, rtol=1e-7)


def test_an_offset_of_positions_and_energy_does_not_matter():
    x0, far = cloud(6, 2), 1e6
    near = flow(quadratic(1.0), x0, schatten(2), t_end=1)
    moved = flow(
        Potential(lambda x: ((x - far) ** 2).sum(1) / 2 - 5, lambda x: x - far), x0 + far, schatten(2), t_end=1
    )
    np.testing.assert_allclose(moved.final - far, near.final, atol=1e-4)


@pytest.mark.parametrize("gauge", [schatten(2), OPERATOR], ids=repr)
def test_a_plugin_of_two_functions_flows_like_the_built_in_gauge(gauge):
    x0 = cloud(8, 2)
    energy = MMD(x0[:5] * 0.5 + 2)
    built_in, plugin = flow(energy, x0, gauge, t_end=1), flow(energy, x0, TwoFunctions(gauge), t_end=1)
    np.testing.assert_allclose(plugin.final, built_in.final, atol=1e-6)
    np.testing.assert_allclose(plugin.energy[-1], built_in.energy[-1], rtol=1e-6)


# -- stationarity, snapshots, continuation ----------------------------------------------------------------------------


def test_it_stops_where_nothing_moves():
    still = flow(quadratic(1.0), np.zeros((4, 2)), OPERATOR, t_end=1, n_snapshots=3)
    assert (still.status, len(still.times)) == ("stationary", 1)
    assert still.positions.shape == (3, 4, 2)
    assert not still.positions.any()
    long = flow(quadratic(1.0), cloud(4, 2), TRACE, t_end=1e3, n_snapshots=5)
    assert long.status == "stationary"
    assert long.times[-1] < 40
    assert long.snapshot_times[-1] == 1e3
    assert np.abs(long.final).max() < 1e-6
    x0 = cloud(20, 2)
    matched = flow(MMD(x0), x0, OPERATOR, t_end=1)  # E = 0, and a force that rounding leaves
    assert matched.status == "stationary"
    np.testing.assert_array_equal(matched.final, x0)


def test_snapshots_are_where_asked_and_do_not_change_the_run():
    energy, x0 = MMD(cloud(5, 2) + 2), cloud(6, 2)
    plain = flow(energy, x0, OPERATOR, t_end=1)
    times = np.array([0, 0.1, 0.15, 0.7, 1.0])
    shown = flow(energy, x0, OPERATOR, t_end=1, snapshot_times=times)
    np.testing.assert_array_equal(plain.final, shown.final)
    np.testing.assert_array_equal(shown.snapshot_times, times)
    np.testing.assert_array_equal(shown.positions[[0, -1]], [x0, shown.final])
    for t, x in zip(times[1:-1], shown.positions[1:-1], strict=True):
        np.testing.assert_allclose(x, flow(energy, x0, OPERATOR, t_end=t, tol=1e-4).final, atol=3e-3)
    assert len(flow(energy, x0, OPERATOR, t_end=1, snapshot_times=[0.5]).positions) == 1


def test_a_resumed_run_is_the_long_run(tmp_path):
    energy, x0, w = MMD(cloud(5, 2) + 2), cloud(6, 2), some_weights(6)
    long = flow(energy, x0, OPERATOR, t_end=2, weights=w, n_snapshots=5)
    half = flow(energy, x0, OPERATOR, t_end=1, weights=w, n_snapshots=3)
    half.save(tmp_path / "half.npz")
    loaded = FlowResult.load(tmp_path / "half.npz")
    for name, value in vars(half).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
        assert type(getattr(loaded, name)) is type(value)
    joined = flow(energy, None, OPERATOR, t_end=2, n_snapshots=5, resume=loaded)
    np.testing.assert_allclose(joined.final, long.final, atol=2e-3)
    np.testing.assert_allclose(joined.positions, long.positions, atol=2e-3)
    np.testing.assert_array_equal(joined.snapshot_times, long.snapshot_times)
    np.testing.assert_array_equal(joined.energy[: len(half.energy)], half.energy)
    assert joined.length[-1] == pytest.approx(long.length[-1], rel=1e-3)
    jumps = np.diff(joined.residual)[[len(half.times) - 1, len(half.times)]]
    assert abs(jumps).max() < half.residual[-1] / 20  # the account goes on where it stood
    assert joined.evaluations > half.evaluations
    assert_promises(joined, 1e-3)
    same = flow(energy, x0, OPERATOR, t_end=2, weights=w, n_snapshots=5, resume=half)
    np.testing.assert_array_equal(same.final, joined.final)


def test_resuming_with_something_else_is_refused():
    energy, x0 = MMD(cloud(5, 2) + 2), cloud(6, 2)
    half = flow(energy, x0, OPERATOR, t_end=1)
    options = {"t_end": 2, "resume": half}
    with pytest.raises(ValueError, match="resume: its last dissipation"):
        flow(energy, None, TRACE, **options)
    with pytest.raises(ValueError, match="resume: its last energy"):
        flow(MMD(cloud(5, 2) + 3), None, OPERATOR, **options)
    with pytest.raises(ValueError, match="weights: expected None"):
        flow(energy, None, OPERATOR, weights=some_weights(6), **options)
    with pytest.raises(ValueError, match="x0: expected None"):
        flow(energy, x0 + 1, OPERATOR, **options)
    with pytest.raises(ValueError, match="t_end: expected more than"):
        flow(energy, None, OPERATOR, t_end=0.5, resume=half)
    with pytest.raises(ValueError, match="resume: expected a FlowResult"):
        flow(energy, None, OPERATOR, t_end=2, resume=half.final)


def test_a_file_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", times=np.zeros(3))
    with pytest.raises(ValueError, match="path: .* another kind of file"):
        FlowResult.load(tmp_path / "other.npz")


def test_particles_without_weight_take_no_part():
    energy, x0 = MMD(cloud(5, 2) + 2), cloud(6, 2)
    w = np.array([0.5, 0, 0.25, 0, 0.25, 0])
    result = flow(energy, x0, OPERATOR, t_end=1, weights=w)
    np.testing.assert_array_equal(result.final[w == 0], x0[w == 0])
    alone = flow(energy, x0[w > 0], OPERATOR, t_end=1, weights=w[w > 0])
    np.testing.assert_array_equal(result.final[w > 0], alone.final)
    np.testing.assert_array_equal(result.weights, w)


# -- energies of the user, and trouble --------------------------------------------------------------------------------


class Spring:
    """A user's energy: two methods, and bad manners: it overwrites its arguments and returns float32."""

    def __init__(self, wrong=1.0, fail_below=None):
        self.wrong, self.fail_below, self.calls = wrong, fail_below, 0

    def value(self, x, weights):
        value = weights @ (x**2).sum(1) / 2
        x[:], weights[:] = 7, 7
        return value if self.fail_below is None or value > self.fail_below else np.nan

    def force(self, x, weights):
        self.calls += 1
        g = self.wrong * x
        x[:], weights[:] = 7, 7
        return g


def test_a_users_energy_needs_two_methods_only_and_may_misbehave():
    x0 = cloud(6, 2)
    kept, w = x0.copy(), some_weights(6)
    spring = Spring()
    result = flow(spring, x0.astype(np.float32), TRACE, t_end=1, weights=w)
    np.testing.assert_array_equal(x0, kept)
    np.testing.assert_allclose(result.final, np.exp(-1) * x0, atol=2e-3)
    assert result.evaluations == result.forces[-1] == spring.calls
    assert result.forces[0] == 1
    assert (np.diff(result.forces) >= 2).all()  # two stages at least


def test_a_force_that_is_finite_at_the_start_only_ends_the_run():
    class Cliff(Spring):
        def force(self, x, weights):
            return super().force(x, weights) * (1 if self.calls == 1 else np.nan)

    with pytest.raises(NotConverged, match="non-finite after 0 steps"):
        flow(Cliff(), cloud(3, 2), TRACE, t_end=1, strict=False)


def test_levels_and_energies_are_read_off_between_the_steps():
    t = np.linspace(0, 10, 41)
    run = replace(flow(Spring(), cloud(3, 1), TRACE, t_end=0.1), times=t, energy=5 * np.exp(-t), length=4 * t)
    for level in (1, 0.5, 0.01):
        assert run.when(level) == pytest.approx(-np.log(level), abs=1e-12)
        assert run.when(level, "length") == pytest.approx(-4 * np.log(level), abs=1e-12)
    np.testing.assert_allclose(run.energy_at([0, 0.1, 3.3, 10]), 5 * np.exp([0, -0.1, -3.3, -10]), rtol=1e-12)
    np.testing.assert_allclose(run.energy_at(np.array([[2.0], [99.0]]), "length"), 5 * np.exp([[-0.5], [-10]]))
    with pytest.raises(ValueError, match="level: the energy ends at 4.54e-05 of its start"):
        run.when(1e-9)
    with pytest.raises(ValueError, match="level: expected a share of the energy at the start"):
        run.when(2)
    linear = replace(run, energy=8 - t)  # through zero and below
    np.testing.assert_allclose(linear.energy_at([8, 9.1]), [0, -1.1], atol=1e-12)
    assert replace(run, energy=np.maximum(8 - t, 0)).when(1e-9) == pytest.approx(8)


class Together:
    def __init__(self):
        self.together = 0

    def value(self, x, weights):
        raise AssertionError("value_and_force was there")

    def force(self, x, weights):
        return x

    def value_and_force(self, x, weights):
        self.together += 1
        return weights @ (x**2).sum(1) / 2, x


def test_value_and_force_is_used_where_both_are_needed():
    energy = Together()
    result = flow(energy, cloud(6, 2), TRACE, t_end=1)
    assert energy.together == len(result.times) + result.rejected


@pytest.mark.parametrize("wrong", [-1.0, 1.2, 0.8])
def test_a_force_that_is_not_the_gradient_is_found_out(wrong):
    with pytest.raises(NotConverged, match="stalled.*E fell by.*, not ") as caught:
        flow(Spring(wrong), cloud(6, 2), OPERATOR, t_end=1)
    assert caught.value.result.status == "stalled"
    assert flow(Spring(wrong), cloud(6, 2), OPERATOR, t_end=1, strict=False).status == "stalled"


def test_what_was_computed_survives_an_energy_that_is_not_finite():
    for strict in (True, False):
        with pytest.raises(
            NotConverged, match=r"non-finite after \d+ steps, at t = 0\.\d+ of 1: the energy is nan"
        ) as caught:
            flow(Spring(fail_below=0.5), cloud(6, 2), TRACE, t_end=1, strict=strict)
        result = caught.value.result
        assert result.energy[-1] == pytest.approx(0.5, rel=1e-6)
        assert result.times[-1] == pytest.approx(0.5 * np.log(result.energy[0] / 0.5), abs=1e-2)
    with pytest.raises(ValueError, match="energy: at the start the energy is nan"):
        flow(Spring(fail_below=1e9), cloud(6, 2), TRACE, t_end=1)


def test_a_force_that_is_not_finite_is_an_error_too():
    def grad(x):
        return np.where(x < 1, np.inf, x)

    with pytest.raises(NotConverged, match=r"the force has \d+ entries that are not finite"):
        flow(Potential(lambda x: (x**2).sum(1) / 2, grad), np.full((6, 2), 2.0), TRACE, t_end=1)


def test_a_step_out_of_the_domain_is_only_shortened():
    # h = x - log x, infinite for x <= 0: from x = 1000 long steps would land there.
    def h(x):
        return np.where(x > 0, x - np.log(np.where(x > 0, x, 1)), np.inf).sum(1)

    barrier = Potential(h, lambda x: np.where(x > 0, 1 - 1 / np.where(x > 0, x, 1), np.nan))
    result = flow(barrier, np.array([[1000.0], [30.0]]), TRACE, t_end=1500)
    np.testing.assert_allclose(result.final, 1, rtol=1e-3)


def test_the_limit_of_steps_and_interruption_leave_a_result():
    energy, x0 = MMD(cloud(5, 2) + 2), cloud(6, 2)
    with pytest.raises(NotConverged, match="max_steps after 2 steps") as caught:
        flow(energy, x0, OPERATOR, t_end=1, max_steps=2)
    again = flow(energy, None, OPERATOR, t_end=1, resume=caught.value.result)
    np.testing.assert_allclose(again.final, flow(energy, x0, OPERATOR, t_end=1).final, atol=2e-3)

    class Impatient(Together):
        def force(self, x, weights):
            if self.together == 4:
                raise KeyboardInterrupt
            return x

    result = flow(Impatient(), x0, TRACE, t_end=5, strict=False)
    assert result.status == "interrupted"
    assert 1 < len(result.times) <= 4


def test_progress_shows_time(capsys):
    flow(quadratic(1.0), cloud(4, 2), TRACE, t_end=1, progress=True)
    assert "t = 1/1" in capsys.readouterr().err


BAD = {
    "t_end": [0, -1, np.nan, "soon"],
    "tol": [0, 1, np.nan],
    "cutoff": [0, 2],
    "max_steps": [0, 1.5],
    "n_snapshots": [1, 2.5],
    "snapshot_times": [[0.5, 0.2], [0.2, 0.2], [-1, 0.5], [0.5, 2], [[0.5]]],
    "weights": [[1, 1, 1, 1], [0.5, 0.5]],
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD.items() for value in values])
def test_bad_arguments_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        flow(quadratic(1.0), cloud(4, 2), TRACE, **{"t_end": 1, name: value})


def test_bad_clouds_energies_and_gauges_are_refused():
    well = quadratic(1.0)
    with pytest.raises(ValueError, match="x0: must be finite"):
        flow(well, np.full((4, 2), np.nan), TRACE, t_end=1)
    with pytest.raises(ValueError, match="x0"):
        flow(well, None, TRACE, t_end=1)
    with pytest.raises(ValueError, match="energy: expected methods"):
        flow(np.sin, cloud(4, 2), TRACE, t_end=1)
    with pytest.raises(ValueError, match="gauge: .* accepts d = 3"):
        flow(well, cloud(4, 2), get_gauge("linear", Q0=np.eye(3)), t_end=1)

    class Flat(Spring):
        def force(self, x, weights):
            return x.ravel()

    with pytest.raises(ValueError, match=r"energy: force must return shape \(4, 2\), got \(8,\)"):
        flow(Flat(), cloud(4, 2), TRACE, t_end=1)


def test_a_result_shows_what_matters():
    result = flow(quadratic(1.0), cloud(4, 2), TRACE, t_end=1)
    assert "finished after" in repr(result)
    assert "residual" in repr(result)
    page = result._repr_html_()
    assert "<polyline" in page
    assert "Trace()" in page


def test_the_relative_residual_is_the_share_of_the_decrease():
    result = flow(quadratic(1.0), cloud(4, 2), TRACE, t_end=1, tol=1e-2)
    assert result.relative_residual == pytest.approx(abs(result.residual[-1]) / (result.energy[0] - result.energy[-1]))
    assert f"({result.relative_residual:.1e} of the decrease)" in repr(result)
    resting = flow(quadratic(1.0), np.zeros((4, 2)), TRACE, t_end=1)
    assert np.isnan(resting.relative_residual)
    assert "of the decrease" not in repr(resting)
