"""Compiled loops of the simplex: plain arrays, no callables, no fastmath."""

from typing import NamedTuple

import numpy as np

from .._njit import njit

LIMB = 2.0**50  # masses are integers in two limbs: LIMB * masses[0] + masses[1], 0 <= masses[1] < LIMB


@njit(cache=True)
def _move(masses, v, high, low):
    """masses[:, v] += (high, low), with |low| < LIMB: exact."""
    masses[0, v] += high
    masses[1, v] += low
    if masses[1, v] < 0:
        masses[0, v] -= 1
        masses[1, v] += LIMB
    elif masses[1, v] >= LIMB:
        masses[0, v] += 1
        masses[1, v] -= LIMB


@njit(cache=True)
def staircase(a, b):
    """The monotone plan of sorted points with masses a (2, n), b (2, m), of equal sum: (rows, columns, masses).

    The n + m - 1 cells form a path; some may be empty.
    """
    n, m = a.shape[1], b.shape[1]
    rows, columns = np.empty(n + m - 1, np.int64), np.empty(n + m - 1, np.int64)
    masses = np.empty((2, n + m - 1))
    left, right = a.copy(), b.copy()
    i, j = 0, 0
    for k in range(n + m - 1):
        first = left[0, i] < right[0, j] or (left[0, i] == right[0, j] and left[1, i] <= right[1, j])
        high, low = (left[0, i], left[1, i]) if first else (right[0, j], right[1, j])
        rows[k], columns[k], masses[0, k], masses[1, k] = i, j, high, low
        _move(left, i, -high, -low)
        _move(right, j, -high, -low)
        if j == m - 1 or (i < n - 1 and first):
            i = min(i + 1, n - 1)
        else:
            j += 1
    return rows, columns, masses


@njit(cache=True)
def path_potentials(x, y, rows, columns):
    """(f, g) with f_i + g_j = (x_i - y_j)^2 on the path of ``staircase``, for sorted x (n,), y (m,).

    That makes them feasible everywhere, up to rounding, because the cost is a Monge array.
    """
    f, g = np.zeros(len(x)), np.empty(len(y))
    g[0] = (x[0] - y[0]) ** 2
    for k in range(1, len(rows)):
        i, j = rows[k], columns[k]
        if i > rows[k - 1]:
            f[i] = (x[i] - y[j]) ** 2 - g[j]
        else:
            g[j] = (x[i] - y[j]) ** 2 - f[i]
    return f, g


@njit(cache=True)
def carried(path, parent, need):
    """need summed over the subtree of each node of ``path``, which lists parents first; ``need`` is used up."""
    for k in range(len(path) - 1, -1, -1):
        need[parent[path[k]]] += need[path[k]]
    return need[path]


class Tree(NamedTuple):
    """A basis of the transport problem: a spanning tree of n sources (nodes 0 .. n-1) and m sinks (nodes n ..).

    Every node but the root stands for the cell that joins it to its parent: ``flow`` is the mass there. -1 means none.
    """

    parent: np.ndarray
    depth: np.ndarray
    child: np.ndarray  # the first child; the others follow by ``after``
    after: np.ndarray
    before: np.ndarray
    flow: np.ndarray  # (2, n + m), in two limbs
    potential: np.ndarray  # f of a source, g of a sink


@njit(cache=True)
def _hang(tree, v, p):
    first = tree.child[p]
    tree.parent[v], tree.child[p], tree.before[v], tree.after[v] = p, v, -1, first
    if first >= 0:
        tree.before[first] = v


@njit(cache=True)
def _cut(tree, v):
    before, after = tree.before[v], tree.after[v]
    if before >= 0:
        tree.after[before] = after
    else:
        tree.child[tree.parent[v]] = after
    if after >= 0:
        tree.before[after] = before


@njit(cache=True)
def _next_below(tree, v, top):
    """The node after v in preorder among those below ``top``; -1 at the end."""
    if tree.child[v] >= 0:
        return tree.child[v]
    while v != top and tree.after[v] < 0:
        v = tree.parent[v]
    return -1 if v == top else tree.after[v]


@njit(cache=True)
def tree_of(rows, columns, masses, n):
    """The ``Tree`` of n + m - 1 cells, each of which adds one node to those before it; the first row is the root.

    ``staircase`` gives such cells, and where it leaves one of zero mass, the source is the child: see ``_pivot``.
    """
    size = len(rows) + 1
    links = np.full((5, size), -1)
    tree = Tree(links[0], links[1], links[2], links[3], links[4], np.zeros((2, size)), np.zeros(size))
    tree.depth[rows[0]] = 0
    for k in range(size - 1):
        v, p = rows[k], n + columns[k]
        if tree.depth[p] < 0:
            v, p = p, v
        _hang(tree, v, p)
        tree.depth[v] = tree.depth[p] + 1
        tree.flow[:, v] = masses[:, k]
    return tree


@njit(cache=True)
def _pivot(tree, n, i, j, reduced):
    """Let the cell of nodes i (source) and j (sink), of reduced cost ``reduced`` < 0, enter the tree.

    Of the cells that empty first, the last one along the cycle from its apex, in the direction of i -> j, leaves.
    This keeps the tree strongly feasible: a cell without mass has its source below its sink. With exact masses
    the simplex method then never cycles (Cunningham 1976).
    """
    parent, flow = tree.parent, tree.flow
    u, v = i, j
    while u != v:
        if tree.depth[u] >= tree.depth[v]:
            u = parent[u]
        else:
            v = parent[v]
    apex = u
    high, low, leaving, entering = np.inf, 0.0, -1, i
    u = i
    while u != apex:
        if u < n and (flow[0, u] < high or (flow[0, u] == high and flow[1, u] < low)):
            high, low, leaving = flow[0, u], flow[1, u], u
        u = parent[u]
    v = j
    while v != apex:
        if v >= n and (flow[0, v] < high or (flow[0, v] == high and flow[1, v] <= low)):
            high, low, leaving, entering = flow[0, v], flow[1, v], v, j
        v = parent[v]
    u, v = i, j
    while u != apex:
        _move(flow, u, -high if u < n else high, -low if u < n else low)
        u = parent[u]
    while v != apex:
        _move(flow, v, high if v < n else -high, low if v < n else -low)
        v = parent[v]
    # Turn the path from ``entering`` to ``leaving`` upside down and hang it from the other end of the new cell.
    v, p = entering, i + j - entering
    while True:
        old, old_high, old_low = parent[v], flow[0, v], flow[1, v]
        _cut(tree, v)
        _hang(tree, v, p)
        flow[0, v], flow[1, v] = high, low
        if v == leaving:
            break
        p, v, high, low = v, old, old_high, old_low
    change = reduced if entering == i else -reduced
    v = entering
    while v >= 0:
        tree.depth[v] = tree.depth[parent[v]] + 1
        tree.potential[v] += change if v < n else -change
        v = _next_below(tree, v, entering)


@njit(cache=True)
def network_simplex(C, tree, tolerance):
    """Pivot, in place, until no cell of C (n, m) has a reduced cost C_ij - f_i - g_j below -tolerance.

    Returns the number of pivots, at most 1000 per node: ten to a hundred are usual, and should rounding ever make the
    method cycle, the tree it stops at is still feasible.
    """
    n, m = C.shape
    parent, potential = tree.parent, tree.potential
    root = 0
    while parent[root] >= 0:
        root = parent[root]
    potential[root] = 0.0
    v = _next_below(tree, root, root)
    while v >= 0:
        p = parent[v]
        potential[v] = C[min(v, p), max(v, p) - n] - potential[p]
        v = _next_below(tree, v, root)
    pivots, i, quiet = 0, 0, 0
    while quiet < n and pivots < 1000 * (n + m):  # rows in turn; the worst cell of a row enters
        least, worst = -tolerance, -1
        for j in range(m):
            reduced = C[i, j] - potential[i] - potential[n + j]
            if reduced < least:
                least, worst = reduced, j
        quiet += 1
        if worst >= 0:
            _pivot(tree, n, i, n + worst, least)
            pivots += 1
            quiet = 0
        i = i + 1 if i + 1 < n else 0
    return pivots


@njit(cache=True)
def two_sum(a, b):
    """(s, e): s = fl(a + b) and a + b = s + e exactly."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@njit(cache=True)
def reduced_costs(C, f, g):
    """R_ij = C_ij - f_i - g_j, (n, m), each to a few ulps of its own and eps^2 (|f_i| + |g_j|)."""
    n, m = C.shape
    R = np.empty((n, m))
    for i in range(n):
        for j in range(m):
            s, e = two_sum(f[i], g[j])
            R[i, j] = (C[i, j] - s) - e
    return R
