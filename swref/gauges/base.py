"""The plugin contract: a gauge is two functions, ``value`` and ``support``.

K is the largest set of PSD matrices with support function gamma: K = {Q PSD : gamma_polar(Q) <= 1}.  [Prop. A.2]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from .._errors import GaugeError
from .._session import steady
from .._validation import EPS, as_psd, as_symmetric, check_positive, psd_eigh, symmetrize
from . import door, dual
from .newton import curvature_gram

__all__ = ["Body", "Gauge", "GaugeError", "Smoothed", "SmoothedPhi", "SpectralGauge"]


class Smoothed(NamedTuple):
    """gamma_mu(S) = max_{Q in K} <Q, S> + mu b(Q) for a concave barrier b: what the engine's Newton steps use."""

    value: float
    Q: np.ndarray  # the maximizer, (d, d), in K
    gram: Callable[[np.ndarray], np.ndarray]  # (k, d, d) -> (k, k): second derivative along pairs of directions


class SmoothedPhi(NamedTuple):
    """A smoothed phi: second derivative W - W a a^T W / (a^T W a) with W = diag(curvature), a = axis."""

    value: float
    q: np.ndarray  # gradient (d,)
    curvature: np.ndarray  # (d,) >= 0
    axis: np.ndarray  # (d,)
    divided: np.ndarray  # (q_i - q_j)/(lam_i - lam_j), (d, d); its diagonal is not read


class Body(NamedTuple):
    """K = {0 <= Q <= cap I, |Q|_{S_exponent} <= size} with exponent < inf: what the joint interior point uses."""

    exponent: float
    size: float = 1.0
    cap: float = np.inf


class Gauge(ABC):
    """A monotone gauge gamma(S) = max_{Q in K} <Q, S> on PSD (d, d) moments.  [Sec. 2, App. A]

    Write ``value`` and ``support``; every distance, LMO, flow and check of the package follows from these two.
    gamma must be convex, positively 1-homogeneous, positive off zero and monotone: S <= T implies
    gamma(S) <= gamma(T) in the Loewner order. ``swref.check_gauge`` tests all of it.

    S arrives as a float64 array of its own, C-contiguous, to write on or keep. The answers may be any array or list of
    real numbers, a reused buffer included: they are copied and checked, and GaugeError names a gauge whose answer has
    the wrong shape, is not finite, or not symmetric to 1e-8. Exceptions that a gauge raises pass through.

    ``dimension`` is None, or the only d the gauge accepts. ``convex`` is False for root-norm gauges only.
    """

    dimension: int | None = None
    convex: bool = True

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        door.guard(cls)

    @abstractmethod
    def value(self, S: np.ndarray) -> float:
        """gamma(S), a float, for S (d, d) positive semidefinite."""

    @abstractmethod
    def support(self, S: np.ndarray) -> np.ndarray:
        """A maximizer Q (d, d) of <Q, S> over K: positive semidefinite, with <Q, S> = gamma(S)."""

    @steady
    def polar(self, Q: np.ndarray) -> float:
        """sup {<Q, S> : S PSD, gamma(S) <= 1}, a float; at most 1 exactly on K. From ``support``, to 1e-9 relative."""
        return dual.polar(self, as_psd("Q", Q, self.dimension))

    @steady
    def project(self, A: np.ndarray) -> np.ndarray:
        """The Euclidean projection of a symmetric (d, d) matrix A on K.

        From ``support``, to a duality gap of 1e-9 |A_+| max_{Q in K} |Q|; in K to 1e-9.
        """
        return dual.project(self, as_symmetric("A", A, self.dimension))

    @steady
    def measure_multiplier(self, C: np.ndarray) -> np.ndarray:
        """P (d, d) symmetric such that v = -P g solves the measure LMO for forces of second moment C.  [Def. 2.3]

        Scale: P(tC) = P(C) for t > 0. Zero on the null space of C unless the closed form says otherwise.
        From ``support``, to a duality gap of 1e-9 relative.
        """
        C = as_psd("C", C, self.dimension)
        return symmetrize(self._multiply(np.eye(len(C)), root(C / (np.abs(C).max() or 1.0))))

    @classmethod
    def example(cls, d: int) -> Self:
        """An instance that accepts dimension d, for the test battery and ``check_gauge`` by name."""
        return cls()

    # -- algebra ------------------------------------------------------------------------------------------------
    def __add__(self, other: Gauge) -> Gauge:
        """(gamma_1 + gamma_2)(S); K is the Minkowski sum."""
        from .compose import Sum

        return Sum(self, other) if isinstance(other, Gauge) else NotImplemented

    def __mul__(self, factor: float) -> Gauge:
        """factor * gamma: distances grow by sqrt(factor), velocities shrink by 1/factor."""
        from .compose import Multiple

        return Multiple(self, check_positive("factor", factor)) if np.isscalar(factor) else NotImplemented

    __rmul__ = __mul__

    def congruence(self, A: ArrayLike) -> Gauge:
        """S -> gamma(A^T S A) with A (d, m) of rank d; K becomes {A Q A^T}."""
        from .compose import Congruence

        return Congruence(self, A)

    # -- hooks: a gauge may override these to be faster or more accurate; nobody has to --------------------------
    def _multiply(self, g, R):
        """g P (n, d) for g (n, d) and P = measure_multiplier(R^T R): the hook of every LMO, flow and slope.

        R (k, d), of order one, stands for the moment R^T R, which would lose its small singular values. P is huge where
        they are small, and is applied rather than returned, because its rounding would drown what is small in g.
        """
        if type(self).measure_multiplier is not Gauge.measure_multiplier:
            return g @ self.measure_multiplier(R.T @ R)
        W, s = principal_axes(R)
        if len(s) == 0:
            return np.zeros_like(g)
        return self._multiply_along(g, R, W, s)

    def _multiply_along(self, g, R, W, s):
        """``_multiply`` for an R that is not zero, of singular values s (r,) and right singular vectors W (d, r)."""
        X, along = dual.descent_factor(self, W * s) / s, g @ W  # X = P W
        return along @ X.T + (g - along @ W.T) @ X @ W.T

    def _norm(self, R):
        """gamma(R^T R)^(1/2) for a factor R (k, d) of order one."""
        return np.sqrt(self.value(symmetrize(R.T @ R)))

    def _smoothed(self, S, mu) -> Smoothed | None:  # noqa: B027 - a hook, not abstract: None is an answer
        """``Smoothed`` at S, or None when only ``value`` and ``support`` are known."""

    def _body(self, d):  # noqa: B027
        """K in dimension d as a ``Body``, or None."""

    def _within(self, d, r):  # noqa: B027
        """The gauge S -> gamma(B S B^T) of (r, r) moments for any orthonormal B (d, r), if B Q B^T is in K for its Q.

        That holds for spectral gauges: compressing a matrix raises no unitarily invariant norm. None for others.
        """


_pairs = cache(np.triu_indices)


def root(C) -> np.ndarray:
    """R (d, d) with R^T R = C, rounding removed: eigenvalues up to 10 d eps times the largest count as zero."""
    scale, lam, U = psd_eigh("C", C)
    return np.sqrt(scale * np.where(lam > 10 * len(lam) * EPS * lam[0], lam, 0))[:, None] * U.T


def principal_axes(X) -> tuple[np.ndarray, np.ndarray]:
    """(W, s): right singular vectors (d, r) and singular values (r,) of X (n, d), those above max(n, d) eps s[0]."""
    R = np.linalg.qr(X, mode="r") if len(X) > X.shape[1] else X
    _, s, Wt = np.linalg.svd(R, full_matrices=False)
    keep = s > max(X.shape) * EPS * s[:1]
    return Wt[keep].T, s[keep]


class SpectralGauge(Gauge):
    """gamma(S) = phi(eigenvalues of S): write ``phi`` and ``dphi``, nothing else.  [Sec. 2]

    phi is a symmetric monotone norm on R^d_+.
    """

    @abstractmethod
    def phi(self, lam: np.ndarray) -> float:
        """phi(lam), a float, for eigenvalues lam (d,) >= 0 in descending order."""

    @abstractmethod
    def dphi(self, lam: np.ndarray) -> np.ndarray:
        """A subgradient q (d,) >= 0 of phi at lam: <q, lam> = phi(lam) and <q, x> <= phi(x) for all x >= 0."""

    def value(self, S: np.ndarray) -> float:
        scale, lam, _ = psd_eigh("S", S)
        return float(scale * self.phi(lam)) if scale else 0.0

    def support(self, S: np.ndarray) -> np.ndarray:
        scale, lam, U = psd_eigh("S", S)
        if scale == 0:  # every Q in K is a maximizer: take the one of the identity
            lam = np.ones_like(lam)
        return (U * np.asarray(self.dphi(lam), dtype=float)) @ U.T

    def multiplier_values(self, s: np.ndarray) -> np.ndarray:
        """Eigenvalues p (d,) of P for forces with singular values s (d,) >= 0, descending, s[0] = 1.

        Minimises sum_i s_i^2 / q_i over the diagonal part of K; p = 1/q. Entries where s = 0 are ignored: null
        directions stay at rest. Override where it is closed.
        """
        keep = s > 0
        A = dual.descent_factor(_Diagonal(self), np.diag(s)[:, keep])
        return np.append(np.diag(A) / s[keep], np.zeros(len(s) - keep.sum()))

    def _multiply_along(self, g, R, W, s):
        p = self.multiplier_values(np.append(s / s[0], np.zeros(len(W) - len(s))))[: len(s)]
        u = g @ (W / s)
        # By rounding, column j of u contains eps s[i] / s[j] of each earlier column i. At p = inf, which amplifies
        # small directions, that would show: Gram-Schmidt removes it. Up to a ratio of 100 it is rounding anyway.
        if s[-1] < 0.01 * s[0]:
            T = np.linalg.qr(R @ (W / s), mode="r")
            u = np.linalg.solve(np.transpose(T), u.T).T * np.sign(np.diag(T))
        return (u * (p * s)) @ W.T

    def _within(self, d, r):
        return _Padded(self, d)

    def _smoothed_phi(self, lam, mu) -> SmoothedPhi | None:
        """``SmoothedPhi`` at eigenvalues lam (d,) descending, or None."""

    def _smoothed(self, S, mu):
        lam, U = np.linalg.eigh(S)
        phi = self._smoothed_phi(np.maximum(lam[::-1], 0), mu)
        if phi is None:
            return None
        U = U[:, ::-1]

        def gram(T):
            T = U.T @ T @ U
            i, j = _pairs(len(lam), 1)
            flat = T[:, i, j] * np.sqrt(2 * phi.divided[i, j])
            return curvature_gram(np.diagonal(T, axis1=1, axis2=2), phi.curvature, phi.axis) + flat @ flat.T

        return Smoothed(phi.value, (U * phi.q) @ U.T, gram)


class _Diagonal(Gauge):
    """A spectral gauge restricted to diagonal matrices, where its measure LMO is decided."""

    def __init__(self, spectral):
        self.spectral = spectral

    def value(self, S: np.ndarray) -> float:
        return float(self.spectral.phi(np.sort(np.diag(S))[::-1]))

    def support(self, S: np.ndarray) -> np.ndarray:
        lam = np.diag(S)
        order = np.argsort(-lam, kind="stable")
        q = np.empty_like(lam)
        q[order] = self.spectral.dphi(lam[order])
        return np.diag(q)


class _Padded(SpectralGauge):
    """A spectral gauge of dimension d at smaller moments, to which it adds zero eigenvalues."""

    def __init__(self, spectral, d):
        self.spectral, self.d = spectral, d

    def _pad(self, lam):
        return np.append(lam, np.zeros(self.d - len(lam)))

    def phi(self, lam):
        return self.spectral.phi(self._pad(lam))

    def dphi(self, lam):
        return self.spectral.dphi(self._pad(lam))[: len(lam)]
