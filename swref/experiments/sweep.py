"""One experiment for all combinations of its settings, in this process or through an executor."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from itertools import product
from pathlib import Path
from typing import Any

from .._files import replaced
from .._parallel import check_executor, completed, counter


def sweep(
    function: Callable, *, executor: Executor | None = None, save: str | os.PathLike | None = None,
    progress: bool = False, **axes: Iterable,
) -> dict[tuple, Any]:  # fmt: skip
    """{(values): function(**settings)} for every combination of ``axes``, name = values to try, in their order.

    ``sweep(run, gauge=["trace", "operator"], seed=range(5))`` calls run(gauge="trace", seed=0) and nine more, each of
    them alone; the keys are ("trace", 0), ... ``executor``: as for ``swref.pairwise``; the function, settings and
    results go there and back by pickle. ``progress=True`` shows a bar.

    ``save``: a folder with one file for each combination, written when it is done. The same call goes on where an
    earlier one stopped: files are found by function and settings, so another experiment needs another folder only if
    its function has the same name; whoever changes the function deletes the folder. They are pickles: load only your
    own. An error ends the sweep and is raised; what is finished is saved. Raises ValueError for malformed arguments.
    """
    check_executor(executor)
    if not axes:
        raise ValueError("axes: expected at least one setting with its values, got none")
    cases = [dict(zip(axes, values, strict=True)) for values in product(*map(list, axes.values()))]
    files = [None] * len(cases)
    if save is not None:
        Path(save).mkdir(parents=True, exist_ok=True)
        files = [Path(save) / f"{_name(function, case)}.pickle" for case in cases]
    found = {k: pickle.loads(file.read_bytes()) for k, file in enumerate(files) if file is not None and file.exists()}
    left = [k for k in range(len(cases)) if k not in found]
    with counter(progress, "sweep", " runs", len(cases), len(found)) as count:
        for index, result in completed(_call, [(function, cases[k]) for k in left], executor):
            found[left[index]] = result
            if save is not None:
                with replaced(files[left[index]]) as file:
                    pickle.dump(result, file)
            count(1)
    return {tuple(case.values()): found[k] for k, case in enumerate(cases)}


def _call(function, case):
    return function(**case)


def _name(function, case):
    """A file name that tells this call from others."""
    settings = ",".join(f"{name}={value!r}" for name, value in case.items())
    text = f"{getattr(function, '__qualname__', repr(function))}({settings})"
    if len(text.encode()) > 200 or set(text) & set('/\\:*?"<>|\n\0'):
        raise ValueError(f"axes: save needs settings with short names, got {text}")
    return text
