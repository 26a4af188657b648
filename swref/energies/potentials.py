"""Energies of one particle at a time, and of pairs, from functions that the user gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .._session import silent
from .._validation import no_nan
from .base import Checked, blocks


class _Given(Checked):
    def __init__(self, h: Callable[..., np.ndarray], grad: Callable[..., np.ndarray]):
        for name, value in (("h", h), ("grad", grad)):
            if not callable(value):
                raise ValueError(f"{name}: expected a function, got {type(value).__name__}")
        self.h, self.grad = h, grad

    def value_and_force(self, x: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, np.ndarray]:
        return self.value(x, weights), self.force(x, weights)


class Potential(_Given):
    """F = sum_i w_i h(x_i); ``h``: (n, d) -> (n,), its gradient ``grad``: (n, d) -> (n, d)."""

    @silent
    def value(self, x: ArrayLike, weights: ArrayLike | None = None) -> float:
        x, w = self._particles(x, weights)
        used = w > 0  # elsewhere h may be infinite
        return float(no_nan(w[used] @ _returned("h", self.h(x), w.shape)[used]))

    @silent
    def force(self, x: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
        x, _ = self._particles(x, weights)
        return np.array(no_nan(_returned("grad", self.grad(x), x.shape)))


class Interaction(_Given):
    """F = sum_ij w_i w_j h(x_i, x_j) for a symmetric h, the pairs i = j included; force 2 sum_j w_j grad h(x_i, x_j).

    ``h``: (..., d), (..., d) -> (...), with broadcasting; ``grad`` the same -> (..., d), the gradient in the *first*
    argument. Both are called on blocks of pairs, so that memory stays linear in n. Particles of weight zero exert no
    force, even where h is infinite. ``value`` and ``force`` raise ValueError if h(x_i, x_j) and h(x_j, x_i) differ on
    the pairs with the first particle: then the force would not be the gradient of the value.
    """

    @silent
    def value(self, x: ArrayLike, weights: ArrayLike | None = None) -> float:
        x, w = self._symmetric(x, weights)
        x, w, total = x[w > 0], w[w > 0], 0.0
        for part in blocks(len(x), len(x)):
            pairs = self.h(x[part, None], x[None])
            total += w[part] @ _returned("h", pairs, (len(x[part]), len(x))) @ w
        return float(no_nan(total))

    @silent
    def force(self, x: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
        x, w = self._symmetric(x, weights)
        sources, masses, force = x[w > 0], w[w > 0], np.empty_like(x)
        for part in blocks(len(x), sources.size):
            gradient = self.grad(x[part, None], sources[None])
            force[part] = 2 * (masses @ _returned("grad", gradient, (len(x[part]), *sources.shape)))
        return no_nan(force)

    def _symmetric(self, x, weights):
        x, w = self._particles(x, weights)
        there, back = (_returned("h", pairs, w.shape) for pairs in (self.h(x[:1], x), self.h(x, x[:1])))
        if not np.allclose(there, back, rtol=1e-9, atol=1e-9 * np.abs(there[np.isfinite(there)]).max(initial=0)):
            raise ValueError("h: must be symmetric, got h(x, y) != h(y, x)")
        return x, w


def _returned(name, value, shape):
    value = np.asarray(value, dtype=float)
    if value.shape != shape:
        raise ValueError(f"{name}: must return shape {shape}, got {value.shape}")
    return value
