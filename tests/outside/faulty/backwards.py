"""A retriever that gives the farthest examples first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from outside_toys import characters

from ner_ray.retrieval.base import Identity, Neighbours, Retriever

PARTS = ()
BuildOptions = characters.BuildOptions
SearchOptions = characters.SearchOptions
build = characters.build
check = characters.check


def load(
    folder: Path, identity: Identity, options: characters.SearchOptions, parts: Mapping[str, Retriever]
) -> Retriever:
    return Backwards(characters.load(folder, identity, options, parts))


@dataclass(frozen=True, slots=True)
class Backwards:
    right: Retriever

    def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
        found = self.right.neighbours(texts, k)
        return [Neighbours(near.positions[::-1], near.scores[::-1]) for near in found]
