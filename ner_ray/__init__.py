"""Open named entity recognition over very large corpora."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

__version__ = "0.1.0"

__all__ = ["__version__", "open_run"]


def open_run(uri: str) -> Dataset:
    """A run's committed files, exactly, as a pyarrow dataset.

    Raises:
        RunError: nothing is committed yet.
    """
    from ner_ray.store.run import RunDirectory

    return RunDirectory(uri).dataset()
