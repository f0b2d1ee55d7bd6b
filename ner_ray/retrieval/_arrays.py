"""Arrays on disk as plain `.npy` files, memory-mapped so that all processes of a node share one copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ner_ray.errors import InputError


def save(folder: Path, **arrays: NDArray[Any]) -> None:
    """Writes one file per array, named after it."""
    for name, content in arrays.items():
        np.save(folder / f"{name}.npy", content, allow_pickle=False)


def open_array(folder: Path, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """A view of the file, not a copy.

    Raises:
        InputError: there is no such array, or it has another type.
    """
    path = folder / f"{name}.npy"
    try:
        content = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not an array: {error}") from error
    if content.dtype != dtype:
        raise InputError(f"{path} holds {content.dtype}, not {np.dtype(dtype)}")
    return np.asarray(content)
