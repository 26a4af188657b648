"""Arrays on disk."""

import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np


def npz(path, name="path"):
    """``path``, the argument ``name``, with the ending .npz, added where it lacks it."""
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"{name}: expected the name of a file, got {path!r}")
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


def load(name, path, wanted):
    """The ``wanted`` arrays by name of ``npz(path)``; ValueError, on the argument ``name``, if it does not hold them.

    A file that is not there, or may not be read, is the OSError that it is.
    """
    try:
        with open(npz(path, name), "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in wanted}
    except OSError:
        raise
    except Exception as error:  # of zipfile, zlib, pickle or NumPy
        raise ValueError(f"{name}: {npz(path)} is damaged, or another kind of file: {error}") from None
