"""A sample of documents with errors, for people to look at; samples of shards can be added."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ner_ray.evaluate.spans import Pair
from ner_ray.text import sentences
from ner_ray.types import Entity

# Number of sentences shown of a document with many errors.
_SENTENCES = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """An entity, with offsets into its sentence."""

    start: int
    end: int
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A gold entity and what was predicted instead; `kind` is missed, spurious, label, span or both."""

    kind: str
    gold: Mark | None
    predicted: Mark | None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its errors and its correct entities."""

    text: str
    faults: tuple[Fault, ...]
    right: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """The first sentences with errors of a document."""

    rank: str
    doc_id: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """The documents with errors whose ids have the lowest hashes, which makes a random sample; samples can be added.

    Attributes:
        limit: the number of documents kept.
        items: sorted by rank.
    """

    limit: int
    items: tuple[Example, ...] = ()

    def __add__(self, other: Examples) -> Examples:
        items = sorted(self.items + other.items, key=lambda item: (item.rank, item.doc_id))
        return Examples(self.limit, tuple(items[: self.limit]))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Examples:
        return cls(data["limit"], tuple(_example(item) for item in data["items"]))


def rank(doc_id: str) -> str:
    """The rank of a document in the sample; those with the lowest ranks are kept."""
    return hashlib.blake2b(doc_id.encode(errors="replace"), digest_size=8).hexdigest()


def sample(limit: int, documents: Sequence[tuple[str, str, Sequence[Pair]]]) -> Examples:
    """The sample from several documents, each given as id, text and pairs; documents without errors are left out."""
    faulty = [(rank(doc_id), doc_id, text, pairs) for doc_id, text, pairs in documents if any(map(fault, pairs))]
    chosen = sorted(faulty, key=lambda item: item[:2])[:limit]
    items = (Example(place, doc_id, show(text, pairs)) for place, doc_id, text, pairs in chosen)
    return Examples(limit, tuple(items))


def show(text: str, pairs: Sequence[Pair]) -> tuple[Sentence, ...]:
    """The first sentences of a document that have errors; a pair belongs to the sentence in which it starts."""
    shown = []
    for start, end in sentences.spans(text):
        inside = [pair for pair in pairs if start <= _start(pair) < end]
        faults = tuple(found for pair in inside if (found := fault(pair, start)))
        if faults:
            reach = max(end, *(entity.end for pair in inside for entity in pair if entity is not None))
            right = tuple(mark for p in inside if fault(p) is None and (mark := _mark(p.gold, start)))
            shown.append(Sentence(text[start : min(reach, len(text))].rstrip(), faults, right))
        if len(shown) == _SENTENCES:
            break
    return tuple(shown)


def fault(pair: Pair, origin: int = 0) -> Fault | None:
    """The error of a pair; None if it is correct."""
    gold, predicted = pair
    if gold is None or predicted is None:
        kind = "missed" if predicted is None else "spurious"
    elif gold.label != predicted.label:
        kind = "label" if pair.same_span else "both"
    elif not pair.same_span:
        kind = "span"
    else:
        return None
    return Fault(kind, _mark(gold, origin), _mark(predicted, origin))


def _mark(entity: Entity | None, origin: int) -> Mark | None:
    if entity is None:
        return None
    return Mark(max(entity.start - origin, 0), max(entity.end - origin, 0), entity.text, entity.label)


def _start(pair: Pair) -> int:
    return max(0, min(entity.start for entity in pair if entity is not None))


def _example(item: Mapping[str, Any]) -> Example:
    return Example(item["rank"], item["doc_id"], tuple(map(_sentence, item["sentences"])))


def _sentence(item: Mapping[str, Any]) -> Sentence:
    faults = tuple(
        Fault(fault["kind"], fault["gold"] and Mark(**fault["gold"]), fault["predicted"] and Mark(**fault["predicted"]))
        for fault in item["faults"]
    )
    return Sentence(item["text"], faults, tuple(Mark(**mark) for mark in item["right"]))
