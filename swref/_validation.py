"""Checks at the door: one float64 copy of each argument, or a ValueError that names it."""

from zlib import crc32

import numpy as np

EPS = np.finfo(float).eps
ACCURACY = 1e-8  # relative: what a user's own computation, in float64, may have left of an equality that must hold
MOST_WRITTEN = 16  # entries of a matrix that a repr shows
LEAST_ACCURATE = 1e-3  # whatever the precision and the number of terms, more is not rounding


def as_array(name, value, ndim, shape=None, empty=False) -> np.ndarray:
    """A finite, nonempty, C-contiguous float64 copy of ``value`` with ``ndim`` axes (and exactly ``shape``).

    ``ndim``: a number or several, of which one must fit. ``empty=True``: no entries are allowed too.
    """
    array = np.array(as_real(name, value), dtype=float, order="C")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        raise ValueError(f"{name}: expected {' or '.join(map(str, allowed))} axes, got shape {array.shape}")
    if shape is not None and array.shape != tuple(shape):
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {array.shape}")
    if array.size == 0 and not empty:
        raise ValueError(f"{name}: must not be empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: must be finite, got {np.sum(~np.isfinite(array))} NaN or infinite entries")
    return array


def as_real(name, value):
    """``value`` as an array of real numbers; ValueError for what NumPy would turn into some by dropping a part."""
    if type(value) is np.ndarray and value.dtype.kind in "iuf":
        return value
    kind, parts = type(value).__name__, value if isinstance(value, (list, tuple)) else [value]
    if any(np.ma.is_masked(part) for part in parts):
        raise ValueError(f"{name}: has masked entries; leave them out (such as whole rows), or fill them yourself")
    if hasattr(value, "toarray"):
        raise ValueError(f"{name}: expected a dense array, got a sparse {kind}; pass {name}.toarray()")
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and value is not array:  # a list of whole numbers beyond 64 bits, or of fractions
            array = np.asarray(value, dtype=float)
    except MemoryError:
        raise
    except Exception as error:  # a foreign __array__ may raise anything, such as a tensor's RuntimeError
        hint = f"; pass {name}.detach().cpu().numpy()" if hasattr(value, "detach") else ""
        raise ValueError(f"{name}: expected a real numeric array, got {kind} ({error}){hint}") from None
    if array.dtype.kind not in "iuf":
        hint = {
            "c": f"pass {name}.real if the imaginary part means nothing",
            "b": f"pass {name}.astype(float) if 0 and 1 are meant",
        }.get(array.dtype.kind, f"pass {name}.astype(float) if it holds numbers")
        raise ValueError(f"{name}: expected a real numeric array, got {kind} of dtype {array.dtype}; {hint}")
    return array


def tolerance_of(value, terms) -> float:
    """The relative error that rounding may have left in sums of ``terms`` numbers, in the precision of ``value``.

    A sum added up in any order is wrong by at most ``terms`` units; 8 times that leaves room for what came before.
    At least ``ACCURACY``, which in float64 is all that counts up to five million terms.
    """
    dtype = np.asarray(value).dtype
    unit = np.finfo(dtype).eps if dtype.kind == "f" else EPS
    return min(max(ACCURACY, 8 * terms * float(unit)), LEAST_ACCURATE)


def as_cloud(name, value, d=None) -> np.ndarray:
    """Points (n, d), one per row; ``d`` columns if it is given."""
    cloud = as_array(name, value, 2)
    if d is not None and cloud.shape[1] != d:
        raise ValueError(f"{name}: expected d = {d} columns, got shape {cloud.shape}")
    return cloud


def as_clouds(x, y) -> tuple[np.ndarray, np.ndarray]:
    """The arguments x (n, d) and y (m, d) of every function of two clouds."""
    x = as_cloud("x", x)
    return x, as_cloud("y", y, x.shape[1])


def as_symmetric(name, value, d=None) -> np.ndarray:
    """A symmetric (d, d) copy of ``value``; more asymmetry than rounding leaves (``tolerance_of``) is an error."""
    array = as_array(name, value, 2)
    if array.shape[0] != array.shape[1] or (d is not None and array.shape[0] != d):
        wanted = "a square matrix" if d is None else f"shape {(d, d)}"
        raise ValueError(f"{name}: expected {wanted}, got {array.shape}")
    if (array == array.T).all():
        return array
    asymmetry = np.abs(array / 2 - array.T / 2).max() * 2
    if asymmetry > tolerance_of(value, len(array)) * np.abs(array).max():
        raise ValueError(f"{name}: must be symmetric, got |A - A^T| up to {asymmetry:.3g}")
    return array / 2 + array.T / 2


def as_psd(name, value, d=None) -> np.ndarray:
    """A symmetric (d, d) copy of ``value``, positive semidefinite up to rounding (``tolerance_of``).

    If rounding in float64 explains its negative eigenvalues it is left as it is. A rougher one is replaced by the
    nearest whose eigenvalues are positive, if only just: zero ones would again be negative by rounding.
    """
    array, scale, lam, U = _spectrum(name, value, d)
    rough = 8 * len(lam) * EPS
    return array if lam[0] >= -rough else scale * symmetrize((U * np.maximum(lam, rough)) @ U.T)


def psd_eigh(name, value, d=None) -> tuple[float, np.ndarray, np.ndarray]:
    """(scale, lam, U): ``value = scale * U diag(lam) U^T``, lam descending and clipped at zero; checks of ``as_psd``.

    The scale is max|S|, so that neither tiny nor huge matrices lose their digits.
    """
    _, scale, lam, U = _spectrum(name, value, d)
    return scale, np.maximum(lam[::-1], 0), U[:, ::-1]


def _spectrum(name, value, d):
    """(array, scale, lam, U): a positive semidefinite ``value``, array = scale * U diag(lam) U^T, lam ascending."""
    array = as_symmetric(name, value, d)
    scale = np.abs(array).max()
    if scale == 0:
        return array, 0.0, np.zeros(len(array)), np.eye(len(array))
    lam, U = np.linalg.eigh(array / scale)
    if lam[0] < -ACCURACY and lam[0] < -tolerance_of(value, len(array)):
        raise ValueError(f"{name}: must be positive semidefinite, got eigenvalue {lam[0] * scale:.3g}")
    return array, scale, lam, U


def as_nonnegative(name, value, ndim, shape=None, empty=False) -> np.ndarray:
    """``as_array``, with no entry below zero."""
    array = as_array(name, value, ndim, shape, empty)
    if array.min(initial=0) < 0:
        raise ValueError(f"{name}: must be nonnegative, got {array.min():.3g}")
    return array


def as_masses(name, value, n) -> np.ndarray:
    """Nonnegative masses (n,) whose sum is one up to rounding (``tolerance_of``), as they were given; None: n ones.

    Divided by their sum they are the weights that the caller means; in floats that division would move them.
    """
    if value is None:
        return np.ones(n)
    masses = as_nonnegative(name, value, 1, (n,))
    error = abs(masses.sum() - 1)
    if error > ACCURACY and error > tolerance_of(value, n):
        raise ValueError(f"{name}: must sum to one, got {masses.sum():.10g}")
    return masses


def as_weights(name, value, n) -> np.ndarray:
    """Nonnegative weights (n,): those of ``as_masses`` divided by their sum; None means 1/n each."""
    masses = as_masses(name, value, n)
    return masses / masses.sum()


def as_increasing(name, value, least=1) -> np.ndarray:
    """Increasing numbers (k,), at ``least`` so many."""
    array = as_array(name, value, 1)
    if len(array) < least or (np.diff(array) <= 0).any():
        raise ValueError(f"{name}: expected increasing numbers, at least {least}, got {array}")
    return array


def as_times(name, value, t_end, least=1) -> np.ndarray:
    """Increasing times (k,) in [0, t_end], at ``least`` so many."""
    times = as_increasing(name, value, least)
    if times[0] < 0 or times[-1] > t_end:
        raise ValueError(f"{name}: must increase within [0, {t_end}], got {times}")
    return times


def check_methods(name, value, *calls) -> None:
    """Raise unless ``value`` has the methods of these calls, such as "value(x, weights)"."""
    if not all(callable(getattr(value, call.partition("(")[0], None)) for call in calls):
        raise ValueError(f"{name}: expected methods {' and '.join(calls)}, got {value!r}")


def check_positive(name, value) -> float:
    """A finite positive float."""
    return _number(name, value, "a positive finite number", lambda number: 0 < number < np.inf)


def as_tolerance(name, value) -> float:
    """A relative tolerance: a positive float below one."""
    return _number(name, value, "a positive number below one", lambda number: 0 < number < 1)


def as_fraction(name, value) -> float:
    """A float in [0, 1]."""
    return _number(name, value, "a number in [0, 1]", lambda number: 0 <= number <= 1)


def check_count(name, value, least=1) -> int:
    """An integer of at least ``least``; True is none."""
    if not (isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least):
        wanted = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{name}: expected {wanted}, got {value!r}")
    return int(value)


def _number(name, value, wanted, allowed):
    """An ``allowed`` float: neither a boolean nor a string is one, whatever ``float`` says."""
    try:
        number = float(as_array(name, value, 0))
    except ValueError:
        number = np.nan
    if not allowed(number):
        raise ValueError(f"{name}: expected {wanted}, got {value!r}")
    return number


def written(array) -> str:
    """A matrix as text: its entries, or, for more than 16, its shape and a checksum that tells it from others."""
    array = np.ascontiguousarray(array)
    if array.size <= MOST_WRITTEN:
        return str(array.tolist())
    return f"<{' x '.join(map(str, array.shape))}, checksum {crc32(array.tobytes()):08x}>"


def symmetrize(A) -> np.ndarray:
    return 0.5 * (A + np.swapaxes(A, -1, -2))


def no_nan(array) -> np.ndarray:
    """The array, or infinity everywhere when an intermediate result left the range of float64."""
    return array if np.isfinite(array).all() else np.full_like(array, np.inf)
