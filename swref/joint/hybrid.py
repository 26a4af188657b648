"""The engine with an expert: from ten dimensions on, an interior point method takes over where cutting planes are slow.

Which of the two is faster depends on gauge, data and tolerance, so the engine begins, and what it has found starts the
expert. What the expert finds is more atoms and a metric for the engine, which goes on if need be: nothing is lost.
"""

from dataclasses import replace

import numpy as np

from .. import maxmin
from ..gauges import gauge_for
from .program import cloud_steps

LEAST = 10  # dimensions; below, the engine needs few calls
GAP = 0.1  # relative, below which an expert may start: its first plan is the engine's
WINDOW = 8  # oracle calls over which the rate of the gap is measured
CALLS, FEW = 25, 12  # more oracle calls than this, at that rate, take longer than an expert: the rate only falls
LONG = 20  # d^2 per point, from which the engine's master is dear and FEW calls are the limit


def solve(oracle, gauge, *, tol, steps=cloud_steps, **options):
    """``maxmin.solve`` with the interior point ``steps(oracle, gauge, body, solution, tol)``, in the span of the data.

    ``oracle.spanning()``, (d, r), spans all displacements, and ``oracle.within(B)`` is the oracle in the coordinates of
    an orthonormal B (d, r). For r < d and a spectral gauge that is exact: metrics Q of the span become B Q B^T.
    """
    gauge, d = gauge_for(gauge, oracle.dimension), oracle.dimension
    if d < LEAST:
        return maxmin.solve(oracle, gauge, tol=tol, **options)
    spanning, basis = oracle.spanning(), None
    if spanning.shape[1] < d and (inner := gauge._within(d, spanning.shape[1])) is not None:
        basis = np.linalg.qr(spanning)[0]
        oracle, gauge = oracle.within(basis), inner
    body = gauge._body(oracle.dimension)
    calls = FEW if oracle.dimension**2 > LONG * spanning.shape[1] else CALLS

    def expert(solution):
        return while_possible(steps(oracle, gauge, body, solution, tol)) if slow(solution.history, tol, calls) else None

    solution = maxmin.solve(oracle, gauge, tol=tol, expert=None if body is None else expert, **options)
    return solution if basis is None else replace(solution, metric=basis @ solution.metric @ basis.T)


def while_possible(steps):
    """The steps until rounding makes a metric or a multiplier lose its positive eigenvalues."""
    try:
        yield from steps
    except np.linalg.LinAlgError:
        return


def slow(history, tol, calls):
    """Whether bounds (k, 2) that go on as in the last calls will need more than ``calls`` to a relative gap tol."""
    if len(history) <= WINDOW:
        return False
    before, now = ((upper - lower) / upper for lower, upper in history[[-1 - WINDOW, -1]])
    return now < GAP and np.log(now / tol) * WINDOW > calls * np.log(before / now)
