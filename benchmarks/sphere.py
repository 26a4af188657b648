"""How fast is ``swref.spherical_transport``? Against POT, CVXPY and a fluid solver in one run, CPU time, one thread.

    python benchmarks/sphere.py            # all sections, about six minutes
    python benchmarks/sphere.py scaling    # one of: metric, conic, scaling, table, fine

metric   one metric, Q = I, 500 x 500: the forest simplex against POT's solvers for the same problem
conic    CVXPY's cone program, 64 x 64
scaling  oracle calls, seconds and gap: 64, 500, 2000 atoms in d = 2, 3, 10 for five gauges
table    von Mises pairs on the circle: static, conic and dynamic
fine     gap 1e-8 at 500 atoms
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import warnings

import cvxpy as cp
import numpy as np
import ot
from _sections import TwoFunctions, main, median_seconds

import swref
from swref.experiments import circle
from swref.sphere import SphereOracle

SCHATTEN = {p: swref.get_gauge("schatten", p=p) for p in (1, 2, np.inf)}
KY_FAN = swref.get_gauge("kyfan", k=2)
GAUGES = {"p = 1": SCHATTEN[1], "p = 2": SCHATTEN[2], "p = inf": SCHATTEN[np.inf], "Ky Fan 2": KY_FAN}
GAUGES["plugin"] = TwoFunctions(SCHATTEN[2])
ATOMS = {
    1: cp.trace,
    2: lambda S: cp.norm(S, "fro"),
    np.inf: cp.lambda_max,
    "Ky Fan 2": lambda S: cp.lambda_sum_largest(S, 2),
}
failed = []


def claim(holds, text):
    print(f"  {'holds' if holds else 'FAILS'}: {text}")
    if not holds:
        failed.append(text)


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def measures(n, d, seed=0, near=False):
    """(p, x, q, y): random masses at uniform directions or, ``near``, in two overlapping caps, angles below pi / 2."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, n, d))
    if near:
        x, y = (
            unit(0.2 * np.clip(z, -2, 2) / np.sqrt(d) + e) for z, e in ((x, np.eye(d)[0]), (y, np.ones(d) / d**0.5))
        )
    return rng.uniform(0.5, 1.5, n), unit(x), rng.uniform(0.5, 1.5, n), unit(y)


def distance(p, x, q, y, gauge, **options):
    return swref.spherical_transport(p, q, gauge, directions0=x, directions1=y, **options)


def conic(p, x, q, y, atom):
    """The cone program over g, h, s with every pair a variable, for a CVXPY atom of the moment."""
    n, m, d = len(p), len(q), x.shape[1]
    g, h, s = (cp.Variable((n, m), nonneg=True) for _ in range(3))
    flat = [cp.vec(v, order="F") for v in (g + h, g - h, 2 * s)]
    S, cross = cp.Variable((d, d), symmetric=True), x.T @ s @ y
    rules = [cp.sum(g, 1) <= p, cp.sum(h, 0) <= q, cp.SOC(flat[0], cp.vstack(flat[1:]), axis=0)]
    rules.append((x * p[:, None]).T @ x + (y * q[:, None]).T @ y - cross - cross.T == S)
    return cp.Problem(cp.Minimize(atom(S)), rules).solve(solver="CLARABEL")


def hellinger_kantorovich(plan, cost, p, q):
    """The value that POT minimises: <plan, -2 log c> + KL(rows | p) + KL(columns | q)."""

    def kl(u, v):
        return (np.where(u > 0, u * np.log(np.maximum(u, 1e-300) / v), 0) - u + v).sum()

    return (plan * cost).sum() + kl(plan.sum(1), p) + kl(plan.sum(0), q)


def section_metric():
    print("Q = I, 500 x 500, d = 2 and 3, angles below a right one; excess over the certified lower bound")
    for d in (2, 3):
        p, x, q, y = measures(500, d, near=True)
        SphereOracle(p[:9], x[:9], q[:9], y[:9]).evaluate(np.eye(d))
        oracle = SphereOracle(p, x, q, y)
        ours, (lower, moment, _) = median_seconds(lambda m=(p, x, q, y), d=d: SphereOracle(*m).evaluate(np.eye(d)), 5)
        oracle.evaluate(np.eye(d))
        warm, _ = median_seconds(lambda o=oracle, d=d: o.evaluate(np.eye(d)), 5)
        print(f"  d = {d}: forest simplex {ours:.3f} s cold, {warm:.3f} s warm, gap {np.trace(moment) / lower - 1:.0e}")
        cost = -2 * np.log(np.minimum(x @ y.T, 1))
        for name, steps, solver in (
            ("L-BFGS-B", (300, 1500), lambda k, c=cost, p=p, q=q: ot.unbalanced.lbfgsb_unbalanced(
                p, q, c, reg=0, reg_m=1, reg_div="kl", numItermax=k, stopThr=1e-16)),
            ("MM", (3000, 30000), lambda k, c=cost, p=p, q=q: ot.unbalanced.mm_unbalanced(
                p, q, c, reg_m=1, div="kl", numItermax=k, stopThr=1e-16)),
        ):  # fmt: skip
            for k in steps:
                seconds, plan = median_seconds(lambda solver=solver, k=k: solver(k), 1)
                excess = hellinger_kantorovich(plan, cost, p, q) / lower - 1
                print(f"    POT {name:8} {k} steps: {seconds:6.1f} s, {seconds / ours:.0f} x, excess {excess:.0e}")
            claim(seconds >= 50 * ours, f"d = {d}: 50 times POT's {name} at its best accuracy here")


def section_conic():
    print("64 x 64 against CVXPY (Clarabel), ours to a certified 1e-6")
    for d in (2, 3):
        problem = measures(64, d)
        for name, atom in ATOMS.items():
            gauge = SCHATTEN.get(name, KY_FAN)
            ours, result = median_seconds(lambda m=problem, g=gauge: distance(*m, g), 3)
            theirs, value = median_seconds(lambda m=problem, a=atom: conic(*m, a), 1)
            print(
                f"  d = {d}, {gauge!r:18}: {ours:.3f} s, {result.iterations} calls; CVXPY {theirs:.2f} s, "
                f"{theirs / ours:.0f} x; apart {abs(value / result.upper_bound - 1):.0e}"
            )


def section_scaling():
    print("uniform directions, to a certified 1e-6")
    distance(*measures(9, 2), KY_FAN)  # compiles
    for n in (64, 500, 2000):
        for d in (2, 3, 10):
            problem, slowest = measures(n, d), 0.0
            for name, gauge in GAUGES.items():
                if n == 2000 and d == 10 and name not in ("p = 1", "p = 2"):
                    continue  # minutes
                seconds, result = median_seconds(lambda m=problem, g=gauge: distance(*m, g, strict=False), 1)
                slowest = max(slowest, seconds)
                print(
                    f"  n = {n:4}, d = {d:2}, {name:8}: {result.iterations:3} calls, {seconds:6.3f} s, "
                    f"gap {result.relative_gap:.0e}, {result.status}"
                )
            if d <= 3 and n >= 500:
                limit = 1 if n == 500 else 15
                claim(slowest < limit, f"{n} x {n}, d = {d}: all five under {limit} s")


def section_table():
    print("von Mises pairs on the circle, 64 atoms, floor 5 %: static, conic, dynamic on 32 x 64")
    for name in circle.PAIRS:
        ends = circle.pair(name, 64)
        masses = [rho * 2 * np.pi / 64 for rho in ends]
        w = circle.directions(64)
        for p, gauge in SCHATTEN.items():
            seconds, static = median_seconds(lambda e=ends, g=gauge: circle.planned(*e, g), 1)
            value = conic(masses[0], w, masses[1], w, ATOMS[p])
            slow, flow = median_seconds(lambda e=ends, g=gauge: circle.flowing(*e, g, n_time=32, max_iter=1000), 1)
            print(
                f"  {name:4} p = {p}: static [{static.lower_bound:.5f}, {static.upper_bound:.5f}] {seconds:.2f} s, "
                f"conic {value:.5f}, dynamic [{flow.lower:.5f}, {flow.upper:.5f}], atoms >= {flow.atoms_lower:.5f}, "
                f"{slow:.1f} s"
            )
            claim(abs(value / static.upper_bound - 1) < 2e-6, "conic and static agree to 2e-6")
            claim(abs(flow.upper / static.upper_bound - 1) < 5e-3, "dynamic and static agree to 5e-3")


def section_fine():
    print("to a certified 1e-8, 500 atoms")
    for d in (2, 3):
        for name in ("p = 1", "p = 2", "p = inf", "Ky Fan 2"):
            seconds, result = median_seconds(lambda d=d, name=name: distance(
                *measures(500, d), GAUGES[name], tol=1e-8, strict=False), 1)  # fmt: skip
            claim(
                result.status == "converged",
                f"d = {d}, {name}: {result.iterations} calls, {seconds:.2f} s, gap {result.relative_gap:.0e}",
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # POT passes SciPy an option that SciPy retires
    main(globals(), failed)
