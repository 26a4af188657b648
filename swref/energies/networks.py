"""The loss of a two-layer network as a function of the law of its neurons."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from .._session import silent
from .._validation import as_array, as_cloud, no_nan
from .base import Checked, blocks

Activation = Literal["relu", "softplus", "tanh"] | tuple[Callable[[np.ndarray], np.ndarray], ...]


class TwoLayerNet(Checked):
    """F = 1/(2N) sum_j (H(z_j) - y_j)^2 for the two-layer net H(z) = sum_i w_i u_i sigma(v_i . z).  [Sec. 5, Fig. 3]

    ``inputs`` z (N, k), ``targets`` y (N,); particles x_i = (u_i, v_i) in R^(1+k), output weight first. ``activation``:
    "relu" (with derivative 0 at its kink), "softplus", "tanh", or two functions of arrays (sigma, derivative).

    Cost O(n N k) by matrix products; the planar ReLU network (k = 2) costs O((n + N) log(n + N)), exactly: neuron i is
    active at z when v_i is in the half-plane v . z > 0, so H(z) and the force need only sums over half-planes.
    """

    @silent
    def __init__(self, inputs: ArrayLike, targets: ArrayLike, activation: Activation = "relu"):
        self.inputs = as_array("inputs", inputs, 2)
        self.targets = as_array("targets", targets, 1, (len(self.inputs),))
        self.dimension = 1 + self.inputs.shape[1]
        if isinstance(activation, str) and activation in ACTIVATIONS:
            self.sigma, self.derivative = ACTIVATIONS[activation]
        elif isinstance(activation, (tuple, list)) and len(activation) == 2 and all(map(callable, activation)):
            self.sigma, self.derivative = activation
        else:
            raise ValueError(f"activation: expected one of {list(ACTIVATIONS)} or two functions, got {activation!r}")
        self.activation = activation
        self._by_angle = HalfPlanes(self.inputs) if activation == "relu" and self.inputs.shape[1] == 2 else None

    def __repr__(self):
        return f"TwoLayerNet(inputs of shape {self.inputs.shape}, activation={self.activation!r})"

    @silent
    def predict(self, x: ArrayLike, weights: ArrayLike | None = None, inputs: ArrayLike | None = None) -> np.ndarray:
        """H(z), (N,), at the network's own inputs or at others (N, k)."""
        x, w = self._particles(x, weights)
        z = self.inputs if inputs is None else as_cloud("inputs", inputs, self.inputs.shape[1])
        return no_nan(self._outputs(x[:, 0] * w, x[:, 1:], z))

    @silent
    def value(self, x: ArrayLike, weights: ArrayLike | None = None) -> float:
        return self._loss(self.predict(x, weights) - self.targets)

    @silent
    def value_and_force(self, x: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, np.ndarray]:
        x, w = self._particles(x, weights)
        u, v, size = x[:, 0], x[:, 1:], len(self.targets)
        if self._by_angle is not None:
            residual = self._outputs(u * w, v, self.inputs) - self.targets
            pull = self._by_angle.sums(residual[:, None] * self.inputs / size, v)
            force = np.column_stack([(pull * v).sum(1), u[:, None] * pull])
        else:
            residual, force = np.empty(size), np.zeros_like(x)
            for part in blocks(size, len(x)):
                z = self.inputs[part]
                s = z @ v.T
                outputs = self.sigma(s)
                residual[part] = outputs @ (u * w) - self.targets[part]
                force[:, 0] += outputs.T @ residual[part] / size
                force[:, 1:] += (self.derivative(s).T * residual[part]) @ z / size
            force[:, 1:] *= u[:, None]
        return self._loss(residual), no_nan(force)

    def _outputs(self, wu, v, z):
        if self._by_angle is not None:
            return (HalfPlanes(v).sums(wu[:, None] * v, z) * z).sum(1)
        parts = blocks(len(z), len(v))
        return np.concatenate([self.sigma(z[part] @ v.T) @ wu for part in parts])

    def _loss(self, residual):
        residual = no_nan(residual)
        return float(residual @ (residual / (2 * len(residual))))


def _step(s):
    return (s > 0).astype(float)


def _tanh_slope(s):
    return 1 - np.tanh(s) ** 2


ACTIVATIONS = {  # functions with names, so that an energy can be pickled
    "relu": (partial(np.maximum, 0), _step),
    "softplus": (partial(np.logaddexp, 0), expit),
    "tanh": (np.tanh, _tanh_slope),
}


class HalfPlanes:
    """Sums over the points p_i (n, 2) of the plane that lie in the open half-planes p . q > 0, many q at a time.

    Points of the lower half of the plane are turned by 180 degrees and remembered as such. Sorted by angle in [0, 180),
    the points p . q > 0 are then the upper ones beyond some angle and the lower ones before it, or the reverse. Sums
    from either end, never differences of sums, add them up: no digits cancel. O(n log n), then O(log n) for each q.
    """

    def __init__(self, points):
        lower, angle = self._locate(points)
        self.order = np.argsort(angle, kind="stable")
        somewhere = points.any(1)  # the origin is in no half-plane
        self.side = np.stack([somewhere & ~lower, somewhere & lower])[:, self.order, None]
        self.angle = angle[self.order]

    def sums(self, values, queries):
        """sum of values_i (n, k) over p_i . q > 0, for each query q (m, 2): (m, k). Zero for q = 0."""
        values = self.side * values[self.order]  # (2, n, k): upper, lower
        zero = np.zeros((2, 1, values.shape[2]))
        before = np.concatenate([zero, np.cumsum(values, axis=1)], axis=1)
        beyond = np.concatenate([np.cumsum(values[:, ::-1], axis=1)[:, ::-1], zero], axis=1)
        # A half-plane begins a quarter turn before q; a point exactly there is on its boundary, and so outside.
        lower, angle = self._locate(np.column_stack([queries[:, 1], -queries[:, 0]]))
        own, opposite = lower.astype(int), 1 - lower
        first, last = (np.searchsorted(self.angle, angle, side=side) for side in ("left", "right"))
        return (beyond[own, last] + before[opposite, first]) * queries.any(1)[:, None]

    @staticmethod
    @silent
    def _locate(points):
        """Whether a point is in the lower half-plane, and minus the cotangent of its angle: exact for multiples."""
        x, y = points.T
        lower = (y < 0) | ((y == 0) & (x < 0))
        return lower, np.where((x == 0) & (y == 0), -np.inf, np.where(lower, x, -x) / np.abs(y))
