"""The engine, with an expert: from ten dimensions on, an interior point method takes over where cutting planes are slow.

Which is the faster depends on the gauge, the clouds and the tolerance, so the engine begins, and what it has found
starts the expert. Whatever the expert reaches is an atom and a metric more for the engine, which goes on if need be.
"""

import numpy as np
import scipy.sparse as sp

from .. import maxmin
from ..gauges import gauge_for
from .program import SHARE, JointProgram

LEAST = 10  # dimensions
WARM, CALLS = 0.1, 8  # the gap and the oracle calls from which on an expert is asked
MOST, STUCK = 60, 4
EXACT = 30


def solve(oracle, gauge, *, tol, **options):
    """``maxmin.solve`` between clouds, with the joint interior point as its expert."""
    gauge = gauge_for(gauge, oracle.dimension)

    def expert(solution):
        body = gauge._body(oracle.dimension)
        return steps(oracle, gauge, body, solution, tol) if body and slow(solution, tol) else None

    return maxmin.solve(oracle, gauge, tol=tol, expert=expert, **options)


def slow(solution, tol):
    lower, upper = solution.history[-1]
    return len(solution.history) >= CALLS and upper - lower < WARM * upper


def steps(oracle, gauge, body, solution, tol):
    n, m = len(oracle.a), len(oracle.b)
    plans = (sp.coo_array((w * h.masses, (h.rows, h.columns)), shape=(n, m)) for w, h in zip(solution.weights, solution.handles))
    mixture = sp.coo_array(sum(plan.tocsr() for plan in plans))
    D = oracle.y[mixture.col] - oracle.x[mixture.row]
    gap = max(solution.upper - solution.lower, 0.3*WARM*solution.upper)
    Q = gauge._smoothed((D.T * mixture.data) @ D, SHARE * gap / oracle.dimension).Q
    start = oracle.evaluate(Q)
    yield Q, start
    program = JointProgram(oracle, body, Q, start[2], mixture, gap)
    lower, upper, stuck = solution.lower, solution.upper, 0
    for _ in range(MOST):
        try:
            shares = program.step()
        except np.linalg.LinAlgError:
            break
        Q, (value, moment, handle) = proof = program.proof(upper - lower < EXACT * tol * upper)
        lower, upper = max(lower, value), min(upper, gauge.value(moment))
        stuck = stuck + 1 if max(shares) < 0.02 else 0
        if DEBUG: print(len(program.pairs.I), 'mu %.1e'%program.mu, 'shares %.2f %.2f'%shares, 'L %.9f U %.9f gap %.1e'%(value, gauge.value(moment), 1-lower/upper), flush=True)
        yield proof
        if stuck == STUCK:
            break
DEBUG=False
