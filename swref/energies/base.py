"""What the energies share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_cloud, as_weights

BLOCK = 2**17  # entries of a temporary array: what fits in a processor's cache


class Energy(Protocol):
    """What a flow descends: a function F of a weighted cloud x (n, d), weights (n,), in two methods."""

    def value(self, x: np.ndarray, weights: np.ndarray) -> float:
        """F(sum_i w_i delta_{x_i})."""
        ...

    def force(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """g (n, d), the spatial gradient of the first variation of F at each particle."""
        ...


class Checked(ABC):
    """``value`` and ``force`` from one method ``value_and_force``; subclasses may give cheaper ones."""

    dimension: int | None = None  # of the particles, where only one will do

    def value(self, x: ArrayLike, weights: ArrayLike | None = None) -> float:
        """F, a float, for particles x (n, d) and weights (n,)."""
        return self.value_and_force(x, weights)[0]

    def force(self, x: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
        """g (n, d), the gradient of the first variation at each particle."""
        return self.value_and_force(x, weights)[1]

    @abstractmethod
    def value_and_force(self, x: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, np.ndarray]:
        """(value, force) for the price of the force."""

    def _particles(self, x, weights):
        x = as_cloud("x", x, self.dimension)
        return x, as_weights("weights", weights, len(x))


def blocks(rows, columns):
    """Slices of ``rows`` such that a block of rows has about BLOCK entries."""
    size = max(1, BLOCK // columns)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
