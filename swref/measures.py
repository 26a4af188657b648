"""Weighted clouds: second moments and centred copies."""

import numpy as np

from ._validation import symmetrize


def second_moment(v, weights):
    """sum_i w_i v_i v_i^T, (d, d), for v (n, d): the uncentered covariance of a field."""
    return symmetrize((v * weights[:, None]).T @ v)


def displacement_moment(x, y, plan):
    """sum_ij pi_ij (y_j - x_i)(y_j - x_i)^T, (d, d), for a sparse plan (n, m)."""
    plan = plan.tocoo()
    return second_moment(y[plan.col] - x[plan.row], plan.data)


def centred(x, weights):
    """(x - mean, mean) for a cloud x (n, d)."""
    mean = weights @ x
    shifted = x - mean
    residue = weights @ shifted  # what rounding left; one more pass makes the mean zero to the last digits
    return shifted - residue, mean + residue


def weighted_median(x, weights):
    """The median (d,) of each coordinate of a cloud x (n, d): far points of little mass do not move it."""
    order = np.argsort(x, axis=0)
    middle = (np.cumsum(weights[order], axis=0) < 0.5 * weights.sum()).sum(0)
    return np.take_along_axis(x, np.take_along_axis(order, np.minimum(middle, len(x) - 1)[None], 0), 0)[0]


def unit_scale(*arrays):
    """(scale, arrays / scale) with scale the largest absolute entry; 1 if all are zero."""
    scale = max(float(np.abs(a).max()) for a in arrays) or 1.0
    return scale, *(a / scale for a in arrays)


def common_frame(x, y):
    """(scale, x', y'): both clouds minus one common point, divided by their largest coordinate.

    Subtracting one float from both keeps differences y_j - x_i exact; the scale keeps squares representable.
    """
    size, x, y = unit_scale(x, y)
    origin = x.mean(0)
    unit, x, y = unit_scale(x - origin, y - origin)
    return size * unit, x, y


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
