"""Points as rows, in the order of a k-d tree.

A row is (high, low, base, change): the image in twice the working precision, padded to three coordinates, and the
potential as an exact sum of two.
"""

import numpy as np

HIGH, LOW, BASE, CHANGE, COLUMNS = 0, 3, 6, 7, 8
CORNER, OPPOSITE, SLOPE, LEVEL, SIZE, FIELDS = 0, 3, 6, 9, 10, 11  # of a node of the search tree


def depth_of(n, leaf):
    """How often n points are halved until at most ``leaf`` are left."""
    return max(int(np.ceil(np.log2(n / leaf))), 0)


def kd_order(x):
    """The order of the points (n, d) in which every part [k n >> L, (k + 1) n >> L) is one side of a median cut."""
    n, order = len(x), np.arange(len(x))
    for L in range(depth_of(n, 1)):
        first = (np.arange(1 << L) * n) >> L
        part, z = np.repeat(np.arange(1 << L), np.diff(first, append=n)), x[order]
        widest = (np.maximum.reduceat(z, first) - np.minimum.reduceat(z, first)).argmax(1)
        order = order[np.lexsort((z[np.arange(n), widest[part]], part))]
    return order


def as_points(high, low):
    """Points for an image (n, r), r <= 3, in twice the working precision; without potentials."""
    P = np.zeros((len(high), COLUMNS))
    P[:, HIGH : HIGH + high.shape[1]], P[:, LOW : LOW + low.shape[1]] = high, low
    return P
