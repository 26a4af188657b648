"""A network simplex that starts from its last answer, for many transport problems with the same weights."""

import numpy as np

from .._validation import EPS
from .basis import FINE, RESIDUAL, BasicPlan, Basis

PRICING = 4 * EPS  # of the largest cost: reduced costs below minus this enter the basis; rounding is about EPS
ROUNDS = 5  # of pivots, each from fresh potentials


class NetworkSimplex:
    """A sequence of transport problems: similar costs C (n, m) >= 0, the same weights A (2, n), B (2, m) in limbs.

    The optimal spanning tree of one call starts the next. It stays feasible, because the weights do not change, and a
    few pivots repair its optimality: near the end, that costs little more than reading C. The first tree is the
    monotone plan for points that come in the orders s (n,) and t (m,). Masses are counted in whole units, so that
    empty cells are recognised exactly.
    """

    def __init__(self, A, B, s, t):
        self.basis = Basis.monotone(A, B, s, t)

    def solve(self, C):
        """The ``BasicPlan`` for C, to a violation of PRICING max C, or less where that would show in the cost.

        The last digits come by iterative refinement: the potentials are subtracted from the costs, exactly, and the
        same simplex goes on with what is left.
        """
        violation = PRICING * float(C.max())
        optimise(self.basis, C, violation)
        rows, columns, masses = self.basis.cells()
        f, g = self.basis.potentials()
        if violation > FINE * (masses @ C[rows, columns]):
            violation, more_f, more_g = self.refine(C, f, g, violation)
            rows, columns, masses = self.basis.cells()
            f, g = f + more_f, g + more_g
        return BasicPlan(rows, columns, masses, f, g, violation)

    def refine(self, C, f, g, violation):
        """(violation, changes of f (n,), of g (m,)): one round of refinement from these potentials."""
        from .basic_kernels import reduced_costs

        violation *= RESIDUAL
        reduced_costs(C, f, g, R := np.empty_like(C))
        optimise(self.basis, R, violation)
        return violation, *self.basis.potentials()

    def improved(self, bound):
        """The change of g (m,) that the tree optimal for the costs of a ``LowerBound`` asks for."""
        C, (f, g) = bound.costs(), bound.start
        return self.refine(C, f, g, PRICING * float(C.max()))[2]


def optimise(basis, C, tolerance):
    """Pivot, in place, until no reduced cost is below -tolerance; returns the number of pivots.

    The last round has fresh potentials and finds nothing, so that sums of many shifts leave no rounding, unless that is
    more than the tolerance. Potentials are those of the tree in any case.
    """
    from .dense_kernels import simplex_on_rows

    potential, g, pivots = basis.tree["potential"], np.empty(C.shape[1]), []
    for _ in range(ROUNDS):
        basis.fit(lambda rows, columns: C[rows, columns])
        least = max(tolerance, EPS * np.abs(potential).max())
        pivots.append(simplex_on_rows(C, basis.tree, basis.blocks, basis.order, basis.root, g, least))
        if not pivots[-1]:
            return sum(pivots)
    basis.fit(lambda rows, columns: C[rows, columns])
    return sum(pivots)
