"""What a page knows of one document: plain data for its script, and what documents are chosen by."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ner_ray.types import Annotation, Document, DocumentStatus, Entity, ErrorRecord, Mention, SpanStatus, Usage
from ner_ray.viewer.index import Numbers, score_value

MOST_CHARACTERS = 200_000
"""Of one document; browsers are slow to lay out more than that."""

STATES = tuple(status.value for status in DocumentStatus)
HOWS = tuple(SpanStatus)
_MOST_UNALIGNED = 30  # different ones of one document
_NO_USAGE = Usage()
_DIGITS = 4  # of a score


@dataclass(frozen=True, slots=True)
class Mark:
    """An entity on a page.

    Attributes:
        entity: what is marked.
        kind: how it compares with the other side, as one of the bits of `ner_ray.viewer.pages.Look.kinds`; 0 where
            there is one side.
        partner: the number of its partner among the marks of the other side, if it has one.
    """

    entity: Entity
    kind: int = 0
    partner: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A document on a page.

    Attributes:
        doc_id: its id.
        text: all of it; what lies beyond `MOST_CHARACTERS` is not shown.
        sides: its entities; two lists of them where two annotations are compared.
        state: its number among the page's states.
        errors: why it is not annotated completely.
        unaligned: mentions that are not in the text.
        usage: what it cost.
    """

    doc_id: str
    text: str
    sides: tuple[Sequence[Mark], ...]
    state: int = 0
    errors: Sequence[ErrorRecord] = ()
    unaligned: Sequence[Mention] = ()
    usage: Usage = _NO_USAGE

    def counted(self) -> Iterator[tuple[str, int]]:
        """Label and kind of each mark; partners once, or under both labels where they have two."""
        for number, marks in enumerate(self.sides):
            for mark in marks:
                met = self.sides[0][mark.partner].entity.label if number and mark.partner is not None else None
                if mark.entity.label != met:
                    yield mark.entity.label, mark.kind

    def kinds(self) -> Iterator[int]:
        """The kind of each mark, partners once."""
        for number, marks in enumerate(self.sides):
            yield from (mark.kind for mark in marks if not number or mark.partner is None)

    def features(self) -> Iterator[tuple[str, int]]:
        """Label and value of each mark, as `ner_ray.viewer.index.Index` holds them: a kind, or else a score."""
        for marks in self.sides:
            yield from ((mark.entity.label, mark.kind or score_value(_score(mark.entity))) for mark in marks)


def of_annotation(document: Document, annotation: Annotation) -> Shown:
    """A document with what is known about it."""
    return Shown(
        document.doc_id,
        document.text,
        (tuple(map(Mark, annotation.entities)),),
        STATES.index(annotation.status.value),
        annotation.errors,
        annotation.unaligned,
        annotation.usage,
    )


def data(shown: Shown, labels: Numbers) -> dict[str, Any]:
    """A document as the page's script takes it; labels are numbers. What is empty is left out."""
    text = shown.text[:MOST_CHARACTERS]
    sides = [[_mark(mark, labels) for mark in marks if is_drawn(mark, text)] for marks in shown.sides]
    unaligned = Counter((mention.text, mention.label) for mention in shown.unaligned)
    named = [[text, labels[label], times] for (text, label), times in unaligned.most_common(_MOST_UNALIGNED)]
    usage = shown.usage
    found = {
        "id": shown.doc_id,
        "text": text,
        "cut": len(shown.text) - len(text),
        "sides": sides,
        "state": shown.state,
        "errors": [[error.code, error.stage, error.message] for error in shown.errors],
        "unaligned": named,
        "more": len(unaligned) - len(named),
        "usage": [usage.prompt_tokens, usage.output_tokens] if usage.requests else 0,
    }
    return {name: value for name, value in found.items() if value or name in ("id", "text", "sides")}


def is_drawn(mark: Mark, text: str) -> bool:
    """Whether a mark has a place in what is shown of a text."""
    return 0 <= mark.entity.start < mark.entity.end <= len(text)


def _mark(mark: Mark, labels: Numbers) -> list[Any]:
    entity = mark.entity
    own = [entity.start, entity.end, labels[entity.label], _score(entity), HOWS.index(entity.status)]
    return own if not mark.kind else [*own, mark.kind, mark.partner]


def _score(entity: Entity) -> float | None:
    """As it is shown and compared."""
    return None if entity.score is None or not math.isfinite(entity.score) else round(entity.score, _DIGITS)
