"""Schatten gauges: trace (W2), operator (Muon), everything between, and the root-norm range below p = 1."""

from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from scipy.optimize import brentq

from .._validation import EPS, as_real, as_symmetric, psd_eigh
from .base import Body, Gauge, GaugeError, Smoothed, SmoothedPhi, SpectralGauge
from .newton import curvature_gram, soft_max
from .registry import register_gauge


def _set_exponent(gauge, allowed, wanted):
    """Make p a float, or raise ValueError unless it is ``allowed``."""
    try:
        p = float(as_real("p", gauge.p))
    except (TypeError, ValueError):
        raise ValueError(f"p: expected a number, got {gauge.p!r}") from None
    if not allowed(p):
        raise ValueError(f"p: expected {wanted[0]}, got {p} ({wanted[1]})")
    object.__setattr__(gauge, "p", p)


def _power_norm(lam, p):
    """(sum_i lam_i^p)^(1/p) for lam (d,) >= 0, without overflow; the maximum at p = inf."""
    top = lam.max()
    return top if top == 0 or np.isinf(p) else top * ((lam / top) ** p).sum() ** (1 / p)


@register_gauge("schatten")
@dataclass(frozen=True)
class Schatten(SpectralGauge):
    """Gauge (sum_i lambda_i^p)^(1/p) of a PSD (d, d) moment: p = 1 is W2, p = inf is Muon.  [Sec. 2]

    K = {Q PSD : |Q|_{S_p'} <= 1} with 1/p + 1/p' = 1. N(V) is the Schatten-2p norm of V, its dual the Schatten-q norm
    with q = 2p/(2p - 1). Raises ValueError unless p >= 1 (see RootSchatten for 1/2 <= p < 1).
    """

    p: float = np.inf

    def __post_init__(self):
        _set_exponent(self, lambda p: p >= 1, ("p >= 1", "'root-schatten' covers 1/2 <= p < 1"))

    @property
    def conjugate(self) -> float:
        """p' with 1/p + 1/p' = 1."""
        return np.inf if self.p == 1 else 1.0 if np.isinf(self.p) else self.p / (self.p - 1)

    def phi(self, lam: np.ndarray) -> float:
        return float(_power_norm(lam, self.p))

    def dphi(self, lam: np.ndarray) -> np.ndarray:
        if self.p == 1:
            return np.ones(len(lam))
        if np.isinf(self.p):
            return np.eye(len(lam))[0]
        x = lam / lam[0]
        return x ** (self.p - 1) / (x**self.p).sum() ** (1 - 1 / self.p)

    def polar(self, Q: np.ndarray) -> float:
        """|Q|_{S_p'}."""
        scale, lam, _ = psd_eigh("Q", Q)
        return float(scale * _power_norm(lam, self.conjugate))

    def project(self, A: np.ndarray) -> np.ndarray:
        A = as_symmetric("A", A)
        lam, U = np.linalg.eigh(A)
        return (U * _project_ball(np.maximum(lam, 0), self.conjugate)) @ U.T

    def multiplier_values(self, s: np.ndarray) -> np.ndarray:
        """(|s|_q / s)^(2-q): P = |C^{1/2}|_{S_q}^{2-q} C^{(q-2)/2} on the range of C, and the identity at p = 1."""
        q = _dual_exponent(self.p)
        return (_power_norm(s, q) / np.where(s > 0, s, 1)) ** (2 - q)

    def _multiply(self, g, R):
        return g.copy() if self.p == 1 else super()._multiply(g, R)

    def _smoothed(self, S, mu):
        if self.p != 2:
            return super()._smoothed(S, mu)
        S = S + mu * np.eye(len(S))  # as in _smoothed_phi, but the Frobenius norm needs no eigenvalues
        norm = np.linalg.norm(S)
        Q, curvature = S / norm, np.full(S.size, 1 / norm)
        return Smoothed(float(norm), Q, lambda T: curvature_gram(T.reshape(len(T), -1), curvature, Q.ravel()))

    def _body(self, d):
        return None if self.p == 1 else Body(self.conjugate)

    def _within(self, d, r):
        return self

    def _smoothed_phi(self, lam, mu):
        if np.isinf(self.p):
            value, q, curvature = soft_max(lam, mu)
            return SmoothedPhi(value, q, curvature, np.ones(len(lam)), q[:, None] * (q / mu))
        lam = lam + mu  # away from zero the norm is smooth, and its gradient there is still in K
        norm = _power_norm(lam, self.p)
        x = lam / norm
        q = x ** (self.p - 1)
        curvature = (self.p - 1) / norm * x ** (self.p - 2)
        gap, middle = lam[:, None] - lam, 0.5 * (lam[:, None] + lam)
        near = self.p * np.abs(gap) <= 1e-5 * middle  # there the midpoint rule is the more accurate
        slope = (self.p - 1) / norm * (middle / norm) ** (self.p - 2)
        divided = np.where(near, slope, (q[:, None] - q) / np.where(near, 1, gap))
        return SmoothedPhi(norm, q, curvature, x, divided)


@register_gauge("trace")
@dataclass(frozen=True)
class Trace(Schatten):
    """Gauge tr S: the classical W2.  [Sec. 2]"""

    p: float = field(default=1.0, init=False, repr=False)


@register_gauge("muon")
@register_gauge("operator")
@dataclass(frozen=True)
class Operator(Schatten):
    """Gauge lambda_max(S): the geometry of Muon.  [Sec. 2]"""

    p: float = field(default=np.inf, init=False, repr=False)


@register_gauge("root-schatten")
@dataclass(frozen=True)
class RootSchatten(Gauge):
    """(sum_i lambda_i^p)^(1/p) for 1/2 <= p < 1: gamma(V^T V)^(1/2) is a norm of V although gamma is not convex.

    LMOs, norms and the cost of a given plan make sense. The max-min formula does not hold: there is no K, no
    ``support``, and so no certificate; asking for one raises GaugeError.  [later revision]
    """

    p: float = 0.5
    convex = False

    def __post_init__(self):
        _set_exponent(self, lambda p: 0.5 <= p < 1, ("1/2 <= p < 1", "'schatten' covers p >= 1"))

    def value(self, S: np.ndarray) -> float:
        """(sum_i lambda_i^p)^(1/p) of S; eigenvalues up to 10 d eps lambda_1, rounding amplified by p, are zero."""
        scale, lam, _ = psd_eigh("S", S)
        return float(scale * _power_norm(np.where(lam > 10 * len(lam) * EPS * lam[0], lam, 0), self.p))

    def _norm(self, R):
        return _power_norm(np.linalg.svd(R, compute_uv=False), 2 * self.p)

    def support(self, S: np.ndarray) -> NoReturn:
        raise GaugeError(
            f"{self!r} is not convex, so it is no maximum of linear functions of S: the max-min theorem, and with it "
            "every lower bound, fails below p = 1. Its LMO, its norms and the cost of a given plan remain available"
        )

    def measure_multiplier(self, C: np.ndarray) -> np.ndarray:
        """P = |C^{1/2}|_{S_q}^{2-q} C^{(q-2)/2} on the range of C, q = 2p/(2p-1) >= 2.

        At p = 1/2 (q = inf) P is the projector on the top eigenspace divided by its dimension; eigenvalues within
        1e-12 of the largest count as ties.
        """
        scale, lam, U = psd_eigh("C", C)
        if scale == 0:
            return np.zeros_like(U)
        s = np.sqrt(lam / lam[0])
        if self.p == 0.5:
            top = lam > lam[0] * (1 - 1e-12)
            P = top / top.sum()
        else:
            q = _dual_exponent(self.p)
            P = (s / _power_norm(s, q)) ** (q - 2)
        return (U * P) @ U.T


def _dual_exponent(p):
    """q = 2p/(2p - 1): the Schatten exponent dual to 2p."""
    return 1.0 if np.isinf(p) else 2 * p / (2 * p - 1)


def _project_ball(u, r):
    """The point of {x >= 0, |x|_r <= 1} nearest to u (d,) >= 0."""
    if np.isinf(r):
        return np.minimum(u, 1)
    top = u.max()
    if top == 0 or _power_norm(u, r) <= 1:
        return u
    if r == 1:
        return _project_capped(u, 1.0, np.inf)
    if r == 2:
        return u / np.linalg.norm(u)
    # The multiplier tau makes x + tau x^(r-1) = u and |x|_r = 1. In logarithms both equations are nearly linear.
    x = np.zeros_like(u)
    log_u = np.log(u[u > 0])

    def log_norm(log_tau):
        return np.logaddexp.reduce(r * _log_shrink(log_u, log_tau, r)) / r

    high = np.log(top) + np.log(len(u)) + 1
    x[u > 0] = np.exp(_log_shrink(log_u, brentq(log_norm, high - 80, high, xtol=1e-15), r))
    return x / max(1.0, _power_norm(x, r))


def _log_shrink(log_u, log_tau, r):
    """y with e^y + tau e^((r-1)y) = u: Newton on a convex increasing function, from the right."""
    y = np.minimum(log_u, (log_u - log_tau) / (r - 1))
    for _ in range(50):
        first, second = y, log_tau + (r - 1) * y
        both = np.logaddexp(first, second)
        step = (both - log_u) / (np.exp(first - both) + (r - 1) * np.exp(second - both))
        y = y - step
        if np.abs(step).max() <= 1e-15 * np.abs(y).max():
            break
    return y


def _project_capped(u, total, cap):
    """The point of {0 <= x <= cap, sum x <= total} nearest to u: min(max(u - tau, 0), cap), for the least tau >= 0."""
    x = np.clip(u, 0, cap)
    if x.sum() <= total:
        return x
    u = u - u.max()  # tau moves along; differences are all that is left, and huge u lose nothing
    knots = np.sort(np.concatenate([u, u - min(cap, total)]))
    sums = np.array([np.clip(u - tau, 0, cap).sum() for tau in knots])  # decreasing, and linear between knots
    return np.clip(u - np.interp(-total, -sums, knots), 0, cap)
