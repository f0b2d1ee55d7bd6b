"""The contract of a retriever.

A retriever is a module of `ner_ray.retrieval.retrievers` (or an entry point in the group
`ner_ray.retrieval.retrievers`) with

    BuildOptions    a pydantic model of what its section in an index configuration may say
    SearchOptions   a pydantic model of what `options.<name>` may say where the index is used
    PARTS           the names of other retrievers it is made of, usually ()
    build           from texts to arrays in a folder, see `Builder`
    load            from such a folder to a `Retriever`, see `Loader`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Identity = dict[str, Any]  # JSON


class Options(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Examples near a text, nearest first: their positions in the pool, and the retriever's scores."""

    positions: Integers
    scores: Floats


class Retriever(Protocol):
    """Finds the examples nearest to texts."""

    def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
        """At most k neighbours of each text.

        What a text gets depends on it and the pool alone, and the neighbours for a smaller k are a
        beginning of those for a greater one. A text without content has none.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores examples that another retriever found."""

    def scores(self, texts: Sequence[str], positions: Sequence[Integers]) -> list[Floats]:
        """For each text, the scores of its own list of examples."""
        ...


class Builder(Protocol):
    """Lays out a retriever's arrays, as `.npy` or safetensors."""

    def __call__(self, texts: Sequence[str], options: Any, folder: Path) -> Identity:
        """What is written into the manifest and comes back to `load`: all that the arrays depend on.

        Args:
            texts: the pool, in order.
            options: the module's `BuildOptions`.
            folder: an empty folder of its own.
        """
        ...


class Loader(Protocol):
    """Opens what a builder laid out."""

    def __call__(self, folder: Path, identity: Identity, options: Any, parts: Mapping[str, Retriever]) -> Retriever:
        """The retriever, its arrays memory-mapped.

        Raises:
            InputError: what would read the texts now is not what read the pool.
        """
        ...
