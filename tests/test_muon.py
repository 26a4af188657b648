"""Newton-Schulz against SciPy's polar factor and dense polynomials, its potential against finite differences and
quadrature; momentum against heavy ball by SciPy, the flow as tau -> 0, the second-order form, and its energy law."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from scipy.integrate import quad, solve_ivp
from strategies import EPS, TINY, forces, psd, seeds, weights

import swref
from swref import get_gauge
from swref.energies import MMD, Potential
from swref.flows import descent_velocity
from swref.muon import COEFFICIENTS, momentum_flow, newton_schulz, potential, response

INF = np.inf
# What five steps make of singular values in [.01, 1], to these digits.
RANGES = {"quintic": (0.68, 1.13), "dion": (0.978, 1.032), "polar-express": (0.87, 1.12), "cubic": (0.08, 1.0)}


def schatten(p):
    return get_gauge("schatten", p=p)


# -- Newton-Schulz ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (6, 1)])
def test_the_cubic_tends_to_the_polar_factor(shape):
    G = np.random.default_rng(0).standard_normal(shape)
    U = scipy.linalg.polar(G)[0]
    errors = [np.linalg.norm(newton_schulz(G, k) - U, 2) for k in range(15)]
    for now, after in pairwise(errors):  # 1 - h(1 - e) = 3 e^2 / 2 - e^3 / 2, at the smallest singular value
        assert abs(after - (1.5 * now**2 - 0.5 * now**3)) <= 100 * EPS
    assert errors[14] <= 100 * EPS


@pytest.mark.parametrize("name", COEFFICIENTS)
@given(G=forces())
def test_singular_values_go_through_the_response(name, G):
    scale = np.linalg.norm(G / (np.abs(G).max() or 1)) or 1.0
    U, s, Wt = np.linalg.svd(G / (np.abs(G).max() or 1), full_matrices=False)
    for steps in (0, 1, 5):
        wanted = (U * response(s, steps, name, scale=scale)) @ Wt
        assert np.abs(newton_schulz(G, steps, name) - wanted).max() <= 1e-12 * max(1, 4.0**steps)


@pytest.mark.parametrize("name", RANGES)
def test_five_steps_land_where_they_were_made_for(name):
    z = response(np.geomspace(0.01, 1, 20_001), 5, name)
    assert (round(z.min(), 2), round(z.max(), 2)) == tuple(round(x, 2) for x in RANGES[name])


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_polar_express_is_optimal_on_its_interval(steps):
    """Best uniform approximations of 1 on [1/1000, 1] err as much above as below (without the factor for bfloat16)."""
    safety = np.append(1.01 ** np.array([[1, 3, 5]] * 7), np.ones((1, 3)), axis=0)
    z = response(np.geomspace(1e-3, 1, 200_001), steps, np.array(COEFFICIENTS["polar-express"]) * safety)
    assert abs(z.min() + z.max() - 2) <= 1e-4


def test_the_quintic_from_three_thousandths():
    z = response(np.geomspace(0.003, 1, 20_001), 5, "quintic")
    assert 0.68 <= z.min() < z.max() <= 1.21


def test_the_last_triple_repeats():
    s = np.linspace(0, 1, 11)
    triples = [(2.0, -1.0, 0.1), (1.5, -0.5, 0.0)]
    assert np.array_equal(response(s, 4, triples), response(response(s, 1, triples[0]), 3))
    assert np.array_equal(response(s, 2, triples[1]), response(s, 2))


def test_a_fixed_scale_divides_and_the_usual_one_forgets_it():
    G = np.random.default_rng(1).standard_normal((4, 3))
    assert np.allclose(newton_schulz(G, 3, scale=7.0), newton_schulz(G / 7, 3, scale=1.0), rtol=1e-14)
    for factor in (1e-200, 1e-3, 1e200):
        assert np.allclose(newton_schulz(factor * G, 5, "quintic"), newton_schulz(G, 5, "quintic"), rtol=1e-12)
    assert not newton_schulz(np.zeros((3, 2)), 5).any()


# -- the potential ----------------------------------------------------------------------------------------------------


@given(S=psd(scaled=False))
def test_one_cubic_step_has_the_potential_of_the_paper(S):
    alpha = 2.0
    by_hand = 3 / (2 * alpha) * np.trace(S) - np.trace(S @ S) / (4 * alpha**3)
    assert abs(potential(S, 1, scale=alpha) - by_hand) <= 100 * EPS * max(np.trace(S), TINY)


@pytest.mark.parametrize("steps, name", [(1, "cubic"), (3, "cubic"), (2, "quintic"), (5, "quintic"), (3, "dion")])
def test_the_map_is_the_gradient_of_half_the_potential(steps, name):
    rng = np.random.default_rng(2)
    G, H = rng.standard_normal((2, 5, 3))
    alpha, h = 1.1 * np.linalg.norm(G, 2), 1e-5

    def psi(G):
        return potential(G.T @ G, steps, name, scale=alpha) / 2

    slope = (psi(G + h * H) - psi(G - h * H)) / (2 * h)
    assert abs(slope - np.vdot(newton_schulz(G, steps, name, scale=alpha), H)) <= 1e-6 * np.linalg.norm(H)


def test_the_potential_is_an_integral():
    exact = 2 * sum(quad(lambda s: float(response(s, 4, "quintic", scale=3.0)), 0, x, epsabs=1e-13)[0] for x in (1, 2))
    assert abs(potential(np.diag([1.0, 4.0]), 4, "quintic", scale=3.0) - exact) <= 1e-11


def test_where_the_potential_is_monotone():
    """One cubic step: on 0 <= S <= 3 alpha^2 I, and no farther."""
    alpha = 0.5
    limit = 3 * alpha**2
    values = [potential([[x]], 1, scale=alpha) for x in np.linspace(0, limit, 30)]
    assert (np.diff(values) > 0).all()
    assert potential([[1.1 * limit]], 1, scale=alpha) < values[-1]


@pytest.mark.parametrize("steps", [1, 3])
def test_dissipation_at_fixed_scale(steps):
    """E(0) - E(t) = int Psi(G^T G)/2 + (Psi/2)*(dX/dt): the map is steepest descent for the conjugate potential."""
    rng = np.random.default_rng(3)
    X, target = rng.standard_normal((2, 4, 2))
    alpha = np.linalg.norm(X - target)

    def conjugate(V):
        """sum_i max_s s v_i - int_0^s h: at h(s) = v, found by bisection; h increases on [0, alpha]."""
        total = 0.0
        for v in np.minimum(np.linalg.svd(V, compute_uv=False), float(response(alpha, steps, scale=alpha))):
            s = scipy.optimize.brentq(lambda s, v=v: float(response(s, steps, scale=alpha)) - v, 0, alpha, xtol=1e-15)
            total += s * v - quad(lambda s: float(response(s, steps, scale=alpha)), 0, s)[0]
        return total

    def field(t, y):
        G = y[:-1].reshape(X.shape) - target
        V = -newton_schulz(G, steps, scale=alpha)
        return np.append(V, potential(G.T @ G, steps, scale=alpha) / 2 + conjugate(V))

    run = solve_ivp(field, (0, 2.0), np.append(X, 0), rtol=1e-9, atol=1e-11)
    energies = [np.linalg.norm(run.y[:-1, k].reshape(X.shape) - target) ** 2 / 2 for k in (0, -1)]
    assert abs(energies[0] - energies[1] - run.y[-1, -1]) <= 1e-6 * energies[0]


# -- momentum ---------------------------------------------------------------------------------------------------------


def well(A):
    """h(x) = x.A x / 2."""
    return Potential(lambda x: ((x @ A) * x).sum(-1) / 2, lambda x: x @ A)


def start(n=6, d=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


A = np.array([[2.0, 0.3], [0.3, 0.5]])


@pytest.mark.parametrize("tau", [0.1, 1.0, 5.0])
def test_the_trace_gauge_is_heavy_ball(tau):
    """tau x'' + x' + A x = 0, linear: by the matrix exponential."""
    x0, t = start(), 3.0
    run = momentum_flow(well(A), x0, "trace", tau=tau, t_end=t, tol=1e-9, cutoff=1e-9, n_snapshots=2)
    Z = np.zeros((2, 2))
    system = np.block([[Z, -np.eye(2)], [A / tau, -np.eye(2) / tau]])
    exact = scipy.linalg.expm(t * system) @ np.hstack([x0, 0 * x0]).T
    assert np.abs(np.hstack([run.positions[-1], run.momenta[-1]]).T - exact).max() <= 1e-7
    assert np.abs(run.residual).max() <= 1e-7 * run.energy[0]


def test_heavy_ball_in_an_energy_of_pairs_by_scipy():
    x0, energy, tau = start(20, 2, 1), MMD(start(15, 2, 2) + 1), 0.7
    run = momentum_flow(energy, x0, "trace", tau=tau, t_end=2.0, tol=1e-10, n_snapshots=5)

    def field(t, y):
        x, u = y.reshape(2, *x0.shape)
        return np.concatenate([u, -(u + energy.force(x)) / tau]).ravel()

    other = solve_ivp(
        field, (0, 2.0), np.concatenate([x0, 0 * x0]).ravel(), "DOP853", run.times, rtol=1e-11, atol=1e-12
    )
    x, u = other.y.T.reshape(5, 2, *x0.shape).swapaxes(0, 1)
    assert np.abs(run.positions - x).max() <= 1e-7
    assert np.abs(run.momenta + u).max() <= 1e-7


@pytest.mark.parametrize("gauge", ["trace", schatten(2), "operator", get_gauge("block-max", blocks=[1, 1])])
def test_without_inertia_it_is_the_flow(gauge):
    """The difference falls in proportion to tau."""
    x0, energy = start(8, 2, 4), well(A)
    exact = swref.flow(energy, x0, gauge, t_end=0.3, tol=1e-5, cutoff=1e-3).final
    taus = (0.04, 0.02, 0.01)
    errors = [
        np.abs(
            momentum_flow(energy, x0, gauge, tau=tau, t_end=0.3, momentum=energy.force(x0), n_snapshots=2).positions[-1]
            - exact
        ).max()
        for tau in taus
    ]
    assert errors[2] <= 0.03 * np.abs(exact - x0).max()
    assert 1.6 <= errors[0] / errors[1] <= 2.4
    assert 1.6 <= errors[1] / errors[2] <= 2.4


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
def test_the_second_order_form(p):
    """tau d/dt I_p(X') + I_p(X') + grad F = 0 with I_p(V) = |V|_{S_r}^{2-r} U sigma^{r-1} W^T, r = 2p."""
    x0, tau, h = start(5, 3, 5), 0.5, 1e-3
    B = np.diag([1.0, 2.0, 0.5])
    energy = well(B)
    rng = np.random.default_rng(6)
    begin = rng.standard_normal(x0.shape)  # of full rank, and it stays so for this short time
    run = momentum_flow(
        energy, x0, schatten(p), tau=tau, t_end=10 * h, momentum=begin, tol=1e-12, cutoff=1e-9, n_snapshots=11
    )

    def duality(V):
        r = 2 * p
        U, s, Wt = np.linalg.svd(V, full_matrices=False)
        return np.linalg.norm(s, r) ** (2 - r) * (U * s ** (r - 1)) @ Wt

    n, x = len(x0), run.positions
    velocity = (x[2:] - x[:-2]) / (2 * h)
    I = np.array([duality(V / np.sqrt(n)) * np.sqrt(n) for V in velocity])  # the norm averages over particles
    left = tau * (I[2:] - I[:-2]) / (2 * h) + I[1:-1] + x[2:-2] @ B
    assert np.abs(left).max() <= 1e-3 * np.abs(I).max()
    assert np.abs(run.momenta[1:-1] + I).max() <= 1e-4 * np.abs(I).max()


@pytest.mark.parametrize("gauge", ["trace", schatten(2), "operator", get_gauge("block-max", blocks=[1, 1])])
def test_energy_and_kinetic_energy_fall_by_the_dissipation(gauge):
    rng = np.random.default_rng(7)
    w = rng.dirichlet(np.ones(8))
    run = momentum_flow(
        well(A), start(8, 2, 8), gauge, tau=0.5, t_end=0.6, weights=w, momentum=rng.standard_normal((8, 2)), cutoff=1e-6
    )
    fall = (run.energy + run.kinetic)[0] - (run.energy + run.kinetic)[-1]
    assert fall > 0.05
    assert np.abs(run.residual).max() <= 2e-4 * fall
    slopes = [swref.dual_norm(a, gauge, w) for a in run.momenta]
    assert np.allclose(run.kinetic, 0.25 * np.square(slopes), rtol=1e-6)
    assert np.allclose(run.energy, [well(A).value(x, w) for x in run.positions], rtol=1e-12)


def test_the_energy_alone_may_rise():
    run = momentum_flow(well(np.eye(2)), start(), "trace", tau=5.0, t_end=12.0)
    assert np.diff(run.energy).max() > 0
    assert np.diff(run.energy + run.kinetic).max() <= 0


def test_an_optimizer_is_the_flow_in_small_steps():
    """B <- mu B + (1 - mu) g, x <- x + h J(B) with mu = 1 - h / tau: the error is of order h."""
    x0, energy, gauge, tau = start(6, 2, 9), well(A), schatten(2), 0.5
    exact = momentum_flow(energy, x0, gauge, tau=tau, t_end=1.0, cutoff=1e-9, n_snapshots=2).positions[-1]
    errors = []
    for steps in (200, 400, 800):
        h, x, B = 1 / steps, x0, 0 * x0
        for _ in range(steps):
            B = B + h / tau * (energy.force(x) - B)
            x = x + h * swref.measure_lmo(B, gauge)
        errors.append(np.abs(x - exact).max())
    assert errors[2] < 0.01
    assert all(1.7 < a / b < 2.4 for a, b in pairwise(errors))


@given(w=weights(6), seed=seeds)
def test_particles_of_weight_zero_stay(w, seed):
    x0 = start(6, 2, seed)
    run = momentum_flow(well(A), x0, "operator", tau=0.3, t_end=0.2, weights=w, tol=1e-4, n_snapshots=3)
    assert np.array_equal(run.positions[:, w == 0], np.repeat(x0[None, w == 0], 3, 0))
    assert (np.abs(run.positions[-1] - x0)[w > 0].max(1) > 0).all()


@pytest.mark.parametrize("size", [1e-100, 1e100])
def test_units_do_not_matter(size):
    """Positions and forces of this size: x, a and the square root of the energies scale."""
    x0 = start()
    one, other = (momentum_flow(well(A), s * x0, "operator", tau=0.5, t_end=1.0, n_snapshots=4) for s in (1, size))
    assert np.allclose(other.positions / size, one.positions, rtol=1e-6)
    assert np.allclose(other.momenta / size, one.momenta, rtol=1e-5, atol=1e-7)
    assert np.allclose(other.kinetic / size / size, one.kinetic, rtol=1e-4)


def test_runs_that_end_early_keep_what_they_have():
    with pytest.raises(swref.NotConverged, match="max_steps after 3 steps") as caught:
        momentum_flow(well(A), start(), "operator", tau=0.01, t_end=1.0, max_steps=3)
    assert caught.value.result.status == "max_steps"
    assert len(caught.value.result.times) >= 1
    quiet = momentum_flow(well(A), start(), "operator", tau=0.01, t_end=1.0, max_steps=3, strict=False)
    assert quiet.steps == 3
    cliff = Potential(lambda x: x[:, 0], lambda x: np.where(x[:, :1] < -1, np.nan, 1.0) * np.ones_like(x))
    with pytest.raises(swref.NotConverged, match="non-finite"):
        momentum_flow(cliff, np.zeros((2, 2)), "trace", tau=0.1, t_end=5.0)


WRONG = {
    "steps": (newton_schulz, (np.eye(2), -1), {}),
    "coefficients": (newton_schulz, (np.eye(2), 1, "quartic"), {}),
    "scale": (newton_schulz, (np.eye(2), 1), {"scale": 0.0}),
    "G": (newton_schulz, (np.ones(2), 1), {}),
    "sigma": (response, ([np.nan], 1), {}),
    "S": (potential, (-np.eye(2), 1), {"scale": 1.0}),
    "tau": (momentum_flow, (well(A), start(), "trace"), {"tau": 0.0, "t_end": 1.0}),
    "t_end": (momentum_flow, (well(A), start(), "trace"), {"tau": 1.0, "t_end": -1.0}),
    "momentum": (momentum_flow, (well(A), start(), "trace"), {"tau": 1.0, "t_end": 1.0, "momentum": [1.0]}),
    "energy": (momentum_flow, (None, start(), "trace"), {"tau": 1.0, "t_end": 1.0}),
    "gauge": (momentum_flow, (well(A), start(), "nothing"), {"tau": 1.0, "t_end": 1.0}),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_arguments_are_named(name):
    function, args, options = WRONG[name]
    with pytest.raises(ValueError, match=f"^{name}: "):
        function(*args, **options)


def test_a_degree_that_loses_its_digits_is_refused():
    with pytest.raises(ValueError, match="^steps: "):
        potential(np.eye(2), 6, "quintic", scale=2.0)


def test_inputs_are_not_changed():
    G, x0 = start(4, 3), start()
    copies = G.copy(), x0.copy()
    newton_schulz(G, 2)
    momentum_flow(well(A), x0, "operator", tau=1.0, t_end=0.1)
    assert all(np.array_equal(a, b) for a, b in zip((G, x0), copies, strict=True))


def test_velocities_are_those_of_the_flow():
    run = momentum_flow(well(A), start(), "operator", tau=0.5, t_end=0.01, momentum=start(seed=3), n_snapshots=11)
    slope = (run.positions[2] - run.positions[0]) / 0.002
    assert np.allclose(slope, descent_velocity(run.momenta[1], "operator")[0], rtol=1e-3, atol=1e-3)
