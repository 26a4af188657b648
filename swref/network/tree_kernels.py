"""Compiled pivots of the transport simplex: a spanning tree of n sources (nodes 0 .. n-1) and m sinks (nodes n ..).

Masses are whole numbers in two limbs, LIMB * high + low with 0 <= low < LIMB, perturbed such that no cell of any
spanning tree is empty (``Masses.limbs``): every tree can start, ties do not occur, and the method never cycles.

A pivot shifts all potentials of a subtree. With uneven weights that is a tenth of all nodes on average, so potentials
live in blocks, connected pieces of about sqrt(n + m) nodes: of a large subtree only the shifts of its blocks change.
"""

from typing import Any, NamedTuple

import numpy as np

from .._njit import njit
from .basic_kernels import BITS

LIMB = 2**BITS
NONE = np.int64(2**62)  # no mass has so large an upper limb
SMALL = 300  # nodes: the potentials of smaller subtrees are shifted one by one
BLOCK = 0.7  # of sqrt(n + m): the least size of a block, but at least LEAST_BLOCK nodes
LEAST_BLOCK = 50

# One record for each node. All but the root stand for the cell that joins them to their parent: its mass is in high
# and low. ``child`` is the first one, the others follow by ``after``. -1 means none. ``count`` is that of its subtree.
NODE = np.dtype(
    [(name, np.int32) for name in ("parent", "count", "block", "child", "after", "before")]
    + [("high", np.int64), ("low", np.int64), ("potential", np.float64)]
)


class Blocks(NamedTuple):
    """The potential of a source is potential + shift[block], that of a sink potential - shift[block]."""

    shift: np.ndarray
    above: np.ndarray  # the block from which a block hangs
    mark: np.ndarray
    count: np.ndarray  # (1,); block 0 holds the root


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
def _beside(tree, v, top):
    """The node after the whole subtree of v in preorder among those below ``top``; -1 at the end."""
    while v != top and tree.after[v] < 0:
        v = tree.parent[v]
    return -1 if v == top else tree.after[v]


@njit(cache=True)
def next_below(tree, v, top):
    """The node after v in preorder among those below ``top``; -1 at the end."""
    return tree.child[v] if tree.child[v] >= 0 else _beside(tree, v, top)


@njit(cache=True)
def preorder(tree, root):
    """All nodes, parents first."""
    order = np.empty(len(tree), np.int32)
    v = root
    for k in range(len(tree)):
        order[k] = v
        v = next_below(tree, v, root)
    return order


@njit(cache=True)
def tree_of(rows, columns, masses, n):
    """The tree with these n + m - 1 cells, of masses (2, n + m - 1); the first row is its root."""
    size = len(rows) + 1
    tree: Any = np.zeros(size, NODE)  # records, whose fields Numba reads as attributes
    start, cells = np.zeros(size + 2, np.int64), np.empty(2 * size, np.int64)
    for e in range(size - 1):
        start[rows[e] + 2] += 1
        start[n + columns[e] + 2] += 1
    for v in range(size):
        start[v + 2] += start[v + 1]
        tree.parent[v], tree.child[v], tree.after[v], tree.before[v], tree.count[v] = -1, -1, -1, -1, 1
    for e in range(size - 1):
        for v in (rows[e], n + columns[e]):
            cells[start[v + 1]] = e
            start[v + 1] += 1
    order = np.empty(size, np.int64)
    order[0], last = rows[0], 1
    for k in range(size):
        p = order[k]
        for e in cells[start[p] : start[p + 1]]:
            v = n + columns[e] if p < n else rows[e]
            if v != tree.parent[p]:
                _hang(tree, v, p)
                tree.high[v], tree.low[v] = masses[0, e], masses[1, e]
                order[last] = v
                last += 1
    for v in order[:0:-1]:
        tree.count[tree.parent[v]] += tree.count[v]
    return tree


@njit(cache=True)
def set_potentials(tree, root, cost):
    """f_i + g_j = cost[v] at the cell of every node v (n + m,); zero at the root."""
    tree.potential[root] = 0.0
    for v in preorder(tree, root)[1:]:
        tree.potential[v] = cost[v] - tree.potential[tree.parent[v]]


@njit(cache=True)
def blocks_of(tree, n, root):
    """``Blocks`` of the tree, with room for those that pivots add; see ``full``."""
    size = max(LEAST_BLOCK, int(BLOCK * np.sqrt(len(tree))))
    room = 4 * (len(tree) // size) + 200
    blocks = Blocks(np.zeros(room), np.zeros(room, np.int32), np.zeros(room, np.int8), np.zeros(1, np.int64))
    tree.block[:] = 0
    cut_blocks(tree, blocks, n, root)
    return blocks


@njit(cache=True)
def full(blocks):
    return blocks.count[0] > 0.75 * len(blocks.shift)


@njit(cache=True)
def potential_at(tree, blocks, n, v):
    shift = blocks.shift[tree.block[v]]
    return tree.potential[v] + (shift if v < n else -shift)


@njit(cache=True)
def cut_blocks(tree, blocks, n, root):
    """Cut the tree anew into blocks; their old shifts go into the potentials."""
    size = max(LEAST_BLOCK, int(BLOCK * np.sqrt(len(tree))))
    order = preorder(tree, root)
    for v in order:
        tree.potential[v] = potential_at(tree, blocks, n, v)
        tree.block[v] = 1  # for now: how many nodes at and below v wait for a block; -1 at the top of one
    for v in order[:0:-1]:
        if tree.block[v] >= size:
            tree.block[v] = -1
        else:
            tree.block[tree.parent[v]] += tree.block[v]
    tree.block[root], count = 0, 1
    for v in order[1:]:
        above = tree.block[tree.parent[v]]
        if tree.block[v] == -1:
            tree.block[v], blocks.above[count] = count, above
            count += 1
        else:
            tree.block[v] = above
    blocks.shift[:], blocks.above[0], blocks.count[0] = 0.0, -1, count


@njit(cache=True)
def _split(tree, blocks, top):
    """The part of a block at and below its node ``top`` becomes a block of its own."""
    old, new, v = tree.block[top], blocks.count[0], top
    while v >= 0:
        if tree.block[v] == old:
            tree.block[v] = new
            v = next_below(tree, v, top)
        else:
            blocks.above[tree.block[v]] = new
            v = _beside(tree, v, top)
    blocks.shift[new], blocks.above[new], blocks.count[0] = blocks.shift[old], old, new + 1


@njit(cache=True)
def _bottleneck(tree, n, i, j):
    """(apex, leaving, entering, high, low): the cell with the least mass of those that lose some to i -> j.

    ``entering`` is the one of i and j whose side of the cycle has that cell.
    """
    u, v, leaving, entering, high, low = i, j, i, i, NONE, np.int64(0)
    while u != v:
        if tree.count[u] <= tree.count[v]:
            if u < n and (tree.high[u] < high or (tree.high[u] == high and tree.low[u] < low)):
                high, low, leaving, entering = tree.high[u], tree.low[u], u, i
            u = tree.parent[u]
        else:
            if v >= n and (tree.high[v] < high or (tree.high[v] == high and tree.low[v] < low)):
                high, low, leaving, entering = tree.high[v], tree.low[v], v, j
            v = tree.parent[v]
    return u, leaving, entering, high, low


@njit(cache=True)
def _push(tree, n, v, apex, high, low):
    """Add a mass to the cells of sources from v up to the apex, and subtract it from those of sinks."""
    while v != apex:
        rest = tree.low[v] + (low if v < n else -low)
        carry = rest >> BITS
        tree.low[v] = rest - (carry << BITS)
        tree.high[v] += (high if v < n else -high) + carry
        v = tree.parent[v]


@njit(cache=True)
def _resize(tree, v, apex, change):
    while v != apex:
        tree.count[v] += change
        v = tree.parent[v]


@njit(cache=True)
def _turn(tree, blocks, whole, entering, leaving, other, high, low):
    """Turn the path from ``entering`` to ``leaving`` upside down and hang it from ``other``, by a cell of this mass.

    ``whole``: it consists of whole blocks, which turn with it.
    """
    v, p, below, moved = entering, other, 0, tree.count[leaving]
    while True:
        old, old_size, old_high, old_low = tree.parent[v], tree.count[v], tree.high[v], tree.low[v]
        _cut(tree, v)
        _hang(tree, v, p)
        tree.high[v], tree.low[v], tree.count[v] = high, low, moved - below
        if whole and tree.block[v] != tree.block[p]:
            blocks.above[tree.block[v]] = tree.block[p]
        if v == leaving:
            return
        p, v, below, high, low = v, old, old_size, old_high, old_low


@njit(cache=True)
def _shift_nodes(tree, blocks, n, top, change):
    """Add ``change`` to the potentials of the sources at and below ``top``; all join the block it hangs from."""
    home = tree.block[tree.parent[top]]
    v = top
    while v >= 0:
        shift = change + blocks.shift[tree.block[v]] - blocks.shift[home]
        tree.potential[v] += shift if v < n else -shift
        tree.block[v] = home
        v = next_below(tree, v, top)


@njit(cache=True)
def _shift_blocks(blocks, top, change):
    """Add ``change`` to the shift of the block ``top``, which is not the root's, and of all that hang from it."""
    count, above, mark = blocks.count[0], blocks.above, blocks.mark
    mark[:count] = 0
    mark[0], mark[top] = 2, 1
    for k in range(count):
        c = k
        while mark[c] == 0:
            c = above[c]
        found, c = mark[c], k
        while mark[c] == 0:
            mark[c] = found
            c = above[c]
        if found == 1:
            blocks.shift[k] += change


@njit(cache=True)
def pivot(tree, blocks, n, i, j, reduced):
    """Let the cell of nodes i (source) and j (sink), of reduced cost ``reduced`` < 0, enter the tree.

    Returns the top of the part whose potentials have changed; -1 if that is large.
    """
    apex, leaving, entering, high, low = _bottleneck(tree, n, i, j)
    other, moved = i + j - entering, tree.count[leaving]
    _push(tree, n, i, apex, -high, -low)
    _push(tree, n, j, apex, high, low)
    _resize(tree, tree.parent[leaving], apex, -moved)
    _resize(tree, other, apex, moved)
    large = moved > SMALL
    if large and tree.block[leaving] == tree.block[tree.parent[leaving]]:
        _split(tree, blocks, leaving)
    _turn(tree, blocks, large, entering, leaving, other, high, low)
    change = reduced if entering == i else -reduced
    if large:
        _shift_blocks(blocks, tree.block[entering], change)
        return -1
    _shift_nodes(tree, blocks, n, entering, change)
    return entering
