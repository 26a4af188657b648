"""A gauge that swref does not have, from a package of its own: the weighted nuclear norm."""

from dataclasses import dataclass

import numpy as np

import swref


@dataclass(frozen=True)
class WeightedNuclear(swref.SpectralGauge):
    """Gauge sum_i i^(-decay) lambda_i of a PSD (d, d) moment, lambda_1 >= ... >= lambda_d.

    The weights decrease, which makes the sum convex. decay = 0 is the trace gauge; as decay grows, only lambda_1
    counts: the operator gauge. Raises ValueError unless decay >= 0.
    """

    decay: float = 1.0

    def __post_init__(self):
        if not 0 <= self.decay < np.inf:
            raise ValueError(f"decay: expected a finite number >= 0, got {self.decay!r}")

    def phi(self, lam):
        return float(self.dphi(lam) @ lam)

    def dphi(self, lam):
        return np.arange(1.0, len(lam) + 1) ** -self.decay
