"""A gauge that swref does not have, from a package of its own: the weighted nuclear norm."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

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

    def multiplier_values(self, s):
        """1/q, q/s the isotonic regression of the weights over s: optional, a closed form in place of an iteration."""
        used, p = s > 0, np.zeros(len(s))
        s, w = s[used], self.dphi(s)[used]
        p[used] = 1 / (isotonic_regression(w / s, weights=s).x * s)
        return p
