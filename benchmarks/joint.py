"""High dimension: the engine beside ``swref.transport``, which hands over to the joint interior point. CPU seconds.

    python benchmarks/joint.py              # all sections, about half an hour
    python benchmarks/joint.py clouds20     # one of the sections below
    python benchmarks/joint.py clouds20 --save    # and the rows stored for the book's Results page

memory         peak resident memory of one distance, d = 50, n = 2,000
clouds20       d = 20, n = 500, to 1e-6
clouds50       d = 50, n = 1,000, to 1e-6
clouds50large  d = 50, n = 2,000, to 1e-6
schatten       other Schatten gauges, d = 20, n = 500, to 1e-6
cube           fragmented hypercube, n = 100, Ky Fan 2, to 1e-3: beside the iteration of Paty and Cuturi (2019)
profile        where the time goes at d = 50, n = 1,000
gaussians      full and half rank, with and without a shift, to 1e-8
easy           where the engine is the faster: the hybrid must cost the same

The engine is given PATIENCE seconds per problem; then its gap is printed.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
import time
from contextlib import nullcontext

import numpy as np
import ot
from _sections import TwoFunctions, main, profiled

import swref
from swref.clouds import distance
from swref.joint import hybrid

OPERATOR, KYFAN = swref.get_gauge("operator"), swref.get_gauge("kyfan", k=2)
FROBENIUS = swref.get_gauge("schatten", p=2)
PATIENCE = float(os.environ.get("PATIENCE", 60))  # seconds


def clouds(n, d, seed=0):
    """Two Gaussian clouds (n, d), the second sheared by a random matrix; both centred, so nothing is free."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / np.sqrt(d)
    return x - x.mean(0), y - y.mean(0)


def hypercube(n, d, k=2, seed=0):
    """Paty and Cuturi's fragmented hypercube: uniform on [-1, 1]^d, and another one torn apart along k axes."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, n, d))
    y[:, :k] += 2 * np.sign(y[:, :k])
    return x, y


class Clock:
    """A reporter that remembers bounds and seconds, and interrupts after ``patience``."""

    def __init__(self, patience=np.inf):
        self.start, self.patience, self.calls = time.process_time(), patience, 0

    def __call__(self, lower, upper):
        self.calls, self.gap, self.seconds = self.calls + 1, 1 - lower / upper, time.process_time() - self.start
        if self.seconds > self.patience:
            raise KeyboardInterrupt

    def __str__(self):
        return f"{self.seconds:6.2f} s {self.calls:4} calls, gap {self.gap:.1e}"


def alone(call):
    """A ``Clock`` of the engine without its expert, stopped after PATIENCE seconds."""
    slow, hybrid.slow, clock = hybrid.slow, lambda history, tol, calls: False, Clock(PATIENCE)
    before, distance.reporter = distance.reporter, lambda *bar: nullcontext(clock)
    try:
        call()
    finally:
        hybrid.slow, distance.reporter = slow, before
    return clock


def beside(title, x, y, gauge, tol):
    """The hybrid and the engine on the same clouds in the same run; returns the row to store."""
    start = time.process_time()
    result = swref.transport(x, y, gauge, tol=tol, strict=False)
    seconds = time.process_time() - start
    engine = alone(lambda: swref.transport(x, y, gauge, tol=tol, strict=False))
    certified = f"{seconds:6.2f} s {result.iterations:4} steps, certified gap {result.relative_gap:.1e}"
    print(f"  {title}, {gauge!r:18}: {certified} | engine {engine}", flush=True)
    row = {"n": len(x), "d": x.shape[1], "gauge": repr(gauge), "seconds": seconds, "steps": result.iterations}
    row |= {"gap": result.relative_gap, "engine seconds": engine.seconds, "engine gap": float(engine.gap)}
    return row | {"engine calls": engine.calls}


def warm():
    for d in (3, 12):
        swref.transport(*clouds(30, d), OPERATOR, tol=1e-4)


def section_memory():  # the first section: a process does not forget its peak
    warm()
    n, d = 2000, 50
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.process_time()
    result = swref.transport(*clouds(n, d), OPERATOR, tol=1e-2)
    seconds, MB = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    matrices, gap = MB * 2**20 / (8 * n * n), result.relative_gap
    print(f"  d = {d}, n = {n}: {seconds:.0f} s, {MB:.0f} MiB = {matrices:.1f} matrices of n x n, gap {gap:.0e}")
    yield {"n": n, "d": d, "seconds": seconds, "MB": MB, "matrices": matrices, "steps": result.iterations, "gap": gap}


def section_clouds20():
    warm()
    gauges = OPERATOR, KYFAN, swref.get_gauge("kyfan", k=10), FROBENIUS
    yield from (beside("d = 20, n =  500", *clouds(500, 20), gauge, 1e-6) for gauge in gauges)


def section_clouds50():
    warm()
    gauges = OPERATOR, KYFAN, swref.get_gauge("kyfan", k=25), FROBENIUS
    yield from (beside("d = 50, n = 1000", *clouds(1000, 50), gauge, 1e-6) for gauge in gauges)


def section_clouds50large():
    warm()
    yield from (beside("d = 50, n = 2000", *clouds(2000, 50), gauge, 1e-6) for gauge in (OPERATOR, KYFAN))


def section_schatten():
    warm()
    gauges = [swref.get_gauge("schatten", p=p) for p in (1.3, 2, 3, 4, 8)]
    yield from (beside("d = 20, n =  500", *clouds(500, 20), gauge, 1e-6) for gauge in gauges)


def frank_wolfe(x, y, k, clock, tol):
    """Algorithm 2 of Paty and Cuturi (2019): (1 - t) pi + t times the plan of the top-k projector, t = 2/(2 + step).

    The moment's top eigenvalues bound from above; the projector's transport cost, exact by ``ot.emd``, from below.
    """
    n = len(x)
    uniform, plan, lower = np.full(n, 1 / n), np.full((n, n), 1 / n**2), 0.0
    step = 0
    while True:
        shifted = (
            x.T @ (plan.sum(1)[:, None] * x) + y.T @ (plan.sum(0)[:, None] * y) - x.T @ plan @ y - y.T @ plan.T @ x
        )
        lam, U = np.linalg.eigh(shifted)
        upper, E = lam[-k:].sum(), U[:, -k:]
        C = ot.dist(x @ E, y @ E)
        vertex = ot.emd(uniform, uniform, C)
        lower = max(lower, (vertex * C).sum())
        try:
            clock(lower, upper)
        except KeyboardInterrupt:
            return
        if upper - lower <= tol * upper:
            return
        plan += 2 / (2 + step) * (vertex - plan)
        step += 1


def section_cube():
    warm()
    print("  n = 100, Ky Fan 2, to 1e-3; peer: Frank-Wolfe of subspace robust Wasserstein, certified the same way")
    for d in (30, 100, 250, 1000):
        x, y = hypercube(100, d)
        row = beside(f"d = {d:4}", x, y, KYFAN, 1e-3)
        peer = Clock(PATIENCE)
        frank_wolfe(x, y, 2, peer, 1e-3)
        print(f"            Frank-Wolfe {peer}", flush=True)
        yield row | {"peer seconds": peer.seconds, "peer gap": float(peer.gap), "peer calls": peer.calls}
    for d, gauge in ((250, KYFAN), (250, OPERATOR)):
        beside(f"to 1e-6, d = {d}", *hypercube(100, d), gauge, 1e-6)


def section_profile():
    warm()
    return profiled(lambda: swref.transport(*clouds(1000, 50), OPERATOR))


def section_gaussians():
    for d in (20, 50, 100, 200):
        for gauge in (OPERATOR, KYFAN, FROBENIUS):
            for rank, size in ((d, 0.0), (d, 0.3), (d // 2, 0.3)):
                rng = np.random.default_rng(d)
                F = [rng.standard_normal((d, r)) / np.sqrt(d) for r in (d, rank)]
                data = np.zeros(d), F[0] @ F[0].T, size * rng.standard_normal(d), F[1] @ F[1].T
                start = time.process_time()
                result = swref.gaussian_transport(*data, gauge, strict=False)
                seconds = time.process_time() - start
                print(
                    f"  d = {d:3}, rank {rank:3}, shift {size}, {gauge!r:18}: {seconds:6.2f} s, "
                    f"{result.iterations:4} steps, gap {result.relative_gap:.0e}, {result.status}",
                    flush=True,
                )
                row = {"d": d, "rank": rank, "shift": size, "gauge": repr(gauge), "seconds": seconds}
                yield row | {"steps": result.iterations, "gap": result.relative_gap}


def section_easy():
    warm()
    x, y = clouds(300, 12)
    near = x + 1e-5 * np.random.default_rng(1).standard_normal(x.shape)
    cases = {
        "shifted": (x, y + 30 * np.eye(12)[0], OPERATOR, 1e-6),
        "nearly coincident": (x, near, OPERATOR, 1e-6),
        "p = 2 to 1e-4": (x, y, FROBENIUS, 1e-4),
        "plugin": (x, y, TwoFunctions(FROBENIUS), 1e-3),
        "d = 9": (x[:, :9], y[:, :9], KYFAN, 1e-6),
    }
    for name, (x1, y1, gauge, tol) in cases.items():
        beside(f"{name:17}", x1, y1, gauge, tol)


if __name__ == "__main__":
    main(globals())
