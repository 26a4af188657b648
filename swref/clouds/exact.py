"""Exact transport for one quadratic cost: what the engine asks its oracle, for those who want just that."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._measures import dyadic_frame
from .._session import steady
from .._validation import as_clouds, as_masses, as_psd
from ..maxmin import Solution
from .certificate import Quadratic
from .distance import CloudOracle, TransportResult, certified

EXACT = 1e-12  # the relative gap up to which the status is "converged"


@steady
def exact_transport(
    x: ArrayLike, y: ArrayLike, a: ArrayLike | None = None, b: ArrayLike | None = None,
    metric: ArrayLike | None = None,
) -> TransportResult:  # fmt: skip
    """min_pi sum_ij pi_ij (x_i - y_j)^T metric (x_i - y_j), with an optimal plan, potentials and true bounds.

    x (n, d), y (m, d): the points; a (n,), b (m,): their weights, nonnegative with sum one (None: equal). ``metric``
    (d, d): positive semidefinite, singular ones included; None: the identity, so that the value is W_2^2. Returns a
    ``TransportResult``: lower_bound <= value <= upper_bound for exactly the floats given, rounding included,
    squared_distance, plan (CSR, n x m), potentials (f, g), gradient(). Status "converged": the relative gap is at most
    1e-12, but for clouds that coincide to their last digits; else "rounding", as with nearly singular metrics, whose
    own digits limit the bounds to some 1e-15 of the clouds' squared size. It never raises NotConverged.

    For d <= 3 and more than a few thousand points no matrix is made: a multiscale network simplex on the arcs that can
    matter, exact for all pairs; 1e5 points take seconds to a minute. Else a network simplex on the matrix of costs.

    Raises ValueError for malformed clouds, weights or metric, a metric that is zero, and more than 2,097,151 points x.
    """
    x, y = as_clouds(x, y)
    a, b, d = as_masses("a", a, len(x)), as_masses("b", b, len(y)), x.shape[1]
    Q = np.eye(d) if metric is None else as_psd("metric", metric, d)
    if not Q.any():
        raise ValueError("metric: must not be zero")
    # Metrics far from one in size are divided by a power of four, which rounds nothing.
    half = int(np.frexp(np.abs(Q).max())[1]) // 2
    gauge = Quadratic(np.ldexp(Q, -2 * half))

    (i,), (j,) = np.nonzero(a > 0), np.nonzero(b > 0)
    scale, x1, y1 = dyadic_frame(x[i], y[j])
    oracle = CloudOracle(x1, y1, a[i], b[j])
    value, moment, plan = oracle.evaluate(gauge.metric)
    lower, upper = max(value, 0.0), gauge.value(moment)
    history = np.array([[lower, upper]])
    solution = Solution(lower, upper, gauge.metric, plan, np.ones(1), [plan], "converged", history)
    return certified(x, y, i, j, scale, oracle, gauge, solution, EXACT, unit=float(np.ldexp(1.0, half)))
