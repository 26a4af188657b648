"""Compiled pricing of the network simplex for costs of all pairs in a matrix."""

import numpy as np

from .._njit import njit
from .tree_kernels import next_below, pivot, potential_at

MOST_PIVOTS = 1000  # per node, should rounding ever make the method cycle: the tree is feasible all the same


@njit(cache=True)
def simplex_on_rows(C, tree, blocks, order, root, g, tolerance):
    """Pivot, in place, until no cell of C (n, m) has a reduced cost C_ij - f_i - g_j below -tolerance.

    Rows in turn; the worst cell of a row enters. Returns the number of pivots: ten to a hundred per node are usual.
    ``g`` (m,) is overwritten, by the potentials of the sinks.
    """
    n, m = C.shape
    pivots, i, quiet, moved = 0, np.int64(0), 0, np.int64(-1)  # a literal would be a type of its own
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
        least, worst = -tolerance, np.int64(-1)
        for j in range(m):
            reduced = C[i, j] - f - g[j]
            if reduced < least:
                least, worst = reduced, j
        quiet += 1
        if worst >= 0:
            moved = pivot(tree, blocks, order, n, root, i, n + worst, least)
            pivots, quiet = pivots + 1, 0
        i = i + 1 if i + 1 < n else 0
    return pivots
