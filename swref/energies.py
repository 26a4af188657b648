"""Energies F of a weighted cloud of particles: what a flow descends.

An energy is any object with two methods, for particles x (n, d) and weights (n,) that sum to one (None: 1/n each):

    value(x, weights) -> float     F(sum_i w_i delta_{x_i})
    force(x, weights) -> (n, d)    g(x_i), the spatial gradient of the first variation of F at x_i

The force is the gradient with respect to the coordinates of particle i *divided by its weight*: it does not depend on
how finely the measure is cut into particles, and it is defined for particles of weight zero. A third method,
``value_and_force(x, weights) -> (float, (n, d))``, may be added where computing both together saves work.

The energies here check their arguments, accept float32 and compute in float64, with memory linear in n. A result beyond
the range of float64 is inf, never NaN; so is one whose functions, given by the user, return NaN.
"""

import numpy as np
from scipy.special import expit

from ._attention import Attention
from ._session import silent
from ._validation import as_array, as_cloud, as_weights, check_positive, no_nan

__all__ = ["MMD", "Attention", "Interaction", "Potential", "TwoLayerNet"]

BLOCK = 2**17  # entries of a temporary array: what fits in a processor's cache


class _Energy:
    """``value`` and ``force`` from one method ``value_and_force``; subclasses may give cheaper ones."""

    def value(self, x, weights=None):
        """F, a float, for particles x (n, d) and weights (n,)."""
        return self.value_and_force(x, weights)[0]

    def force(self, x, weights=None):
        """g (n, d), the gradient of the first variation at each particle."""
        return self.value_and_force(x, weights)[1]

    def _particles(self, x, weights, d=None):
        x = as_cloud("x", x, d)
        return x, as_weights("weights", weights, len(x))


class MMD(_Energy):
    """Squared kernel distance F = sum_ij w_i w_j k(x_i, x_j) + sum v_i v_j k(y_i, y_j) - 2 sum w_i v_j k(x_i, y_j).

    target y (m, d), ``weights`` v (m,), None: 1/m each. ``kernel``: "energy", k = -(r^2 + epsilon^2)^(1/2) with
    epsilon = 0.01 unless given (the energy distance of Fig. 5; at epsilon = 0 coincident particles exert no force), or
    "gaussian", k = exp(-r^2 / (2 bandwidth^2)) with bandwidth = 1 unless given. Both are absolute lengths.
    F >= 0, and 0 only for equal measures. Cost O(n (n + m)) per call.  [Sec. 5, Fig. 5]
    """

    @silent
    def __init__(self, target, weights=None, kernel="energy", *, epsilon=None, bandwidth=None):
        self.target = as_cloud("target", target)
        self.weights = as_weights("weights", weights, len(self.target))
        if kernel not in ("energy", "gaussian"):
            raise ValueError(f"kernel: expected 'energy' or 'gaussian', got {kernel!r}")
        foreign = ("bandwidth", bandwidth) if kernel == "energy" else ("epsilon", epsilon)
        if foreign[1] is not None:
            raise ValueError(f"{foreign[0]}: the {kernel} kernel has no such parameter, got {foreign[1]!r}")
        self.kernel = kernel
        if kernel == "gaussian":
            self.length = check_positive("bandwidth", 1.0 if bandwidth is None else bandwidth)
        else:
            self.length = 0.0 if epsilon == 0 else check_positive("epsilon", 0.01 if epsilon is None else epsilon)
        potential, _ = self._field(self.target, self.target, self.weights)
        self._target_part = self.weights @ potential

    def __repr__(self):
        return f"MMD(target of shape {self.target.shape}, kernel={self.kernel!r}, length={self.length:g})"

    @silent
    def value_and_force(self, x, weights=None):
        x, w = self._particles(x, weights, self.target.shape[1])
        own, own_gradient = self._field(x, x, w)
        other, other_gradient = self._field(x, self.target, self.weights)
        value = w @ (own - 2 * other) + self._target_part
        return max(float(no_nan(value)), 0.0), no_nan(2 * (own_gradient - other_gradient))

    def _field(self, x, y, b):
        """sum_j b_j (k(x_i, y_j) - k(0, 0)), (n,), and its gradient in x_i, (n, d).

        The constant cancels in F, and without it less is lost to rounding.
        """
        from ._kernels import kernel_field

        # A power of two scales without rounding and keeps squares representable.
        exponent = np.frexp(max(np.abs(x).max(), np.abs(y).max(), self.length))[1]
        X, Y = (np.ascontiguousarray(np.ldexp(z, -exponent).T) for z in (x, y))
        gaussian = self.kernel == "gaussian"
        length = np.ldexp(self.length, -exponent)
        potential, gradient = kernel_field(X, Y, b, max(length, 1e-300) if gaussian else length, gaussian)
        unit = np.ldexp(1.0, -exponent) if gaussian else 1.0
        return potential if gaussian else np.ldexp(potential, exponent), gradient.T * unit


class TwoLayerNet(_Energy):
    """F = 1/(2N) sum_j (H(z_j) - y_j)^2 for the two-layer net H(z) = sum_i w_i u_i sigma(v_i . z).  [Sec. 5, Fig. 3]

    ``inputs`` z (N, k), ``targets`` y (N,); particles x_i = (u_i, v_i) in R^(1+k), output weight first. ``activation``:
    "relu" (with derivative 0 at its kink), "softplus", "tanh", or two functions of arrays (sigma, derivative).

    Cost O(n N k) by matrix products; the planar ReLU network (k = 2) costs O((n + N) log(n + N)), exactly: neuron i is
    active at z when v_i is in the half-plane v . z > 0, so H(z) and the force need only sums over half-planes.
    """

    @silent
    def __init__(self, inputs, targets, activation="relu"):
        self.inputs = as_array("inputs", inputs, 2)
        self.targets = as_array("targets", targets, 1, (len(self.inputs),))
        if isinstance(activation, str) and activation in ACTIVATIONS:
            self.sigma, self.derivative = ACTIVATIONS[activation]
        elif isinstance(activation, (tuple, list)) and len(activation) == 2 and all(map(callable, activation)):
            self.sigma, self.derivative = activation
        else:
            raise ValueError(f"activation: expected one of {list(ACTIVATIONS)} or two functions, got {activation!r}")
        self.activation = activation
        self._by_angle = _HalfPlanes(self.inputs) if activation == "relu" and self.inputs.shape[1] == 2 else None

    def __repr__(self):
        return f"TwoLayerNet(inputs of shape {self.inputs.shape}, activation={self.activation!r})"

    @silent
    def predict(self, x, weights=None, inputs=None):
        """H(z), (N,), at the network's own inputs or at others (N, k)."""
        x, w = self._particles(x, weights, 1 + self.inputs.shape[1])
        z = self.inputs if inputs is None else as_array("inputs", inputs, 2)
        if z.shape[1] != x.shape[1] - 1:
            raise ValueError(f"inputs: expected {x.shape[1] - 1} columns, got shape {z.shape}")
        return no_nan(self._outputs(x[:, 0] * w, x[:, 1:], z))

    @silent
    def value(self, x, weights=None):
        return self._loss(self.predict(x, weights) - self.targets)

    @silent
    def value_and_force(self, x, weights=None):
        x, w = self._particles(x, weights, 1 + self.inputs.shape[1])
        u, v, size = x[:, 0], x[:, 1:], len(self.targets)
        if self._by_angle is not None:
            residual = self._outputs(u * w, v, self.inputs) - self.targets
            pull = self._by_angle.sums(residual[:, None] * self.inputs / size, v)
            force = np.column_stack([(pull * v).sum(1), u[:, None] * pull])
        else:
            residual, force = np.empty(size), np.zeros_like(x)
            for part in _blocks(size, len(x)):
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
            return (_HalfPlanes(v).sums(wu[:, None] * v, z) * z).sum(1)
        parts = _blocks(len(z), len(v))
        return np.concatenate([self.sigma(z[part] @ v.T) @ wu for part in parts])

    def _loss(self, residual):
        residual = no_nan(residual)
        return float(residual @ (residual / (2 * len(residual))))


ACTIVATIONS = {
    "relu": (lambda s: np.maximum(s, 0), lambda s: (s > 0).astype(float)),
    "softplus": (lambda s: np.logaddexp(0, s), expit),
    "tanh": (np.tanh, lambda s: 1 - np.tanh(s) ** 2),
}


class _HalfPlanes:
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


class Potential(_Energy):
    """F = sum_i w_i h(x_i); ``h``: (n, d) -> (n,), its gradient ``grad``: (n, d) -> (n, d)."""

    def __init__(self, h, grad):
        self.h, self.grad = _function("h", h), _function("grad", grad)

    @silent
    def value(self, x, weights=None):
        x, w = self._particles(x, weights)
        used = w > 0  # elsewhere h may be infinite
        return float(no_nan(w[used] @ _returned("h", self.h(x), w.shape)[used]))

    @silent
    def force(self, x, weights=None):
        x, _ = self._particles(x, weights)
        return np.array(no_nan(_returned("grad", self.grad(x), x.shape)))

    def value_and_force(self, x, weights=None):
        return self.value(x, weights), self.force(x, weights)


class Interaction(_Energy):
    """F = sum_ij w_i w_j h(x_i, x_j) for a symmetric h, the pairs i = j included; force 2 sum_j w_j grad h(x_i, x_j).

    ``h``: (..., d), (..., d) -> (...), with broadcasting; ``grad`` the same -> (..., d), the gradient in the *first*
    argument. Both are called on blocks of pairs, so that memory stays linear in n. Particles of weight zero exert no
    force, even where h is infinite. ``value`` and ``force`` raise ValueError if h(x_i, x_j) and h(x_j, x_i) differ on
    the pairs with the first particle: then the force would not be the gradient of the value.
    """

    def __init__(self, h, grad):
        self.h, self.grad = _function("h", h), _function("grad", grad)

    @silent
    def value(self, x, weights=None):
        x, w = self._symmetric(x, weights)
        x, w, total = x[w > 0], w[w > 0], 0.0
        for part in _blocks(len(x), len(x)):
            pairs = self.h(x[part, None], x[None])
            total += w[part] @ _returned("h", pairs, (len(x[part]), len(x))) @ w
        return float(no_nan(total))

    @silent
    def force(self, x, weights=None):
        x, w = self._symmetric(x, weights)
        sources, masses, force = x[w > 0], w[w > 0], np.empty_like(x)
        for part in _blocks(len(x), sources.size):
            gradient = self.grad(x[part, None], sources[None])
            force[part] = 2 * (masses @ _returned("grad", gradient, (len(x[part]), *sources.shape)))
        return no_nan(force)

    def _symmetric(self, x, weights):
        x, w = self._particles(x, weights)
        there, back = (_returned("h", pairs, w.shape) for pairs in (self.h(x[:1], x), self.h(x, x[:1])))
        if not np.allclose(there, back, rtol=1e-9, atol=1e-9 * np.abs(there[np.isfinite(there)]).max(initial=0)):
            raise ValueError("h: must be symmetric, got h(x, y) != h(y, x)")
        return x, w

    def value_and_force(self, x, weights=None):
        return self.value(x, weights), self.force(x, weights)


def _blocks(rows, columns):
    """Slices of ``rows`` such that a block of rows has about BLOCK entries."""
    size = max(1, BLOCK // columns)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _function(name, value):
    if not callable(value):
        raise ValueError(f"{name}: expected a function, got {type(value).__name__}")
    return value


def _returned(name, value, shape):
    value = np.asarray(value, dtype=float)
    if value.shape != shape:
        raise ValueError(f"{name}: must return shape {shape}, got {value.shape}")
    return value
