"""How fast is ``swref.transport``? Every line compares it with a peer in the same run, in CPU time of one thread.

    python benchmarks/static.py            # all sections, about ten minutes
    python benchmarks/static.py conic      # one of: memory, conic, emd, agreement, plugin, high, threads, import
    python benchmarks/static.py conic --save   # and the rows stored for the book's Results page

memory     peak resident memory at n = 2000
conic      the full-coupling conic program in CVXPY (Clarabel), n = 200, d = 2, the same clouds
emd        in units of one ``ot.emd2`` on the same clouds with its cost matrix ready
warm       the metrics of one run again, by ``ot.emd`` cold and with ``potentials_init``, and by our simplex
agreement  worst relative difference to CVXPY over random small problems and all gauges
plugin     a gauge known by ``value`` and ``support`` only, against the built-in one
high       d = 50 at gap 1e-4, n = 200 and 2000: most of the time
threads    wall seconds with the threads of BLAS as they are by default, beside one thread, and without our context
import     seconds for a warm ``import swref``, and what it must not import
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
import subprocess
import sys

import cvxpy as cp
import numpy as np
import ot
from _sections import TwoFunctions, main, median_seconds

import swref
from swref import maxmin
from swref.clouds import CloudOracle

SCHATTEN_2 = swref.get_gauge("schatten", p=2)
OPERATOR = swref.get_gauge("operator")


def clouds(n, d, seed):
    """Two Gaussian clouds (n, d), the second sheared by a random matrix; both centred, so nothing is free."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / np.sqrt(d)
    return x - x.mean(0), y - y.mean(0)


def conic_gauges(S, kind):
    """The same gauges as CVXPY atoms of a symmetric expression S."""
    return {
        "trace": cp.trace,
        "schatten 2": lambda S: cp.norm(S, "fro"),
        "operator": cp.lambda_max,
        "kyfan 2": lambda S: cp.lambda_sum_largest(S, 2),
        "operator + trace": lambda S: cp.lambda_max(S) + cp.trace(S),
    }[kind](S)


def conic_program(x, y, kind):
    """min over couplings of gamma(moment): n * m variables, no certificate beyond the solver's tolerance."""
    n, m, d = len(x), len(y), x.shape[1]
    plan = cp.Variable(n * m, nonneg=True)
    D = (y[None, :] - x[:, None]).reshape(-1, d)
    S = cp.Variable((d, d), symmetric=True)
    rows, columns = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    incidence = np.zeros((n + m, n * m))
    incidence[rows, np.arange(n * m)] = incidence[n + columns, np.arange(n * m)] = 1
    constraints = [incidence @ plan == np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])]
    constraints += [S[i, j] == (D[:, i] * D[:, j]) @ plan for i in range(d) for j in range(i, d)]
    problem = cp.Problem(cp.Minimize(conic_gauges(S, kind)), constraints)
    problem.solve(solver=cp.CLARABEL)
    return problem.value


def section_memory():  # the first section: a process does not forget its peak
    x, y = clouds(2000, 2, 0)
    C = ot.dist(x, y)
    uniform = np.full(len(x), 1 / len(x))
    ot.emd(uniform, uniform, C, numItermax=10**8)
    peer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = swref.transport(x, y, OPERATOR)
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"n = 2000, d = 2, operator: peak {ours:.0f} MiB, one ot.emd {peer:.0f} MiB; plan {result.plan.nnz} entries")


def section_conic():
    print("n = 200, d = 2, gap 1e-6, against the conic program in CVXPY")
    swref.transport(*clouds(10, 2, 0), OPERATOR)
    rows = []
    for kind, gauge in (("schatten 2", SCHATTEN_2), ("operator", OPERATOR)):
        ratios = []
        for seed in range(3):
            x, y = clouds(200, 2, seed)
            ours, result = median_seconds(lambda x=x, y=y, g=gauge: swref.transport(x, y, g), 5)
            theirs, value = median_seconds(lambda x=x, y=y, k=kind: conic_program(x, y, k), 1)
            ratios.append(theirs / ours)
            print(
                f"  {kind:11} seed {seed}: swref {ours:.3f} s ({result.iterations} calls), CVXPY {theirs:.2f} s, "
                f"{theirs / ours:.0f} x; relative difference {abs(value / result.upper_bound - 1):.1e}"
            )
        print(f"  {kind:11} median {np.median(ratios):.0f} x")
        rows.append({"gauge": kind, "n": 200, "times": float(np.median(ratios)), "least": float(min(ratios))})
    return rows


def section_emd():
    print("in units of one ot.emd2 with its cost matrix ready")
    rows = []
    cases = [
        (1500, 2, SCHATTEN_2, 1e-6),
        (1500, 2, OPERATOR, 1e-6),
        (500, 10, SCHATTEN_2, 1e-5),
        (500, 10, OPERATOR, 1e-5),
    ]
    for n, d, gauge, tol in cases:
        units = []
        for seed in range(3):
            x, y = clouds(n, d, seed)
            C = ot.dist(x, y)
            uniform = np.full(n, 1 / n)
            floor, _ = median_seconds(lambda a=uniform, C=C: ot.emd2(a, a, C, numItermax=10**8), 5)
            ours, result = median_seconds(lambda x=x, y=y, g=gauge, t=tol: swref.transport(x, y, g, tol=t), 1)
            units.append(ours / floor)
            print(
                f"  n = {n}, d = {d}, {gauge}, gap {tol:.0e}, seed {seed}: {ours:.2f} s = {units[-1]:.1f} emd2 "
                f"({floor * 1e3:.0f} ms each), {result.iterations} calls"
            )
        print(f"  n = {n}, d = {d}, {gauge}: median {np.median(units):.1f} emd2")
        rows.append({"n": n, "d": d, "gauge": repr(gauge), "tol": tol, "emd2": float(np.median(units))})
    return rows


def section_warm():
    print("n = 1500, d = 2, operator: the metrics of one run, solved again in that order")
    x, y = clouds(1500, 2, 0)
    uniform, metrics = np.full(len(x), 1 / len(x)), []

    class Recorder(CloudOracle):
        def evaluate(self, Q):
            metrics.append(Q)
            return super().evaluate(Q)

    maxmin.solve(Recorder(x, y, uniform, uniform), OPERATOR, tol=1e-6, max_iter=100)
    costs = [ot.dist(x @ np.linalg.cholesky(Q), y @ np.linalg.cholesky(Q)) for Q in metrics]

    def pot(warm):
        start = None
        for C in costs:
            log = ot.emd(uniform, uniform, C, numItermax=10**8, log=True, potentials_init=start)[1]
            start = (log["u"], log["v"]) if warm else None

    def ours():
        oracle = CloudOracle(x, y, uniform, uniform)
        for Q in metrics:
            oracle.evaluate(Q)

    for name, call in (("ot.emd", lambda: pot(False)), ("ot.emd warm", lambda: pot(True)), ("swref", ours)):
        print(f"  {name:11} {median_seconds(call, 1)[0]:.2f} s for {len(metrics)} problems")


def section_agreement():
    kinds = {
        "trace": swref.get_gauge("trace"),
        "schatten 2": SCHATTEN_2,
        "operator": OPERATOR,
        "kyfan 2": swref.get_gauge("kyfan", k=2),
        "operator + trace": OPERATOR + swref.get_gauge("trace"),
    }
    print("worst relative difference to CVXPY over 10 random problems (n = 12, m = 9, d = 2 to 4)")
    for kind, gauge in kinds.items():
        worst = 0.0
        for seed in range(10):
            d = 2 + seed % 3
            x, y = clouds(12, d, seed)
            value = conic_program(x, y[:9], kind)
            worst = max(worst, abs(value / swref.transport(x, y[:9], gauge, tol=1e-8).upper_bound - 1))
        print(f"  {kind:17} {worst:.1e}")


def section_plugin():
    print("a two-function plugin against the built-in gauge, gap 1e-6")
    for n, d in ((200, 3), (100, 10), (60, 20)):
        for name, gauge in (("schatten 2", SCHATTEN_2), ("operator", OPERATOR)):
            x, y = clouds(n, d, 0)
            plugin, p = median_seconds(lambda x=x, y=y, g=gauge: swref.transport(x, y, TwoFunctions(g)), 1)
            builtin, b = median_seconds(lambda x=x, y=y, g=gauge: swref.transport(x, y, g), 1)
            print(
                f"  n = {n}, d = {d:2}, {name:10}: plugin {plugin:.2f} s, {p.iterations} calls; "
                f"built in {builtin:.2f} s, {b.iterations} calls; apart {abs(p.upper_bound / b.upper_bound - 1):.0e}"
            )


def section_high():
    print("d = 50, gap 1e-4")
    for n, gauge in ((200, SCHATTEN_2), (200, OPERATOR), (2000, SCHATTEN_2), (2000, OPERATOR)):
        x, y = clouds(n, 50, 0)
        floor, _ = median_seconds(lambda x=x, y=y: ot.emd2([], [], ot.dist(x, y), numItermax=10**8), 3)
        ours, result = median_seconds(lambda x=x, y=y, g=gauge: swref.transport(x, y, g, tol=1e-4), 1)
        print(
            f"  n = {n}, {gauge}: {ours:.1f} s, {result.iterations} calls, gap {result.relative_gap:.1e}; "
            f"one emd2 {floor * 1e3:.0f} ms"
        )


PATIENCE = 60  # seconds for all cases with one setting
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
THREADED = """
import sys, time, numpy as np, swref
from swref import _session
if sys.argv[1] == "unpinned":
    _session._set_threads = lambda library, n: None
rng = np.random.default_rng(0)
x, y = rng.standard_normal((60, 20)), rng.standard_normal((60, 20)) @ rng.standard_normal((20, 20)) / 20**0.5
x, y = x - x.mean(0), y - y.mean(0)
G, small, S = rng.standard_normal((500, 100)), rng.standard_normal((10, 3)), np.cov(rng.standard_normal((60, 50)).T)
cases = {
    "lmo, 10 x 3, operator": (2000, lambda: swref.lmo(small, "operator")),
    "lmo, 500 x 100, operator": (20, lambda: swref.lmo(G, "operator")),
    "transport, n = 60, d = 20, operator": (1, lambda: swref.transport(x, y, "operator", tol=1e-4)),
    "Gaussians, d = 50, operator": (1, lambda: swref.gaussian_transport(S[0], S, S[1], S @ S, "operator", tol=1e-3)),
}
for name, (repeats, call) in cases.items():
    call()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    print(f"{name}; {(time.perf_counter() - start) / repeats}")
"""


def section_threads():
    print("wall seconds: default threads of BLAS, one thread for the whole process, default without our context")
    columns = []
    for one, argument in ((False, "ours"), (True, "ours"), (False, "unpinned")):
        limits = dict.fromkeys(THREAD_LIMITS, "1") if one else {}
        environment = {name: value for name, value in os.environ.items() if name not in THREAD_LIMITS} | limits
        command = [sys.executable, "-u", "-c", THREADED, argument]
        try:
            text = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE).stdout
        except subprocess.TimeoutExpired as late:  # threads that wait for each other on a busy machine
            text = (late.stdout or b"").decode()
        columns.append(dict(line.split("; ") for line in text.splitlines()))
    for name in columns[0]:
        seconds = (f"{float(column[name]):.3g}" if name in column else f"> {PATIENCE}" for column in columns)
        print(f"  {name:36}" + "".join(f"{text:>12}" for text in seconds))


def section_import():
    code = "import time; t = time.perf_counter(); import swref, sys; print(time.perf_counter() - t); "
    code += "print([m for m in ('matplotlib', 'ipywidgets', 'cvxpy', 'ot') if m in sys.modules])"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(4)]
    times = [float(run.stdout.split()[0]) for run in runs[1:]]
    heavy = runs[-1].stdout.split(maxsplit=1)[1]
    print(f"warm import swref: median {np.median(times):.2f} s; heavy modules it imports: {heavy}")


if __name__ == "__main__":
    main(globals())
