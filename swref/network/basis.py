"""A basis of the transport problem and the plan that it stands for."""

from typing import NamedTuple

import numpy as np

from .._validation import EPS
from .masses import Masses

RESIDUAL = 64 * EPS  # of a pricing tolerance: the next one, once costs are replaced by reduced costs
FINE = 1e-9  # of the total cost: a coarser pricing tolerance is refined


class BasicPlan(NamedTuple):
    """An optimal basic plan: its nonempty cells, and potentials with f_i + g_j <= C_ij + ``violation`` everywhere."""

    rows: np.ndarray
    columns: np.ndarray
    masses: np.ndarray
    f: np.ndarray
    g: np.ndarray
    violation: float


class Basis:
    """A spanning tree of the transport problem with masses A (2, n), B (2, m) in limbs, and its plan.

    It starts as the monotone plan for points that come in the orders s (n,) and t (m,).
    """

    def __init__(self, A, B, s, t):
        from .basic_kernels import staircase

        rows, columns, cells = staircase(A[:, s], B[:, t])
        self._plant(s[rows], t[columns], cells, len(s), Masses.as_floats(A).sum())

    @classmethod
    def of_cells(cls, rows, columns, masses, n, total):
        """The basis of these n + m - 1 cells, with masses (2, n + m - 1) that add up to ``total`` units."""
        basis = cls.__new__(cls)
        basis._plant(rows, columns, masses, n, total)
        return basis

    def _plant(self, rows, columns, masses, n, total):
        from .tree_kernels import tree_of

        self.n, self.root, self.total = n, int(rows[0]), total
        self.tree = tree_of(rows, columns, masses, n)

    def masses(self):
        """The mass of the cell of every node (n + m,); zero at the root."""
        return Masses.as_floats((self.tree["high"], self.tree["low"])) / self.total

    def cells(self):
        """(rows, columns, masses) of the cells that are not empty."""
        masses = self.masses()
        (child,) = np.nonzero(masses)
        parent = self.tree["parent"][child]
        return np.minimum(child, parent), np.maximum(child, parent) - self.n, masses[child]

    def potentials(self):
        """(f (n,), g (m,))"""
        return np.split(self.tree["potential"].copy(), [self.n])
