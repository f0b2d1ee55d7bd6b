"""The contract of a retriever.

A retriever finds the examples nearest to a text. It is a module of `ner_ray.retrieval.retrievers`, or one that another
distribution registers as an entry point in the group `ner_ray.retrieval.retrievers`. `RetrieverModule` lists what the
module defines, `EncoderModule` what it defines in addition where it embeds texts with a model.

A complete retriever, for which texts are near each other if they consist of the same characters:

    PARTS = ()

    class BuildOptions(Section):
        '''It has no options.'''

    class SearchOptions(Section):
        '''It has no options.'''

    def check() -> None:
        pass  # numpy is all that it needs

    def build(texts: Sequence[str], options: BuildOptions, folder: Path) -> Identity:
        np.save(folder / "vectors.npy", np.array([vector(text) for text in texts]))
        return {"examples": len(texts)}

    def load(folder: Path, identity: Identity, options: SearchOptions, parts: Mapping[str, Retriever]) -> Retriever:
        return Characters(np.load(folder / "vectors.npy", mmap_mode="r"))

    @dataclass(frozen=True, slots=True)
    class Characters:
        vectors: Floats

        def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
            return [self._nearest(text, k if text.strip() else 0) for text in texts]

        def _nearest(self, text: str, k: int) -> Neighbours:
            cosines = self.vectors @ vector(text)
            order = np.argsort(-cosines, kind="stable")[:k]
            return Neighbours(order, cosines[order])

    def vector(text: str) -> Floats:
        counts = np.bincount([ord(character) % 256 for character in text], minlength=256)
        return counts / max(1, np.linalg.norm(counts))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ner_ray import plugins

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Vectors = NDArray[np.float32]
Identity = dict[str, Any]  # JSON


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


class Encoder(Protocol):
    """A model that embeds texts."""

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """The unit vectors of the texts, one per row."""
        ...


class RetrieverModule(Protocol):
    """What the module of a retriever defines."""

    BuildOptions: type[BaseModel]
    """What its section in an index configuration may say."""

    SearchOptions: type[BaseModel]
    """What `options.<name>` may say where the index is used."""

    PARTS: tuple[str, ...]
    """The names of other retrievers that it combines; usually empty. These are built and loaded in its place."""

    def check(self) -> None:
        """Makes sure that the packages are there that it needs; called before any work is done.

        Raises:
            MissingExtraError: names those that are missing.
        """
        ...

    def build(self, texts: Sequence[str], options: Any, folder: Path) -> Identity:
        """Lays out the retriever's arrays, as `.npy` or safetensors.

        Args:
            texts: the pool, in order.
            options: an instance of `BuildOptions`.
            folder: an empty folder of its own.

        Returns:
            What is written into the manifest and comes back to `load`: everything that the arrays depend on.
        """
        ...

    def load(self, folder: Path, identity: Identity, options: Any, parts: Mapping[str, Retriever]) -> Retriever:
        """The retriever, its arrays memory-mapped.

        Args:
            folder: where `build` laid them out.
            identity: what `build` returned.
            options: an instance of `SearchOptions`.
            parts: the retrievers named in `PARTS`, loaded.

        Raises:
            InputError: the tokenizer or encoder that is installed here is not the one that read the pool.
        """
        ...


@runtime_checkable
class EncoderModule(Protocol):
    """What a retriever that embeds texts defines in addition, so that a job can embed the pool on many machines."""

    def load_encoder(self, options: Any) -> Encoder:
        """The model of some `BuildOptions`; loaded now, in the process that is to embed.

        Raises:
            ModelError: there is no such model, or it cannot be loaded.
        """
        ...

    def build_with(self, encoder: Encoder, texts: Sequence[str], options: Any, folder: Path) -> Identity:
        """`build`, with an encoder in place of `load_encoder(options)`."""
        ...


class Builder(Protocol):
    """Takes the place of a module's own `build`."""

    def __call__(self, texts: Sequence[str], options: Any, folder: Path) -> Identity: ...


CONTRACT: plugins.Contract[RetrieverModule] = plugins.Contract("retrieval.retrievers", "retriever", RetrieverModule)


def check(name: str) -> None:
    """Makes sure that a retriever can work here, and those that it is made of.

    Raises:
        ConfigError: there is no such retriever.
        MissingExtraError: a package is missing.
    """
    module = load(name)
    for part in module.PARTS:
        check(part)
    module.check()


def load(name: str) -> RetrieverModule:
    """The module of a retriever.

    Raises:
        ConfigError: there is no such retriever, or its module does not define what `RetrieverModule` lists.
    """
    return CONTRACT.load(name)
