"""The dynamic problem on the circle: a second route to ``spherical_transport`` that shares nothing with it."""

import numpy as np
import pytest

import swref
from swref.experiments import circle

EXPONENTS = (1, 2, np.inf)


def gauge_of(p):
    return swref.get_gauge("schatten", p=p)


def test_the_operators_are_adjoint_and_the_solve_is_exact():
    rng, grid = np.random.default_rng(0), circle._Circle(6, 9)
    phi, rho, m = (rng.standard_normal(shape) for shape in (grid.nodes, grid.intervals, (2, *grid.intervals)))
    assert np.isclose(np.vdot(grid.B(phi), m), np.vdot(phi, grid.Bt(m)), rtol=1e-12)
    assert np.isclose(np.vdot(grid.A(phi), rho), np.vdot(phi, grid.At(rho)), rtol=1e-12)
    psi = grid.solve(phi, 0.7, 0.3)
    assert np.allclose(0.7 * grid.At(grid.A(psi)) + 0.3 * grid.Bt(grid.B(psi)), phi, atol=1e-12)


def test_the_equation_is_that_of_a_known_growth_and_a_known_turn():
    n, grid = 16, circle._Circle(50, 16)
    b, start = 0.3, circle.bump(n)
    times = grid.midpoints[:, None]
    rho = start * np.exp(2 * b * times)  # d rho/dt = 2 b rho, u = b w
    m = b * rho[..., None] * circle.directions(n)
    ends = grid.ends(start[:, None], start[:, None] * np.exp(2 * b))
    residual = grid.residual(rho[..., None], np.moveaxis(m, 2, 0)[..., None], ends)
    assert np.abs(residual[1:-1]).max() <= 1e-3 * start.max()

    # Turning at unit speed, d rho/dt = -rho':
    turned = circle.bump(256, angle=0.5), circle.bump(256, angle=0.5 + 1e-4)
    fine, w = circle._Circle(1, 256), circle.directions(256)
    across = np.column_stack([-w[:, 1], w[:, 0]]) * turned[0][:, None]
    change = (turned[1] - turned[0]) / 1e-4
    flux = fine.Bt(across.T[:, None, :, None])[:, :, 0].sum(0)
    assert np.abs(flux - change).max() <= 2e-3 * np.abs(change).max()


@pytest.mark.parametrize("name", circle.PAIRS)
@pytest.mark.parametrize("p", EXPONENTS)
def test_static_and_dynamic_distances_agree(name, p):
    ends = circle.pair(name, 64)
    plan, flow = circle.planned(*ends, gauge_of(p)), circle.flowing(*ends, gauge_of(p), n_time=32, max_iter=600)
    assert plan.relative_gap <= 1e-6
    assert flow.atoms_lower <= plan.upper_bound
    assert flow.atoms_lower >= 0.99 * plan.upper_bound
    assert abs(flow.upper / plan.upper_bound - 1) <= 5e-3  # one from the grid's error, one from the gap
    assert flow.lower <= flow.upper
    if p < np.inf:
        assert flow.upper - flow.lower <= 2e-3 * flow.upper
        assert flow.lower >= 0.99 * plan.lower_bound


@pytest.mark.parametrize("p", [1, 2])
def test_any_potential_bounds_the_value(p):
    ends, gauge, grid = circle.pair("near", 32), gauge_of(p), circle._Circle(8, 32)
    fine = circle.flowing(*ends, gauge, n_time=8, tol=1e-3)
    assert fine.upper - fine.lower <= 1e-3 * fine.upper
    sides = grid.ends(*(rho[:, None] for rho in ends))
    admm = circle._Admm(grid, sides, gauge)
    for _ in range(150):
        admm.step()
    Q = admm.Q[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    for factor in (1, 1.02, 1.1, 1.5):  # all but the first break the inequality by much
        bound = circle._lower(grid, sides, gauge, factor * admm.phi, Q)
        assert 0 <= bound <= fine.upper
    assert circle._lower(grid, sides, gauge, admm.phi, Q) > 0.98 * fine.lower


def test_the_difference_is_the_grid():
    errors = []
    for n in (32, 64):
        ends = circle.pair("far", n)
        flow = circle.flowing(*ends, gauge_of(1), n_time=n // 2, tol=1e-3)
        errors.append(1 - flow.upper / circle.planned(*ends, gauge_of(1)).upper_bound)
    assert 0 < 3 * errors[1] < errors[0]


@pytest.mark.parametrize("p", EXPONENTS)
def test_uniform_densities_grow_where_they_are(p):
    n = 24
    ends = np.full(n, 1 / (2 * np.pi)), np.full(n, 2 / (2 * np.pi))
    exact = (np.sqrt(2) - 1) ** 2 * gauge_of(p).value(np.eye(2) / 2)
    assert np.isclose(circle.planned(*ends, gauge_of(p), tol=1e-8).upper_bound, exact, rtol=1e-7)
    flow = circle.flowing(*ends, gauge_of(p), n_time=16, tol=5e-3)
    assert flow.lower <= exact * 1.001
    assert abs(flow.upper / exact - 1) <= 5e-3


def test_the_flow_proves_its_upper_bound():
    n, n_time = 32, 16
    ends, gauge = circle.pair("near", n), gauge_of(2)
    flow = circle.flowing(*ends, gauge, n_time=n_time)
    h = 2 * np.pi / n
    S = np.einsum("tka,tkb,tk->tab", flow.momentum, flow.momentum, h / flow.density)
    assert (flow.density > 0).all()
    assert np.isclose(np.mean([gauge.value(one) for one in S]), flow.upper, rtol=1e-12)
    assert max(gauge.polar(Q) for Q in flow.metrics) <= 1 + 1e-9
    # mass: its rate is 2 int u . w, whatever the grid
    growth = 2 * (flow.momentum * circle.directions(n)).sum((1, 2)) * h / n_time
    assert np.isclose(growth.sum(), (ends[1] - ends[0]).sum() * h, rtol=1e-10)
