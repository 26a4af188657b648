"""Energies against their definitions written out in NumPy, central differences, SciPy and closed forms."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import energy_distance
from strategies import EPS

import swref
from swref.energies import MMD, Interaction, Potential, TwoLayerNet
from swref.energies.networks import HalfPlanes

RNG = np.random.default_rng(0)
TARGET, TARGET_WEIGHTS = RNG.standard_normal((9, 3)), RNG.dirichlet(np.ones(9))
PLANE, SPACE, LABELS = RNG.standard_normal((40, 2)), RNG.standard_normal((40, 3)), RNG.standard_normal(40)


def cloud(n, d, seed=0):
    """Particles and unequal weights."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.dirichlet(np.ones(n))


def squared_distances(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def mmd_by_definition(kernel):
    def value(x, w):
        k = [kernel(squared_distances(a, b)) for a, b in ((x, x), (TARGET, TARGET), (x, TARGET))]
        return w @ k[0] @ w + TARGET_WEIGHTS @ k[1] @ TARGET_WEIGHTS - 2 * w @ k[2] @ TARGET_WEIGHTS

    return value


def net_by_definition(z, sigma):
    def value(x, w):
        output = [sum(w_i * u * sigma(v @ point) for w_i, (u, *v) in zip(w, x, strict=True)) for point in z]
        return ((output - LABELS) ** 2).sum() / (2 * len(z))

    return value


def wave(x, y):
    """A symmetric function of pairs that is not one of their distance."""
    return np.cos(x.sum(-1) + y.sum(-1)) + (x * y).sum(-1)


def wave_gradient(x, y):
    return -np.sin(x.sum(-1) + y.sum(-1))[..., None] + y + 0 * x


WEIGHTED = {"target": TARGET, "weights": TARGET_WEIGHTS}
ENERGIES = {  # name: (energy, its definition, d)
    "energy distance": (MMD(**WEIGHTED), mmd_by_definition(lambda r2: -np.sqrt(r2 + 1e-4)), 3),
    "smoother": (MMD(**WEIGHTED, epsilon=0.7), mmd_by_definition(lambda r2: -np.sqrt(r2 + 0.49)), 3),
    "gaussian": (MMD(**WEIGHTED, kernel="gaussian"), mmd_by_definition(lambda r2: np.exp(-r2 / 2)), 3),
    "wide": (MMD(**WEIGHTED, kernel="gaussian", bandwidth=3), mmd_by_definition(lambda r2: np.exp(-r2 / 18)), 3),
    "planar relu": (TwoLayerNet(PLANE, LABELS), net_by_definition(PLANE, lambda s: max(s, 0)), 3),
    "relu": (TwoLayerNet(SPACE, LABELS), net_by_definition(SPACE, lambda s: max(s, 0)), 4),
    "softplus": (
        TwoLayerNet(PLANE, LABELS, activation="softplus"),
        net_by_definition(PLANE, lambda s: np.log(1 + np.exp(s))),
        3,
    ),
    "tanh": (TwoLayerNet(SPACE, LABELS, activation="tanh"), net_by_definition(SPACE, np.tanh), 4),
    "sine": (TwoLayerNet(SPACE, LABELS, activation=(np.sin, np.cos)), net_by_definition(SPACE, np.sin), 4),
    "potential": (
        Potential(lambda x: np.sin(x[:, 0]) + x[:, 1] ** 2, lambda x: np.column_stack([np.cos(x[:, 0]), 2 * x[:, 1]])),
        lambda x, w: sum(w_i * (np.sin(a) + b**2) for w_i, (a, b) in zip(w, x, strict=True)),
        2,
    ),
    "interaction": (
        Interaction(wave, wave_gradient),
        lambda x, w: sum(a * b * wave(p, q) for a, p in zip(w, x, strict=True) for b, q in zip(w, x, strict=True)),
        2,
    ),
}
each_energy = pytest.mark.parametrize("energy, definition, d", ENERGIES.values(), ids=ENERGIES)


@each_energy
def test_value_is_its_definition(energy, definition, d):
    for n, seed in ((1, 0), (7, 1), (30, 2)):
        x, w = cloud(n, d, seed)
        assert energy.value(x, w) == pytest.approx(definition(x, w), rel=1e-12, abs=1e-14)
        assert energy.value(x) == pytest.approx(definition(x, np.full(n, 1 / n)), rel=1e-12, abs=1e-14)


@each_energy
def test_force_is_the_derivative_of_the_definition_divided_by_the_weight(energy, definition, d):
    for seed in range(3):
        x, w = cloud(6, d, seed)
        w = 0.1 / len(w) + 0.9 * w  # a difference quotient needs weights that are not tiny
        quotient, h = np.empty_like(x), 2e-5
        for index in np.ndindex(*x.shape):
            ahead, behind = x.copy(), x.copy()
            ahead[index] += h
            behind[index] -= h
            quotient[index] = (definition(ahead, w) - definition(behind, w)) / (2 * h * w[index[0]])
        force = energy.force(x, w)
        assert np.abs(force - quotient).max() <= 1e-6 * np.abs(force).max()


@each_energy
def test_value_and_force_are_the_two_methods(energy, definition, d):
    x, w = cloud(12, d)
    value, force = energy.value_and_force(x, w)
    assert value == pytest.approx(energy.value(x, w), rel=1e-12)
    np.testing.assert_allclose(force, energy.force(x, w), rtol=1e-12, atol=1e-14)
    assert force.shape == x.shape
    assert isinstance(value, float)


@each_energy
def test_only_the_measure_matters(energy, definition, d):
    x, w = cloud(12, d)
    value, force = energy.value(x, w), energy.force(x, w)
    order = np.random.default_rng(1).permutation(12)
    assert energy.value(x[order], w[order]) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(energy.force(x[order], w[order]), force[order], rtol=1e-9, atol=1e-12)
    # Particle 0 cut in two pieces, and a particle of weight zero that still feels a force.
    cut, pieces = np.vstack([x, x[:1], 2 * x[:1]]), np.concatenate([[0.3 * w[0]], w[1:], [0.7 * w[0], 0]])
    assert energy.value(cut, pieces) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(energy.force(cut, pieces)[:-1], force[[*range(12), 0]], rtol=1e-9, atol=1e-12)
    nearly = np.append(pieces[:-1] * (1 - 1e-12), 1e-12)
    np.testing.assert_allclose(energy.force(cut, pieces)[-1], energy.force(cut, nearly)[-1], rtol=1e-8, atol=1e-10)


@each_energy
def test_inputs_are_left_alone_and_float32_is_accepted(energy, definition, d):
    x, w = cloud(5, d)
    before = x.copy(), w.copy()
    energy.value_and_force(x, w)
    assert (x == before[0]).all()
    assert (w == before[1]).all()
    single = x.astype(np.float32)
    assert energy.force(single).dtype == np.float64
    np.testing.assert_array_equal(energy.force(single), energy.force(single.astype(float)))


@each_energy
def test_bad_particles_and_weights_are_named(energy, definition, d):
    x, w = cloud(5, d)
    with pytest.raises(ValueError, match="x: expected 2 axes"):
        energy.value(x[0])
    with pytest.raises(ValueError, match="x: must be finite"):
        energy.force(np.where(x > 0, np.nan, x))
    with pytest.raises(ValueError, match=r"weights: expected shape \(5,\)"):
        energy.force(x, w[:4])
    with pytest.raises(ValueError, match="weights: must sum to one"):
        energy.value(x, 2 * w)


def test_energies_of_a_fixed_dimension_name_it():
    for name, (energy, _, d) in ENERGIES.items():
        if name not in ("potential", "interaction"):
            with pytest.raises(ValueError, match=f"x: expected d = {d} columns"):
                energy.force(np.ones((4, d + 1)))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: MMD(np.ones(3)), "target: expected 2 axes"),
        (lambda: MMD(np.ones((3, 2)), [1, 1, 1]), "weights: must sum to one"),
        (lambda: MMD(np.ones((3, 2)), kernel="laplace"), "kernel: expected"),
        (lambda: MMD(np.ones((3, 2)), epsilon=-1), "epsilon: must be nonnegative"),
        (lambda: MMD(np.ones((3, 2)), bandwidth=1), "bandwidth: the energy kernel has no"),
        (lambda: MMD(np.ones((3, 2)), kernel="gaussian", epsilon=1), "epsilon: the gaussian kernel has no"),
        (lambda: MMD(np.ones((3, 2)), kernel="gaussian", bandwidth=0), "bandwidth: expected a positive"),
        (lambda: TwoLayerNet(PLANE, LABELS[:5]), r"targets: expected shape \(40,\)"),
        (lambda: TwoLayerNet(PLANE, LABELS, activation="sine"), "activation: expected"),
        (lambda: TwoLayerNet(PLANE, LABELS, activation=np.tanh), "activation: expected"),
        (lambda: TwoLayerNet(PLANE, LABELS).predict(np.ones((2, 3)), inputs=np.ones((4, 3))), "inputs: expected d = 2"),
        (lambda: Potential(3, np.sin), "h: expected a function"),
        (lambda: Potential(np.sin, np.sin).value(np.ones((4, 2))), r"h: must return shape \(4,\), got \(4, 2\)"),
        (lambda: Interaction(wave, wave).force(np.ones((4, 2))), r"grad: must return shape \(4, 4, 2\)"),
        (lambda: Interaction(lambda x, y: (x - y).sum(-1), wave).value(cloud(4, 2)[0]), "h: must be symmetric"),
    ],
)
def test_bad_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- MMD ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kernel", ["energy", "gaussian"])
def test_equal_measures_are_at_distance_zero_and_at_rest(kernel):
    x, w = cloud(30, 2)
    energy = MMD(x, w, kernel)
    assert energy.value(x, w) <= 1e3 * EPS
    assert np.abs(energy.force(x, w)).max() <= 1e3 * EPS
    order = np.random.default_rng(2).permutation(30)
    assert energy.value(x[order], w[order]) <= 1e3 * EPS


@pytest.mark.parametrize("eps", [0, 0.01, 2])
@pytest.mark.parametrize("r", [0, 1e-6, 0.3, 5])
def test_two_diracs(r, eps):
    x, y = np.array([[3.0 + r, 1.0]]), np.array([[3.0, 1.0]])
    r = x[0, 0] - y[0, 0]  # as represented
    energy = MMD(y, epsilon=eps)
    expected = 2 * r**2 / (eps + np.hypot(r, eps)) if r else 0.0  # 2 (sqrt(r^2 + eps^2) - eps)
    assert energy.value(x) == pytest.approx(expected, rel=1e-14, abs=0)
    slope = 2 * r / np.hypot(r, eps) if r else 0.0
    np.testing.assert_allclose(energy.force(x), [[slope, 0]], rtol=1e-14)
    bell = MMD(y, kernel="gaussian", bandwidth=0.8)
    assert bell.value(x) == pytest.approx(-2 * np.expm1(-(r**2) / 1.28), rel=1e-14, abs=0)
    np.testing.assert_allclose(bell.force(x), [[2 * r / 0.64 * np.exp(-(r**2) / 1.28), 0]], rtol=1e-14)


def test_on_the_line_it_is_the_squared_energy_distance_of_scipy():
    for seed in range(5):
        (x, a), (y, b) = cloud(20, 1, seed), cloud(15, 1, seed + 10)
        expected = energy_distance(x[:, 0], y[:, 0], a, b) ** 2
        assert MMD(y, b, epsilon=0).value(x, a) == pytest.approx(expected, rel=1e-12)
        assert MMD(y, b, epsilon=1e-6).value(x, a) == pytest.approx(expected, rel=1e-5)


def test_it_is_an_interaction_plus_a_potential():
    x, w = cloud(10, 3)

    def k(x, y):
        return -np.sqrt(((x - y) ** 2).sum(-1) + 1e-4)

    def slope(x, y):
        return (x - y) / k(x, y)[..., None]

    attraction = Potential(
        lambda x: -2 * k(x[:, None], TARGET) @ TARGET_WEIGHTS,
        lambda x: -2 * np.einsum("ijk,j", slope(x[:, None], TARGET), TARGET_WEIGHTS),
    )
    repulsion, mmd = Interaction(k, slope), MMD(**WEIGHTED)
    constant = mmd.value(TARGET) - attraction.value(TARGET) - repulsion.value(TARGET)
    assert mmd.value(x, w) == pytest.approx(repulsion.value(x, w) + attraction.value(x, w) + constant, rel=1e-12)
    np.testing.assert_allclose(mmd.force(x, w), repulsion.force(x, w) + attraction.force(x, w), atol=1e-13)


@pytest.mark.parametrize("scale", [1e-150, 1e150, 1e-300, 1e300])
def test_mmd_does_not_mind_the_unit_of_length(scale):
    x, w = cloud(10, 3)
    plain, scaled = MMD(TARGET, epsilon=0.1), MMD(TARGET * scale, epsilon=0.1 * scale)
    np.testing.assert_allclose(scaled.value(x * scale, w), scale * plain.value(x, w), rtol=1e-12)
    np.testing.assert_allclose(scaled.force(x * scale, w), plain.force(x, w), rtol=1e-10)
    plain, scaled = (MMD(TARGET * s, kernel="gaussian", bandwidth=s) for s in (1, scale))
    np.testing.assert_allclose(scaled.value(x * scale, w), plain.value(x, w), rtol=1e-10)
    np.testing.assert_allclose(scaled.force(x * scale, w) * scale, plain.force(x, w), rtol=1e-9)


def test_mmd_of_distant_lengths_is_finite():
    x, _ = cloud(10, 3)
    for size in (1e-200, 1e-20, 1e20, 1e200):
        for energy in (MMD(TARGET), MMD(TARGET, kernel="gaussian"), MMD(0 * TARGET, epsilon=0)):
            value, force = energy.value_and_force(x * size)
            assert np.isfinite(value)
            assert np.isfinite(force).all()
        bell = MMD(TARGET, kernel="gaussian", bandwidth=size)
        assert np.isfinite(bell.value_and_force(x)[1]).all()


# -- two-layer networks ---------------------------------------------------------------------------------------------
LATTICE = np.array([(a, b) for a in range(-3, 4) for b in range(-3, 4)], float)


def test_half_plane_sums_are_exact_with_ties_zeros_and_points_on_the_boundary():
    rng = np.random.default_rng(0)
    clouds = [LATTICE, *LATTICE[:, None], *(LATTICE[rng.integers(0, 49, 20)] for _ in range(30))]
    for points in clouds:
        values = rng.integers(-9, 10, (len(points), 2)).astype(float)
        expected = (LATTICE @ points.T > 0) @ values  # small integers: no rounding on either side
        np.testing.assert_array_equal(HalfPlanes(points).sums(values, LATTICE), expected)


def test_half_plane_sums_keep_the_digits_of_a_small_sum_beside_a_large_one():
    angles = np.random.default_rng(3).uniform(0, 2 * np.pi, 200)
    points = np.column_stack([np.cos(angles), np.sin(angles)])
    query = np.array([[0.6, -0.8]])
    active = points @ query[0] > 0
    values = np.where(active, 1.0, 1e20)[:, None]
    assert HalfPlanes(points).sums(values, query) == active.sum()


def test_the_planar_relu_network_is_the_dense_one():
    (x, w), z = cloud(300, 3, 4), cloud(200, 2, 5)[0]
    x[:10, 1:], z[:7] = 0, 0
    x[10:20, 1:] = z[50:60] @ [[0, 1], [-1, 0]]  # on the kink of another point's line
    y = np.sin(np.arange(200))
    relu = (lambda s: np.maximum(s, 0), lambda s: np.where(s > 1e-15, 1.0, 0.0))
    planar, dense = TwoLayerNet(z, y), TwoLayerNet(z, y, activation=relu)
    assert planar.value(x, w) == pytest.approx(dense.value(x, w), rel=1e-12)
    np.testing.assert_allclose(planar.force(x, w), dense.force(x, w), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(planar.predict(x, w), dense.predict(x, w), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(planar.predict(x, w, z[:9]), planar.predict(x, w)[:9], rtol=1e-14)


def test_a_network_that_equals_its_teacher_has_no_loss_and_no_force():
    teacher = cloud(3, 3, 6)
    for activation in ("relu", "softplus", "tanh"):
        y = TwoLayerNet(PLANE, LABELS, activation).predict(*teacher)
        net = TwoLayerNet(PLANE, y, activation)
        assert net.value(*teacher) <= EPS**2 * 1e3
        assert np.abs(net.force(*teacher)).max() <= 1e3 * EPS


def test_a_particle_at_the_origin_of_the_relu_is_at_rest():
    x, w = cloud(8, 3)
    x[0, 1:] = 0
    assert (ENERGIES["planar relu"][0].force(x, w)[0] == 0).all()


@pytest.mark.parametrize("scale", [1e-150, 1e-7, 1e150])
@pytest.mark.parametrize("z", [PLANE, SPACE], ids=["plane", "space"])
def test_relu_networks_scale(z, scale):
    x, w = cloud(10, 1 + z.shape[1])
    plain, scaled = TwoLayerNet(z, LABELS), TwoLayerNet(z * scale, LABELS * scale)
    np.testing.assert_allclose(scaled.value(x, w) / scale, plain.value(x, w) * scale, rtol=1e-10)
    np.testing.assert_allclose(scaled.force(x, w) / scale, plain.force(x, w) * scale, rtol=1e-8)


def test_beyond_the_range_of_floats_networks_say_infinity():
    x, w = cloud(10, 3)
    for activation in ("relu", "softplus", "tanh"):
        net = TwoLayerNet(PLANE, LABELS, activation)
        value, force = net.value_and_force(x * 1e200, w)
        assert value == net.value(x * 1e200, w) == np.inf
        assert not np.isnan(force).any()


def test_softplus_and_tanh_do_not_overflow():
    steep = np.array([[1.0, 1e4, 0.0], [1.0, -1e4, 0.0]])
    for activation, derivative in (("softplus", expit), ("tanh", lambda s: 1 / np.cosh(np.clip(s, -300, 300)) ** 2)):
        force = TwoLayerNet(PLANE, LABELS, activation).force(steep)
        r = TwoLayerNet(PLANE, LABELS, activation).predict(steep) - LABELS
        expected = (r[:, None] * derivative(1e4 * PLANE[:, :1]) * PLANE).mean(0)
        np.testing.assert_allclose(force[0, 1:], expected, rtol=1e-10, atol=1e-12)


# -- cost -----------------------------------------------------------------------------------------------------------
def pair_distance(x, y):
    return np.abs(x - y).sum(-1)


def pair_sign(x, y):
    return np.sign(x - y)


@pytest.mark.parametrize(
    "energy",
    [
        MMD(np.ones((4000, 2))),
        TwoLayerNet(np.ones((4000, 2)), np.ones(4000)),
        TwoLayerNet(np.ones((4000, 1)), np.ones(4000), "softplus"),
        Interaction(pair_distance, pair_sign),
    ],
    ids=["MMD", "planar relu", "softplus", "interaction"],
)
def test_memory_is_linear_in_the_number_of_particles(energy):
    d = energy.inputs.shape[1] + 1 if isinstance(energy, TwoLayerNet) else 2
    x, w = cloud(4000, d)
    energy.force(x[:3])  # compile outside the measurement
    tracemalloc.start()
    energy.value_and_force(x, w)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6  # an array of all pairs would have 128e6 bytes


def test_energies_show_themselves():
    assert repr(MMD(np.ones((3, 2)))) == "MMD(target of shape (3, 2), kernel='energy', length=0.01)"
    assert "activation='tanh'" in repr(TwoLayerNet(PLANE, LABELS, "tanh"))
    assert swref.energies.MMD is MMD


def test_what_is_out_of_range_is_infinite_and_particles_without_weight_do_not_matter():
    x, w = np.array([[2.0, 0.0], [0.0, 0.0], [0.5, 0.0]]), np.array([0.0, 0.5, 0.5])

    def far(r2):
        return np.where(r2 > 1, np.inf, 1.0)

    potential = Potential(lambda x: far((x**2).sum(1)), lambda x: x)
    assert potential.value(x, w) == 1
    assert potential.value(x) == np.inf
    pairs = Interaction(
        lambda x, y: far(((x - y) ** 2).sum(-1)), lambda x, y: far(((x - y) ** 2).sum(-1))[..., None] * x
    )
    assert pairs.value(x, w) == 1
    near = Interaction(lambda x, y: far(((x - y) ** 2).sum(-1)), lambda x, y: 1 / (x - y + 2))
    np.testing.assert_allclose(near.force(x, w)[1:], near.force(x[1:], w[1:]), rtol=1e-15)
    assert not np.isnan(pairs.force(x, w)).any()
    value, force = MMD([[1e308, 0]]).value_and_force([[-1e308, 0], [1, 1]])
    assert value == np.inf
    assert not np.isnan(force).any()


def test_the_force_of_an_asymmetric_interaction_is_refused_like_its_value():
    skew = Interaction(lambda x, y: (x - y).sum(-1), lambda x, y: np.ones(np.broadcast_shapes(x.shape, y.shape)))
    for method in (skew.value, skew.force, skew.value_and_force):
        with pytest.raises(ValueError, match="h: must be symmetric"):
            method(np.random.default_rng(0).normal(size=(4, 2)))


@pytest.mark.parametrize("activation", ["relu", "softplus", "tanh"])
def test_a_network_reaches_another_process(activation):
    net, (x, _) = TwoLayerNet(cloud(7, 3)[0], np.arange(7.0), activation), cloud(4, 4)
    assert pickle.loads(pickle.dumps(net)).value(x) == net.value(x)
