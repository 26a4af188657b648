"""Compiled loops of the matrix-free simplex: k-d search in clouds with potentials, and pivots on a list of arcs.

Points and nodes of search trees are rows, as ``points`` says. Node 2^L + k is the part k of level L: the points from
k m >> L to before (k + 1) m >> L of a cloud of m in k-d order. Certificates use ``least_reduced``: no fastmath.
"""

import numpy as np

from .._njit import inner, njit
from .basic_kernels import two_sum
from .points import BASE, CHANGE, CORNER, HIGH, LEVEL, LOW, OPPOSITE, SIZE, SLOPE
from .tree_kernels import pivot, potential_at

EPS = 2.0**-52
FOUR_EPS = 4 * EPS
SLACK = 128 * EPS  # of the squares and potentials that ``_bound`` is made of; all its roundings sum to at most 70 EPS
DEEPEST = 64  # levels of a search tree
WIDTH = 100  # arcs that are compared before one of them enters
MOST_PIVOTS = 1000  # per node, should rounding ever make the method cycle


@inner
def reduced(X, i, Y, j, shrink):
    """shrink |X_i - Y_j|^2 minus all potentials of both: at most what that is, and right to 4 eps of it.

    The product with ``shrink`` is taken as computed. Three subtractions round by at most 2 eps of the result and of
    what comes after them, which the last term covers.
    """
    c = 0.0
    for k in range(3):
        step = (X[i, HIGH + k] - Y[j, HIGH + k]) + (X[i, LOW + k] - Y[j, LOW + k])
        c += step * step
    s, e = two_sum(X[i, BASE], Y[j, BASE])
    u, v = X[i, CHANGE], Y[j, CHANGE]
    return (((shrink * c - s) - e) - u) - v - FOUR_EPS * (abs(e) + abs(u) + abs(v))


@njit(cache=True)
def raise_planes(nodes, depth, Y, slope):
    """Over every node a plane above the potentials of its points, g_j <= 2 s . y_j + r, in place.

    s is the mean of ``slope`` (m, 3): half the gradient of g where it is smooth. Any other is right too, and slower.
    """
    m = len(Y)
    for L in range(depth, -1, -1):
        for k in range(1 << L):
            h, first, last = (1 << L) + k, (k * m) >> L, ((k + 1) * m) >> L
            node, far = nodes[h], 0.0
            for c in range(3):
                if L == depth:
                    node[SLOPE + c] = 0.0
                    for j in range(first, last):
                        node[SLOPE + c] += slope[j, c] / (last - first)
                else:
                    node[SLOPE + c] = 0.5 * (nodes[2 * h, SLOPE + c] + nodes[2 * h + 1, SLOPE + c])
                far += max(abs(node[CORNER + c]), abs(node[OPPOSITE + c])) ** 2 + 2 * node[SLOPE + c] ** 2
            node[LEVEL], top = -np.inf, 0.0
            for j in range(first, last):
                g = Y[j, BASE] + Y[j, CHANGE]
                plane = node[SLOPE] * Y[j, 0] + node[SLOPE + 1] * Y[j, 1] + node[SLOPE + 2] * Y[j, 2]
                node[LEVEL] = max(node[LEVEL], g - 2 * plane)
                top = max(top, abs(Y[j, BASE]) + abs(Y[j, CHANGE]))
            node[SIZE] = far + top


@inner
def _bound(nodes, h, X, i, size):
    """At most ``reduced`` of row i and any point of node h: |x - y|^2 - 2 s . y = |y - (x + s)|^2 + |x|^2 - |x + s|^2.

    The error of this bound is of second order in the node's width, where distance and largest potential by themselves
    would err by the first. Rounding, of the costs too, is less than SLACK of the squares met.
    """
    bound = -nodes[h, LEVEL]
    for c in range(3):
        x, s = X[i, HIGH + c], nodes[h, SLOPE + c]
        z = x + s
        step = max(max(nodes[h, CORNER + c] - z, z - nodes[h, OPPOSITE + c]), 0.0)
        bound += step * step - s * (2 * x + s)
    return ((bound - X[i, BASE]) - X[i, CHANGE]) - SLACK * (size + nodes[h, SIZE])


@inner
def _read_leaf(first, last, X, i, Y, shrink, limit, found, values):
    """Sort the points of a leaf that are below the limit among those found; returns the new limit."""
    k = len(found)
    for j in range(first, last):
        value = reduced(X, i, Y, j, shrink)
        if value < limit:
            t = k - 1
            while t > 0 and values[t - 1] > value:
                values[t], found[t] = values[t - 1], found[t - 1]
                t -= 1
            values[t], found[t] = value, j
            limit = min(limit, values[k - 1])
    return limit


@inner
def _search(X, i, Y, nodes, depth, shrink, limit, found, values, stack, bounds):
    """Fill ``found`` and ``values`` (k,) with the least of row i that are below the limit."""
    top, m, h = 0, len(Y), np.int64(1)
    size = X[i, 0] ** 2 + X[i, 1] ** 2 + X[i, 2] ** 2 + abs(X[i, BASE]) + abs(X[i, CHANGE])
    bound = _bound(nodes, h, X, i, size)
    while True:
        if bound < limit and h < 1 << depth:
            near, far = 2 * h, 2 * h + 1
            bound, other = _bound(nodes, near, X, i, size), _bound(nodes, far, X, i, size)
            if other < bound:
                near, far, bound, other = far, near, other, bound
            if other < limit:
                stack[top], bounds[top] = far, other
                top += 1
            h = near
            continue
        if bound < limit:
            k = h - (1 << depth)
            limit = _read_leaf((k * m) >> depth, ((k + 1) * m) >> depth, X, i, Y, shrink, limit, found, values)
        if top == 0:
            return
        top -= 1
        h, bound = stack[top], bounds[top]


@njit(cache=True)
def least_reduced(X, Y, nodes, depth, cap, shrink, found, values, stack, bounds):
    """For every row the k points of Y of least ``reduced`` below ``cap``, in order, into found and values (n, k).

    These come filled with -1 and infinity, which stay where there are fewer; stack and bounds (DEEPEST,) are used.
    Rows come in k-d order, so that the finds of one limit the search of the next.
    """
    for i in range(len(X)):
        limit = cap
        if cap == np.inf and i > 0 and found[i - 1, -1] >= 0:
            limit = -np.inf
            for t in range(found.shape[1]):
                limit = max(limit, reduced(X, i, Y, np.int64(found[i - 1, t]), shrink))
            limit += FOUR_EPS * abs(limit) + 1e-300
        _search(X, i, Y, nodes, depth, shrink, limit, found[i], values[i], stack, bounds)


@njit(cache=True)
def arc_costs(X, Y, sources, sinks, shrink, costs):
    """The costs of arcs between rows of X and Y, less the potentials in them, into costs (E,)."""
    for e in range(len(sources)):
        costs[e] = reduced(X, np.int64(sources[e]), Y, np.int64(sinks[e]), shrink)


@njit(cache=True)
def simplex_on_arcs(tree, blocks, order, n, root, sources, sinks, costs, tolerance):
    """Pivot, in place, until no arc has a reduced cost below -tolerance; returns the number of pivots.

    Of WIDTH arcs at a time the worst enters, and the search stays there until all of them are quiet: neighbours in the
    list are neighbours in space, and their cycles are short.
    """
    E = len(sources)
    width, pivots, e, quiet = min(WIDTH, E), 0, 0, 0
    while quiet < E and pivots < MOST_PIVOTS * len(tree):
        least, worst, start = -tolerance, -1, e
        for _ in range(width):
            i, j = np.int64(sources[e]), np.int64(n + sinks[e])
            value = costs[e] - potential_at(tree, blocks, n, i) - potential_at(tree, blocks, n, j)
            if value < least:
                least, worst = value, e
            e = e + 1 if e + 1 < E else 0
        if worst < 0:
            quiet += width
            continue
        pivot(tree, blocks, order, n, root, np.int64(sources[worst]), np.int64(n + sinks[worst]), least)
        pivots, quiet, e = pivots + 1, 0, start
    return pivots
