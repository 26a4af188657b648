"""Compiled pivots of the transport simplex: a spanning tree of n sources (nodes 0 .. n-1) and m sinks (nodes n ..).

Masses are whole numbers in two limbs, LIMB * high + low with 0 <= low < LIMB, perturbed such that no cell of any
spanning tree is empty (``Masses.limbs``): every tree can start, ties do not occur, and the method never cycles.

A pivot shifts all potentials of a subtree. With uneven weights that is a tenth of all nodes on average, so potentials
live in blocks, connected pieces of about sqrt(n + m) nodes: of a large subtree only the shifts of its blocks change.

The first call of a process compiles all this, so kernels allocate nothing and call few functions of NumPy: each of
those is a tenth of a second. For the same reason they read ``tree[v].parent``, not ``tree.parent[v]``.
"""

import numpy as np

from .._njit import inner, njit
from .basic_kernels import BITS

LIMB = 2**BITS
NONE = np.int64(2**62)  # no mass has so large an upper limb
SMALL = 300  # nodes: the potentials of smaller subtrees are shifted one by one
LEAST_BLOCK = 50  # nodes

# One record for each node. All but the root stand for the cell that joins them to their parent: its mass is in high
# and low. ``child`` is the first one, the others follow by ``after``. -1 means none. ``count`` is that of its subtree.
NODE = np.dtype(
    [(name, np.int32) for name in ("parent", "count", "block", "child", "after", "before")]
    + [("high", np.int64), ("low", np.int64), ("potential", np.float64)]
)
# One record for each block: the potential of a source is potential + shift, that of a sink potential - shift. ``above``
# is the block from which it hangs; of block 0, which holds the root, it is the number of blocks.
BLOCK = np.dtype([("shift", np.float64), ("above", np.int32), ("mark", np.int32)])


@inner
def _hang(tree, v, p):
    first = tree[p].child
    tree[v].parent, tree[v].before, tree[v].after, tree[p].child = p, -1, first, v
    if first >= 0:
        tree[first].before = v


@inner
def _cut(tree, v):
    before, after = tree[v].before, tree[v].after
    if before >= 0:
        tree[before].after = after
    else:
        tree[tree[v].parent].child = after
    if after >= 0:
        tree[after].before = before


@inner
def _beside(tree, v, top):
    """The node after the whole subtree of v in preorder among those below ``top``; -1 at the end."""
    while v != top and tree[v].after < 0:
        v = tree[v].parent
    return -1 if v == top else tree[v].after


@inner
def next_below(tree, v, top):
    """The node after v in preorder among those below ``top``; -1 at the end."""
    return tree[v].child if tree[v].child >= 0 else _beside(tree, v, top)


@njit(cache=True)
def preorder(tree, root, order):
    """All nodes, parents first, into ``order`` (n + m,)."""
    v = root
    for k in range(len(order)):
        order[k] = v
        v = next_below(tree, v, root)


@njit(cache=True)
def set_potentials(tree, blocks, order, root, cost):
    """f_i + g_j = cost[v] at the cell of every node v (n + m,), zero at the root; one block, without a shift."""
    preorder(tree, root, order)
    tree[root].potential, tree[root].block = 0.0, 0
    for k in range(1, len(order)):
        v = order[k]
        tree[v].potential, tree[v].block = cost[v] - tree[tree[v].parent].potential, 0
    blocks[0].shift, blocks[0].above = 0.0, 1


@njit(cache=True)
def potential_at(tree, blocks, n, v):
    shift = blocks[tree[v].block].shift
    return tree[v].potential + (shift if v < n else -shift)


@njit(cache=True)
def cut_blocks(tree, blocks, order, n, root):
    """Cut the tree anew into at most a fourth of the blocks that there can be; their old shifts go into potentials."""
    size = max(LEAST_BLOCK, 4 * len(tree) // len(blocks))
    preorder(tree, root, order)
    for v in order:
        tree[v].potential = potential_at(tree, blocks, n, v)
        tree[v].block = 1  # for now: how many nodes at and below v wait for a block; -1 at the top of one
    for k in range(len(order) - 1, 0, -1):
        v = order[k]
        if tree[v].block >= size:
            tree[v].block = -1
        else:
            tree[tree[v].parent].block += tree[v].block
    tree[root].block, count = 0, 1
    for k in range(1, len(order)):
        v = order[k]
        above = tree[tree[v].parent].block
        if tree[v].block == -1:
            tree[v].block, blocks[count].above = count, above
            count += 1
        else:
            tree[v].block = above
    for k in range(count):
        blocks[k].shift = 0.0
    blocks[0].above = count


@inner
def _split(tree, blocks, top):
    """The part of a block at and below its node ``top`` becomes a block of its own."""
    old, new, v = tree[top].block, blocks[0].above, top
    while v >= 0:
        if tree[v].block == old:
            tree[v].block = new
            v = next_below(tree, v, top)
        else:
            blocks[tree[v].block].above = new
            v = _beside(tree, v, top)
    blocks[new].shift, blocks[new].above, blocks[0].above = blocks[old].shift, old, new + 1


@inner
def _bottleneck(tree, n, i, j):
    """(apex, leaving, entering): the cell with the least mass of those that lose some to i -> j.

    ``entering`` is the one of i and j whose side of the cycle has that cell.
    """
    u, v, leaving, entering, high, low = i, j, i, i, NONE, np.int64(0)
    while u != v:
        from_i = tree[u].count <= tree[v].count
        w = u if from_i else v
        node = tree[w]
        if (w < n) == from_i and (node.high < high or (node.high == high and node.low < low)):
            high, low, leaving, entering = node.high, node.low, w, i if from_i else j
        u, v = (node.parent, v) if from_i else (u, node.parent)
    return u, leaving, entering


@inner
def _push(tree, n, v, apex, high, low, more):
    """From v up to the apex: add a mass to the cells of sources, subtract it from those of sinks; ``more`` nodes."""
    while v != apex:
        node = tree[v]
        rest = node.low + (low if v < n else -low)
        carry = rest >> BITS
        node.low = rest - (carry << BITS)
        node.high += (high if v < n else -high) + carry
        node.count += more
        v = node.parent


@inner
def _turn(tree, blocks, whole, entering, leaving, other, high, low, moved):
    """Turn the path from ``entering`` to ``leaving`` upside down and hang it from ``other``, by a cell of this mass.

    Counts on the path have lost the ``moved`` nodes. ``whole``: it consists of whole blocks, which turn with it.
    """
    v, p, rest = entering, other, -moved
    while True:
        old, old_rest, old_high, old_low = tree[v].parent, tree[v].count, tree[v].high, tree[v].low
        _cut(tree, v)
        _hang(tree, v, p)
        tree[v].high, tree[v].low, tree[v].count = high, low, -rest
        if whole and tree[v].block != tree[p].block:
            blocks[tree[v].block].above = tree[p].block
        if v == leaving:
            return
        p, v, rest, high, low = v, old, old_rest, old_high, old_low


@inner
def _shift_nodes(tree, blocks, n, top, change):
    """Add ``change`` to the potentials of the sources at and below ``top``; all join the block it hangs from."""
    home = tree[tree[top].parent].block
    v = top
    while v >= 0:
        shift = change + blocks[tree[v].block].shift - blocks[home].shift
        tree[v].potential += shift if v < n else -shift
        tree[v].block = home
        v = next_below(tree, v, top)


@inner
def _shift_blocks(blocks, top, change):
    """Add ``change`` to the shift of the block ``top``, which is not the root's, and of all that hang from it."""
    count = blocks[0].above
    for k in range(count):
        blocks[k].mark = 0
    blocks[0].mark, blocks[top].mark = 2, 1
    for k in range(count):
        c = k
        while blocks[c].mark == 0:
            c = blocks[c].above
        found, c = blocks[c].mark, k
        while blocks[c].mark == 0:
            blocks[c].mark = found
            c = blocks[c].above
        if found == 1:
            blocks[k].shift += change


@njit(cache=True)
def pivot(tree, blocks, order, n, root, i, j, reduced):
    """Let the cell of nodes i (source) and j (sink), of reduced cost ``reduced`` < 0, enter the tree.

    Returns the top of the part whose potentials have changed; -1 if that is large.
    """
    if 4 * blocks[0].above > 3 * len(blocks):
        cut_blocks(tree, blocks, order, n, root)
    apex, leaving, entering = _bottleneck(tree, n, i, j)
    other, moved, high, low = i + j - entering, tree[leaving].count, tree[leaving].high, tree[leaving].low
    large = moved > SMALL
    if large and tree[leaving].block == tree[tree[leaving].parent].block:
        _split(tree, blocks, leaving)
    _push(tree, n, i, apex, -high, -low, -moved if entering == i else moved)
    _push(tree, n, j, apex, high, low, -moved if entering == j else moved)
    _turn(tree, blocks, large, entering, leaving, other, high, low, moved)
    change = reduced if entering == i else -reduced
    if large:
        _shift_blocks(blocks, tree[entering].block, change)
        return -1
    _shift_nodes(tree, blocks, n, entering, change)
    return entering
