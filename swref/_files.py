"""Arrays on disk."""

import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np


def npz(path):
    """``path`` with the ending .npz, added where it lacks it."""
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


@contextmanager
def replaced(path):
    """A file to write in place of ``path``, in one step at the end: whoever stops the writing leaves the old file."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def store(path, arrays):
    """Write arrays by name to ``npz(path)``, in one step."""
    with replaced(npz(path)) as file:
        np.savez_compressed(file, **arrays)
