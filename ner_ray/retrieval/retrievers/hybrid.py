"""BM25 and embeddings combined: ranks fused, or dense neighbours re-ranked by BM25.

Reciprocal rank fusion: an example's score is the sum of 1 / (constant + rank) over the retrievers that found
it (Cormack, Clarke and Büttcher 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from ner_ray.config import Section
from ner_ray.errors import ConfigError
from ner_ray.retrieval.base import Identity, Neighbours, Retriever, Scorer

PARTS = ("bm25", "dense")


class BuildOptions(Section):
    """No options: the parts have their own."""


class SearchOptions(Section):
    """How the two are combined."""

    method: Literal["fusion", "rerank"] = Field(
        default="fusion", description="fusion: reciprocal rank fusion. rerank: dense neighbours, ranked by BM25."
    )
    constant: float = Field(default=60.0, gt=0, description="The constant of reciprocal rank fusion; 60 as published.")
    depth: int = Field(default=128, ge=1, description="Minimum number of neighbours to retrieve from each part.")


@dataclass(frozen=True, slots=True)
class Fusion:
    """Reciprocal rank fusion."""

    parts: tuple[Retriever, ...]
    constant: float
    depth: int

    def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
        """The k examples with the greatest sums of reciprocal ranks."""
        lists = [part.neighbours(texts, max(k, self.depth)) for part in self.parts]
        return [_first(fuse(ranked, self.constant), k) for ranked in zip(*lists, strict=True)]


@dataclass(frozen=True, slots=True)
class Rerank:
    """Dense neighbours in the order of their BM25 scores."""

    dense: Retriever
    bm25: Scorer
    depth: int

    def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
        """The k dense neighbours with the greatest BM25 scores; of equal ones, the nearest."""
        near = self.dense.neighbours(texts, max(k, self.depth))
        scores = self.bm25.scores(texts, [neighbours.positions for neighbours in near])
        ranked = []
        for neighbours, row in zip(near, scores, strict=True):
            order = np.argsort(-row, kind="stable")[:k]
            ranked.append(Neighbours(neighbours.positions[order], row[order]))
        return ranked


def fuse(lists: Sequence[Neighbours], constant: float) -> Neighbours:
    """All examples of the lists, by their sums of reciprocal ranks; of equal ones, the first in the pool."""
    held = np.concatenate([ranked.positions for ranked in lists])
    shares = np.concatenate([1.0 / (constant + 1 + np.arange(ranked.positions.size)) for ranked in lists])
    positions, places = np.unique(held, return_inverse=True)
    scores = np.bincount(places, weights=shares, minlength=positions.size)
    order = np.lexsort((positions, -scores))
    return Neighbours(positions[order], scores[order])


def check() -> None:
    """Needs nothing beside its parts."""


def build(_texts: Sequence[str], _options: BuildOptions, _folder: Path) -> Identity:
    """Nothing to write."""
    return {}


def load(_folder: Path, _identity: Identity, options: SearchOptions, parts: Mapping[str, Retriever]) -> Retriever:
    """The parts, combined."""
    if options.method == "fusion":
        return Fusion(tuple(parts[name] for name in PARTS), options.constant, options.depth)
    bm25 = parts["bm25"]
    if not isinstance(bm25, Scorer):
        raise ConfigError("the index's bm25 cannot score what another retriever found")
    return Rerank(parts["dense"], bm25, options.depth)


def _first(neighbours: Neighbours, k: int) -> Neighbours:
    return Neighbours(neighbours.positions[:k], neighbours.scores[:k])
