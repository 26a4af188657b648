"""Compiled loops on masses and costs: exact sums, monotone plans, trees."""

import numpy as np

from .._njit import inner, njit

BITS = 61  # of the lower limb of a mass: see ``masses``


@inner
def _add(masses, v, high, low):
    """masses[:, v] += (high, low), in two limbs."""
    low += masses[1, v]
    carry = low >> BITS
    masses[1, v] = low - (carry << BITS)
    masses[0, v] += high + carry


@njit(cache=True)
def sums_of(masses, bounds, sums):
    """Add masses (2, n), in limbs, from bounds[l] to before bounds[l + 1], to sums (2, k) at l."""
    for l in range(sums.shape[1]):
        for v in range(bounds[l], bounds[l + 1]):
            _add(sums, l, masses[0, v], masses[1, v])


@njit(cache=True)
def stairs(left, right, cells):
    """The cells of ``basis.staircase``, rows of ``cells``: row, column and the two limbs of the mass.

    The masses ``left`` (2, n) and ``right`` (2, m) are used up.
    """
    n, m = left.shape[1], right.shape[1]
    i, j = np.int64(0), np.int64(0)
    for k in range(len(cells)):
        first = left[0, i] < right[0, j] or (left[0, i] == right[0, j] and left[1, i] <= right[1, j])
        high, low = (left[0, i], left[1, i]) if first else (right[0, j], right[1, j])
        cells[k, 0], cells[k, 1], cells[k, 2], cells[k, 3] = i, j, high, low
        _add(left, i, -high, -low)
        _add(right, j, -high, -low)
        if j == m - 1 or (i < n - 1 and first):
            i = min(i + 1, n - 1)
        else:
            j += 1


@njit(cache=True)
def carry(path, parent, need):
    """Add ``need`` of each node of ``path``, which lists parents first, to that of its parent: sums over subtrees."""
    for k in range(len(path) - 1, -1, -1):
        need[parent[path[k]]] += need[path[k]]


@inner
def two_sum(a, b):
    """(s, e): s = fl(a + b) and a + b = s + e exactly."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@njit(cache=True)
def reduced_costs(C, f, g, R):
    """C_ij - f_i - g_j into R (n, m), each to a few ulps of its own and eps^2 (|f_i| + |g_j|)."""
    n, m = C.shape
    for i in range(n):
        for j in range(m):
            s, e = two_sum(f[i], g[j])
            R[i, j] = (C[i, j] - s) - e
