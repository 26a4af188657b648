"""How far and how fast is exact transport? CPU time of one thread.

    python benchmarks/large.py             # all sections, about forty minutes
    python benchmarks/large.py metric      # one of: metric, far, distance, hard, warm, matrix, profile, pairs
    python benchmarks/large.py far --save  # the same, and the rows stored for the book's Results page

metric    one metric, n = 8000: ``exact_transport`` beside ``ot.emd2`` with its cost matrix ready; memory of both
far       one metric, four kinds of clouds at n = 1e4 and 3e4, two of them at 1e5: seconds, memory, gap
distance  the distance to 1e-6, d = 2: calls, seconds, memory; n = 8000 beside one ``ot.emd2``
hard      mass that collapses, clouds that nearly coincide, ties, heavy tails, metrics of rank one and nearly
warm      the same clouds once more, after the metric has changed by 1e-1 to 1e-4
matrix    d = 10: the simplex on a matrix beside ``ot.emd2``, equal and random weights
profile   where the time goes at n = 1e5
pairs     n = 1e5: the reduced costs of all 10^10 pairs, read one by one

Seconds are CPU seconds everywhere. On an idle core metric and far take seven minutes each, distance fifteen, hard five.
Cases whose memory is shown run in processes of their own, and first: a new process starts from its parent's peak.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
from multiprocessing import get_context
from time import process_time

import numpy as np
import ot
from _sections import main, profiled

import swref
from swref.clouds.certificate import least_reduced, mapped
from swref.network import MultiscaleSimplex
from swref.network.dense import NetworkSimplex
from swref.network.masses import Masses

KINDS = ("uniform", "gauss", "far", "cluster")


def clouds(kind, n, d, weights="equal", m=None):
    """x (n, d), y (m, d), a, b: the kinds of ``far`` and ``hard``."""
    rng, m = np.random.default_rng(0), m or n
    x, y = rng.random((n, d)), rng.random((m, d))
    if kind == "gauss":
        x, y = rng.standard_normal((n, d)), 0.7 * rng.standard_normal((m, d)) @ rng.standard_normal((d, d))
    elif kind == "far":
        y = 10 + 0.5 * rng.standard_normal((m, d))
    elif kind == "cluster":
        x, y = (z[rng.integers(30, size=len(z))] + 0.02 * rng.standard_normal(z.shape) for z in (x, y))
    elif kind == "collapse":
        x, y = rng.standard_normal((n, d)), 1e-3 * rng.standard_normal((m, d))
    elif kind == "coincident":
        y = x[rng.permutation(n)] + 1e-6 * y
    elif kind == "grid":
        side = np.arange(round(n ** (1 / d)), dtype=float)
        x = np.stack(np.meshgrid(*[side] * d), -1).reshape(-1, d)
        y = x + 0.5
    elif kind == "heavy tails":
        x, y = rng.standard_cauchy((n, d)), rng.standard_cauchy((m, d))
    if weights == "equal":
        return x, y, np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    a, b = rng.exponential(size=len(x)) + 1e-3, rng.exponential(size=len(y)) + 1e-3
    return x, y, a / a.sum(), b / b.sum()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(task, *arguments):
    """(CPU seconds, MB that the peak rose by, answer) of a task, in a process whose kernels are compiled."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (task, *arguments))


def _measure(task, *arguments):
    warm = clouds("uniform", 1100, 2, "random")
    swref.exact_transport(*warm)
    before, start = peak(), process_time()
    answer = task(*arguments)
    return process_time() - start, peak() - before, answer


def exact(kind, n, d, weights, metric=None):
    x, y, a, b = clouds(kind, n, d, weights)
    result = swref.exact_transport(x, y, a, b, metric)
    return result.upper_bound, result.relative_gap, result.status


def emd2(kind, n, d, weights):
    """Without the time of the cost matrix."""
    x, y, a, b = clouds(kind, n, d, weights)
    C = ot.dist(x, y)
    start = process_time()
    value = ot.emd2(a, b, C, numItermax=10**8)
    return value, process_time() - start


def distance(n, p):
    x, y, a, b = clouds("gauss", n, 2)
    gauge = swref.get_gauge("schatten", p=p)
    result = swref.transport(x - x.mean(0), y - y.mean(0), gauge, a, b, strict=False)
    return result.iterations, result.relative_gap, result.status


def section_metric():
    for d in (2, 3):
        for weights in ("equal", "random"):
            ours, memory, (value, gap, _) = measured(exact, "uniform", 8000, d, weights)
            _, theirs, (peer, floor) = measured(emd2, "uniform", 8000, d, weights)
            print(
                f"  n = 8000, d = {d}, {weights:6}: {ours:.2f} s, {memory:.0f} MB, gap {gap:.0e}; "
                f"ot.emd2 {floor:.1f} s, {theirs:.0f} MB: {floor / ours:.0f} x; apart by {abs(value / peer - 1):.0e}",
                flush=True,
            )
            row = {"n": 8000, "d": d, "weights": weights, "seconds": ours, "MB": memory, "gap": gap}
            yield row | {"emd2 seconds": floor, "emd2 MB": theirs}


def section_far():
    cases = [(n, kind, weights) for n in (10_000, 30_000) for kind in KINDS for weights in ("equal", "random")]
    cases += [(100_000, kind, "random") for kind in KINDS[:2]]
    for n, kind, weights in cases:
        for d in (2, 3):
            seconds, memory, (_, gap, _) = measured(exact, kind, n, d, weights)
            print(
                f"  n = {n:6}, {kind:8} d = {d}, {weights:6}: {seconds:5.1f} s {memory:3.0f} MB, gap {gap:.0e}",
                flush=True,
            )
            yield {"kind": kind, "d": d, "weights": weights, "n": n, "seconds": seconds, "MB": memory, "gap": gap}


def section_distance():
    _, _, (_, floor) = measured(emd2, "gauss", 8000, 2, "equal")
    print(f"  one ot.emd2 at n = 8000: {floor:.1f} s")
    for n in (8000, 30_000, 100_000):
        for p in (2, np.inf):
            seconds, memory, (calls, gap, status) = measured(distance, n, p)
            print(
                f"  n = {n:6}, p = {p}: {seconds:.1f} s ({seconds / floor:.2f} emd2), {memory:.0f} MB, {calls} calls, "
                f"gap {gap:.1e}, {status}",
                flush=True,
            )
            row = {"n": n, "p": f"{p}", "seconds": seconds, "MB": memory, "calls": calls, "gap": gap}
            yield row | {"emd2 seconds at 8000": floor}


def section_hard():
    line = np.array([[1.0, 1.0], [1.0, 1.0]])
    cases = [(kind, kind, None) for kind in ("collapse", "coincident", "grid", "heavy tails")]
    cases += [("rank one", "uniform", line), ("nearly rank one", "uniform", line + 1e-8 * np.eye(2))]
    for name, kind, metric in cases:
        for n in (10_000, 20_000):
            for weights in ("equal", "random"):
                seconds, memory, (_, gap, status) = measured(exact, kind, n, 2, weights, metric)
                print(
                    f"  {name:15} n = {n}, {weights:6}: {seconds:.1f} s, {memory:.0f} MB, gap {gap:.0e}, {status}",
                    flush=True,
                )
                row = {"kind": name, "n": n, "weights": weights, "seconds": seconds, "MB": memory}
                yield row | {"gap": gap, "status": status}


def section_warm():
    rng = np.random.default_rng(1)
    for kind in ("uniform", "gauss"):
        x, y, a, b = clouds(kind, 30_000, 2, "random")
        solver, L, text = MultiscaleSimplex(*Masses(a, b).limbs()), np.eye(2), []
        for size in (0, 1e-1, 1e-2, 1e-3, 1e-4):
            L = L + size * rng.standard_normal((2, 2))
            start = process_time()
            solver.solve(*(mapped(z, x.mean(0), L) for z in (x, y)))
            text.append(f"{size:g}: {process_time() - start:.2f} s")
        print(f"  {kind:8} n = 30000, change of the metric " + ", ".join(text), flush=True)


def section_matrix():
    for n in (1000, 2000, 4000, 8000):
        for weights in ("equal", "random"):
            x, y, a, b = clouds("uniform", n, 10, weights)
            C = ot.dist(x, y)
            start = process_time()
            value = ot.emd2(a, b, C, numItermax=10**8)
            floor, start = process_time() - start, process_time()
            order = np.argsort(x[:, 0]), np.argsort(y[:, 0])
            plan = NetworkSimplex(*Masses(a, b).limbs(), *order).solve(C)
            ours = process_time() - start
            apart = abs(plan.masses @ C[plan.rows, plan.columns] / value - 1)
            print(f"  n = {n}, {weights:6}: {ours:.2f} s = {ours / floor:.2f} emd2; apart {apart:.0e}", flush=True)


def section_profile():
    x, y, a, b = clouds("gauss", 100_000, 2, "random")
    swref.exact_transport(*clouds("uniform", 1100, 2))
    yield from profiled(lambda: swref.exact_transport(x, y, a, b))


def section_pairs():
    n = 100_000
    x, y, a, b = clouds("uniform", n, 2, "random")
    result = swref.exact_transport(x, y, a, b)
    f, g = result.potentials
    images = (*mapped(x, x[0], np.eye(2)), *mapped(y, x[0], np.eye(2)))
    start = process_time()
    least = least_reduced(*images, 1.0, np.zeros(n), f, g, np.zeros(n)).min()
    print(f"  n = {n}: least reduced cost of all pairs {least:.2e}, read in {process_time() - start:.0f} s")


if __name__ == "__main__":
    main(globals())
