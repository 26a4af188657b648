"""``dynamic_transport`` against eigh, dense matrices, CVXPY, the static solver, closed forms and quantiles."""

from itertools import pairwise

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import TwoFunctions, orthogonal, seeds

import swref
from swref.grids.bounds import Problem, _inverse_logarithmic_mean
from swref.grids.distance import _Admm
from swref.grids.kernels import psd_part
from swref.grids.spacetime import SpaceTime

TRACE, OPERATOR = swref.get_gauge("trace"), swref.get_gauge("operator")
FROBENIUS = swref.get_gauge("schatten", p=2)
GAUGES = {"1": TRACE, "2": FROBENIUS, "inf": OPERATOR}


def blob(shape, center, width):
    """A Gaussian bump (one axis or two) on [0, 1]^d, of mean one."""
    axes = [(np.arange(n) + 0.5) / n for n in shape]
    factors = [np.exp(-0.5 * ((x - c) / w) ** 2) for x, c, w in zip(axes, center, width, strict=True)]
    rho = factors[0] if len(factors) == 1 else factors[0][:, None] * factors[1]
    return rho / rho.mean()


def two_blobs(n):
    """Two bumps each, which no translation moves into each other."""
    rho0 = blob((n, n), (0.3, 0.35), (0.1, 0.09)) + 0.6 * blob((n, n), (0.6, 0.3), (0.08, 0.1))
    rho1 = blob((n, n), (0.65, 0.65), (0.11, 0.08)) + 0.8 * blob((n, n), (0.35, 0.7), (0.09, 0.09))
    return rho0 / rho0.mean(), rho1 / rho1.mean()


def solve(rho0, rho1, gauge, **options):
    return swref.dynamic_transport(rho0, rho1, gauge, **({"n_time": 8, "strict": False} | options))


def mixed(rho, floor=1e-3):
    return (1 - floor) * rho + floor * rho.mean()


def static(rho0, rho1, gauge, tol=1e-4, stretch=(1.0, 1.0)):
    """The bracket of atoms at the cell centres of a rectangle, by the static solver."""
    n, m = rho0.shape
    axes = (np.arange(n) + 0.5) / n * stretch[0], (np.arange(m) + 0.5) / m * stretch[1]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    a, b = (mixed(rho).ravel() / rho.sum() for rho in (rho0, rho1))
    return swref.transport(x, x, gauge, a, b, tol=tol)


def differences(n, h):
    """The central difference matrix of cell values, with constant continuation at both ends."""
    D = (np.eye(n, k=1) - np.eye(n, k=-1)) / (2 * h)
    D[0, 0] -= 1 / (2 * h)
    D[-1, -1] += 1 / (2 * h)
    return D if n > 1 else np.zeros((1, 1))


def gradients(shape, h):
    """d dense matrices (cells, cells): the central differences of flattened cell values along each axis."""
    if len(shape) == 1:
        return [differences(shape[0], h[0])]
    Dx, Dy = (differences(n, step) for n, step in zip(shape, h, strict=True))
    return [np.kron(Dx, np.eye(shape[1])), np.kron(np.eye(shape[0]), Dy)]


def assert_certified(result, rho0, rho1, gauge, spacing=None, floor=1e-3):
    """Both bounds, recomputed here from what is returned, with dense matrices for the differences."""
    shape, d, n_time = rho0.shape, rho0.ndim, len(result.times)
    h = np.broadcast_to(1 / max(shape) if spacing is None else spacing, (d,))
    cell, dt, D = np.prod(h), 1 / n_time, gradients(shape, h)
    rho0, rho1 = (mixed(np.asarray(rho, float), floor).ravel() for rho in (rho0, rho1))
    rho, phi = result.density.reshape(n_time, -1), result.potential.reshape(n_time + 1, -1)
    m = result.momentum.reshape(n_time, -1, d)
    side, mass = max(np.multiply(shape, h)), rho0.sum() * cell

    # U: the continuity equation between midpoints of intervals, half a step at the ends; no flux leaves.
    out = -sum(m[..., k] @ D[k] for k in range(d))
    scale = np.abs(np.diff([rho0, rho1], axis=0)).max() / dt + rho0.max() + np.abs(out).max()
    assert np.abs((rho[0] - rho0) * 2 / dt + out[0]).max() <= 1e-10 * scale
    assert np.abs((rho1 - rho[-1]) * 2 / dt + out[-1]).max() <= 1e-10 * scale
    assert np.abs(np.diff(rho, axis=0) / dt + 0.5 * (out[1:] + out[:-1])).max() <= 1e-10 * scale
    assert (rho >= 0).all()
    S = np.einsum("txa,txb,tx->tab", m, m, 1 / rho) * cell
    np.testing.assert_allclose(result.moment, S.mean(0), rtol=1e-9, atol=1e-12 * side**2 * mass)
    action = np.mean([gauge.value(one) for one in S])
    assert action <= result.upper_bound <= action * (1 + 1e-5)  # what the residual, of rounding, costs at most

    # L: a feasible potential and metrics in K.
    grad = np.stack([0.5 * (phi[1:] + phi[:-1]) @ D[k].T for k in range(d)], -1)
    H = 0.25 * np.einsum("txa,tab,txb->tx", grad, np.linalg.inv(result.metrics), grad)
    assert (np.diff(phi, axis=0) / dt + H).max() <= 1e-9 * max(side**2, H.max())
    value = cell * (rho1 @ phi[-1] - rho0 @ phi[0])
    assert result.lower_bound == pytest.approx(max(value, 0), rel=1e-9, abs=1e-12 * side**2 * mass)
    for Q in result.metrics:
        assert gauge.polar(Q) <= 1 + 1e-8
    np.testing.assert_allclose(result.metric, result.metrics.mean(0), rtol=1e-12)
    assert 0 <= result.lower_bound <= result.upper_bound == result.squared_distance
    assert result.distance == pytest.approx(np.sqrt(result.upper_bound))
    assert result.relative_gap == pytest.approx(1 - result.lower_bound / result.upper_bound, abs=1e-12)


# -- pieces -------------------------------------------------------------------------------------------------------


@given(seed=seeds, eigenvalues=st.tuples(*[st.sampled_from([-2.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 3.0])] * 3))
def test_the_projection_of_3_x_3_matrices_is_that_of_eigh(seed, eigenvalues):
    lam = np.array(eigenvalues)
    U = orthogonal(3, seed)
    Y = (U * lam) @ U.T
    Y = (Y + Y.T) / 2
    w, V = np.linalg.eigh(Y)
    exact = (V * np.maximum(w, 0)) @ V.T
    found = np.array(psd_part(Y[0, 0], Y[0, 1], Y[1, 1], Y[0, 2], Y[1, 2], Y[2, 2]))
    # Where two eigenvalues meet, the cubic has a double root: half of the digits.
    meet = min(np.diff(np.sort(lam))) < 1e-2
    np.testing.assert_allclose(found, exact[[0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]], atol=1e-7 if meet else 1e-12)


@pytest.mark.parametrize("shape", [(7, 5), (6, 1), (2, 9)])
def test_operators_are_adjoint_and_the_space_time_solve_inverts_them(shape):
    grid = SpaceTime(4, shape, (0.3, 0.7))
    rng = np.random.default_rng(0)
    phi, rho = rng.standard_normal(grid.nodes), rng.standard_normal(grid.intervals)
    m = rng.standard_normal((2, *grid.intervals))
    assert np.vdot(grid.A(phi), rho) == pytest.approx(np.vdot(phi, grid.At(rho)), rel=1e-10)
    assert np.vdot(grid.B(phi), m) == pytest.approx(np.vdot(phi, grid.Bt(m)), rel=1e-10)
    D = differences(shape[0], 0.3)
    np.testing.assert_allclose(grid.B(phi)[0], np.einsum("ij,tjk->tik", D, 0.5 * (phi[1:] + phi[:-1])), atol=1e-13)
    phi -= phi.mean()
    image = 0.7 * grid.At(grid.A(phi)) + 0.2 * grid.Bt(grid.B(phi))
    back = grid.solve(image, 0.7, 0.2)
    np.testing.assert_allclose(back - back.mean(), phi - phi.mean(), atol=1e-10 * np.abs(phi).max())


def test_projections_and_the_positive_pair_solve_the_continuity_equation():
    grid = SpaceTime(6, (9, 8), (1 / 9, 1 / 8))
    rng = np.random.default_rng(1)
    rho0, rho1 = rng.uniform(1e-4, 1, (2, 9, 8)) ** 4
    rho1 *= rho0.sum() / rho1.sum()
    g = grid.ends(rho0, rho1)
    rho, m = rng.uniform(0, 1, grid.intervals), rng.standard_normal((2, *grid.intervals))
    pairs = grid.project(rho, m, g), grid.weighted_project(rho, m, g), grid.positive_pair(rho0, rho1)
    for pair in pairs:
        assert np.abs(grid.residual(*pair, g)).max() <= 1e-10 * np.abs(g).max()
    assert (pairs[2][0] > 0).all()
    # Weighted: cheaper in the metric 1/rho than the Euclidean projection.
    W = rho + 1e-3 * rho.mean()
    costs = [(((r - rho) ** 2 + ((q - m) ** 2).sum(0)) / W).sum() for r, q in pairs[:2]]
    assert costs[1] < costs[0]


@pytest.mark.parametrize("Q", [[[0.6, 0.2], [0.2, 0.7]], [[0.5, 0.5], [0.5, 0.5]], [[0.3, 0.0], [0.0, 0.7]]])
def test_the_bound_for_atoms_is_that_of_the_two_hopf_lax_steps_over_all_cells(Q):
    rng, Q = np.random.default_rng(2), np.array(Q)
    grid = SpaceTime(2, (5, 4), (0.3, 0.2))
    rho0, rho1 = (rho / rho.sum() / grid.cell for rho in rng.uniform(0.1, 1, (2, 5, 4)))
    problem = Problem(grid, rho0, rho1, OPERATOR, 2)
    x = np.stack(np.meshgrid(0.3 * np.arange(5), 0.2 * np.arange(4), indexing="ij"), -1).reshape(-1, 2)
    steps = x[:, None] - x
    costs = np.einsum("ija,ab,ijb->ij", steps, Q, steps)
    plan = swref.exact_transport(x, x, grid.cell * rho0.ravel(), grid.cell * rho1.ravel(), metric=Q)
    for phi in (0.01 * rng.standard_normal((5, 4)), plan.potentials[1].reshape(5, 4)):
        first = (phi.ravel() - costs).max(1)
        last = (first[:, None] + costs).min(0)
        expected = grid.cell * (rho1.ravel() @ last - rho0.ravel() @ first) / OPERATOR.polar(Q)
        assert problem.atoms_lower(phi, Q) == pytest.approx(max(expected, 0), abs=1e-13)
    assert problem.atoms_lower(phi, Q) == pytest.approx(plan.lower_bound / OPERATOR.polar(Q), abs=1e-13)
    assert plan.lower_bound > 1e-3


def test_the_logarithmic_mean_is_the_mean_of_the_inverse():
    t, w = np.polynomial.legendre.leggauss(200)
    for a, b in ((1.0, 2.0), (1.0, 1.0), (1.0, 1 + 1e-3), (0.05, 1.0)):
        assert _inverse_logarithmic_mean(a, b) == pytest.approx((w / (a + (b - a) * (t + 1) / 2)).sum() / 2, rel=1e-10)


def test_the_exact_cost_of_a_curve_is_its_integral():
    """Fluxes linear across cells, densities linear in time, by Gauss quadrature of m m^T / rho."""
    grid, (hx, hy) = SpaceTime(2, (3, 2), (0.5, 0.3)), (0.5, 0.3)
    rng = np.random.default_rng(4)
    rho0, m = rng.uniform(2, 3, (3, 2)), 0.1 * rng.standard_normal((2, 2, 3, 2))
    t, w = np.polynomial.legendre.leggauss(20)
    t, w = (t + 1) / 2, w / 2
    S, rho = np.zeros((2, 2)), rho0
    for k in range(2):
        Fx, Fy = np.zeros((4, 2)), np.zeros((3, 3))
        Fx[1:-1], Fy[:, 1:-1] = (m[0, k, 1:] + m[0, k, :-1]) / 2, (m[1, k, :, 1:] + m[1, k, :, :-1]) / 2
        after = rho - 0.5 * ((Fx[1:] - Fx[:-1]) / hx + (Fy[:, 1:] - Fy[:, :-1]) / hy)
        for ts, wt in zip(t, w, strict=True):
            for x, wx in zip(t, w, strict=True):
                mx = (1 - x) * Fx[:-1] + x * Fx[1:]
                for y, wy in zip(t, w, strict=True):
                    v = np.array([mx, (1 - y) * Fy[:, :-1] + y * Fy[:, 1:]])
                    S += 0.5 * wt * wx * wy * hx * hy * np.einsum("aij,bij->ab", v, v / ((1 - ts) * rho + ts * after))
        rho = after
    problem = Problem(grid, rho0, rho, OPERATOR, 2)
    nodes = problem._node_densities(m)
    np.testing.assert_allclose(nodes[-1], rho)
    np.testing.assert_allclose(problem._exact_moment(nodes, m), S, rtol=1e-10, atol=1e-16)
    cost = OPERATOR.value(S)
    assert cost <= problem._exact_cost(nodes, m) <= (np.sqrt(cost) + 1e-6) ** 2


def test_no_more_of_the_positive_pair_than_needed():
    """Atoms: the projected iterate is far from positive. The mixture found is near the best of a fine scan."""
    n = 12
    rho0, rho1 = np.full((2, n, n), 1e-3)
    rho0[3, 3] = rho1[8, 3] = n * n * (1 - 1e-3) + 1e-3
    grid = SpaceTime(6, (n, n), (1 / n, 1 / n))
    problem = Problem(grid, rho0, rho1, OPERATOR, 2)
    safe, admm = problem.safe, _Admm(problem)
    for _ in range(60):
        admm.step()
    upper, sharp, (rho, m) = problem.upper(*admm.pair())
    assert (rho > 0).all()
    assert problem.action(problem.moments(rho, m)) == sharp <= upper
    rho, m = grid.weighted_project(*admm.pair(), grid.ends(rho0, rho1))
    assert rho.min() < 0
    shares = np.linspace(0, 1, 1001)
    pairs = [((1 - s) * rho + s * safe[0], (1 - s) * m + s * safe[1]) for s in shares]
    least = min(problem.action(problem.moments(*pair)) for pair in pairs if (pair[0] > 0).all())
    assert upper <= 1.05 * least


# -- the answer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", ["1", "2", "inf"])
def test_the_bounds_meet_and_agree_with_the_static_solver(p):
    rho0, rho1 = two_blobs(24)
    result = swref.dynamic_transport(rho0, rho1, GAUGES[p], n_time=12, tol=5e-3, max_iter=1500)
    assert_certified(result, rho0, rho1, GAUGES[p])
    assert result.status == "converged"
    assert result.relative_gap <= 5e-3
    plan = static(rho0, rho1, GAUGES[p])
    assert result.upper_bound == pytest.approx(plan.upper_bound, rel=0.02)
    assert result.continuous_lower <= plan.upper_bound
    assert 0.97 * plan.upper_bound <= result.continuous_lower <= result.continuous_upper
    assert result.continuous_upper >= 0.99 * plan.lower_bound  # cells are not atoms: their spread is at most h


@pytest.mark.parametrize("p", ["1", "2", "inf"])
def test_bounds_hold_after_three_iterations(p):
    rho0, rho1 = two_blobs(16)
    result = solve(rho0, rho1, GAUGES[p], max_iter=3)
    assert result.status == "max_iter"
    assert result.iterations == 3
    assert_certified(result, rho0, rho1, GAUGES[p])
    exact = solve(rho0, rho1, GAUGES[p], tol=5e-3, max_iter=1500)
    assert result.lower_bound <= exact.upper_bound
    assert result.upper_bound >= exact.lower_bound
    assert len(result.history) == 2


def test_a_translation_costs_its_length():
    n, shift = 24, 8 / 24
    rho0, rho1 = blob((n, n), (1 / 3, 0.5), (0.08, 0.08)), blob((n, n), (2 / 3, 0.5), (0.08, 0.08))
    for gauge in (TRACE, 3 * OPERATOR):
        exact = gauge.value(np.diag([shift**2, 0]))
        result = solve(rho0, rho1, gauge, floor=1e-4, n_time=10)
        assert_certified(result, rho0, rho1, gauge, floor=1e-4)
        assert result.squared_distance == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("p", ["1", "2", "inf"])
def test_gaussians_have_their_closed_value(p):
    n = 24
    (m0, s0), (m1, s1) = (((0.42, 0.45), (0.07, 0.12)), ((0.6, 0.5), (0.12, 0.08)))
    rho0, rho1 = blob((n, n), m0, s0), blob((n, n), m1, s1)
    exact = swref.gaussian_transport(m0, np.diag(np.square(s0)), m1, np.diag(np.square(s1)), GAUGES[p])
    result = solve(rho0, rho1, GAUGES[p], floor=1e-4, n_time=12, tol=8e-3)
    assert result.squared_distance == pytest.approx(exact.squared_distance, rel=0.02)


def test_monotone_in_p_and_between_the_comparison_bounds():
    rho0, rho1 = two_blobs(16)
    results = [solve(rho0, rho1, swref.get_gauge("schatten", p=p), n_time=6) for p in (1, 1.5, 3, np.inf)]
    for larger, smaller in pairwise(results):
        assert smaller.lower_bound <= larger.upper_bound
    assert results[-1].upper_bound >= results[0].lower_bound / 2


def test_one_dimension_is_quantiles_for_every_gauge():
    n = 64
    rho0, rho1 = blob((n,), (0.3,), (0.08,)), blob((n,), (0.65,), (0.12,)) + 0.5 * blob((n,), (0.3,), (0.05,))
    rho0, rho1 = rho0 / rho0.mean(), rho1 / rho1.mean()
    u = (np.arange(10**5) + 0.5) / 10**5
    x = np.arange(n + 1) / n
    F0, F1 = (np.append(0, np.cumsum(mixed(rho))) / rho.sum() for rho in (rho0, rho1))
    exact = np.mean((np.interp(u, F1, x) - np.interp(u, F0, x)) ** 2)
    for gauge in (TRACE, FROBENIUS, OPERATOR, swref.get_gauge("kyfan", k=1)):
        result = solve(rho0, rho1, gauge, tol=2e-3, n_time=24)
        assert_certified(result, rho0, rho1, gauge)
        assert result.status == "converged"
        assert result.squared_distance == pytest.approx(exact, rel=0.01)
        assert exact <= result.continuous_upper <= 1.05 * exact
    assert result.moment.shape == (1, 1)
    assert result.density.shape == (24, n)
    assert result.momentum.shape == (24, n, 1)


def conic_value(rho0, rho1, h, n_time, kind):
    """The discrete problem with dense differences, as one conic program: a 3 x 3 matrix per interval, m_i^2 / rho_i."""
    shape, dt, cell = rho0.shape, 1 / n_time, h[0] * h[1]
    Dx, Dy = gradients(shape, h)
    n = rho0.size
    rho, mx, my = (cp.Variable((n_time, n)) for _ in range(3))
    out = [-(Dx.T @ mx[k] + Dy.T @ my[k]) for k in range(n_time)]
    constraints = [rho[0] == rho0.ravel() - dt / 2 * out[0], rho[-1] == rho1.ravel() + dt / 2 * out[-1]]
    constraints += [rho[k + 1] == rho[k] - dt / 2 * (out[k] + out[k + 1]) for k in range(n_time - 1)]
    cost = 0
    for k in range(n_time):
        total = 0
        for i in range(n):
            X = cp.Variable((3, 3), PSD=True)
            constraints += [X[0, 2] == mx[k, i], X[1, 2] == my[k, i], X[2, 2] == rho[k, i]]
            total = total + X[:2, :2]
        cost += {"1": cp.trace, "2": lambda S: cp.norm(S, "fro"), "inf": cp.lambda_max}[kind](total) * dt * cell
    problem = cp.Problem(cp.Minimize(cost), constraints)
    problem.solve(solver=cp.CLARABEL)
    return problem.value


@pytest.mark.parametrize("p", ["1", "2", "inf"])
def test_the_conic_program_of_the_discrete_problem_lies_between_the_bounds(p):
    rng = np.random.default_rng(3)
    rho0, rho1 = rng.uniform(0.3, 1, (2, 4, 3))
    rho1 *= rho0.sum() / rho1.sum()
    h = (0.5, 0.3)
    value = conic_value(rho0, rho1, h, 3, p)
    result = solve(rho0, rho1, GAUGES[p], n_time=3, spacing=h, floor=0, tol=1e-3, max_iter=5000)
    assert_certified(result, rho0, rho1, GAUGES[p], spacing=h, floor=0)
    assert result.relative_gap <= 1e-3
    assert result.lower_bound <= value * (1 + 1e-6)
    assert result.upper_bound >= value * (1 - 1e-6)


def test_a_plugin_with_two_functions_gets_the_same_value():
    rho0, rho1 = two_blobs(12)
    for gauge in (FROBENIUS, OPERATOR, TRACE + OPERATOR):
        plugin, built_in = (solve(rho0, rho1, one, n_time=4, tol=1e-2) for one in (TwoFunctions(gauge), gauge))
        assert_certified(plugin, rho0, rho1, gauge)
        assert plugin.status == built_in.status == "converged"
        assert plugin.lower_bound <= built_in.upper_bound
        assert built_in.lower_bound <= plugin.upper_bound


def test_the_size_of_the_gauge_does_not_matter():
    """W^2 and Q grow with the gauge, the curve does not; a power of two rounds nothing."""
    rho0, rho1 = two_blobs(12)
    plain, large = (solve(rho0, rho1, gauge, max_iter=60) for gauge in (OPERATOR, 2.0**100 * OPERATOR))
    assert large.upper_bound == pytest.approx(2.0**100 * plain.upper_bound, rel=1e-13)
    np.testing.assert_allclose(large.metrics, 2.0**100 * plain.metrics, rtol=1e-13)
    np.testing.assert_allclose(large.potential, 2.0**100 * plain.potential, rtol=1e-13)
    np.testing.assert_allclose(large.moment, plain.moment, rtol=1e-13)
    np.testing.assert_allclose(large.momentum, plain.momentum, rtol=1e-13)


def test_the_saddle_is_found():
    """The bracket closes on gamma of the moment = <Q, moment>, with Q in K."""
    rho0, rho1 = two_blobs(16)
    result = solve(rho0, rho1, OPERATOR, tol=1e-2)
    lam = np.linalg.eigvalsh(result.moment)
    assert np.vdot(result.metric, result.moment) == pytest.approx(lam[-1], rel=0.02)


# -- data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mass, length", [(2.0**-498, 2.0**332), (2.0**498, 2.0**-332)])
def test_scale_does_not_matter(mass, length):
    """Powers of two near 1e150 and 1e100, which round nothing: every digit must be the same."""
    rho0, rho1 = two_blobs(12)
    h = np.array([1 / 12, 1 / 10])
    options = {"n_time": 4, "max_iter": 50}
    plain = solve(rho0, rho1, FROBENIUS, spacing=h, **options)
    heavy = solve(rho0 * mass, rho1 * mass, FROBENIUS, spacing=h, **options)
    for name in ("squared_distance", "lower_bound", "continuous_lower", "continuous_upper", "density", "momentum"):
        np.testing.assert_allclose(getattr(heavy, name), mass * getattr(plain, name), rtol=1e-13)
    assert heavy.distance == pytest.approx(np.sqrt(mass) * plain.distance, rel=1e-13)
    wide = solve(rho0, rho1, FROBENIUS, spacing=h * length, **options)
    assert wide.distance == pytest.approx(length**2 * plain.distance, rel=1e-13)  # mass too grows by length^2
    np.testing.assert_allclose(wide.momentum / length, plain.momentum, rtol=1e-13)
    np.testing.assert_allclose(wide.potential / length**2, plain.potential, rtol=1e-13)
    np.testing.assert_allclose(wide.metrics, plain.metrics, rtol=1e-13)
    assert wide.relative_gap == plain.relative_gap


def test_the_answer_survives_where_its_square_does_not():
    rho0, rho1 = two_blobs(12)
    plain = solve(rho0, rho1, TRACE)
    for mass, length in ((1e-150, 1e-100), (1e150, 1e80)):
        result = solve(mass * rho0, mass * rho1, TRACE, spacing=length / 12)
        assert result.status == "converged"
        exact = np.sqrt(mass) * length * length * plain.distance
        assert result.distance == pytest.approx(exact, rel=plain.relative_gap)
        assert not np.isnan(result.density).any()


def test_cells_need_not_be_square():
    rho0, rho1 = two_blobs(16)
    h = [2 / 16, 1 / 16]
    result = solve(rho0, rho1, FROBENIUS, spacing=h, n_time=12)
    assert_certified(result, rho0, rho1, FROBENIUS, spacing=h)
    exact = static(rho0, rho1, FROBENIUS, stretch=[2.0, 1.0])
    assert result.upper_bound / 2 == pytest.approx(exact.upper_bound, rel=0.03)  # of mass 2


def test_identical_densities_are_at_distance_zero():
    rho, _ = two_blobs(12)
    for gauge in GAUGES.values():
        result = swref.dynamic_transport(rho, rho, gauge)
        assert (result.distance, result.lower_bound, result.upper_bound, result.relative_gap) == (0, 0, 0, 0)
        assert result.status == "converged"
        assert result.iterations == 0
        assert not result.momentum.any()
        assert result.continuous_lower == result.continuous_upper == 0
        np.testing.assert_allclose(result.density, np.broadcast_to(mixed(rho), (16, 12, 12)), rtol=1e-13)


def test_the_floor_is_a_mixture_and_lowers_the_value_by_at_least_its_share():
    rho0, rho1 = two_blobs(16)
    low, high = (solve(rho0, rho1, TRACE, floor=f, tol=1e-3) for f in (0.01, 0.1))
    assert high.lower_bound <= (1 - 0.09 / 0.99) * low.upper_bound
    assert low.floored == pytest.approx(0.01)
    exact = solve(mixed(rho0, 0.1), mixed(rho1, 0.1), TRACE, floor=0, tol=1e-3)
    assert exact.upper_bound == pytest.approx(high.upper_bound, rel=1e-6)


def test_inputs_are_not_modified_and_single_precision_is_accepted():
    rho0, rho1 = (rho.astype(np.float32) for rho in two_blobs(12))
    rho1 = rho1 * (rho0.sum(dtype=float) / rho1.sum(dtype=float))
    before = rho0.copy(), rho1.copy()
    single = solve(rho0, rho1, TRACE, max_iter=30)
    assert (rho0 == before[0]).all()
    assert (rho1 == before[1]).all()
    double = solve(rho0.astype(float), rho1.astype(float), TRACE, max_iter=30)
    assert single.upper_bound == double.upper_bound
    assert single.density.dtype == float


def test_a_missed_tolerance_raises_with_the_result():
    rho0, rho1 = two_blobs(12)
    with pytest.raises(swref.NotConverged, match="30 iterations") as error:
        swref.dynamic_transport(rho0, rho1, TRACE, max_iter=30, tol=1e-9)
    assert error.value.result.status == "max_iter"
    assert_certified(error.value.result, rho0, rho1, TRACE)


def test_interrupts_keep_the_bounds(monkeypatch):
    rho0, rho1 = two_blobs(12)
    step = _Admm.step

    def interrupted(self):
        if self.iterations == 30:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(_Admm, "step", interrupted)
    result = solve(rho0, rho1, TRACE)
    assert result.status == "interrupted"
    assert result.iterations == 30
    assert_certified(result, rho0, rho1, TRACE)
    with pytest.raises(swref.NotConverged, match="interrupted"):
        swref.dynamic_transport(rho0, rho1, TRACE)


def test_progress_and_what_a_result_shows(capsys):
    result = solve(*two_blobs(12), TRACE, max_iter=60, progress=True)
    assert "60 iterations" in capsys.readouterr().err
    assert "max_iter after 60 iterations" in repr(result)
    assert "mass in the floor" in result._repr_html_()


def test_bad_input_is_named():
    rho = np.ones((4, 4))
    other = np.eye(4) * 4
    bad = [
        ((rho, np.ones((4, 5)), TRACE), {}, "rho1: expected shape"),
        ((np.ones((2, 2, 2)), rho, TRACE), {}, "rho0: expected 1 or 2 axes"),
        ((np.array(1.0), rho, TRACE), {}, "rho0: expected 1 or 2 axes"),
        ((rho, -other, TRACE), {}, "rho1: must be nonnegative, got -4"),
        ((rho * np.nan, other, TRACE), {}, "rho0: must be finite"),
        ((rho, other * 2, TRACE), {}, "masses must be equal, got sums 16 and 32"),
        ((rho * 0, rho * 0, TRACE), {}, "rho0: its mass is zero"),
        ((rho, other, TRACE), {"spacing": [1, 2, 3]}, "spacing"),
        ((rho, other, TRACE), {"spacing": 0}, "spacing"),
        ((rho, other, TRACE), {"floor": 1}, "floor"),
        ((rho, other, TRACE), {"floor": -0.1}, "floor"),
        ((rho, other, TRACE), {"n_time": 0}, "n_time"),
        ((rho, other, TRACE), {"n_time": 2.5}, "n_time"),
        ((rho, other, TRACE), {"tol": 0}, "tol"),
        ((rho, other, TRACE), {"max_iter": 0}, "max_iter"),
        ((rho, other, swref.get_gauge("linear", Q0=np.eye(3))), {}, "gauge"),
        ((rho, other, "root-schatten"), {}, "convex"),
    ]
    for arguments, options, message in bad:
        with pytest.raises(ValueError, match=message):
            swref.dynamic_transport(*arguments, **options)


def test_the_displacement_estimate_has_the_size_of_a_translation():
    grid = SpaceTime(4, (24, 24), (1 / 24, 1 / 24))
    rho0, rho1 = blob((24, 24), (0.4, 0.3), (0.05, 0.05)), blob((24, 24), (0.7, 0.7), (0.05, 0.05))
    assert Problem(grid, rho0, rho1, TRACE, 2).displacement() == pytest.approx(0.5, rel=0.01)
