"""Compiled loops of unbalanced transport on the sphere: the simplex method on forests. Plain arrays in and out.

For c (n, m) >= 0 and masses p (n,), q (m,) > 0 it solves

    min sum_i p_i alpha_i^2 + sum_j q_j beta_j^2   subject to   alpha_i beta_j >= c_ij,

whose multipliers are flows pi >= 0 on tight pairs (alpha_i beta_j = c_ij) with row sums p alpha^2 and column sums
q beta^2. A basis is a forest of tight pairs. It fixes alpha and beta up to one scale per tree, alpha^2 f and
beta^2 / f, and the balance of rows and columns fixes the scale: A f = B / f, with A, B the sums of p alpha^2 and
q beta^2 in the tree.
"""

from typing import NamedTuple

import numpy as np

from .._njit import njit

PRICE = 1e-13  # a pair enters when c_ij exceeds alpha_i beta_j by this part: a hundred times the rounding of a path
LONELY = 1e-75  # potential of an atom without an edge, in place of zero: any c > 0 exceeds it, and no power overflows


class Forest(NamedTuple):
    """Rooted trees on n rows (nodes 0 .. n-1) and m columns (nodes n ..); -1 means none."""

    n: int
    up: np.ndarray  # a node's parent
    first: np.ndarray  # a node's first child; the others follow by ``after``
    after: np.ndarray
    A: np.ndarray  # sum of p alpha^2 at and below a node, when its tree was last weighed
    B: np.ndarray  # the same of q beta^2
    potential: np.ndarray  # alpha of a row, beta of a column


@njit(cache=True)
def _cut(x, forest):
    """Make x the root of what is below it; returns its parent."""
    above = forest.up[x]
    if above >= 0:
        y = forest.first[above]
        if y == x:
            forest.first[above] = forest.after[x]
        else:
            while forest.after[y] != x:
                y = forest.after[y]
            forest.after[y] = forest.after[x]
        forest.up[x] = -1
    return above


@njit(cache=True)
def _link(x, y, forest):
    """Make the root x a child of y."""
    forest.up[x], forest.after[x], forest.first[y] = y, forest.first[y], x


@njit(cache=True)
def _turn(x, forest):
    """Make x the root of its tree."""
    above = _cut(x, forest)
    while above >= 0:
        below, x, above = x, above, _cut(above, forest)
        _link(x, below, forest)


@njit(cache=True)
def _walk(root, order, forest):
    """List the nodes of root's tree in ``order``, parents first; returns how many."""
    order[0], size, k = root, 1, 0
    while k < size:
        y = forest.first[order[k]]
        while y >= 0:
            order[size] = y
            size += 1
            y = forest.after[y]
        k += 1
    return size


@njit(cache=True)
def _weigh(root, order, forest, mass):
    """``_walk``, and the sums A, B at and below every node."""
    size = _walk(root, order, forest)
    for k in range(size):
        x = order[k]
        weight = mass[x] * forest.potential[x] ** 2
        forest.A[x], forest.B[x] = (weight, 0.0) if x < forest.n else (0.0, weight)
    for k in range(size - 1, 0, -1):
        x = order[k]
        forest.A[forest.up[x]] += forest.A[x]
        forest.B[forest.up[x]] += forest.B[x]
    return size


@njit(cache=True)
def _scale(order, size, f, forest):
    """alpha^2 times f, beta^2 over f, in one tree."""
    root = np.sqrt(f)
    for k in range(size):
        forest.potential[order[k]] *= root if order[k] < forest.n else 1 / root


@njit(cache=True)
def _flow(x, f, forest):
    """The flow on the edge above x when its tree is scaled by f: what the rows below have and the columns do not."""
    surplus = forest.A[x] * f - forest.B[x] / f
    return surplus if x < forest.n else -surplus


@njit(cache=True)
def _open_cycle(i, r, forest):
    """Cut the cycle that the pair of row i and node r, the root, would close in their tree.

    Flow goes around it, all sums of rows and columns unchanged, until the first edge runs dry.
    """
    least, leaving, x, falls = np.inf, -1, i, True
    while x != r:
        if falls and _flow(x, 1.0, forest) < least:
            least, leaving = _flow(x, 1.0, forest), x
        falls, x = not falls, forest.up[x]
    _cut(leaving, forest)


@njit(cache=True)
def _first_dry(order, size, f, forest, rows):
    """The node whose edge runs dry first while the scale of a tree goes from 1 to f, and the scale; (-1, f) if none.

    A growing scale drains the edges above columns, a falling one those above rows (``rows``). Each dries where the part
    below is in balance, and the first is the one at which least has left through the root.
    """
    root, node, least, scale = order[0], -1, np.inf, f
    for k in range(1, size):
        x = order[k]
        if (x < forest.n) == rows and _flow(x, f, forest) < 0:
            at = np.sqrt(forest.B[x] / forest.A[x])
            through = abs(forest.A[root] * at - forest.B[root] / at)
            if through < least:
                node, least, scale = x, through, at
    return node, least, scale


@njit(cache=True)
def _enter(i, j, c, forest, mass, one, two):
    """Push flow through the pair (i, j) with c_ij > alpha_i beta_j until it is tight; edges that run dry leave.

    The tree of i is scaled by f1, that of j by f2, with A1 f1 - B1 / f1 = B2 / f2 - A2 f2, the flow through the pair.
    """
    A, B, r, top = forest.A, forest.B, forest.n + j, i
    _turn(r, forest)
    while forest.up[top] >= 0:
        top = forest.up[top]
    if top == r:
        _weigh(r, two, forest, mass)
        _open_cycle(i, r, forest)
    _turn(i, forest)
    size1, size2 = _weigh(i, one, forest, mass), _weigh(r, two, forest, mass)
    D = c[i, j] / (forest.potential[i] * forest.potential[r])
    while True:
        f2 = np.sqrt((B[i] / D + B[r] * D) / (A[i] * D + A[r] / D)) / D
        f1 = f2 * D * D  # makes the pair tight
        x1, through1, at1 = _first_dry(one, size1, f1, forest, False)
        x2, through2, at2 = _first_dry(two, size2, f2, forest, True)
        if x1 < 0 and x2 < 0:
            break
        order, root, x, at = (one, i, x1, at1) if through1 <= through2 else (two, r, x2, at2)
        _cut(x, forest)  # what hangs below is in balance and becomes a tree of its own
        _scale(order, _walk(x, order, forest), at, forest)
        size = _weigh(root, order, forest, mass)
        size1, size2 = (size, size2) if root == i else (size1, size)
    _scale(one, size1, f1, forest)
    _scale(two, size2, f2, forest)
    _link(i, r, forest)


@njit(cache=True)
def _entry(c, x, forest):
    """c of the pair of x and its parent."""
    return c[x, forest.up[x] - forest.n] if x < forest.n else c[forest.up[x], x - forest.n]


@njit(cache=True)
def _refit(c, weak, forest, mass, order):
    """Potentials of the forest for new c: tight on every edge, every tree in balance, edges of negative flow cut.

    Edges with c <= ``weak`` are cut first.
    """
    potential, roots, left = forest.potential, np.empty(len(order), np.int64), 0
    for x in range(len(order)):
        if forest.up[x] >= 0 and _entry(c, x, forest) <= weak:
            _cut(x, forest)
        if forest.up[x] < 0:
            roots[left] = x
            left += 1
    while left > 0:
        left -= 1
        root = roots[left]
        if forest.first[root] < 0:
            potential[root] = LONELY
            continue
        potential[root], size = 1.0, _walk(root, order, forest)
        for k in range(1, size):
            potential[order[k]] = _entry(c, order[k], forest) / potential[forest.up[order[k]]]
        _weigh(root, order, forest, mass)
        f, least, node = np.sqrt(forest.B[root] / forest.A[root]), 0.0, -1
        for k in range(1, size):
            if _flow(order[k], f, forest) <= least:
                least, node = _flow(order[k], f, forest), order[k]
        if node < 0:
            _scale(order, size, f, forest)
        else:
            _cut(node, forest)
            roots[left], roots[left + 1] = root, node
            left += 2


@njit(cache=True)
def forest_simplex(c, weak, forest, mass, flow):
    """Pivot, in place, until alpha_i beta_j >= c_ij to ``PRICE``; c (n, m) >= 0, mass (n + m,) > 0.

    The flow between each node and its parent goes into flow (n + m,). Returns the number of pivots: a few per node are
    usual, and at 50 per node, should rounding ever make the method cycle, it stops. The forest that is handed in starts
    it, without its edges of c <= ``weak``.
    """
    n, m = c.shape
    one, two = np.empty(n + m, np.int64), np.empty(n + m, np.int64)
    _refit(c, weak, forest, mass, one)
    alpha, beta = forest.potential[:n], forest.potential[n:]
    i, quiet, pivots = 0, 0, 0
    while quiet < n and pivots < 50 * (n + m) + 1000:  # rows in turn; the worst pair of a row enters
        worst, best = 1 + PRICE, -1
        for j in range(m):
            if c[i, j] > worst * alpha[i] * beta[j]:
                worst, best = c[i, j] / (alpha[i] * beta[j]), j
        quiet += 1
        if best >= 0:
            _enter(i, best, c, forest, mass, one, two)
            pivots, quiet = pivots + 1, 0
        i = i + 1 if i + 1 < n else 0
    flow[:] = 0.0
    for root in range(n + m):
        if forest.up[root] < 0:
            for k in range(1, _weigh(root, one, forest, mass)):
                flow[one[k]] = _flow(one[k], 1.0, forest)
    return pivots


@njit(cache=True)
def _near_numerator(u, v, Q, q, r, g, e):
    """At most |u|^2 (|v|^2 - g) - (u . v)^2 in the metric Q, with q = |u|^2, from v - u: nothing cancels for u near v.

    The first and the last term alone make |u|^2 |h|^2 - (u . h)^2, h = v - u. Errors as in ``lower_bound``.
    """
    along, across, size = 0.0, 0.0, 0.0
    for k in range(len(u)):
        hk, uQ, hQ = v[k] - u[k], 0.0, 0.0
        for l in range(len(u)):
            uQ += Q[k, l] * u[l]
            hQ += Q[k, l] * (v[l] - u[l])
        along += uQ * hk
        across += hQ * hk
        size += np.sqrt(max(Q[k, k], 0.0)) * abs(hk)
    return q * across - along * along - q * g - e * r * r * (7 * size * size + 2 * abs(g))


@njit(cache=True)
def potential_transform(c, x, y, Q, q, r, norm, t, g, e, near, f):
    """Into f_i, at most min_j |x_i|^2 - max(x_i . y_j, 0)^2 / (|y_j|^2 - g_j) in the metric Q, for x (n, d), y (m, d).

    c (n, m) are the inner products, q (n,), norm (m,) the squares, r (n,), t (m,) their sizes: a product is known to
    e r_i t_j. Of two estimates from below the better one counts; the second, for vectors that nearly coincide
    (1 - cos^2 < ``near``), has no error of the order of q.
    """
    n, m = c.shape
    for i in range(n):
        f[i] = q[i] - e * r[i] ** 2
        for j in range(m):
            error = 2 * e * t[j] ** 2
            b, top = norm[j] - g[j], c[i, j] + e * r[i] * t[j]
            if top <= 0:
                continue
            value = q[i] - e * r[i] ** 2 - top * top / (b - error) * (1 + 4 * e)
            if value < f[i] and q[i] * norm[j] - c[i, j] ** 2 < near * q[i] * norm[j]:
                better = _near_numerator(x[i], y[j], Q, q[i], r[i], g[j], e)
                better /= b + error if better > 0 else b - error
                value = max(value, better - e * abs(better))
            f[i] = min(f[i], value)
