"""Weighted clouds: second moments, medians, scales."""

import numpy as np

from ._validation import symmetrize


def second_moment(v, weights):
    """sum_i w_i v_i v_i^T, (d, d), for v (n, d): the uncentered covariance of a field."""
    return symmetrize((v * weights[:, None]).T @ v)


def weighted_median(x, weights):
    """The median (d,) of each coordinate of a cloud x (n, d): far points of little mass do not move it."""
    order = np.argsort(x, axis=0)
    middle = (np.cumsum(weights[order], axis=0) < 0.5 * weights.sum()).sum(0)
    return np.take_along_axis(x, np.take_along_axis(order, np.minimum(middle, len(x) - 1)[None], 0), 0)[0]


def unit_scale(*arrays):
    """(scale, arrays / scale) with scale the largest absolute entry; 1 if all are zero."""
    scale = max(float(np.abs(a).max(initial=0)) for a in arrays) or 1.0
    return scale, *(a / scale for a in arrays)


def dyadic_frame(x, y):
    """(scale, x / scale, y / scale), scale the power of two just above all coordinate differences to the first point.

    A power of two rounds nothing, barring underflow; nothing is subtracted, so displacements are those of x and y.
    """
    size = max(float(np.abs(x).max()), float(np.abs(y).max())) or 1.0
    high = np.frexp(size)[1]
    x, y = np.ldexp(x, -high), np.ldexp(y, -high)
    spread = max(float(np.abs(z - x[0]).max()) for z in (x, y)) or 1.0
    low = min(int(np.frexp(spread)[1]), 1023 - int(high))
    return float(np.ldexp(1.0, int(high) + low)), np.ldexp(x, -low), np.ldexp(y, -low)
