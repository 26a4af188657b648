"""Gaussians: the transport oracle in closed form, the distance, and a lower bound for all other measures.

A covariance enters as a factor F (d, r), S = F F^T with r its rank: squaring back would lose half the digits of the
distance between covariances that nearly coincide, and zero eigenvalues need no care.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .._measures import unit_scale
from .._results import Result, finish, scaled_back, squared_back, weightiest
from .._rounding import moment_upper, radius
from .._session import silent, steady
from .._validation import EPS, as_array, as_clouds, as_fraction, as_psd, as_tolerance, as_weights, check_count
from ..gauges import Gauge, gauge_for
from ..joint import gaussian_steps, solve
from ..maxmin import call_limit
from .bounds import cloud_factor, coupling_steps, covariance_factor, metric_lower


@dataclass(frozen=True, repr=False, eq=False)
class GaussianResult(Result):
    """``Result`` of ``gaussian_transport``, with the optimal coupling of x ~ N(m0, S0) and y ~ N(m1, S1).

    The pair (x, y) is Gaussian: ``cross_covariance`` K (d, d) = E[(x - m0)(y - m1)^T], and [[S0, K], [K^T, S1]] is
    positive semidefinite.
    """

    cross_covariance: np.ndarray  # (d, d): K = E[(x - m0)(y - m1)^T] of the optimal pair
    _means: tuple[np.ndarray, np.ndarray]
    _joint: tuple[np.ndarray, np.ndarray]  # X, Y (d, r): the pair is (m0 + X z, m1 + Y z), z ~ N(0, I)

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> tuple[np.ndarray, ...]:
        """n pairs from the optimal coupling: x (n, d), y (n, d). ``rng``: a seed or a numpy Generator."""
        z = np.random.default_rng(rng).standard_normal((check_count("n", n), self._joint[0].shape[1]))
        return tuple(mean + z @ factor.T for mean, factor in zip(self._means, self._joint, strict=True))

    @silent
    def conditional(self) -> tuple[np.ndarray, np.ndarray]:
        """(T, N), both (d, d): given x, y is Gaussian with mean m1 + T (x - m0) and covariance N.

        N = 0 exactly when the coupling is a map. Where the standard deviation of x is at most sqrt(d eps) of the
        largest, as on the null space of a rounded S0, T = 0.
        """
        X, Y = self._joint
        scale, X, Y = unit_scale(X, Y)
        T = Y @ np.linalg.pinv(X, rcond=np.sqrt(X.shape[0] * EPS)) if X.any() else np.zeros((len(X), len(X)))
        rest = Y - T @ X
        return T, rest @ rest.T * scale * scale

    @silent
    def interpolate(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """(mean (d,), covariance (d, d)) of (1 - t) x + t y, 0 <= t <= 1: the geodesic stays Gaussian.  [Cor. 4.4]"""
        t = as_fraction("t", t)
        mean, factor = ((1 - t) * start + t * end for start, end in (self._means, self._joint))
        return mean, factor @ factor.T


@steady
def gaussian_transport(
    m0: ArrayLike, S0: ArrayLike, m1: ArrayLike, S1: ArrayLike, gauge: str | Gauge, *,
    tol: float = 1e-8, max_iter: int | None = None, strict: bool = True,
) -> GaussianResult:  # fmt: skip
    """W_gamma^2 = min_K gamma(D D^T + S0 + S1 - K - K^T) over [[S0, K], [K^T, S1]] >= 0, D = m1 - m0.  [Prop. 3.4]

    m0, m1 (d,): means; S0, S1 (d, d): covariances, singular ones and zero included. ``gauge``: a name or a
    ``swref.Gauge``. Returns a ``GaussianResult``.

    Both bounds hold to the last digit for the numbers given, whatever the status; ``swref._rounding`` states
    what this rests on. L comes from one metric Q in K by duality, U is the gauge of the moment of the returned
    coupling, and both are widened by what rounding may have done. A covariance that is positive semidefinite only to
    the tolerance of the check stands for its positive semidefinite part. The zero eigenvalues of a singular covariance
    are seldom zero in floats, and one of eps lambda_max moves the distance by up to sqrt(gamma(I) eps lambda_max).

    Converged when U - L <= tol U + slack with slack = 32 d eps r (r eps + W'), r^2 = gamma(I) max(lambda_max(S0),
    lambda_max(S1), max|D|^2), W'^2 the gauge of the W2-optimal moment: rounding, which matters for Gaussians that
    nearly coincide. The status is "rounding" when the widening is more, as when ill-conditioned ones nearly coincide.
    At most ``max_iter`` oracle calls; None: 1000, or d (d + 1) if that is more. From d = 10 on, where they are many,
    and for p = 2, p = inf and Ky Fan, Newton steps on the metric take over; each counts as one call.
    Raises NotConverged (with ``.result``) when the tolerance is missed, unless ``strict=False``.
    Raises ValueError for malformed means, covariances or gauge, GaugeError for a gauge that is not convex.
    """
    m0 = as_array("m0", m0, 1)
    d = len(m0)
    m1 = as_array("m1", m1, 1, (d,))
    S0, S1 = as_psd("S0", S0, d), as_psd("S1", S1, d)
    gauge, tol, max_iter = gauge_for(gauge, d), as_tolerance("tol", tol), call_limit(max_iter, d)
    shift = as_array("m1 - m0", m1 - m0, 1)
    pair = shift, *covariance_factor(S0), *covariance_factor(S1)
    result = _transport((m0, m1), pair, np.array_equal(S0, S1), gauge, tol, max_iter)
    spread = np.sqrt(max(S0.diagonal().max(), S1.diagonal().max(), 0.0))
    blame = f"covariances with standard deviations up to {spread:.3g} hide so small a distance"
    return finish(result, tol, strict, blame)


@steady
def moment_lower_bound(
    x: ArrayLike, y: ArrayLike, gauge: str | Gauge, a: ArrayLike | None = None, b: ArrayLike | None = None, *,
    tol: float = 1e-8,
) -> float:  # fmt: skip
    """The W_gamma^2 of the Gaussians with the means and covariances of two clouds; a float.  [Prop. 3.4]

    At most W_gamma(mu, nu)^2 for all measures with these moments, Gaussian or not, because the moment of a plan
    depends on its own second moments only. x (n, d), y (m, d); a (n,), b (m,): weights (None: equal).
    ``gauge``: a name or a ``swref.Gauge``. Returns the lower end of a bracket of relative width ``tol``, lowered by
    what rounding may have done to means and covariances; if the width is missed, a smaller true bound.

    Raises ValueError for malformed clouds, weights, gauge or tol, GaugeError for a gauge that is not convex.
    """
    x, y = as_clouds(x, y)
    a, b = as_weights("a", a, len(x)), as_weights("b", b, len(y))
    gauge, tol = gauge_for(gauge, x.shape[1]), as_tolerance("tol", tol)
    scale = _power_of_two(x, y)
    (m0, r0, F0, delta0), (m1, r1, F1, delta1) = (cloud_factor(z[w > 0] / scale, w[w > 0]) for z, w in ((x, a), (y, b)))
    far, near = m1 - m0, r1 - r0
    pair = far + near, F0, delta0, F1, delta1 + np.sqrt(len(far)) * EPS * (np.abs(far) + np.abs(near))
    bound = _transport((m0, m1), pair, False, gauge, tol, call_limit(None, x.shape[1])).lower_bound
    return squared_back(bound, scale, 0.0)


class GaussianOracle:
    """Q -> W_Q^2 between N(m0, F0 F0^T) and N(m1, F1 F1^T), shift = m1 - m0, by one singular value decomposition.

    x - m0 = F0 xi and y - m1 = F1 eta with standard normal xi, eta. The least <Q, E (y - x)(y - x)^T> is reached when
    their correlation aligns the singular vectors of F1^T Q F0 = U sigma V^T: U^T eta = V^T xi, as far as both go, and
    independent beyond. For F0 = F1 that is eta = xi whatever Q is, without rounding. Moment and value are sums of
    squares, so nothing cancels.
    """

    def __init__(self, F0, F1, shift):
        self.F0, self.F1, self.shift, self.dimension = F0, F1, shift, len(shift)
        self.translation = np.array_equal(F0, F1)

    def evaluate(self, Q):
        if self.translation:
            U = Vt = np.eye(self.F0.shape[1])
        else:
            U, _, Vt = np.linalg.svd(self.F1.T @ Q @ self.F0)
        k = min(len(U), len(Vt))
        X, Y = self.F0 @ Vt.T, self.F1 @ U
        steps = np.column_stack([Y[:, :k] - X[:, :k], X[:, k:], Y[:, k:], self.shift])
        return float(((Q @ steps) * steps).sum()), steps @ steps.T, (U[:, :k] @ Vt[:k], U[:, k:])

    def spanning(self):
        """(d, r0 + r1 + 1): columns that span all displacements."""
        return np.column_stack([self.F0, self.F1, self.shift])

    def within(self, basis):
        """The oracle in the coordinates of an orthonormal ``basis`` (d, r) of a space that holds all displacements."""
        return GaussianOracle(basis.T @ self.F0, basis.T @ self.F1, basis.T @ self.shift)


def _power_of_two(*arrays):
    """Near the largest entry: dividing by it rounds nothing."""
    return 2.0 ** np.round(np.log2(unit_scale(*(part for part in arrays if part.size))[0]))


def _transport(means, pair, equal, gauge, tol, max_iter):
    """The ``GaussianResult`` between two Gaussians with these means.

    ``pair``: the mean of y - x, a factor F0 of the first covariance with its error delta0 (d,), F1 and delta1 of the
    second; ``equal``: the covariances are equal, whatever their factors are.
    """
    scale = _power_of_two(pair[0], pair[1], pair[3])
    shift, F0, delta0, F1, delta1 = (part / scale for part in pair)
    oracle, d = GaussianOracle(F0, F1, shift), len(shift)
    classical = gauge.value(oracle.evaluate(np.eye(d))[1])
    size = np.sqrt(gauge.value(np.eye(d))) * max([1.0, *(np.linalg.norm(F, 2) for F in (F0, F1) if F.size)])
    slack = 32 * d * EPS * size * (size * EPS + np.sqrt(classical))
    # The solver leaves room for the widening of its bounds, up to half of the tolerance.
    apart = 0.0 if equal else radius(gauge, delta0, delta1)
    room = 6 * apart / np.sqrt(classical) + 64 * d * EPS if classical > 0 else 0.0
    goal = {"tol": max(tol - room, tol / 2), "slack": slack / 2, "max_iter": max_iter}
    solution = solve(oracle, gauge, steps=gaussian_steps, **goal)

    C, rest = _mixed_correlation(solution)
    X, Y = np.column_stack([F0, np.zeros((d, rest.shape[1]))]), np.column_stack([F1 @ C, F1 @ rest])
    steps, joint = np.zeros((d, 0)), 0.0
    if not equal:
        steps, delta = coupling_steps(F0, F1, np.column_stack([C, rest]))
        joint = radius(gauge, delta)
    steps = np.column_stack([steps, shift])
    moment = steps @ steps.T
    upper = moment_upper(gauge, moment, steps.shape[1], apart + joint)
    lower = metric_lower(gauge, solution.metric, F0, F1, shift, equal, apart)
    with np.errstate(over="ignore", under="ignore"):
        K = X @ Y.T * scale * scale
    fields = scaled_back(solution, scale, lower, upper, moment, solution.metric, tol, slack)
    return GaussianResult(**fields, cross_covariance=K, _means=means, _joint=(X * scale, Y * scale))


def _mixed_correlation(solution):
    """(C, R) with eta = C xi + R zeta the mixture of the solution's couplings; C (r1, r0), R (r1, r1).

    C is the mean of the correlations C_k = U_k V_k^T, and R R^T = I - C C^T, written as the sum of squares
    sum_k weights_k ((C_k - C)(C_k - C)^T + I - C_k C_k^T): the difference itself would be rounding when C is a map.
    """
    weights, handles = weightiest(solution, 0.0)
    C = sum(weight * handle[0] for weight, handle in zip(weights, handles, strict=True))
    parts = [np.sqrt(w) * part for w, (one, free) in zip(weights, handles, strict=True) for part in (one - C, free)]
    return C, np.transpose(np.linalg.qr(np.column_stack(parts).T, mode="r"))
