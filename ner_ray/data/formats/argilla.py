"""Records of Argilla 2, as `dataset.records.to_json` writes them, or as they wait to be imported there.

What people responded is gold. Where several have, and disagree, the record is rejected: which is right is for people to
say. A record without a response has the entities of its suggestion; one without either is not annotated, and rejected.

Entities are the spans of the record's one span question; its text is the field that holds them. Argilla's page counts
a character beyond U+FFFF as two (argilla-io/argilla#5729), while suggestions count code points: so where such a
character stands before a span that no suggestion has, its place is uncertain, and the record is rejected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ner_ray.data.formats.base import Match, Unreadable
from ner_ray.data.json_rows import json_rows
from ner_ray.data.source import Source
from ner_ray.errors import InputError

_KEYS = ("fields", "suggestions", "responses")
_BASIC = 0xFFFF  # the last character that is one unit of UTF-16
_UNCERTAIN = "Argilla counts an emoji as two characters, so the places of spans after it are uncertain"

Spans = Sequence[Mapping[str, Any]]


def recognizes(source: Source) -> Match:
    """By the keys of its first record."""
    head = b"" if source.is_folder else source.head()
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"[", b"{"):
        return Match.NO
    try:
        return Match.SPECIFIC if _is_record(next(json_rows(source), None)) else Match.NO
    except InputError:
        return Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:  # noqa: ARG001 - records are read whole
    """The records, each with the entities that count."""
    for record in json_rows(source):
        yield _row(record) if isinstance(record, Mapping) and _is_record(record) else record


def _is_record(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(key), Mapping) for key in _KEYS)


def _row(record: Mapping[str, Any]) -> object:
    text_id, text = str(record.get("id")), _text(record["fields"])
    if text is None:
        return Unreadable("it has no text field, or several", text_id)
    given = _answers(answer for some in record["responses"].values() if isinstance(some, list) for answer in some)
    suggested = _answers(record["suggestions"].values())
    if not given and not suggested:
        return Unreadable("nobody has annotated it", text_id)
    chosen = given or suggested
    if any(_places(one) != _places(chosen[0]) for one in chosen):
        return Unreadable(f"{len(chosen)} {'responses' if given else 'suggestions'} disagree", text_id)
    if given and _is_uncertain(text, chosen[0], suggested):
        return Unreadable(_UNCERTAIN, text_id)
    return {"id": text_id, "text": text, "entities": [_entity(span) for span in chosen[0]]}


def _text(fields: Mapping[str, Any]) -> str | None:
    texts = [value for value in fields.values() if isinstance(value, str)]
    named = fields.get("text")
    return named if isinstance(named, str) else texts[0] if len(texts) == 1 else None


def _answers(answers: Iterable[object]) -> list[Spans]:
    """Those of the answers that are lists of spans."""
    values = [answer.get("value") for answer in answers if isinstance(answer, Mapping)]
    return [value for value in values if isinstance(value, list) and all(map(_is_span, value))]


def _is_span(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(name), int) for name in ("start", "end"))


def _places(spans: Spans) -> set[tuple[object, object, object]]:
    return {(span["start"], span["end"], span.get("label")) for span in spans}


def _is_uncertain(text: str, spans: Spans, suggested: Sequence[Spans]) -> bool:
    """Whether a span that a person has set stands behind a character that Argilla's page counts as two."""
    first = next((place for place, char in enumerate(text) if ord(char) > _BASIC), None)
    known = {place[:2] for one in suggested for place in _places(one)}
    return first is not None and any(
        (span["start"], span["end"]) not in known and span["end"] > first for span in spans
    )


def _entity(span: Mapping[str, Any]) -> dict[str, Any]:
    return {"start": span["start"], "end": span["end"], "label": span.get("label")}
