"""The engine: max over metrics Q in K of min over plans of <Q, moment>, for any oracle and any gauge.  [Thm 3.3]"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from ._session import steady
from ._validation import as_tolerance, check_count, check_methods, symmetrize
from .gauges import Gauge, gauge_for
from .gauges.base import Smoothed
from .gauges.door import attained, check_feasible, fault
from .gauges.newton import barrier_newton, curvature_gram, soft_max

# Chosen by oracle calls on random clouds and Gaussians, d = 2 to 30; benchmarks/static.py and gaussian.py print them.
LOOSENESS = 0.5  # the queried Q is central to this part of the gap, or a tenth of that while the atoms predict well
ROUNDING = 1e-6  # relative gaps below it keep the full looseness: at kinks, rounding blurs the central Q by eps / mu
HULL_ACCURACY = 0.2  # a two-function gauge is replaced by the hull of its supports, to this part of the accuracy asked
TRUST_FLOOR, TRUST_FACTOR = 0.35, 0.7  # in-out stabilisation: least weight of the new query, and its rate of change
REFINEMENTS = 500  # supports added in one solve of the master; three are usual, eleven the most met in 55 problems
CALLS = 1000  # that are allowed when the user sets no limit, or twice the dimension of K
DOUBT = 10  # times the surprise of the last call, against the gap: how far the atoms are trusted
TIGHTEST = 0.1  # of the looseness, where they are
SLOW = 0.9  # of the gap that is left after PATIENCE calls: then no more is to be gained
CENTRED = 1e-13  # least accuracy asked of the master, relative: beyond it rounding moves nothing
FIRST_SHARE, SHARES = 0.3, 0.1 ** np.arange(8)  # weights tried for the newest atom
CROWDED, WEIGHTLESS = 60, 1e-9  # supports, besides 4 dim K, from which on those without weight are dropped
PATIENCE = 60  # plus dim K: oracle calls in which the gap must fall by a tenth, or the status is "stalled"


class Oracle(Protocol):
    """A transport problem for ``solve``: its ``dimension`` d, and its answer for one metric at a time."""

    dimension: int

    def evaluate(self, Q: np.ndarray) -> tuple[float, np.ndarray, Any]:
        """(value, moment, handle) for a metric Q (d, d).

        value: a lower bound of the minimum over plans of <Q, moment>, exact up to rounding; moment (d, d): that of a
        minimizing plan; handle: whatever the caller needs to rebuild that plan.
        """
        ...


@dataclass(frozen=True, eq=False)
class Solution:
    """lower <= max_Q min_pi <Q, moment> <= upper, with what attains each."""

    lower: float  # proved up to rounding
    upper: float  # proved up to rounding
    metric: np.ndarray  # (d, d): the Q in K whose oracle value is ``lower``
    lower_handle: Any  # the oracle's handle at ``metric``
    weights: np.ndarray  # (k,): mixture of plans whose moment has gauge ``upper``
    handles: list  # those plans' handles
    status: Literal["converged", "max_iter", "stalled", "interrupted"]  # why the run ended, a key of STATUS
    history: np.ndarray  # (oracle calls, 2): the bounds after each call


Expert = Callable[[Solution], Iterator[tuple[np.ndarray, tuple[float, np.ndarray, Any]]] | None]


def call_limit(max_iter, d):
    """``max_iter``, a positive integer; for None 1000 or, if that is more, d (d + 1), twice the dimension of K."""
    return max(CALLS, d * (d + 1)) if max_iter is None else check_count("max_iter", max_iter)


@steady
def solve(
    oracle: Oracle, gauge: str | Gauge, *, tol: float, max_iter: int, slack: float | Callable[[Any], float] = 0.0,
    report: Callable[[float, float], object] | None = None, expert: Expert | None = None,
) -> Solution:  # fmt: skip
    """Bracket max_{Q in K} W_Q^2 = min_pi gamma(moment(pi)) until U - L <= tol U + slack.

    ``oracle``: an ``Oracle``. ``slack`` is a number, or a function of the handle that its last call gave.
    ``report(lower, upper)`` is called after each of at most ``max_iter`` oracle calls. KeyboardInterrupt ends the loop
    with status "interrupted" and the bounds reached. What rounding does to the oracle and the gauge is the caller's
    to add.

    Every moment seen is an atom. The master problem min_lambda gamma(sum_k lambda_k moment_k) gives the upper bound;
    its dual solution Q is the next query. The master is solved loosely, to a fraction of the current gap, and its
    *central* Q is queried: exact solutions sit at corners, where the next cut is shallow and progress stalls. Where the
    atoms had predicted the oracle's value well, only the looseness is in the way, and the fraction shrinks. When a
    query disappoints, the next ones move towards the best Q so far (in-out stabilisation).

    ``expert(solution)`` is asked after each call, until it answers with an iterator of (Q, (value, moment, handle)).
    These take the place of oracle calls, are counted as such, and are believed. Then the loop goes on from the best Q.
    """
    check_methods("oracle", oracle, "evaluate(Q)")
    d, tol, max_iter = oracle.dimension, as_tolerance("tol", tol), check_count("max_iter", max_iter)
    master = _Master(gauge_for(gauge, d), d)
    query = master.start()
    best = lower, metric, _ = -np.inf, query, None
    history, status, trust, looseness, steps = [], "max_iter", 1.0, LOOSENESS, iter(())
    patience = PATIENCE + d * (d + 1) // 2
    try:
        for _ in range(max_iter):
            step = next(steps, None)
            query, (value, moment, handle) = step or (query, oracle.evaluate(query))
            allowed = slack(handle) if callable(slack) else slack
            if history:
                surprise = max(DOUBT * (master.predict(query) - value), ROUNDING * master.upper)
                looseness = LOOSENESS * np.clip(surprise / (master.upper - lower), TIGHTEST, 1)
            better = value > lower
            if better:
                best = lower, metric, _ = max(value, 0.0), query, handle
            master.add(symmetrize(moment), handle)
            if step is None and not master.upper <= lower + tol * master.upper + allowed:
                central = master.solve(looseness * (master.upper - lower))
            gap = master.upper - lower
            history.append((lower, master.upper))
            if report is not None:
                report(lower, master.upper)
            if gap <= tol * master.upper + allowed:
                status = "converged"
                break
            if len(history) > patience and gap > SLOW * (history[-1 - patience][1] - history[-1 - patience][0]):
                status = "stalled"
                break
            if step is not None:
                query = metric
                continue
            if expert is not None and (found := expert(master.solution(best, status, history))) is not None:
                steps, expert = found, None
            trust = min(1.0, trust / TRUST_FACTOR) if better else max(TRUST_FLOOR, TRUST_FACTOR * trust)
            query = trust * central + (1 - trust) * metric
    except KeyboardInterrupt:
        if not history:
            raise
        status = "interrupted"
    return master.solution(best, status, history)


class _Master:
    """min over the simplex of gamma(sum_k weights_k moment_k), kept near its central path.

    ``upper`` is the least gamma of a mixture met so far and ``best`` its weights (of the first atoms, in order).
    """

    def __init__(self, gauge, d):
        self.gauge = gauge
        self.model = _Barrier(gauge, d) if gauge._smoothed(np.eye(d), 1.0) is not None else _Hull(gauge, d)
        self.moments, self.handles, self.weights = np.zeros((0, d, d)), [], np.zeros(0)
        self.upper, self.best = np.inf, self.weights

    def start(self):
        """The maximizer of <Q, I> plus the full barrier: a metric well inside K."""
        return self.model.smoothed(np.eye(self.moments.shape[1]), 1.0).Q

    def add(self, moment, handle):
        self.moments = np.concatenate([self.moments, moment[None]])
        self.handles.append(handle)
        self.weights = np.append(self.weights, 0.0) if len(self.weights) else np.ones(1)
        self._record(np.eye(len(self.weights))[-1])

    def solution(self, best, status, history):
        """The ``Solution`` with this upper bound and ``best``: the lower one, its metric and handle."""
        (lower, metric, handle), handles = best, self.handles[: len(self.best)]
        return Solution(lower, self.upper, metric, handle, self.best, handles, status, np.array(history))

    def predict(self, Q):
        """min_k <Q, moment_k>: what the atoms know of the oracle's value at Q, from above."""
        return np.tensordot(self.moments, Q).min()

    def _record(self, weights):
        mixture = np.tensordot(weights, self.moments, 1)
        bound = self.gauge.value(mixture)
        self.model.check(mixture, bound)
        if bound < self.upper:
            self.upper, self.best = bound, weights

    def solve(self, accuracy):
        """Move the weights to a central point within ``accuracy`` of the optimum; returns its metric Q, in K."""
        scale, accuracy = self.upper, max(accuracy / self.upper, CENTRED)
        if (skipped := self.weights[:-1] == 0).any():  # atoms of an expert, for which the master was not solved
            self.weights[:-1][skipped] = 1 / len(skipped)
            self.weights /= self.weights.sum()
        moments = self.moments / scale
        flat = moments.reshape(len(moments), -1)

        def at(weights):  # the newest atom's trials and Newton's first and last points come twice
            key = weights.tobytes()
            if key not in seen:
                mixture = (weights @ flat).reshape(moments.shape[1:])
                seen[key] = mixture, self.model.smoothed(mixture, mu)
            return seen[key]

        def objective(weights):
            smoothed = at(weights)[1]
            return smoothed.value, lambda: (flat @ smoothed.Q.ravel(), smoothed.gram(moments))

        for _ in range(REFINEMENTS):
            mu, seen = accuracy / (len(moments) + self.model.complexity), {}
            self.weights = _admit_newest(objective, self.weights, mu)
            self.weights, _ = barrier_newton(objective, self.weights, mu)
            mixture, smoothed = at(self.weights)
            if not self.model.refine(mixture, HULL_ACCURACY * accuracy):
                break
        else:
            what = f"value(S) exceeds <Q, S> for {REFINEMENTS} supports Q met on the way"
            raise fault(self.gauge, what, S=mixture)
        self._record(self.weights)
        return smoothed.Q


class _Barrier:
    """A gauge that knows its own smoothing."""

    def __init__(self, gauge, d):
        self.smoothed, self.complexity = gauge._smoothed, d

    def check(self, moment, value):
        pass

    def refine(self, moment, accuracy):
        return False


class _Hull:
    """A gauge known by ``value`` and ``support`` only: the hull of the supports met so far, with a barrier on it."""

    def __init__(self, gauge, d):
        self.gauge = gauge
        self.atoms = np.array([attained(gauge, S)[0] for S in (*(np.outer(e, e) for e in np.eye(d)), np.eye(d))])

    @property
    def complexity(self):
        return len(self.atoms)

    def smoothed(self, S, mu):
        flat = self.atoms.reshape(len(self.atoms), -1)
        value, self.theta, curvature = soft_max(flat @ S.ravel(), mu)

        def gram(moments):
            G = moments.reshape(len(moments), -1) @ flat.T
            return curvature_gram(G, curvature, np.ones(len(flat)))

        return Smoothed(value, np.tensordot(self.theta, self.atoms, 1), gram)

    def check(self, moment, value):
        """GaugeError if a support met earlier says more of this moment than its gauge."""
        check_feasible(self.gauge, self.atoms, moment, value)

    def refine(self, moment, accuracy):
        """Add the support of this moment if the hull underestimates its gauge by more than ``accuracy``.

        A support that closes less than half of that difference is as good as the gauge's own rounding, and no help.
        """
        known, value = np.tensordot(self.atoms, moment).max(), self.gauge.value(moment)
        if value - known <= accuracy:
            return False
        Q, _ = attained(self.gauge, moment, value)
        if np.vdot(Q, moment) - known < 0.5 * (value - known):
            return False
        d = len(moment)
        if len(self.atoms) > CROWDED + 2 * d * (d + 1):
            self.atoms = self.atoms[self.theta > WEIGHTLESS]
        self.atoms = np.concatenate([self.atoms, Q[None]])
        return True


def _admit_newest(objective, weights, mu):
    """Give the newest atom, whose weight is zero, the best of a few geometric weights."""
    if weights[-1] > 0:
        return weights
    best, least = weights, np.inf
    for share in FIRST_SHARE * SHARES:
        trial = np.append(weights[:-1] * ((1 - share) / weights[:-1].sum()), share)
        merit = objective(trial)[0] - mu * np.log(trial).sum()
        if merit >= least:
            break
        best, least = trial, merit
    return best
