"""The points of least cost minus potential, for every point of another cloud, in about log n steps each."""

import numpy as np
from scipy.spatial.distance import cdist

from .points import BASE, CORNER, FIELDS, OPPOSITE, as_points, depth_of, kd_order

LEAF = 6  # points
ENTRIES = 2**16  # of a matrix that are held at a time: half a megabyte stays in the cache


def row_blocks(n, m, entries=ENTRIES):
    """Slices that cut the n rows of an n x m matrix into blocks of about so many ``entries``."""
    step = max(entries // m, 1)
    return [slice(k, min(k + step, n)) for k in range(0, n, step)]


class Search:
    """A k-d tree over points Y (m, COLUMNS), which come in k-d order."""

    def __init__(self, Y):
        self.depth = depth_of(len(Y), LEAF)
        first = (np.arange(1 << self.depth) * len(Y)) >> self.depth
        self.nodes = np.zeros((2 << self.depth, FIELDS))
        for corner, extreme in ((CORNER, np.minimum), (OPPOSITE, np.maximum)):
            box = extreme.reduceat(Y[:, :3], first)
            for L in range(self.depth, -1, -1):
                self.nodes[1 << L : 2 << L, corner : corner + 3] = box
                box = extreme(box[::2], box[1::2])

    def least(self, X, Y, slope, k, cap=np.inf, shrink=1.0):
        """(columns (n, k), -1 where there are fewer, reduced costs): the k least below ``cap``, for rows X.

        Y: the same points with any potentials; ``slope`` (m, 3): half the gradients of these, or guesses.
        """
        from .kernels import DEEPEST, least_reduced, raise_planes

        raise_planes(self.nodes, self.depth, Y, slope)
        found, values = np.full((len(X), min(k, len(Y))), -1, np.int32), np.full((len(X), min(k, len(Y))), np.inf)
        work = np.empty(DEEPEST, np.int64), np.empty(DEEPEST)
        least_reduced(X, Y, self.nodes, self.depth, cap, shrink, found, values, *work)
        return found, values


def c_transform(X, Y, g):
    """min_j |X_i - Y_j|^2 - g_j, (n,), for images X (n, r), Y (m, r), r > 0; no matrix is larger than ENTRIES."""
    if not len(X):
        return np.empty(0)
    if X.shape[1] > 3:
        blocks = row_blocks(len(X), len(Y))
        return np.concatenate([(cdist(X[rows], Y, "sqeuclidean") - g).min(1) for rows in blocks])
    s, t = kd_order(X), kd_order(Y)
    P, Q, f = as_points(X[s], 0 * X[s]), as_points(Y[t], 0 * Y[t]), np.empty(len(X))
    Q[:, BASE] = g[t]
    f[s] = Search(Q).least(P, Q, np.zeros((len(Q), 3)), 1)[1][:, 0]
    return f
