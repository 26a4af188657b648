"""Arrays on disk."""

import os
from pathlib import Path

import numpy as np


def npz(path):
    """``path`` with the ending .npz, added where it lacks it."""
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def store(path, arrays):
    """Write arrays by name to ``npz(path)``, in one step: whoever stops the writing leaves the old file."""
    path = npz(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
