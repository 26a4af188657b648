"""Distances between all pairs of many clouds, in this process or through an executor."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from .._errors import NotConverged
from .._files import load, npz, store
from .._parallel import check_executor, completed, counter
from .._results import STATUS, Report
from .._validation import as_cloud, as_tolerance, as_weights
from ..gauges import Gauge, gauge_for
from ..maxmin import call_limit
from .distance import transport

CHUNKS = 64  # tasks for an executor: many, so that no worker waits long for the last one; few, so that sending is cheap
SAVE_EVERY = 5.0  # seconds
PAIR = np.dtype("f8, f8, f8, i8, U16")
FIELDS = PAIR.names = ("distance", "lower_bound", "upper_bound", "iterations", "status")


@dataclass(frozen=True, repr=False, eq=False)
class PairwiseResult(Report):
    """Distances (k, l) of ``pairwise``, with bounds of their squares: lower_bound <= W^2 <= upper_bound, always.

    For one list of clouds k = l, and the matrices are symmetric with zero diagonal. A pair that was not solved has
    status "interrupted", lower bound 0 and distance inf. The other statuses are those of ``transport``.
    """

    distance: np.ndarray = field(repr=False)  # (k, l)
    lower_bound: np.ndarray = field(repr=False)  # (k, l): of the squares, proved
    upper_bound: np.ndarray = field(repr=False)  # (k, l): of the squares, proved
    iterations: np.ndarray = field(repr=False)  # (k, l): oracle calls
    status: np.ndarray = field(repr=False)  # (k, l) of str: why each run ended, a key of STATUS

    @property
    def squared_distance(self) -> np.ndarray:
        """The upper bounds: attained by plans."""
        return self.upper_bound

    @property
    def relative_gap(self) -> np.ndarray:
        """(U - L)/U, 0 where U = 0, 1 where nothing is known."""
        U = self.upper_bound
        return np.divide(U - self.lower_bound, U, out=np.isinf(U).astype(float), where=(U > 0) & np.isfinite(U))

    def _rows(self):
        found, counts = np.unique(self.status, return_counts=True)
        return {
            "pairs": " x ".join(map(str, self.distance.shape)),
            "largest distance": f"{self.distance.max():.10g}",
            "largest relative gap": f"{self.relative_gap.max():.2e}",
            **{name: f"{count} pairs: {STATUS[name]}" for name, count in zip(found, counts, strict=True)},
        }


def pairwise(
    clouds: Iterable[ArrayLike], gauge: str | Gauge, *, others: Iterable[ArrayLike] | None = None,
    weights: Iterable[ArrayLike | None] | None = None, other_weights: Iterable[ArrayLike | None] | None = None,
    executor: Executor | None = None, save: str | os.PathLike | None = None, progress: bool = False,
    tol: float = 1e-6, max_iter: int | None = None, strict: bool = True,
) -> PairwiseResult:  # fmt: skip
    """W_gamma(mu_i, nu_j) for all pairs, certified: each is ``transport``, alone and from the start.  [Def. 3.1]

    ``clouds``: k arrays (n_i, d); ``others``: l arrays (m_j, d), None: the clouds themselves, of which each pair is
    solved once. ``weights``, ``other_weights``: one array (n_i,) per cloud, or None for equal ones; None: all equal.
    ``gauge``, ``tol``, ``max_iter``: as for ``transport``.

    ``executor``: None, or anything whose ``submit`` returns a ``concurrent.futures.Future``: a pool of threads or
    processes, or of Dask, ``client.get_executor()``. Pairs go there in about 64 chunks, each with the clouds that it
    needs; BLAS has one thread in each. The results are the same to the last bit, whatever the executor. A gauge of
    ``__main__`` must be importable by the workers, or be sent by a pickler that can (Dask's can).

    ``save``: a file (.npz), written in one step every five seconds and at the end, whatever ended the call. Called
    again with the same arguments, ``pairwise`` takes up what the file holds; others, or a damaged file: ValueError.
    ``progress=True`` shows a bar. After Ctrl-C, or when a pair misses ``tol``: NotConverged with ``.result``, unless
    ``strict=False``; what is finished is kept, and in ``save``. ValueError for malformed arguments. An error in a pair,
    or a pool that broke, ends the call and is raised, after saving.
    """
    executor, tol = check_executor(executor), as_tolerance("tol", tol)
    first = _checked("clouds", clouds, "weights", weights, None)
    d = first[0][0].shape[1]
    second = first if others is None else _checked("others", others, "other_weights", other_weights, d)
    if others is None and other_weights is not None:
        raise ValueError("other_weights: go with others, which is None")
    gauge, limit = gauge_for(gauge, d), call_limit(max_iter, d)
    found = np.full((len(first), len(second)), np.array((np.inf, 0, np.inf, 0, "interrupted"), PAIR))
    wanted = np.ones(found.shape, dtype=bool)
    if others is None:
        wanted = np.triu(wanted, 1)
        np.fill_diagonal(found, np.array((0, 0, 0, 0, "converged"), PAIR))
    key = _fingerprint(first, second if others is not None else [], gauge, tol, limit)
    if save is not None and npz(save, "save").exists():
        _take_up(found, save, key)

    def keep():
        if save is not None:
            store(save, {**_columns(found), "key": key})

    keep()  # at once: a place where nothing can be written is an error before the work, not after it
    left = np.argwhere(wanted & (found["status"] == "interrupted")).tolist()
    try:
        with counter(progress, "pairwise", " pairs", wanted.sum(), wanted.sum() - len(left)) as count:
            _solve_all(first, second, left, (gauge, tol, limit), executor, found, count, keep, others is None)
    except KeyboardInterrupt:
        pass
    finally:
        keep()
    result = PairwiseResult(**_columns(found))
    missed = result.status != "converged"
    if strict and missed.any():
        i, j = np.argwhere(missed)[0]
        raise NotConverged(
            f"pairwise: {missed.sum()} of {missed.size} entries missed tol = {tol:.1e}, the first at ({i}, {j}): "
            f"{STATUS[str(result.status[i, j])]}; all of them with their bounds are in .result (or pass strict=False)",
            result,
        )
    return result


def _columns(found):
    return {name: found[name].copy() for name in FIELDS}


def _solve_all(first, second, pairs, options, executor, found, count, keep, symmetric):
    size = 1 if executor is None else -(-len(pairs) // CHUNKS)
    chunks = [pairs[start : start + size] for start in range(0, len(pairs), max(size, 1))]
    tasks = [(chunk, {i: first[i] for i, _ in chunk}, {j: second[j] for _, j in chunk}, *options) for chunk in chunks]
    saved = time.monotonic()
    for index, rows in completed(_solve, tasks, executor):
        for (i, j), row in zip(chunks[index], rows, strict=True):
            found[i, j] = row
            if symmetric:
                found[j, i] = row
        count(len(rows))
        if time.monotonic() - saved > SAVE_EVERY:
            keep()
            saved = time.monotonic()


def _solve(pairs, first, second, gauge, tol, max_iter):
    """The FIELDS of each pair. Ctrl-C ends the whole chunk, although ``transport`` would return what it has."""
    rows = []
    for i, j in pairs:
        (x, a), (y, b) = first[i], second[j]
        result = transport(x, y, gauge, a, b, tol=tol, max_iter=max_iter, strict=False)
        if result.status == "interrupted":
            raise KeyboardInterrupt
        rows.append(tuple(getattr(result, name) for name in FIELDS))
    return rows


def _listed(name, value, of):
    try:
        return list(value)
    except TypeError:
        raise ValueError(f"{name}: expected a list of {of}, got {type(value).__name__}") from None


def _checked(name, clouds, weights_name, weights, d):
    """[(points, weights)], the weights None where equal."""
    clouds = _listed(name, clouds, "clouds")
    if not clouds:
        raise ValueError(f"{name}: expected at least one cloud, got none")
    weights = [None] * len(clouds) if weights is None else _listed(weights_name, weights, "weights")
    if len(weights) != len(clouds):
        raise ValueError(f"{weights_name}: expected one for each of {len(clouds)} clouds, got {len(weights)}")
    checked = []
    for index, (points, w) in enumerate(zip(clouds, weights, strict=True)):
        points = as_cloud(f"{name}[{index}]", points, d)
        d = points.shape[1]
        as_weights(f"{weights_name}[{index}]", w, len(points))  # kept as given: ``transport`` divides them exactly
        checked.append((points, w))
    return checked


def _fingerprint(first, second, gauge, tol, limit):
    """A text that tells these arguments from others."""
    digest = hashlib.sha256(repr((gauge, tol, limit, len(first), len(second))).encode())
    for points, weights in (*first, *second):
        for array in (points, np.asarray([] if weights is None else weights, dtype=float)):
            digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.hexdigest()


def _take_up(found, save, key):
    saved = load("save", save, ["key", *FIELDS])
    if str(saved["key"]) != key:
        raise ValueError(f"save: {npz(save)} holds distances of other clouds, another gauge or another tolerance")
    for name in FIELDS:
        found[name] = saved[name]
