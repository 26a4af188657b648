"""A network simplex that starts from its last answer, for many transport problems with the same weights."""

from typing import NamedTuple

import numpy as np

from .._validation import EPS
from .masses import FINEST

LIMB = 2.0 ** -(FINEST // 2)
PRICING = 4 * EPS  # of the largest cost: reduced costs below minus this enter the basis; rounding is about EPS
RESIDUAL = 64 * EPS  # of that, once costs are replaced by reduced costs
FINE = 1e-9  # of the total cost: a coarser pricing tolerance is refined


class BasicPlan(NamedTuple):
    """An optimal basic plan: its nonempty cells, and potentials with f_i + g_j <= C_ij + ``violation`` everywhere."""

    rows: np.ndarray
    columns: np.ndarray
    masses: np.ndarray
    f: np.ndarray
    g: np.ndarray
    violation: float


class NetworkSimplex:
    """A sequence of transport problems: similar costs C (n, m) >= 0, the same weights A (2, n), B (2, m) in limbs.

    The optimal spanning tree of one call starts the next. It stays feasible, because the weights do not change, and a
    few pivots repair its optimality: near the end, that costs little more than reading C. The first tree is the
    monotone plan for points that come in the orders s (n,) and t (m,). Masses are counted in whole units, so that
    empty cells are recognised exactly.
    """

    def __init__(self, A, B, s, t):
        from .kernels import staircase, tree_of

        rows, columns, cells = staircase(A[:, s], B[:, t])
        self.limbs, self.n = (A, B), len(s)
        self.tree = tree_of(s[rows], t[columns], cells, len(s))

    @staticmethod
    def as_floats(masses, limbs):
        """Masses (2, k) in limbs as parts of the total of the weights ``limbs``."""
        return (masses[0] + LIMB * masses[1]) / float(limbs[0][0].sum() + LIMB * limbs[0][1].sum())

    def solve(self, C):
        """The ``BasicPlan`` for C, to a violation of PRICING max C, or less where that would show in the cost.

        The last digits come by iterative refinement: the potentials are subtracted from the costs, exactly, and the
        same simplex goes on with what is left.
        """
        n, violation = self.n, self._price(C, self.tolerance(C))
        rows, columns, masses = self._cells()
        f, g = np.split(self.tree.potential.copy(), [n])
        if violation > FINE * (masses @ C[rows, columns]):
            violation, change = self.refine(C, f, g, violation)
            rows, columns, masses = self._cells()
            f, g = f + change[:n], g + change[n:]
        return BasicPlan(rows, columns, masses, f, g, violation)

    @staticmethod
    def tolerance(C):
        return PRICING * float(C.max())

    def refine(self, C, f, g, violation):
        """(violation, changes (n + m,) of f and g): one round of refinement from potentials f (n,), g (m,)."""
        from .kernels import reduced_costs

        return self._price(reduced_costs(C, f, g), RESIDUAL * violation), self.tree.potential.copy()

    def _price(self, C, tolerance):
        from .kernels import network_simplex

        network_simplex(C, self.tree, tolerance)
        return tolerance

    def _cells(self):
        (child,) = np.nonzero(self.tree.flow.any(0))
        parent, masses = self.tree.parent[child], self.as_floats(self.tree.flow[:, child], self.limbs)
        return np.minimum(child, parent), np.maximum(child, parent) - self.n, masses
