"""Compiled pricing of the network simplex for costs of all pairs in a matrix."""

import numpy as np

from .._njit import njit
from .tree_kernels import blocks_of, cut_blocks, full, next_below, pivot, potential_at, set_potentials

EPS = 2.0**-52
ROUNDS = 5  # of pivots, each from fresh potentials
MOST_PIVOTS = 1000  # per node and round, should rounding ever make the method cycle: the tree is feasible all the same


@njit(cache=True)
def network_simplex(C, tree, root, tolerance):
    """Pivot, in place, until no cell of C (n, m) has a reduced cost C_ij - f_i - g_j below -tolerance.

    Returns the number of pivots: ten to a hundred per node are usual. The last round has fresh potentials and finds
    nothing, so that sums of many shifts leave no rounding, unless that is more than the tolerance.
    """
    n, m = C.shape
    cost, total = np.zeros(n + m), 0
    for _ in range(ROUNDS):
        for v in range(n + m):
            if v != root:
                p = tree.parent[v]
                cost[v] = C[min(v, p), max(v, p) - n]
        set_potentials(tree, root, cost)
        pivots = _row_rounds(C, tree, root, max(tolerance, EPS * np.abs(tree.potential).max()))
        total += pivots
        if pivots == 0:
            break
    return total


@njit(cache=True)
def _row_rounds(C, tree, root, tolerance):
    """Rows in turn; the worst cell of a row enters."""
    n, m = C.shape
    blocks, g = blocks_of(tree, n, root), np.empty(m)
    pivots, i, quiet, moved = 0, 0, 0, -1
    while quiet < n and pivots < MOST_PIVOTS * (n + m):
        if quiet == 0 and moved < 0:
            for j in range(m):
                g[j] = potential_at(tree, blocks, n, n + j)
        v = moved
        while quiet == 0 and v >= 0:
            if v >= n:
                g[v - n] = potential_at(tree, blocks, n, v)
            v = next_below(tree, v, moved)
        f = potential_at(tree, blocks, n, i)
        least, worst = -tolerance, -1
        for j in range(m):
            reduced = C[i, j] - f - g[j]
            if reduced < least:
                least, worst = reduced, j
        quiet += 1
        if worst >= 0:
            if full(blocks):
                cut_blocks(tree, blocks, n, root)
            moved = pivot(tree, blocks, n, i, n + worst, least)
            pivots, quiet = pivots + 1, 0
        i = i + 1 if i + 1 < n else 0
    return pivots
