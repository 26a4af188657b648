"""Ky Fan gauges (the subspace robust distances) and linear gauges (a fixed Mahalanobis metric)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from scipy.optimize import brentq

from .._validation import as_psd, as_symmetric, psd_eigh, written
from .base import Body, Gauge, Smoothed, SmoothedPhi, SpectralGauge
from .registry import register_gauge
from .schatten import _project_capped


@register_gauge("kyfan")
@dataclass(frozen=True)
class KyFan(SpectralGauge):
    """Sum of the k largest eigenvalues: k = 1 is the operator gauge, k = d the trace.  [Sec. 2]

    W is the subspace robust Wasserstein distance of Paty and Cuturi (2019). K = {0 <= Q <= I, tr Q <= k}.
    Raises ValueError unless k is a positive integer, and when used in dimension d < k.
    """

    k: int = 1

    def __post_init__(self):
        if isinstance(self.k, bool) or not isinstance(self.k, Real) or not float(self.k).is_integer() or self.k < 1:
            raise ValueError(f"k: expected a positive integer, got {self.k!r}")
        object.__setattr__(self, "k", int(self.k))

    def _check(self, lam):
        if self.k > len(lam):
            raise ValueError(f"k: expected k <= d, got k = {self.k} in dimension d = {len(lam)}")
        return lam

    def phi(self, lam: np.ndarray) -> float:
        return float(self._check(lam)[: self.k].sum())

    def dphi(self, lam: np.ndarray) -> np.ndarray:
        return (np.arange(len(self._check(lam))) < self.k).astype(float)

    def polar(self, Q: np.ndarray) -> float:
        """max(lambda_max(Q), tr(Q)/k)."""
        scale, lam, _ = psd_eigh("Q", Q)
        return float(scale * max(lam[0], self._check(lam).sum() / self.k))

    def project(self, A: np.ndarray) -> np.ndarray:
        lam, U = np.linalg.eigh(as_symmetric("A", A))
        return (U * _project_capped(self._check(lam), self.k, 1.0)) @ U.T

    def multiplier_values(self, s: np.ndarray) -> np.ndarray:
        """1/q with q_i = min(1, s_i/theta): the j largest saturate, the rest share k - j in proportion to s."""
        p = np.ones(len(self._check(s)))
        for j in range(self.k):
            rest = s[j:].sum()
            if rest == 0:
                break
            if (self.k - j) * s[j] <= rest:
                p[j:] = np.maximum(1, rest / (self.k - j) / np.where(s[j:] > 0, s[j:], 1))
                break
        return p

    def _body(self, d):
        return None if self.k >= d else Body(1.0, self.k, 1.0 if self.k > 1 else np.inf)

    def _within(self, d, r):
        return KyFan(min(self.k, r))

    def _smoothed_phi(self, lam, mu):
        d = len(self._check(lam))
        ones = np.ones(d)
        if self.k == d:
            return SmoothedPhi(lam.sum(), ones, np.zeros(d), ones, np.zeros((d, d)))
        # Barrier sum log q + log(1 - q): lam - tau + mu/q - mu/(1-q) = 0 is a quadratic in q, and sum q = k fixes tau.
        # All in units of mu from the k-th eigenvalue: tau itself would be rounded too coarsely when mu is small.
        u = (lam - lam[self.k - 1]) / mu
        reach = d + 2
        tau = brentq(lambda t: _logit(u - t).sum() - self.k, u[-1] - reach, u[0] + reach, xtol=1e-14)
        q, r = _logit(u - tau), _logit(tau - u)
        value = self.k * lam[self.k - 1] + mu * (self.k * tau + q @ (u - tau) + (np.log(q) + np.log(r)).sum())
        divided = 1 / (mu * (1 / np.outer(q, q) + 1 / np.outer(r, r)))
        return SmoothedPhi(value, q * min(1, self.k / q.sum()), np.diag(divided), ones, divided)


def _logit(x):
    """q in (0, 1) with x = 1/(1-q) - 1/q, written without cancellation."""
    return np.where(x > 0, 1 - 2 / (np.hypot(x, 2) + x + 2), 2 / (np.hypot(x, 2) - x + 2))


@register_gauge("linear")
class Linear(Gauge):
    """tr(Q0 S) for a positive definite Q0 (d, d): W2 after the change of variables Q0^(1/2) x.  [Sec. 2]

    K = {0 <= Q <= Q0}. Raises ValueError unless Q0 is symmetric positive definite.
    """

    def __init__(self, Q0: ArrayLike):
        self.Q0 = as_psd("Q0", Q0)
        self.Q0.setflags(write=False)
        self.dimension = len(self.Q0)
        lam = np.linalg.eigvalsh(self.Q0 / max(np.abs(self.Q0).max(), np.finfo(float).tiny))
        if lam[0] <= 1e-14 * lam[-1]:
            raise ValueError(f"Q0: must be positive definite, got eigenvalues from {lam[0]:.3g} to {lam[-1]:.3g}")

    def __repr__(self):
        return f"Linear(Q0={written(self.Q0)})"

    @classmethod
    def example(cls, d: int) -> Self:
        return cls(np.diag(1.0 + np.arange(d)) + 0.5)

    def value(self, S: np.ndarray) -> float:
        return float(np.vdot(self.Q0, as_psd("S", S, self.dimension)))

    def support(self, S: np.ndarray) -> np.ndarray:
        as_psd("S", S, self.dimension)
        return self.Q0.copy()

    def polar(self, Q: np.ndarray) -> float:
        """lambda_max(Q0^{-1/2} Q Q0^{-1/2})."""
        return float(max(eigh(as_psd("Q", Q, self.dimension), self.Q0, eigvals_only=True)[-1], 0))

    def measure_multiplier(self, C: np.ndarray) -> np.ndarray:
        """Q0^{-1}, on the null space of C too."""
        as_psd("C", C, self.dimension)
        return np.linalg.inv(self.Q0)

    def _smoothed(self, S, mu):
        return Smoothed(float(np.vdot(self.Q0, S)), self.Q0, lambda T: np.zeros((len(T), len(T))))
