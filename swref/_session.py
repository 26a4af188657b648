"""What a session may have set, and what changes nothing inside a public call: NumPy's error state, threads of BLAS."""

import os
import threading
from collections.abc import Callable
from contextlib import ContextDecorator, nullcontext
from typing import TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable)
SMALL = 2000  # entries; BLAS keeps to one thread for smaller matrices by itself


class _OneThread(ContextDecorator):
    """A context in which BLAS has one thread: for small matrices, waking others takes longer than the work.

    The number of threads belongs to the process. Of calls that overlap, nested or in several threads, the first sets it
    to one and the last sets it back; ``threadpoolctl.threadpool_limits`` would leave it at what another call had set.
    """

    def __init__(self):
        self._libraries, self._inside, self._before = None, 0, []
        self._unlock()
        if hasattr(os, "register_at_fork"):  # a forked child has no other threads, but their lock may be closed in it
            os.register_at_fork(after_in_child=self._unlock)

    def _unlock(self):
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = [(library, n) for library in self._blas() if (n := library.num_threads) > 1]
                for library, _ in self._before:
                    _set_threads(library, 1)

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, n in self._before:
                    _set_threads(library, n)

    def _blas(self):
        if self._libraries is None:  # looking for them takes a millisecond
            from threadpoolctl import ThreadpoolController

            self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        return self._libraries


def _set_threads(library, n):
    # Since 3.8 threadpoolctl lets only the Python thread that came first do this; here the last one has to.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n)


ONE_THREAD = _OneThread()


def one_thread_for(array):
    """``ONE_THREAD`` around work on ``array``; nothing when it is so small that asking would be noticed."""
    return ONE_THREAD if array.size > SMALL else nullcontext()


silent = np.errstate(all="ignore")  # a decorator: floating-point errors neither warn nor raise; results are checked


def steady(function: Function) -> Function:
    """Decorator of solvers: ``silent``, and with one thread of BLAS."""
    return silent(ONE_THREAD(function))
