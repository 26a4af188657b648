"""The velocity rule of gradient flows, and particles with an energy as a field for a time stepper."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._measures import unit_scale
from .._session import one_thread_for, silent
from .._validation import as_cloud, as_tolerance, as_weights
from ..gauges import Gauge, gauge_for


@silent
def descent_velocity(
    g: ArrayLike, gauge: str | Gauge, weights: ArrayLike | None = None, cutoff: float = 1e-3
) -> tuple[np.ndarray, float, int]:
    """(v, N*(g)^2, rank): the velocity rule of ``flow`` for forces g (n, d) of particles.

    v (n, d) = -P g with P the multiplier of the force whose singular values are raised to at least ``cutoff`` < 1 times
    the largest; ``rank`` of them did not need it. If all, v is the measure LMO. <g, v> = -N*(g)^2 always. ``gauge``: a
    name or a ``swref.Gauge``; ``weights`` (n,) sum to one (None: 1/n). Raises ValueError for malformed arguments.
    """
    g = as_cloud("g", g)
    weights, cutoff = as_weights("weights", weights, len(g)), as_tolerance("cutoff", cutoff)
    return _velocity(g, gauge_for(gauge, g.shape[1]), weights, cutoff)


def _velocity(g, gauge, weights, cutoff):
    """``descent_velocity`` of checked arguments."""
    scale, g = unit_scale(g)
    if not g.any():
        return np.zeros_like(g), 0.0, 0
    with one_thread_for(g):
        forces = np.sqrt(weights)[:, None] * g
        _, s, axes = np.linalg.svd(np.linalg.qr(forces, mode="r") if len(g) > g.shape[1] else forces)
        s = np.pad(s, (0, len(axes) - len(s)))
        raised = np.maximum(s, cutoff * s[0])
        rank = int((raised == s).sum())
        v = -gauge._multiply(g, raised[:, None] * axes)
        slope2 = pairing = -(weights[:, None] * g * v).sum()
        if rank < len(s):  # the multiplier itself would be huge, and so would be its rounding errors
            rows = s[s > 0, None] * axes[s > 0]
            slope2 = (rows * gauge._multiply(rows, rows)).sum()
    return v * (scale * slope2 / pairing), scale * scale * slope2, rank


class NonFinite(ArithmeticError):
    """An energy, force or position that is NaN or infinite."""


class Particles:
    """The particles of positive weight: their energy, and their velocity as a field on flat arrays."""

    def __init__(self, energy, gauge, weights, cutoff):
        self.energy, self.gauge, self.cutoff = energy, gauge, cutoff
        self.given, self.used, self.evaluations = weights, weights > 0, 0
        self.weights = weights[self.used]

    def field(self, y):
        """d/dt (x, int dissipation), flat, at y = (x, anything)."""
        return self.rate(self.force(y[:-1].reshape(len(self.weights), -1)))[0]

    def motion(self, y):
        """The same without the second part, which has another unit."""
        return np.append(self.field(y)[:-1], 0.0)

    def rate(self, g):
        """(d/dt (x, int dissipation), rank) for forces g."""
        v, slope2, rank = _velocity(g, self.gauge, self.weights, self.cutoff)
        return np.append(v, slope2), rank

    def force(self, x):
        """g (n, d) at x (n, d)."""
        return self._force(x, self.energy.force(*self._copies(x)))

    def value_and_force(self, x):
        if hasattr(self.energy, "value_and_force"):
            value, g = self.energy.value_and_force(*self._copies(x))
        else:
            value, g = self.energy.value(*self._copies(x)), self.energy.force(*self._copies(x))
        if not np.isfinite(value := float(value)):
            raise NonFinite(f"the energy is {value}")
        return value, self._force(x, g)

    def _copies(self, x):  # an energy may write on its arguments
        if not np.isfinite(x).all():
            raise NonFinite("the positions leave the range of float64")
        return x.copy(), self.weights.copy()

    def _force(self, x, g):
        self.evaluations += 1
        g = np.array(g, dtype=float)
        if g.shape != x.shape:
            raise ValueError(f"energy: force must return shape {x.shape}, got {g.shape}")
        if not np.isfinite(g).all():
            raise NonFinite(f"the force has {np.sum(~np.isfinite(g))} entries that are not finite")
        return g

    def norm(self, v):
        """(sum_i w_i |v_i|^2)^(1/2) of a flat field, without under- or overflow."""
        scale, v = unit_scale(v.reshape(len(self.weights), -1))
        return scale * np.sqrt(self.weights @ (v * v).sum(1))
