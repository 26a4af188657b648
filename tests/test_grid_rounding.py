"""The bounds of ``dynamic_transport`` in rational arithmetic: certificates recomputed, and tiny problems solved."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import TwoFunctions, seeds

import swref
from swref._rounding import gauge_upper
from swref.grids.bounds import Problem, _inverse_logarithmic_mean, _quadratic_upper
from swref.grids.spacetime import SpaceTime

TRACE, OPERATOR = swref.get_gauge("trace"), swref.get_gauge("operator")
FROBENIUS = swref.get_gauge("schatten", p=2)
exact = np.vectorize(Fraction, otypes=[object])  # floats are rational numbers


def shares(rho):
    """The masses of the cells, which add up to one exactly."""
    rho = exact(np.asarray(rho, float))
    return rho / rho.sum()


def densities(rng, shape, kind):
    if kind == "plain":
        return rng.uniform(0.1, 1, (2, *shape))
    if kind == "decades":
        return 10 ** -rng.uniform(0, 6, (2, *shape))
    rho = rng.uniform(0.1, 1, shape)
    return rho, rho * (1 + {"near 1e-6": 1e-6, "near 1e-13": 1e-13}[kind] * rng.uniform(-1, 1, shape))


KINDS = ["plain", "decades", "near 1e-6", "near 1e-13"]


def tiny_problem(rng, kind, gauge, d=2, n_time=2):
    """A ``Problem`` on a few cells and the exact masses of its ends."""
    shape = (3, 2)[:d]
    grid = SpaceTime(n_time, (*shape, 1)[:2], (0.3, 0.7)[:d] + (1.0,) * (2 - d))
    a, b = (shares(rho) for rho in densities(rng, shape, kind))
    rho0, rho1 = (one.astype(float).reshape(grid.shape) / grid.cell for one in (a, b))
    return Problem(grid, rho0, rho1, gauge, d), a.reshape(grid.shape), b.reshape(grid.shape)


# -- pieces -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape, h", [((3, 2), (0.3, 0.7)), ((4, 1), (0.25, 1.0)), ((2, 5), (0.5, 0.2))])
@pytest.mark.parametrize("n_time", [1, 2, 5])
def test_the_correction_of_a_residual_is_no_larger_than_stated(shape, h, n_time):
    """The nearest solution of A^T rho + B^T m = f, f of mean zero, by a dense pseudo-inverse."""
    grid = SpaceTime(n_time, shape, h)
    unit = np.eye(np.prod(grid.nodes)).reshape(-1, *grid.nodes)
    rows = np.array([np.concatenate([grid.A(phi).ravel(), grid.B(phi).ravel()]) for phi in unit])
    s = np.linalg.svd(rows, compute_uv=False)
    least = s[s > 1e-10 * s[0]].min()
    assert 1 / least <= grid.stability
    assert grid.stability <= 3 / least


def exact_operators(grid):
    """Rows of A and B on flattened potentials, as matrices of mpmath: powers of two in time, the floats h in space."""
    unit = np.eye(np.prod(grid.nodes)).reshape(-1, *grid.nodes)
    steps = [np.array([grid.A(phi).ravel() for phi in unit]).T * grid.dt]
    A = mp.matrix(steps[0].tolist()) / mp.mpf(grid.dt)
    blocks = [A]
    for axis in range(2):
        scaled = np.array([grid.B(phi)[axis].ravel() for phi in unit]).T * grid.h[axis]
        blocks.append(mp.matrix(np.round(scaled * 4).tolist()) / 4 / mp.mpf(grid.h[axis]))
    return blocks


@settings(max_examples=12)
@given(seeds, st.sampled_from(KINDS), st.sampled_from([0.0, 1e-9, 1e-5]))
def test_u_covers_the_action_of_an_exact_solution_near_the_curve(seed, kind, error):
    """The curve, off by up to ``error``, is repaired in 40 digits; its action is then at most U."""
    rng = np.random.default_rng(seed)
    problem, a, b = tiny_problem(rng, kind, TRACE)
    grid = problem.grid
    rho, m = grid.positive_pair(problem.rho0, problem.rho1)
    rho, m = rho * (1 + error * rng.uniform(-1, 1, rho.shape)), m + error * rng.uniform(-1, 1, m.shape)
    with mp.workdps(40):
        A, Bx, By = exact_operators(grid)
        cell = mp.mpf(grid.h[0]) * mp.mpf(grid.h[1])
        ends = [-mp.mpf(x.numerator) / x.denominator / cell / mp.mpf(grid.dt) for x in a.ravel()]
        ends += [mp.mpf(0)] * (rho.size - a.size)
        ends += [mp.mpf(x.numerator) / x.denominator / cell / mp.mpf(grid.dt) for x in b.ravel()]
        parts = [mp.matrix(one.ravel().tolist()) for one in (rho, *m)]
        residual = mp.matrix(ends) - sum(
            (M.T * x for M, x in zip((A, Bx, By), parts, strict=True)), mp.matrix(len(ends), 1)
        )
        gram = sum((M.T * M for M in (A, Bx, By)), mp.matrix(len(ends), len(ends)))
        psi = mp.lu_solve(gram + mp.ones(len(ends)), residual)  # + 1: the constants, orthogonal to the residual
        r, mx, my = (x + M * psi for M, x in zip((A, Bx, By), parts, strict=True))
        action = sum((x * x + y * y) / z for x, y, z in zip(mx, my, r, strict=True)) * cell / grid.n_time
        upper = problem.certified(rho, m)
        assert action <= upper
        if error == 0:
            assert upper <= action * (1 + mp.mpf(1e-6)) + 1e-20


@settings(max_examples=40)
@given(seeds, st.sampled_from(KINDS), st.sampled_from([1, 2]), st.sampled_from([1e-8, 1.0, 1e3]), st.integers(1, 3))
def test_l_is_below_the_value_of_the_shifted_potential(seed, kind, d, size, n_time):
    """Any potentials and metrics, near singular ones among them, shifted by their worst violation as fractions."""
    rng = np.random.default_rng(seed)
    problem, a, b = tiny_problem(rng, kind, TRACE, d, n_time)
    grid = problem.grid
    phi = size * rng.standard_normal(grid.nodes) + rng.choice([0, 1e6]) * size
    lam = rng.choice([1.0, 0.5, 1e-7], (n_time, d))
    lam[:, 0] = 1.0
    turn = np.linalg.qr(rng.standard_normal((n_time, d, d)))[0]
    Q = np.einsum("tij,tj,tkj->tik", turn, lam, turn)
    Q = 0.5 * (Q + np.swapaxes(Q, 1, 2))

    h, dt, exact_phi = exact(np.array(grid.h)), Fraction(1, n_time), exact(phi)
    value = (b * exact_phi[-1]).sum() - (a * exact_phi[0]).sum()
    for k in range(n_time):
        middle, change = (exact_phi[k + 1] + exact_phi[k]) / 2, (exact_phi[k + 1] - exact_phi[k]) / dt
        slopes = [np.apply_along_axis(central, axis, middle) / h[axis] for axis in range(d)]
        q = exact(Q[k])
        if d == 1:
            H = slopes[0] ** 2 / q[0, 0] / 4
        else:
            x, y = slopes
            H = (q[1, 1] * x * x - 2 * q[0, 1] * x * y + q[0, 0] * y * y) / (q[0, 0] * q[1, 1] - q[0, 1] ** 2) / 4
        value -= dt * (change + H).max()
    planar = np.tile(np.eye(2), (n_time, 1, 1))  # on the line, one cell wide, the second direction is idle
    planar[:, :d, :d] = Q
    found = problem.feasible_value(phi, planar)
    assert Fraction(found) <= value
    offset = np.abs(phi).max() * n_time + abs(float(value))
    assert float(value) - found <= 1e-7 * (abs(float(value)) + offset)


def central(values):
    """Half the difference of the neighbours; at the ends, of the cell and its neighbour."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return (padded[2:] - padded[:-2]) / 2


@given(seeds)
def test_the_quadratic_form_is_bounded_from_above(seed):
    """b + any error within ``slope``, at metrics down to 1e-12 from singular."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, np.pi)
    u, v = np.array([np.cos(t), np.sin(t)]), np.array([-np.sin(t), np.cos(t)])
    Q = np.outer(u, u) + 10 ** -rng.uniform(0, 12) * np.outer(v, v)
    Q[1, 0] = Q[0, 1]
    b, slope = rng.standard_normal(2), 1e-9 * rng.uniform(0, 1, 2)
    H = _quadratic_upper(Q[None], b[:, None, None, None], slope)[0, 0, 0]
    q = exact(Q)
    for sign in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        x, y = exact(b) + exact(slope) * np.array(sign)
        value = (q[1, 1] * x * x - 2 * q[0, 1] * x * y + q[0, 0] * y * y) / (q[0, 0] * q[1, 1] - q[0, 1] ** 2) / 4
        assert value <= Fraction(float(H)) if np.isfinite(H) else True
    assert np.isfinite(H)


def test_the_logarithmic_mean_keeps_its_digits_between_unequal_densities():
    with mp.workdps(40):
        for a in (1.0, 0.7, 1 - 1e-5, 0.3, 1e-3, 1e-12, 1e-100):
            found = float(_inverse_logarithmic_mean(np.array(a), np.array(1.0)))
            value = 1 if a == 1 else mp.log(mp.mpf(a)) / (mp.mpf(a) - 1)
            assert abs(found / value - 1) <= 1e-14


# -- answers --------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(seeds, st.sampled_from(KINDS), st.sampled_from([TRACE, OPERATOR, 3 * FROBENIUS, TwoFunctions(FROBENIUS)]))
def test_two_cells_and_one_interval_have_a_rational_value(seed, kind, gauge):
    """One flux F through one face, (m_0 + m_1)/2 = F, m_i in proportion to rho_i: W^2 = 4 F^2 h / (rho_0 + rho_1)."""
    rng = np.random.default_rng(seed)
    rho0, rho1 = densities(rng, (2,), kind)
    rho1 = rho1 * (rho0.sum() / rho1.sum())
    h = float(rng.uniform(0.1, 10))
    result = swref.dynamic_transport(rho0, rho1, gauge, n_time=1, spacing=h, floor=0, tol=1e-6, strict=False)
    a, b, mass = shares(rho0), shares(rho1), exact(rho0).sum() * Fraction(h)
    flux = a[0] - b[0]  # mass that crosses; the densities are a / h
    value = 4 * flux**2 * Fraction(h) ** 2 / 1 / ((a + b) / 2).sum() * mass
    value *= Fraction(gauge.value(np.eye(1)))
    assert Fraction(result.lower_bound) <= value <= Fraction(result.upper_bound)
    if kind == "plain":
        assert result.upper_bound <= float(value) * (1 + 1e-5)


def transport_on_a_line(steps0, steps1):
    """int_0^1 (x1(u) - x0(u))^2 du for quantile functions given as lists of (mass, left end, right end), exactly."""
    total, (p0, l0, r0), (p1, l1, r1) = Fraction(0), steps0.pop(0), steps1.pop(0)
    while True:
        p = min(p0, p1)
        m0, m1 = l0 + (r0 - l0) * (p / p0), l1 + (r1 - l1) * (p / p1)
        start, end = l1 - l0, m1 - m0
        total += p * (start * start + start * end + end * end) / 3
        p0, l0, p1, l1 = p0 - p, m0, p1 - p, m1
        if p0 == 0:
            if not steps0:
                return total
            p0, l0, r0 = steps0.pop(0)
        if p1 == 0:
            p1, l1, r1 = steps1.pop(0)


@settings(max_examples=30)
@given(seeds, st.sampled_from(KINDS), st.integers(2, 6), st.sampled_from([0.0, 0.25]), st.sampled_from([3, 100]))
def test_continuous_bounds_enclose_the_exact_transport_on_a_line(seed, kind, n, floor, max_iter):
    """Densities constant on cells, and atoms at their centres: quantile functions in rational arithmetic."""
    rng = np.random.default_rng(seed)
    rho0, rho1 = densities(rng, (n,), kind)
    rho1 = rho1 * (rho0.sum() / rho1.sum())
    options = {"n_time": 3, "spacing": 0.3, "floor": floor, "max_iter": max_iter, "tol": 1e-5, "strict": False}
    result = swref.dynamic_transport(rho0, rho1, OPERATOR, **options)
    h, mass = Fraction(0.3), exact(rho0).sum() * Fraction(0.3)
    ends = [(1 - Fraction(floor)) * shares(rho) + Fraction(floor) / n for rho in (rho0, rho1)]
    cells = ([(p, k * h, (k + 1) * h) for k, p in enumerate(one)] for one in ends)
    atoms = ([(p, k * h, k * h) for k, p in enumerate(one)] for one in ends)
    assert Fraction(result.continuous_upper) >= transport_on_a_line(*cells) * mass
    assert Fraction(result.continuous_lower) <= transport_on_a_line(*atoms) * mass
    assert result.lower_bound <= result.upper_bound


def test_densities_equal_as_given_are_at_distance_zero_and_others_are_not():
    """A difference of one unit in the last place may be lost in the normalisation, but not by the bounds."""
    rho = np.array([0.3, 0.5, 0.2])
    other = rho.copy()
    other[0] = np.nextafter(rho[0], 1)
    assert swref.dynamic_transport(rho, rho, TRACE).upper_bound == 0
    result = swref.dynamic_transport(rho, other, TRACE)
    assert 0 == result.lower_bound < result.upper_bound < 1e-13
    assert result.continuous_upper > 0


def test_when_rounding_is_what_prevents_the_tolerance_the_status_says_so():
    rho0, rho1 = np.array([1, 1e-8]), np.array([0.5, 0.50000001])
    with pytest.raises(swref.NotConverged, match=r"\(rounding: .*: densities from 1e-08 to 1 ") as caught:
        swref.dynamic_transport(rho0, rho1, TRACE, n_time=3, floor=0, tol=1e-13)
    assert caught.value.result.status == "rounding"
    assert 0 < caught.value.result.relative_gap < 1e-12


def test_a_moment_rounded_in_many_sums_is_raised():
    rng = np.random.default_rng(0)
    v = rng.standard_normal((2, 5000))
    S = v @ v.T
    with mp.workdps(30):
        e = mp.mpf(0.5) * 5004 * np.finfo(float).eps
        worse = mp.matrix(S.tolist()) * (1 + e)
        assert max(mp.eigsy(worse, eigvals_only=True)) <= gauge_upper(OPERATOR, S, 5000)
