"""The plugin contract: a gauge is two functions, ``value`` and ``support``.

K is the largest set of PSD matrices with support function gamma: K = {Q PSD : gamma_polar(Q) <= 1}.  [Prop. A.2]
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._validation import EPS, as_psd, as_symmetric, check_positive, psd_eigh, symmetrize
from . import dual
from .newton import curvature_gram


class GaugeError(ValueError):
    """A gauge breaks an axiom, or is asked for something its axioms do not give."""


class Smoothed(NamedTuple):
    """gamma_mu(S) = max_{Q in K} <Q, S> + mu b(Q) for a concave barrier b: what the engine's Newton steps use."""

    value: float
    Q: np.ndarray  # the maximizer, (d, d), in K
    gram: Callable  # (k, d, d) -> (k, k): second derivative of gamma_mu along pairs of directions


class SmoothedPhi(NamedTuple):
    """A smoothed phi: second derivative W - W a a^T W / (a^T W a) with W = diag(curvature), a = axis."""

    value: float
    q: np.ndarray  # gradient (d,)
    curvature: np.ndarray  # (d,) >= 0
    axis: np.ndarray  # (d,)
    divided: np.ndarray  # (q_i - q_j)/(lam_i - lam_j), (d, d), zero on the diagonal


class Gauge(ABC):
    """A monotone gauge gamma(S) = max_{Q in K} <Q, S> on PSD (d, d) moments.  [Sec. 2, App. A]

    Write ``value`` and ``support``; every distance, LMO, flow and check of the package follows from these two.
    gamma must be convex, positively 1-homogeneous, positive off zero and monotone: S <= T implies
    gamma(S) <= gamma(T) in the Loewner order. ``swref.check_gauge`` tests all of it.

    ``dimension`` is None, or the only d the gauge accepts. ``convex`` is False for root-norm gauges only.
    """

    dimension = None
    convex = True

    @abstractmethod
    def value(self, S):
        """gamma(S), a float, for S (d, d) positive semidefinite."""

    @abstractmethod
    def support(self, S):
        """A maximizer Q (d, d) of <Q, S> over K: positive semidefinite, with <Q, S> = gamma(S)."""

    def polar(self, Q):
        """sup {<Q, S> : S PSD, gamma(S) <= 1}, a float; at most 1 exactly on K. From ``support``, to 1e-9 relative."""
        return dual.polar(self, as_psd("Q", Q, self.dimension))

    def project(self, A):
        """The Euclidean projection of a symmetric (d, d) matrix A on K.

        From ``support``, to a duality gap of 1e-9 |A_+| max_{Q in K} |Q|; in K to 1e-9.
        """
        return dual.project(self, as_symmetric("A", A, self.dimension))

    def measure_multiplier(self, C):
        """P (d, d) symmetric such that v = -P g solves the measure LMO for forces of second moment C.  [Prop. 2.6]

        Scale: P(tC) = P(C) for t > 0. Zero on the null space of C unless the closed form says otherwise.
        From ``support``, to a duality gap of 1e-9 relative.
        """
        scale, lam, U = psd_eigh("C", as_symmetric("C", C, self.dimension))
        keep = lam > 10 * len(lam) * EPS * lam[0]
        if scale == 0:
            return np.zeros_like(U)
        U, s = U[:, keep], np.sqrt(lam[keep])
        X = dual.descent_factor(self, U * s) / s @ U.T  # P on the range of C
        return X + X.T - symmetrize(U @ (U.T @ X))

    @classmethod
    def example(cls, d):
        """An instance that accepts dimension d, for the test battery and ``check_gauge`` by name."""
        return cls()

    # -- algebra ------------------------------------------------------------------------------------------------
    def __add__(self, other):
        """(gamma_1 + gamma_2)(S); K is the Minkowski sum."""
        from .compose import Sum

        return Sum(self, other) if isinstance(other, Gauge) else NotImplemented

    def __mul__(self, factor):
        """factor * gamma: distances grow by sqrt(factor), velocities shrink by 1/factor."""
        from .compose import Multiple

        return Multiple(self, check_positive("factor", factor)) if np.isscalar(factor) else NotImplemented

    __rmul__ = __mul__

    def congruence(self, A):
        """S -> gamma(A^T S A) with A (d, m) of rank d; K becomes {A Q A^T}."""
        from .compose import Congruence

        return Congruence(self, A)

    # -- hooks: a gauge may override these to be faster or more accurate; nobody has to --------------------------
    def _descent(self, g, weights):
        """v (n, d) minimising sum_i w_i g_i.v_i + gamma(sum_i w_i v_i v_i^T) / 2, for g of order one."""
        root = np.sqrt(weights)[:, None]
        if type(self).measure_multiplier is not Gauge.measure_multiplier:
            return -g @ self.measure_multiplier((root * g).T @ (root * g))
        W, s = _principal_axes(root * g)
        return -(g @ (W / s)) @ dual.descent_factor(self, W * s).T

    def _smoothed(self, S, mu):
        """``Smoothed`` at S, or None when only ``value`` and ``support`` are known."""


def _principal_axes(X):
    """(W, s): the right singular vectors (d, r) and singular values (r,) of X (n, d) above rounding."""
    if len(X) > X.shape[1]:
        X = np.linalg.qr(X, mode="r")
    _, s, Wt = np.linalg.svd(X, full_matrices=False)
    keep = s > max(X.shape) * EPS * s[0]
    return Wt[keep].T, s[keep]


class SpectralGauge(Gauge):
    """gamma(S) = phi(eigenvalues of S): write ``phi`` and ``dphi``, nothing else.  [Sec. 2]

    phi is a symmetric monotone norm on R^d_+.
    """

    @abstractmethod
    def phi(self, lam):
        """phi(lam), a float, for eigenvalues lam (d,) >= 0 in descending order."""

    @abstractmethod
    def dphi(self, lam):
        """A subgradient q (d,) >= 0 of phi at lam: <q, lam> = phi(lam) and <q, x> <= phi(x) for all x >= 0."""

    def value(self, S):
        scale, lam, _ = psd_eigh("S", as_symmetric("S", S))
        return float(scale * self.phi(lam)) if scale else 0.0

    def support(self, S):
        scale, lam, U = psd_eigh("S", as_symmetric("S", S))
        if scale == 0:  # every Q in K is a maximizer: take the one of the identity
            lam = np.ones_like(lam)
        return (U * np.asarray(self.dphi(lam), dtype=float)) @ U.T

    def multiplier_values(self, s):
        """Eigenvalues p (d,) of P for forces with singular values s (d,) >= 0, descending, s[0] = 1.

        Minimises sum_i s_i^2 / q_i over the diagonal part of K; p = 1/q. Entries where s = 0 are ignored.
        Override where it is closed.
        """
        keep = s > 0
        A = dual.descent_factor(_Diagonal(self), np.diag(s)[:, keep])
        return np.append(np.diag(A) / s[keep], np.zeros(len(s) - keep.sum()))

    def measure_multiplier(self, C):
        _, lam, U = psd_eigh("C", as_symmetric("C", C, self.dimension))
        return self._multiplier(np.sqrt(lam), U, np.sqrt(10 * len(lam) * EPS))

    def factor_multiplier(self, R):
        """``measure_multiplier(R^T R)`` from R (k, d), without squaring away the small singular values of R."""
        _, s, Wt = np.linalg.svd(R, full_matrices=R.shape[0] < R.shape[1])
        return self._multiplier(np.pad(s, (0, R.shape[1] - len(s))), Wt.T, max(R.shape) * EPS)

    def _multiplier(self, s, U, cutoff):
        p = self._cut_multiplier_values(s, cutoff)
        return (U * p) @ U.T

    def _cut_multiplier_values(self, s, cutoff):
        """p (d,) for s (d,) descending; zero where s <= cutoff * s[0]: null directions stay at rest."""
        keep = s > cutoff * s[0]
        p = np.zeros_like(s)
        if keep.any():
            x = np.where(keep, s / max(s[0], np.finfo(float).tiny), 0)
            p[keep] = self.multiplier_values(x)[keep]
        return p

    def _descent(self, g, weights):
        root = np.sqrt(weights)[:, None]
        R = np.linalg.qr(root * g, mode="r") if len(g) > g.shape[1] else root * g
        _, s, Wt = np.linalg.svd(R, full_matrices=False)
        p = self._cut_multiplier_values(s, max(g.shape) * EPS)
        keep = p > 0
        # Columns of u are orthonormal in L^2(weights) up to eps * s[0] / s; restoring that exactly is what keeps
        # the small directions, which p = inf amplifies, at full accuracy.
        u = g @ (Wt[keep].T / s[keep])
        lam, E = np.linalg.eigh(symmetrize((root * u).T @ (root * u)))
        u = u @ ((E / np.sqrt(np.maximum(lam, EPS))) @ E.T)
        return -(u * (p * s)[keep]) @ Wt[keep]

    def _smoothed_phi(self, lam, mu):
        """``SmoothedPhi`` at eigenvalues lam (d,) descending, or None."""

    def _smoothed(self, S, mu):
        lam, U = np.linalg.eigh(S)
        phi = self._smoothed_phi(np.maximum(lam[::-1], 0), mu)
        if phi is None:
            return None
        U = U[:, ::-1]

        def gram(T):
            T = U.T @ T @ U
            flat = (T * np.sqrt(phi.divided)).reshape(len(T), -1)
            return curvature_gram(np.diagonal(T, axis1=1, axis2=2), phi.curvature, phi.axis) + flat @ flat.T

        return Smoothed(phi.value, (U * phi.q) @ U.T, gram)


class _Diagonal(Gauge):
    """A spectral gauge restricted to diagonal matrices, where its measure LMO is decided."""

    def __init__(self, spectral):
        self.spectral = spectral

    def value(self, S):
        return float(self.spectral.phi(np.sort(np.diag(S))[::-1]))

    def support(self, S):
        lam = np.diag(S)
        order = np.argsort(-lam, kind="stable")
        q = np.empty_like(lam)
        q[order] = self.spectral.dphi(lam[order])
        return np.diag(q)
