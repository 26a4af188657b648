"""How good and how fast is ``swref.dynamic_transport``? Every value is compared with another route in the same run.

    python benchmarks/dynamic.py            # all sections, about five minutes
    python benchmarks/dynamic.py table      # one of: table, large, profile, conic

table    iterations and seconds to gaps of 1e-2 and 1e-3 at 16 x 32^2 and 32 x 64^2, p = 1, 2, inf; differences to the
         static solver on the same cells and what the floor does to its value (32^2 only), and to exact Gaussians
large    64 x 128^2 to a gap of 1 %
profile  where an iteration spends its time
conic    the same discrete problem as a conic program in CVXPY (Clarabel) on a tiny grid

One thread. Bumps are at least 2.5 cells wide, and the floor is 1e-3 of the mass.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time

import cvxpy as cp
import numpy as np
from _sections import main

import swref
from swref.grids import kernels
from swref.grids.bounds import Problem
from swref.grids.distance import _Admm
from swref.grids.spacetime import SpaceTime

EXPONENTS = (1, 2, np.inf)
FLOOR = 1e-3


def blob(n, center, width):
    x = (np.arange(n) + 0.5) / n
    kernels = [np.exp(-0.5 * ((x - c) / w) ** 2) for c, w in zip(center, width, strict=True)]
    return np.outer(*kernels) / np.outer(*kernels).mean()


def two_blobs(n):
    """Two bumps each on the unit square, which no translation moves into each other."""
    rho0 = blob(n, (0.3, 0.35), (0.1, 0.09)) + 0.4 * blob(n, (0.6, 0.3), (0.08, 0.1))
    rho1 = blob(n, (0.65, 0.65), (0.11, 0.08)) + 0.6 * blob(n, (0.35, 0.7), (0.09, 0.09))
    return rho0 / rho0.mean(), rho1 / rho1.mean()


GAUSSIANS = ((0.42, 0.45), (0.07, 0.12)), ((0.6, 0.5), (0.12, 0.08))  # centers and widths


def run(rho0, rho1, p, n_time, **options):
    gauge = swref.get_gauge("schatten", p=p)
    start = time.perf_counter()
    result = swref.dynamic_transport(rho0, rho1, gauge, n_time=n_time, strict=False, floor=FLOOR, **options)
    return time.perf_counter() - start, result


def static_value(rho0, rho1, p, floor=FLOOR):
    """The static distance of atoms at the centres of the cells, with this floor."""
    n = len(rho0)
    x = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2, indexing="ij"), -1).reshape(-1, 2)
    a, b = ((1 - floor) * rho.ravel() / rho.sum() + floor / rho.size for rho in (rho0, rho1))
    return swref.transport(x, x, swref.get_gauge("schatten", p=p), a, b, tol=1e-4).upper_bound


def section_table():
    run(*two_blobs(8), 1, 4, max_iter=2)
    for n_time, n in ((16, 32), (32, 64)):
        for p in EXPONENTS:
            gauge = swref.get_gauge("schatten", p=p)
            line = f"  {n_time} x {n}^2, p = {p:3}:"
            for tol in (1e-2, 1e-3):
                seconds, result = run(*two_blobs(n), p, n_time, tol=tol, max_iter=3000)
                line += f" gap {result.relative_gap:.1e} in {result.iterations:4} iterations, {seconds:5.1f} s;"
            if n == 32:
                static = static_value(*two_blobs(n), p)
                line += f" static {result.upper_bound / static - 1:+.2%};"
                line += f" floor {static / static_value(*two_blobs(n), p, floor=0) - 1:+.2%};"
            (m0, s0), (m1, s1) = GAUSSIANS
            exact = swref.gaussian_transport(m0, np.diag(np.square(s0)), m1, np.diag(np.square(s1)), gauge)
            _, result = run(blob(n, m0, s0), blob(n, m1, s1), p, n_time, tol=5e-3)
            line += f" Gaussians {result.upper_bound / exact.upper_bound - 1:+.2%}, gap {result.relative_gap:.1e}"
            print(line, flush=True)


def section_large():
    run(*two_blobs(8), 1, 4, max_iter=2)
    for p in EXPONENTS:
        seconds, result = run(*two_blobs(128), p, 64, tol=1e-2)
        print(
            f"  64 x 128^2, p = {p:3}: {seconds:.0f} s, {result.iterations} iterations, gap {result.relative_gap:.1e}",
            flush=True,
        )


def section_profile():
    for n_time, n in ((16, 32), (64, 128)):
        rho0, rho1 = ((1 - FLOOR) * rho + FLOOR for rho in two_blobs(n))
        grid = SpaceTime(n_time, (n, n), (1 / n, 1 / n))
        admm = _Admm(Problem(grid, rho0, rho1, swref.get_gauge("operator"), 2))
        seconds = {"projections of 3 x 3 matrices": 0.0, "transforms": 0.0, "projections on K": 0.0}

        def timed(name, function, seconds=seconds):
            def call(*arguments):
                start = time.perf_counter()
                try:
                    return function(*arguments)
                finally:
                    seconds[name] += time.perf_counter() - start

            return call

        admm.step()
        kernel = kernels.admm_cells
        kernels.admm_cells = timed("projections of 3 x 3 matrices", kernel)
        grid.solve = timed("transforms", grid.solve)
        admm.problem.project = timed("projections on K", admm.problem.project)
        repeats = 100 if n == 32 else 8
        start = time.perf_counter()
        for _ in range(repeats):
            admm.step()
        total = time.perf_counter() - start
        kernels.admm_cells = kernel
        parts = seconds | {"rest (differences, sums)": total - sum(seconds.values())}
        print(f"  {n_time} x {n}^2: {total / repeats * 1e3:.1f} ms per iteration, of which")
        for name, value in parts.items():
            print(f"    {name:30} {value / total:4.0%}, {value / repeats / (n_time * n * n) * 1e9:.0f} ns per cell")


def section_conic():
    rng = np.random.default_rng(0)
    n_time, shape, h = 4, (5, 4), (1.0, 1.0)
    rho0, rho1 = rng.uniform(0.3, 1, (2, *shape))
    rho1 *= rho0.sum() / rho1.sum()
    for p in EXPONENTS:
        start = time.perf_counter()
        value = conic_program(rho0, rho1, h, n_time, p)
        theirs = time.perf_counter() - start
        gauge, start = swref.get_gauge("schatten", p=p), time.perf_counter()
        result = swref.dynamic_transport(rho0, rho1, gauge, n_time=n_time, spacing=h, floor=0, tol=1e-4, max_iter=10**4)
        ours = time.perf_counter() - start
        inside = result.lower_bound <= value * (1 + 1e-6) and value * (1 - 1e-6) <= result.upper_bound
        print(
            f"  4 x 5 x 4, p = {p:3}: CVXPY {value:.8f} in {theirs:.2f} s; swref [{result.lower_bound:.8f}, "
            f"{result.upper_bound:.8f}] in {ours:.2f} s; inside: {inside}"
        )


def conic_program(rho0, rho1, h, n_time, p):
    """min over (rho, m) of the mean over intervals of gamma(sum of the cells' m m^T / rho), with dense differences."""
    (nx, ny), dt, cell = rho0.shape, 1 / n_time, h[0] * h[1]
    Dx, Dy = np.kron(differences(nx, h[0]), np.eye(ny)), np.kron(np.eye(nx), differences(ny, h[1]))
    rho, mx, my = (cp.Variable((n_time, nx * ny)) for _ in range(3))
    out = [-(Dx.T @ mx[k] + Dy.T @ my[k]) for k in range(n_time)]
    constraints = [rho[0] == rho0.ravel() - dt / 2 * out[0], rho[-1] == rho1.ravel() + dt / 2 * out[-1]]
    constraints += [rho[k + 1] == rho[k] - dt / 2 * (out[k] + out[k + 1]) for k in range(n_time - 1)]
    gamma = {1: cp.trace, 2: lambda S: cp.norm(S, "fro"), np.inf: cp.lambda_max}[p]
    cost = 0
    for k in range(n_time):
        total = 0
        for i in range(nx * ny):
            X = cp.Variable((3, 3), PSD=True)
            constraints += [X[0, 2] == mx[k, i], X[1, 2] == my[k, i], X[2, 2] == rho[k, i]]
            total = total + X[:2, :2]
        cost += gamma(total) * dt * cell
    problem = cp.Problem(cp.Minimize(cost), constraints)
    problem.solve(solver=cp.CLARABEL)
    return problem.value


def differences(n, h):
    D = (np.eye(n, k=1) - np.eye(n, k=-1)) / (2 * h)
    D[0, 0], D[-1, -1] = -1 / (2 * h), 1 / (2 * h)
    return D


if __name__ == "__main__":
    main(globals())
