"""How good and how fast is ``swref.gaussian_transport``? Each section compares with a peer in the same run; CPU time.

    python benchmarks/gaussian.py             # all sections, about a minute
    python benchmarks/gaussian.py agreement   # one of: agreement, bures, speed, dimensions

agreement   worst relative difference to the semidefinite program in CVXPY (Clarabel), 50 random problems
bures       worst relative difference to ``ot.gaussian.bures_wasserstein_distance`` at p = 1
speed       seconds against the semidefinite program, d = 5, 20 (medians of nine problems, and the range) and 30 (three)
dimensions  oracle calls and seconds up to d = 100, full and half rank
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys

import cvxpy as cp
import numpy as np
import ot
from _sections import main, median_seconds

import swref

TRACE, OPERATOR = swref.get_gauge("trace"), swref.get_gauge("operator")
GAUGES = {
    "trace": (TRACE, cp.trace),
    "schatten 2": (swref.get_gauge("schatten", p=2), lambda S: cp.norm(S, "fro")),
    "operator": (OPERATOR, cp.lambda_max),
    "kyfan 2": (swref.get_gauge("kyfan", k=2), lambda S: cp.lambda_sum_largest(S, 2)),
    "operator + trace": (OPERATOR + TRACE, lambda S: cp.lambda_max(S) + cp.trace(S)),
}


def problem(d, ranks, seed):
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((d, rank)) / np.sqrt(d) for rank in ranks]
    return rng.normal(size=d) * 0.3, factors[0] @ factors[0].T, rng.normal(size=d) * 0.3, factors[1] @ factors[1].T


def semidefinite_program(m0, S0, m1, S1, gauge):
    """min over K with [[S0, K], [K^T, S1]] PSD: the program as the proposition states it."""
    d, D = len(m0), m1 - m0
    K = cp.Variable((d, d))
    moment = np.outer(D, D) + S0 + S1 - K - K.T
    return cp.Problem(cp.Minimize(gauge(moment)), [cp.bmat([[S0, K], [K.T, S1]]) >> 0]).solve(solver=cp.CLARABEL)


def contraction_program(m0, S0, m1, S1, gauge):
    """The same with K = A C B^T, S0 = A A^T, S1 = B B^T, |C| <= 1: it keeps an interior when S0 or S1 is singular."""
    D = m1 - m0
    A, B = (U[:, lam > 1e-12] * np.sqrt(lam[lam > 1e-12]) for lam, U in map(np.linalg.eigh, (S0, S1)))
    C = cp.Variable((A.shape[1], B.shape[1]))
    K = A @ C @ B.T
    moment = np.outer(D, D) + S0 + S1 - K - K.T
    return cp.Problem(cp.Minimize(gauge(moment)), [cp.norm(C, 2) <= 1]).solve(solver=cp.CLARABEL)


def section_agreement():
    print("worst relative difference to CVXPY over 50 random problems, d = 2 to 6, two in three of them singular")
    worst, gaps = dict.fromkeys(GAUGES, 0.0), 0.0
    for seed in range(50):
        d, name = 2 + seed % 5, list(GAUGES)[seed // 5 % 5]
        ranks = [(d, d), (d, max(d - 2, 1)), (max(d // 2, 1), d - 1)][seed % 3]
        gauge, conic = GAUGES[name]
        data = problem(d, ranks, seed)
        result = swref.gaussian_transport(*data, gauge)
        value = contraction_program(*data, conic)
        worst[name] = max(worst[name], abs(value / result.upper_bound - 1))
        gaps = max(gaps, result.relative_gap)
    for name, difference in worst.items():
        print(f"  {name:17} {difference:.1e}")
    print(f"  largest relative gap of swref's own bracket: {gaps:.1e}")
    if max(worst.values()) > 1e-6:
        sys.exit("the two disagree by more than 1e-6")


def section_bures():
    worst = 0.0
    for seed in range(50):
        d = 1 + seed % 10
        m0, S0, m1, S1 = problem(d, (d, d), seed)
        distance = swref.gaussian_transport(m0, S0, m1, S1, "trace").distance
        worst = max(worst, abs(ot.gaussian.bures_wasserstein_distance(m0, m1, S0, S1) / distance - 1))
    print(f"p = 1 against POT's Bures-Wasserstein distance, 50 problems, d = 1 to 10: {worst:.1e}")
    if worst > 1e-7:
        sys.exit("the two disagree by more than 1e-7")


def section_speed():
    print("gap 1e-8 against the semidefinite program, compilation included (Clarabel, default accuracy 1e-8)")
    for d, problems in ((5, 9), (20, 9), (30, 3)):
        for name in ("trace", "schatten 2", "operator"):
            gauge, conic = GAUGES[name]
            rows = []
            for seed in range(problems):
                data = problem(d, (d, d), seed)
                ours, result = median_seconds(lambda data=data, g=gauge: swref.gaussian_transport(*data, g), 5)
                theirs, value = median_seconds(
                    lambda data=data, c=conic: semidefinite_program(*data, c), 1 if d > 20 else 3
                )
                rows.append((theirs / ours, ours, theirs, result.iterations, abs(value / result.upper_bound - 1)))
            (ratio, ours, theirs, calls, apart), ratios = np.median(rows, axis=0), [row[0] for row in rows]
            print(
                f"  d = {d:2}, {name:10}: swref {ours * 1e3:6.1f} ms, {calls:.0f} calls; CVXPY {theirs * 1e3:6.0f} ms, "
                f"{ratio:.1f} x ({min(ratios):.1f} to {max(ratios):.1f}); apart {apart:.0e}"
            )


def section_dimensions():
    print("gap 1e-8: oracle calls / seconds, both covariances of full rank | one of half rank")
    for d in (2, 5, 10, 20, 50, 100):
        for p in (2, np.inf):
            gauge, cells = swref.get_gauge("schatten", p=p), []
            for rank in (d, d // 2):
                data = problem(d, (d, rank), d)
                seconds, result = median_seconds(lambda data=data, g=gauge: swref.gaussian_transport(*data, g), 1)
                cells.append(f"{result.iterations:4} / {seconds:7.3f}")
            print(f"  d = {d:3}, p = {p:<3}: {cells[0]} | {cells[1]}")


if __name__ == "__main__":
    main(globals())
