"""Densities on a rectangular grid: the dynamic formulation, solved jointly for the curve and the metrics.  [Sec. 4]

The dual problem is max <rho1, phi(1)> - <rho0, phi(0)> over phi and Q(t) in K with M = [[Q, grad phi / 2],
[grad phi^T / 2, -d phi/dt]] PSD in every cell. Its multiplier [[S, -m], [-m^T, rho]] is PSD, so that a singular Q, the
rule at p = inf, does no harm. ADMM splits the linear part (one space-time solve by cosine transforms, one projection
on K per interval) from the PSD cone (one 3 x 3 projection per cell).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from operator import itemgetter

import numpy as np
from numpy.typing import ArrayLike

from .._measures import unit_scale
from .._results import Result, finish, reporter, scaled_back, squared_back
from .._session import steady
from .._validation import EPS, as_array, as_fraction, as_nonnegative, as_tolerance, check_count, tolerance_of
from ..gauges import Gauge, gauge_for
from ..maxmin import Solution
from .bounds import Problem, entries_of, matrices_of
from .spacetime import SpaceTime

FIRST_CHECK, CHECK_GROWTH = 25, 1.2  # bounds cost some 25 iterations, so they are computed at growing intervals
RELAXATION = 1.9
REFINE_EVERY = 5  # iterations after which a gauge without projection is asked for supports
UNITS = 48 * EPS  # relative rounding of the units of the answer, and on the line of the gauge itself
BALANCE_EVERY, BALANCE_UNTIL = 25, 600  # iterations in which the penalty follows the residuals


@dataclass(frozen=True, repr=False, eq=False)
class DynamicResult(Result):
    """``Result`` of ``dynamic_transport``, with the curve that proves U and the potential and metrics that prove L.

    ``upper_bound`` is the action of ``density`` (n_time, *shape), in the units of rho0, and ``momentum``
    (n_time, *shape, d), density times length per unit of time, on the intervals with midpoints ``times`` (n_time,);
    the whole motion takes one unit of time. ``metrics`` (n_time, d, d), elements of K, and ``potential``
    (n_time + 1, *shape), at times k / n_time, in units of the gauge of a squared length, satisfy
    d phi/dt + grad phi^T Q^-1 grad phi / 4 <= 0 in every cell, and ``lower_bound`` is the integral of
    rho1 phi(1) - rho0 phi(0), all up to rounding, by which the bounds are widened. ``metric`` is the mean of
    ``metrics``, ``moment`` that of the S_k = int m m^T / rho dx of the intervals. ``upper_bound`` is the mean of
    gamma(S_k).

    ``continuous_lower`` and ``continuous_upper`` have no discretization error, but bound two different squared
    distances: the first is below that of atoms at the cell centres, the second above that of densities constant on each
    cell. On coarse grids the first may exceed the second. ``floored`` is the mass that ``floor`` spread.
    ``history`` (checks + 1, 2) holds the bounds at the start and at each check; ``iterations`` counts those of ADMM.
    """

    density: np.ndarray  # (n_time, *shape): rho of the fluid that gives U, in the units of rho0
    momentum: np.ndarray  # (n_time, *shape, d): rho v of that fluid
    metrics: np.ndarray  # (n_time, d, d): Q(t) of the potential that gives L
    potential: np.ndarray  # (n_time + 1, *shape): phi at times k / n_time
    times: np.ndarray  # (n_time,): midpoints of the intervals
    continuous_lower: float  # a bound without the grid, for atoms at the cell centres
    continuous_upper: float  # a bound without the grid, for densities constant on cells
    floored: float  # the mass that ``floor`` spread

    _steps = "iterations"

    def _rows(self):
        return super()._rows() | {
            "atoms at centres": f">= {self.continuous_lower:.10g}",
            "constant on cells": f"<= {self.continuous_upper:.10g}",
            "mass in the floor": f"{self.floored:.4g}",
        }


@steady
def dynamic_transport(
    rho0: ArrayLike, rho1: ArrayLike, gauge: str | Gauge, *, spacing: ArrayLike | None = None, n_time: int = 16,
    floor: float = 1e-3, tol: float = 5e-3, max_iter: int = 3000, strict: bool = True, progress: bool = False,
) -> DynamicResult:  # fmt: skip
    """W_gamma^2 = min int_0^1 gamma(int m m^T / rho dx) dt over d rho/dt + div m = 0, on a grid, certified.  [Sec. 4]

    rho0, rho1: densities at the cell centres, (nx,) or (nx, ny), nonnegative, of equal mass up to rounding (relative
    1e-8, or 8 times their number of entries times eps in single precision). ``spacing``: the
    sides of a cell, a number or d of them, in the unit of length of the answer (None: square cells, longest side of
    the domain 1). Mass = sum of the entries times the volume of a cell; W^2 is proportional to it, and that of
    ``swref.transport`` is for mass one. No mass crosses the boundary. ``gauge``: a name or a ``swref.Gauge``.

    ``floor``: this fraction of the mass of each density is spread evenly over the domain first, because in vacuum the
    bounds meet slowly. Everything returned is about the mixtures. Their W^2 is at most (1 - floor) times that of the
    densities given: couple the mixtures by the mixture of an optimal plan and the identity
    (floor 1e-3 lowers it by 0.17 % for the two bumps of benchmarks/dynamic.py).

    Converged when U - L <= tol U + 128 eps gamma(I) mass side^2, ``side`` the longest side of the domain; "rounding"
    when only the widening of the bounds prevents it. The bounds U, L hold to the last digit whatever the status, on the
    assumptions of ``swref._rounding``, for the discrete problem of the densities divided by their exact sums: n_time
    intervals, momenta at cell centres, fluxes their means over two cells. Its value tends to W^2 as the grid is
    refined, for densities that vary over at least three cells: isolated cells hardly exchange mass with their
    neighbours. ``DynamicResult`` describes ``continuous_lower`` and ``continuous_upper``, bounds without that error.
    U: the iterate projected on the continuity equation in the metric 1/rho, mixed with as little as possible of a
    positive solution, plus what an exact correction of the residual may cost. L: the potential scaled, the metrics
    mixed with an interior one, each interval shifted by a bound of its worst violation.

    ``max_iter``: most iterations of ADMM. ``progress=True`` shows a bar.
    Raises NotConverged (with ``.result``) when the tolerance is missed, unless ``strict=False``; also after Ctrl-C.
    Raises ValueError for malformed densities or options, GaugeError for a gauge that is not convex.
    """
    rho0, rho1, h, floor = _checked(rho0, rho1, spacing, floor)
    gauge, d, shape = gauge_for(gauge, rho0.ndim), rho0.ndim, rho0.shape
    n_time, tol, max_iter = check_count("n_time", n_time), as_tolerance("tol", tol), check_count("max_iter", max_iter)

    # Longest side 1 and mass 1; the line becomes a plane that is one cell of width 1 wide.
    side = max(n * step for n, step in zip(shape, h, strict=True))
    grid = SpaceTime(n_time, (*shape, 1)[:2], (*(h / side), 1.0)[:2])
    (size0, a), (_, b) = unit_scale(rho0), unit_scale(rho1)
    heights = fsum(a.ravel())
    a, b = ((1 - floor) * (f / fsum(f.ravel())) + floor / f.size for f in (a, b))
    densities, equal = (f.reshape(grid.shape) / grid.cell for f in (a, b)), np.array_equal(rho0, rho1)
    problem = Problem(grid, *densities, gauge=gauge, d=d, equal=equal)
    scale = side * np.sqrt(size0) * np.sqrt(heights) * np.prod(np.sqrt(h))  # side * mass^(1/2), without overflow
    root = np.sqrt(problem.strength)

    slack = 64 * EPS * problem.unit
    with reporter(progress, "dynamic_transport", " iterations") as report:
        solution, iterations = _solve(problem, tol, slack, max_iter, report)
    (phi, Q), ((rho, m),) = solution.lower_handle, solution.handles
    S, metrics = problem.moments(rho, m)[:, :d, :d], Q[:, :d, :d] * problem.strength
    moment, metric = S.mean(0) / problem.strength, metrics.mean(0)
    # ``scale`` and ``strength`` are rounded too, and the cells' sides.
    below, above = 1 - UNITS, 1 + UNITS
    lower, upper = solution.lower * below, solution.upper * above
    fields = scaled_back(solution, scale * root, lower, upper, moment, metric, tol, slack)
    fields["iterations"] = iterations
    lower, upper = problem.atoms_lower(phi[-1], Q.mean(0)) * below, problem.cells_upper(m) * above
    unit = size0 * heights * grid.cell
    with np.errstate(over="ignore", under="ignore"):
        result = DynamicResult(
            **fields,
            density=rho.reshape(n_time, *shape) * unit,
            momentum=np.moveaxis(m[:d], 0, -1).reshape(n_time, *shape, d) * unit * side,
            metrics=metrics,
            potential=phi.reshape(n_time + 1, *shape) * side * side * problem.strength,
            times=grid.midpoints,
            continuous_lower=squared_back(lower, scale * root, 0.0),
            continuous_upper=squared_back(upper, scale * root, np.inf),
            floored=floor * size0 * heights * float(np.prod(h)),
        )
    low, high = min(rho0.min(), rho1.min()), max(rho0.max(), rho1.max())
    return finish(result, tol, strict, f"densities from {low:.3g} to {high:.3g} leave no more digits")


def _checked(rho0, rho1, spacing, floor):
    given = rho0, rho1
    rho0 = as_nonnegative("rho0", rho0, (1, 2))
    rho1 = as_nonnegative("rho1", rho1, rho0.ndim, rho0.shape)
    ndim = rho0.ndim
    for name, rho in (("rho0", rho0), ("rho1", rho1)):
        if not rho.any():
            raise ValueError(f"{name}: its mass is zero")
    scale, *units = unit_scale(rho0, rho1)
    m0, m1 = (unit.sum() for unit in units)
    if abs(m0 - m1) > max(tolerance_of(rho, rho0.size) for rho in given) * m0:
        raise ValueError(f"rho0, rho1: masses must be equal, got sums {scale * m0:.10g} and {scale * m1:.10g}")
    h = np.full(ndim, 1 / max(rho0.shape)) if spacing is None else as_array("spacing", spacing, (0, 1))
    if h.shape not in ((), (ndim,)) or not (h > 0).all():
        raise ValueError(f"spacing: expected a positive number or {ndim} of them, got {spacing!r}")
    floor = as_fraction("floor", floor)
    if floor == 1:
        raise ValueError("floor: expected a fraction below one, got 1: nothing would be left to move")
    return rho0, rho1, np.broadcast_to(h, (ndim,)), floor


def _solve(problem, tol, slack, max_iter, report):
    """ADMM until the bounds meet: (solution, iterations); (phi, metrics) give the lower bound, (rho, m) the upper."""
    grid, admm, first = problem.grid, _Admm(problem), itemgetter(0)
    start, Q = problem.certified(*problem.safe), np.tile(problem.interior, (grid.n_time, 1, 1))
    # With the same not widened, and by what.
    lower, upper = (0.0, 0.0, np.zeros(grid.nodes), Q), (start, start, problem.safe)
    sharp, history, check, seen = (0.0, start), [(0.0, start)], FIRST_CHECK, 0

    def met(lower, upper):
        return upper - lower <= tol * upper + slack

    try:
        while not met(*sharp) and admm.iterations < max_iter:
            admm.step()
            if admm.iterations < min(check, max_iter):
                continue
            check = max(check + FIRST_CHECK, int(CHECK_GROWTH * check))
            low, up = problem.lower(admm.phi, matrices_of(admm.Q)), problem.upper(*admm.pair())
            lower, upper = max(lower, low, key=first), min(upper, up, key=first)
            sharp = max(sharp[0], low[1]), min(sharp[1], up[1])
            history.append((lower[0], upper[0]))
            report(*history[-1], admm.iterations - seen)
            seen = admm.iterations
        status = "converged" if met(*sharp) else "max_iter"
    except KeyboardInterrupt:
        status = "interrupted"
    (lower, _, phi, metrics), (upper, _, pair) = lower, upper
    solved = metrics.mean(0), (phi, metrics), np.ones(1), [pair], status
    return Solution(lower, upper, *solved, np.array(history)), admm.iterations


class _Admm:
    """The iteration, in the scaled variables M' = D M D, D = diag(L, L, 1/L)^(1/2).

    L, a length: the geometric mean of the displacement and the side of the domain, a compromise: for two heaps the
    displacement alone needed 1.7 times the iterations at p = inf, and the side alone twice as many at p = 1.
    """

    def __init__(self, problem):
        self.problem, grid = problem, problem.grid
        self.L, self.penalty, self.iterations = np.sqrt(problem.displacement()), 4.0, 0
        self.phi, self.g = np.zeros(grid.nodes), grid.ends(problem.rho0, problem.rho1)
        self.N, self.U = np.zeros((2, 6, grid.n_time, problem.rho0.size))
        self.mean = self.L * np.tile(entries_of(problem.interior), (grid.n_time, 1))

    def step(self):
        from .kernels import admm_cells

        grid, L = self.problem.grid, self.L
        *b, a = self._cells(self.N[3:] + self.U[3:])
        if self.iterations % REFINE_EVERY == 0:
            self.problem.refine(self.U[:3].mean(-1).T)
        self.phi = grid.solve(self.g / self.penalty + grid.Bt(b) - grid.At(a) / L, 1 / L**2, 0.5)
        self.Q = self.problem.project(self.mean / L)
        a, bx, by = (part.reshape(grid.n_time, -1) for part in (grid.A(self.phi), *grid.B(self.phi)))
        change, residual = admm_cells(a, bx, by, self.Q, self.N, self.U, L, RELAXATION, self.mean)
        self.iterations += 1
        if self.iterations % BALANCE_EVERY == 0 and self.iterations <= BALANCE_UNTIL:
            self._balance(np.sqrt(change), np.sqrt(residual))

    def _balance(self, change, residual):
        """Follow the ratio of the relative residuals |N - M| / |N| and |N - N_old| / |U|."""
        ratio = residual * np.linalg.norm(self.U) / (np.linalg.norm(self.N) * change + np.finfo(float).tiny)
        factor = 1.5 if ratio > 3 else 1 / 1.5 if ratio < 1 / 3 else 1.0
        self.penalty *= factor
        self.U /= factor

    def pair(self):
        """(rho, m) of the multiplier: rho >= 0, and the continuity equation holds in the limit only."""
        return self._cells(self.penalty * self.U[5] / self.L), self._cells(-self.penalty * self.U[3:5])

    def _cells(self, x):
        return x.reshape(*x.shape[:-1], *self.problem.grid.shape)
