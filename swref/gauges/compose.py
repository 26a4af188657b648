"""New gauges from old: sums, maxima, positive multiples, congruences."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_array, as_psd, check_methods, check_positive, symmetrize, written
from .base import Body, Gauge, Smoothed
from .newton import curvature_gram, soft_max


class _Combination(Gauge):
    def __init__(self, *parts: Gauge):
        if not parts or not all(isinstance(g, Gauge) for g in parts):
            raise ValueError(f"gauges: expected one or more swref.Gauge instances, got {parts!r}")
        if not all(g.convex for g in parts):
            raise ValueError(f"gauges: all must be convex, got {parts!r}")
        dimensions = {g.dimension for g in parts if g.dimension is not None}
        if len(dimensions) > 1:
            raise ValueError(f"gauges: dimensions disagree, got {sorted(dimensions)}")
        self.parts = parts
        self.dimension = dimensions.pop() if dimensions else None

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(repr, self.parts))})"

    def _smoothed(self, S, mu):
        parts = [g._smoothed(S, mu) for g in self.parts]
        return None if None in parts else self._joined(parts, mu)

    @abstractmethod
    def _joined(self, parts, mu) -> Smoothed:
        """The combination of its smoothed parts."""


class Sum(_Combination):
    """(gamma_1 + ... + gamma_k)(S); written gamma_1 + gamma_2. K is the Minkowski sum.

    Raises ValueError unless all ``parts`` are convex gauges that accept a common dimension.
    """

    def value(self, S: np.ndarray) -> float:
        return sum(g.value(S) for g in self.parts)

    def support(self, S: np.ndarray) -> np.ndarray:
        return np.sum([g.support(S) for g in self.parts], 0)

    def _joined(self, parts, mu):
        value, Q = sum(p.value for p in parts), np.sum([p.Q for p in parts], 0)
        return Smoothed(value, Q, lambda T: np.sum([p.gram(T) for p in parts], 0))


class Max(_Combination):
    """max(gamma_1, ..., gamma_k)(S). K is the hull of the union. ``parts``, errors: as for ``Sum``."""

    def value(self, S: np.ndarray) -> float:
        return max(g.value(S) for g in self.parts)

    def support(self, S: np.ndarray) -> np.ndarray:
        return max(self.parts, key=lambda g: g.value(S)).support(S)

    def _joined(self, parts, mu):
        value, theta, curvature = soft_max(np.array([p.value for p in parts]), mu)

        def gram(T):
            slopes = np.tensordot(T, [p.Q for p in parts], ((1, 2), (1, 2)))
            across = curvature_gram(slopes, curvature, np.ones(len(parts)))
            return across + sum(t * p.gram(T) for t, p in zip(theta, parts, strict=True))

        return Smoothed(value, np.tensordot(theta, [p.Q for p in parts], 1), gram)


class _Through(Gauge):
    """S -> gamma(A^T S A), A (d, m) of any rank. K = {A Q A^T}."""

    def __init__(self, gauge, A):
        self.gauge, self.A = gauge, A
        self.dimension: int = len(A)

    def _seen(self, S):
        return symmetrize(self.A.T @ S @ self.A)

    def _lifted(self, Q):
        return symmetrize(self.A @ Q @ self.A.T)

    def value(self, S: np.ndarray) -> float:
        return self.gauge.value(self._seen(S))

    def support(self, S: np.ndarray) -> np.ndarray:
        return self._lifted(self.gauge.support(self._seen(S)))

    def _smoothed(self, S, mu):
        part = self.gauge._smoothed(self._seen(S), mu)
        return part and Smoothed(part.value, self._lifted(part.Q), lambda T: part.gram(self._seen(T)))


class Multiple(Gauge):
    """factor * gamma(S), factor > 0; written factor * gauge. W grows by sqrt(factor), velocities shrink by 1/factor.

    Raises ValueError for a factor that is no positive finite number.
    """

    def __init__(self, gauge: Gauge, factor: float):
        check_methods("gauge", gauge, "value(S)", "support(S)")
        self.gauge, self.factor = gauge, check_positive("factor", factor)
        self.dimension, self.convex = gauge.dimension, gauge.convex

    def __repr__(self):
        short = f"{self.factor:g}"
        return f"{short if float(short) == self.factor else self.factor} * {self.gauge!r}"

    def value(self, S: np.ndarray) -> float:
        return self.factor * self.gauge.value(S)

    def support(self, S: np.ndarray) -> np.ndarray:
        return self.factor * self.gauge.support(S)

    def _smoothed(self, S, mu):
        part, factor = self.gauge._smoothed(S, mu), self.factor
        return part and Smoothed(factor * part.value, factor * part.Q, lambda T: factor * part.gram(T))

    def polar(self, Q: np.ndarray) -> float:
        return self.gauge.polar(Q) / self.factor

    def project(self, A: np.ndarray) -> np.ndarray:
        return self.factor * self.gauge.project(as_array("A", A, 2) / self.factor)

    def measure_multiplier(self, C: np.ndarray) -> np.ndarray:
        return self.gauge.measure_multiplier(C) / self.factor

    def _multiply(self, g, R):
        return self.gauge._multiply(g, R) / self.factor

    def _norm(self, R):
        return np.sqrt(self.factor) * self.gauge._norm(R)

    def _body(self, d):
        part = self.gauge._body(d)
        return part and Body(part.exponent, self.factor * part.size, self.factor * part.cap)

    def _within(self, d, r):
        part = self.gauge._within(d, r)
        return part and self.factor * part


class Congruence(_Through):
    """S -> gamma(A^T S A), A (d, m) of rank d: the gauge seen through the linear map x -> A^T x. K = {A Q A^T}.

    Raises ValueError for a gauge that is not convex or does not accept (m, m) moments, and for an A of smaller rank.
    """

    def __init__(self, gauge: Gauge, A: ArrayLike):
        if not getattr(gauge, "convex", False):
            raise ValueError(f"gauge: must be convex, got {gauge!r}")
        super().__init__(gauge, as_array("A", A, 2))
        self.A.setflags(write=False)
        if gauge.dimension not in (None, self.A.shape[1]):
            raise ValueError(f"A: expected {gauge.dimension} columns for {gauge!r}, got shape {self.A.shape}")
        if np.linalg.matrix_rank(self.A) < self.dimension:
            raise ValueError(f"A: must have rank {self.dimension} (else gamma(S) = 0 for some S != 0)")

    def __repr__(self):
        return f"{self.gauge!r}.congruence({written(self.A)})"

    def value(self, S: np.ndarray) -> float:
        return super().value(as_psd("S", S, self.dimension))

    def support(self, S: np.ndarray) -> np.ndarray:
        return super().support(as_psd("S", S, self.dimension))


def maximum(*gauges: Gauge) -> Max:
    """max(gamma_1, ..., gamma_k)(S), a ``Max`` of ``gauges``; errors: as for ``Sum``."""
    return Max(*gauges)
