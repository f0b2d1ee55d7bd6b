"""Shared by exporters whose format is a row of tokens: tokens that no entity boundary splits, and BIO tags.

Tokens are those of `ner_ray.text.tokens`, cut where an entity begins or ends inside one, so that every entity is
represented exactly. BIO cannot represent overlapping entities; `ner_ray.text.overlaps` says which of them stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ner_ray.text import tokens
from ner_ray.types import Entity

OUTSIDE = "O"


def pieces(text: str, entities: Iterable[Entity]) -> Iterator[tuple[int, int]]:
    """The half-open offsets of tokens, cut at the boundaries of entities."""
    edges = iter(sorted({edge for entity in entities for edge in (entity.start, entity.end)}))
    edge = next(edges, None)
    for start, end in tokens.spans(text):
        while edge is not None and edge < end:
            if edge > start:
                yield start, edge
                start = edge  # noqa: PLW2901 - the rest of the token
            edge = next(edges, None)
        yield start, end


def tagged(text: str, entities: Sequence[Entity]) -> Iterator[tuple[int, int, str]]:
    """The offsets and the BIO tag of each token; `entities` must be sorted and must not overlap."""
    waiting = iter(entities)
    entity = next(waiting, None)
    began = False
    for start, end in pieces(text, entities):
        while entity and entity.end <= start:
            entity, began = next(waiting, None), False
        if entity and entity.start <= start:
            yield start, end, f"{'I' if began else 'B'}-{entity.label}"
            began = True
        else:
            yield start, end, OUTSIDE


def storable(text: str) -> str:
    """The text in code points that UTF-8 can encode, one for one: lone surrogates become question marks."""
    return text.encode(errors="replace").decode()
