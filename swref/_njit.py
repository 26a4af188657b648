"""Numba's ``njit`` for all kernels: cached on disk, or compiled anew in every process where no cache can be written."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable)


def njit(**options: Any) -> Callable[[Function], Function]:
    """``numba.njit(nogil=True, **options)``, without ``cache=True`` where that is impossible, and not callable from C.

    Without Python's lock, other threads go on meanwhile: kernels see arrays of their own only. No kernel may return
    an array: Numba wraps it in Python code, where a Ctrl-C from meanwhile turns into a SystemError.

    The cache is beside the package, or else in the user's cache directory (or in NUMBA_CACHE_DIR). In a read-only
    installation without a home directory, as in containers, there is neither, and Numba raises RuntimeError.
    """

    options = {"nogil": True, "no_cfunc_wrapper": True, **options}

    def compiled(function: Function) -> Any:  # Numba's dispatcher, which is called like the function
        try:
            return numba.njit(**options)(function)
        except RuntimeError:
            return numba.njit(**dict(options, cache=False))(function)

    return compiled


def inner(function: Callable) -> Any:
    """Compile a function that only kernels call, without a wrapper for Python: in three quarters of the time."""
    return njit(cache=True, no_cpython_wrapper=True)(function)
