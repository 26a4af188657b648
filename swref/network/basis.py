"""A basis of the transport problem and the plan that it stands for."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order

from .._validation import EPS
from .masses import Masses

RESIDUAL = 64 * EPS  # of a pricing tolerance: the next one, once costs are replaced by reduced costs
FINE = 1e-9  # of the total cost: a coarser pricing tolerance is refined
BLOCK = 0.7  # of sqrt(n + m): the nodes of a block of potentials


class BasicPlan(NamedTuple):
    """An optimal basic plan: its nonempty cells, and potentials with f_i + g_j <= C_ij + ``violation`` everywhere."""

    rows: np.ndarray
    columns: np.ndarray
    masses: np.ndarray
    f: np.ndarray
    g: np.ndarray
    violation: float


class Basis:
    """A spanning tree of the transport problem between n sources and m sinks, and its plan.

    It has the n + m - 1 cells (rows, columns), with masses (2, n + m - 1) in limbs.
    """

    def __init__(self, rows, columns, masses, n):
        from .tree_kernels import BLOCK as RECORD

        self.n, self.root, self.total = n, int(rows[0]), Masses.as_floats(masses).sum()
        self.tree = tree_of(rows, columns, masses, n)
        self.order = np.empty(len(self.tree), np.int64)
        self.blocks = np.zeros(4 * int(len(self.tree) ** 0.5 / BLOCK) + 64, RECORD)

    @classmethod
    def monotone(cls, A, B, s, t):
        """That of the monotone plan of masses A (2, n), B (2, m) at points that come in the orders s (n,), t (m,)."""
        rows, columns, masses = staircase(A[:, s], B[:, t])
        return cls(s[rows], t[columns], masses, len(s))

    def ends(self):
        """(children, rows, columns) of all n + m - 1 cells; the child is the node that stands for the cell."""
        child = np.flatnonzero(self.tree["parent"] >= 0).astype(np.int32)
        parent = self.tree["parent"][child]
        return child, np.minimum(child, parent), np.maximum(child, parent) - np.int32(self.n)

    def fit(self, cost):
        """Potentials with f_i + g_j = cost(rows, columns) at all cells, and zero at the root."""
        from .tree_kernels import set_potentials

        child, rows, columns = self.ends()
        costs = np.zeros(len(self.tree))
        costs[child] = cost(rows, columns)
        set_potentials(self.tree, self.blocks, self.order, self.root, costs)

    def cells(self):
        """(rows, columns, masses) of the cells that are not empty."""
        child, rows, columns = self.ends()
        masses = Masses.as_floats((self.tree["high"][child], self.tree["low"][child])) / self.total
        used = masses > 0
        return rows[used], columns[used], masses[used]

    def potentials(self):
        """(f (n,), g (m,))"""
        return np.split(self.tree["potential"].copy(), [self.n])


def staircase(a, b):
    """The monotone plan of sorted points with masses a (2, n), b (2, m), of equal sum: (rows, columns, masses).

    Masses are whole numbers in two limbs. The n + m - 1 cells form a path; some may be empty.
    """
    from .basic_kernels import stairs

    cells = np.empty((a.shape[1] + b.shape[1] - 1, 4), np.int64)
    stairs(np.array(a, order="C"), np.array(b, order="C"), cells)
    rows, columns, *masses = cells.T.copy()
    return rows, columns, np.array(masses)


def path_potentials(x, y, rows, columns):
    """(f, g) with f_i + g_j = (x_i - y_j)^2 on the path of ``staircase``, for sorted x (n,), y (m,).

    That makes them feasible everywhere, up to rounding, because the cost is a Monge array.
    """
    costs, down = (x[rows] - y[columns]) ** 2, np.diff(rows) > 0
    steps = np.diff(costs)
    return np.append(0, np.cumsum(steps[down])), np.cumsum(np.append(costs[0], steps[~down]))


def tree_of(rows, columns, masses, n):
    """The records of a tree with these n + m - 1 cells, of masses (2, n + m - 1); the first row is its root."""
    from .basic_kernels import carry
    from .tree_kernels import NODE

    size = len(rows) + 1
    graph = sp.csr_array((np.ones(size - 1), (rows, n + columns)), shape=(size, size))
    path, parent = breadth_first_order(graph, rows[0], directed=False)
    tree, count, path = np.zeros(size, NODE), np.ones(size, np.int64), path[1:]
    carry(path, parent, count)
    tree["count"], tree["parent"] = count, np.maximum(parent, -1)
    end = np.where(parent[rows] == n + columns, rows, n + columns)
    tree["high"][end], tree["low"][end] = masses
    for name in ("child", "after", "before"):
        tree[name] = -1
    eldest = np.diff(parent[path], prepend=-1) != 0  # the children of a node follow each other
    younger = np.flatnonzero(~eldest)
    tree["child"][parent[path[eldest]]] = path[eldest]
    tree["before"][path[younger]], tree["after"][path[younger - 1]] = path[younger - 1], path[younger]
    return tree
