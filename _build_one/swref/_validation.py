"""Checks at the door: one float64 copy of each argument, or a ValueError that names it."""

import numpy as np

EPS = np.finfo(float).eps
PSD_TOLERANCE = 1e-8  # relative: eigenvalues above -PSD_TOLERANCE * max|S| count as rounding


def as_array(name, value, ndim, shape=None):
    """A finite, nonempty float64 copy of ``value`` with ``ndim`` axes (and exactly ``shape``)."""
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a real numeric array, got {type(value).__name__} ({error})") from None
    if array.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} axes, got shape {array.shape}")
    if shape is not None and array.shape != tuple(shape):
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name}: must not be empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: must be finite, got {np.sum(~np.isfinite(array))} NaN or infinite entries")
    return array


def as_symmetric(name, value, d=None):
    """A symmetric (d, d) copy of ``value``; asymmetry above 1e-8 of its largest entry is an error."""
    array = as_array(name, value, 2)
    if array.shape[0] != array.shape[1] or (d is not None and array.shape[0] != d):
        wanted = "a square matrix" if d is None else f"shape {(d, d)}"
        raise ValueError(f"{name}: expected {wanted}, got {array.shape}")
    asymmetry = np.abs(array / 2 - array.T / 2).max() * 2
    if asymmetry > PSD_TOLERANCE * np.abs(array).max():
        raise ValueError(f"{name}: must be symmetric, got |A - A^T| up to {asymmetry:.3g}")
    return array / 2 + array.T / 2


def as_psd(name, value, d=None):
    """A symmetric (d, d) copy of ``value``, positive semidefinite up to ``PSD_TOLERANCE``."""
    array = as_symmetric(name, value, d)
    psd_eigh(name, array)
    return array


def psd_eigh(name, symmetric):
    """(scale, lam, U): ``symmetric = scale * U diag(lam) U^T``, lam descending and clipped at zero.

    The scale is max|S|, so that neither tiny nor huge matrices lose their digits.
    """
    scale = np.abs(symmetric).max()
    if scale == 0:
        return 0.0, np.zeros(len(symmetric)), np.eye(len(symmetric))
    lam, U = np.linalg.eigh(symmetric / scale)
    if lam[0] < -PSD_TOLERANCE:
        raise ValueError(f"{name}: must be positive semidefinite, got eigenvalue {lam[0] * scale:.3g}")
    return scale, np.maximum(lam[::-1], 0), U[:, ::-1]


def as_weights(name, value, n):
    """Nonnegative weights (n,) that sum to one (to 1e-8, then exactly); None means 1/n each."""
    if value is None:
        return np.full(n, 1 / n)
    weights = as_array(name, value, 1, (n,))
    if (weights < 0).any():
        raise ValueError(f"{name}: must be nonnegative, got {weights.min():.3g}")
    total = weights.sum()
    if abs(total - 1) > 1e-8:
        raise ValueError(f"{name}: must sum to one, got {total:.10g}")
    return weights / total


def check_dimension(gauge, d):
    """Raise unless ``gauge`` accepts (d, d) moments."""
    if gauge.dimension is not None and gauge.dimension != d:
        raise ValueError(f"gauge: {gauge!r} accepts d = {gauge.dimension} only, got d = {d}")


def check_positive(name, value):
    """A finite positive float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a positive number, got {value!r}") from None
    if not (0 < number < np.inf):
        raise ValueError(f"{name}: expected a positive finite number, got {value!r}")
    return number


def check_count(name, value):
    """A positive integer."""
    if not (isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1):
        raise ValueError(f"{name}: expected a positive integer, got {value!r}")
    return int(value)


def symmetrize(A):
    return 0.5 * (A + np.swapaxes(A, -1, -2))


def no_nan(array):
    """The array, or infinity everywhere when an intermediate result left the range of float64."""
    return array if np.isfinite(array).all() else np.full_like(array, np.inf)
