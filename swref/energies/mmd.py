"""The squared kernel distance to a target."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .._session import silent
from .._validation import as_cloud, as_nonnegative, as_weights, check_positive, no_nan
from .base import Checked


class MMD(Checked):
    """Squared kernel distance F = sum_ij w_i w_j k(x_i, x_j) + sum v_i v_j k(y_i, y_j) - 2 sum w_i v_j k(x_i, y_j).

    target y (m, d), ``weights`` v (m,), None: 1/m each. ``kernel``: "energy", k = -(r^2 + epsilon^2)^(1/2) with
    epsilon = 0.01 unless given (the energy distance of Fig. 5; at epsilon = 0 coincident particles exert no force), or
    "gaussian", k = exp(-r^2 / (2 bandwidth^2)) with bandwidth = 1 unless given. Both are absolute lengths.
    F >= 0, and 0 only for equal measures. Cost O(n (n + m)) per call.  [Sec. 5, Fig. 5]
    """

    @silent
    def __init__(
        self, target: ArrayLike, weights: ArrayLike | None = None, kernel: Literal["energy", "gaussian"] = "energy", *,
        epsilon: float | None = None, bandwidth: float | None = None,
    ):  # fmt: skip
        self.target = as_cloud("target", target)
        self.dimension = self.target.shape[1]
        self.weights = as_weights("weights", weights, len(self.target))
        if str(kernel) not in ("energy", "gaussian"):
            raise ValueError(f"kernel: expected 'energy' or 'gaussian', got {kernel!r}")
        foreign = ("bandwidth", bandwidth) if kernel == "energy" else ("epsilon", epsilon)
        if foreign[1] is not None:
            raise ValueError(f"{foreign[0]}: the {kernel} kernel has no such parameter, got {foreign[1]!r}")
        self.kernel = kernel
        if kernel == "gaussian":
            self.length = check_positive("bandwidth", 1.0 if bandwidth is None else bandwidth)
        else:
            self.length = float(as_nonnegative("epsilon", 0.01 if epsilon is None else epsilon, 0))
        potential, _ = self._field(self.target, self.target, self.weights)
        self._target_part = self.weights @ potential

    def __repr__(self):
        return f"MMD(target of shape {self.target.shape}, kernel={self.kernel!r}, length={self.length:g})"

    @silent
    def value_and_force(self, x: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, np.ndarray]:
        x, w = self._particles(x, weights)
        own, own_gradient = self._field(x, x, w)
        other, other_gradient = self._field(x, self.target, self.weights)
        value = w @ (own - 2 * other) + self._target_part
        return max(float(no_nan(value)), 0.0), no_nan(2 * (own_gradient - other_gradient))

    def _field(self, x, y, b):
        """sum_j b_j (k(x_i, y_j) - k(0, 0)), (n,), and its gradient in x_i, (n, d).

        The constant cancels in F, and without it less is lost to rounding.
        """
        from .kernels import kernel_field

        # A power of two scales without rounding and keeps squares representable.
        exponent = np.frexp(max(np.abs(x).max(), np.abs(y).max(), self.length))[1]
        X, Y = (np.ascontiguousarray(np.ldexp(z, -exponent).T) for z in (x, y))
        gaussian = self.kernel == "gaussian"
        length = np.ldexp(self.length, -exponent)
        potential, gradient = np.empty(len(x)), np.empty(X.shape)
        kernel_field(X, Y, b, max(length, 1e-300) if gaussian else length, gaussian, potential, gradient)
        unit = np.ldexp(1.0, -exponent) if gaussian else 1.0
        return potential if gaussian else np.ldexp(potential, exponent), gradient.T * unit
