"""An annotated text, how it is made from a row of any format, and how it is written.

A row is a mapping with

    text       the text; without it, the tokens joined by spaces
    entities   a list; each entity is {start, end, text, label}, [start, end, label], or RA-IT's {surface: label}.
               Either the offsets or the surface may be missing. Also `entity`, `spans` (Prodigy), `label` (doccano)
    tokens     words of the text, in order; `ner_tags` are their tags in BIO or one of its relatives, and `starts`
               where each begins, where the text is not the tokens joined by spaces
    id         optional; also `doc_id`, `example_id`
    labels     optional: the label set that annotators could choose from, a list or a tree of names

Offsets count code points; the end is exclusive. Nothing is repaired: an entity whose text differs from the text at
its offsets is left out and named in `invalid`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ner_ray.config import labels as label_sets
from ner_ray.data import tags
from ner_ray.data.formats.base import Unreadable
from ner_ray.errors import ConfigError
from ner_ray.types import Entity, LabelSet

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "source": pa.string(),
        "text": pa.string(),
        "entities": pa.list_(
            pa.struct({"start": pa.int64(), "end": pa.int64(), "text": pa.string(), "label": pa.string()})
        ),
    }
)
"""The columns in which annotated texts are written."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names under which a row may hold each part; the first that is there counts."""

    text: tuple[str, ...] = ("text",)
    entities: tuple[str, ...] = ("entities", "entity", "spans", "label")
    id: tuple[str, ...] = ("id", "doc_id", "example_id")
    labels: tuple[str, ...] = ("labels",)
    tokens: tuple[str, ...] = ("tokens", "words")
    tags: tuple[str, ...] = ("ner_tags", "tags")
    starts: tuple[str, ...] = ("starts",)

    def names(self) -> frozenset[str]:
        """Every column that may hold something of an annotated text."""
        parts = (self.text, self.entities, self.id, self.labels, self.tokens, self.tags, self.starts)
        return frozenset(name for part in parts for name in part) | {"answer", "status"}


DEFAULT_COLUMNS = Columns()


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text and the entities that are annotated in it.

    Attributes:
        text_id: tells texts apart; made of the source and the row's number where the data has no ids.
        text: the text.
        entities: in the order of the data; `text[e.start:e.end] == e.text` for each.
        source: the file or corpus it comes from.
        row: its number there, from 0.
        labels: the label set that annotators could choose from, or None where the data does not say.
        tokens: the words of the text, where the corpus has them.
        fields: the row that this was made from, for what else it holds.
        dropped: entities that a label map leaves out, or that are not in the label set that is asked for.
        invalid: why entities of the row are missing here, one reason each.
    """

    text_id: str
    text: str
    entities: tuple[Entity, ...] = ()
    source: str = ""
    row: int = 0
    labels: LabelSet | None = None
    tokens: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    dropped: tuple[Entity, ...] = ()
    invalid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be used, and why."""

    source: str
    row: int
    example_id: str
    reason: str


def from_row(row: object, source: str, number: int, columns: Columns = DEFAULT_COLUMNS) -> AnnotatedText | Reject:
    """The annotated text that a row holds, or why it holds none.

    Args:
        row: a mapping, as described above; anything else is rejected, and so is an `Unreadable`.
        source: the file it comes from.
        number: its number in the file, from 0.
        columns: the names of its columns.

    >>> from_row({"text": "Ann met Rex.", "entities": [{"start": 0, "end": 3, "label": "person"}]}, "a.jsonl", 0)
    AnnotatedText(text_id='a.jsonl:0', text='Ann met Rex.', entities=(Entity(start=0, end=3, text='Ann', \
label='person', score=None, status=<SpanStatus.EXACT: 'exact'>),), source='a.jsonl', row=0, labels=None, tokens=(), \
dropped=(), invalid=())
    """
    text_id = f"{source}:{number}"
    if isinstance(row, Unreadable):
        return Reject(source, number, row.example_id or text_id, row.reason)
    if not isinstance(row, Mapping):
        return Reject(source, number, text_id, "not a JSON object")
    given = first(row, columns.id)
    text_id = text_id if given is None else str(given)
    try:
        return _parsed(row, text_id, source, number, columns)
    except (_UnusableError, tags.TagError, ConfigError) as error:
        return Reject(source, number, text_id, error.args[0])


def flaw(annotated: AnnotatedText) -> str:
    """Why an annotated text can be neither taught nor shown to a model; empty if it can."""
    if not annotated.text.strip():
        return "no text"
    if annotated.invalid:
        more = len(annotated.invalid) - 1
        return annotated.invalid[0] + (f" (and {more} more)" if more else "")
    written = (annotated.text_id, annotated.text, *(entity.label for entity in annotated.entities))
    return "" if all(map(_is_unicode, written)) else "not Unicode: half of a surrogate pair"


def as_reject(annotated: AnnotatedText, reason: str) -> Reject:
    """A text that cannot be used, under an id that can be written."""
    text_id = annotated.text_id if _is_unicode(annotated.text_id) else ascii(annotated.text_id)
    return Reject(annotated.source, annotated.row, text_id, reason)


def to_row(annotated: AnnotatedText) -> dict[str, Any]:
    """The row of `SCHEMA` that `from_row` reads back."""
    return {
        "id": annotated.text_id,
        "source": annotated.source,
        "text": annotated.text,
        "entities": [
            {"start": entity.start, "end": entity.end, "text": entity.text, "label": entity.label}
            for entity in annotated.entities
        ],
    }


def first(row: Mapping[str, Any], names: Iterable[str]) -> Any:  # whatever the row holds
    """The first of these columns that holds something; None if none does."""
    return next((row[name] for name in names if row.get(name) is not None), None)


class _UnusableError(ValueError):
    """A row cannot be read; says why."""


def _parsed(row: Mapping[str, Any], text_id: str, source: str, number: int, columns: Columns) -> AnnotatedText:
    if row.get("answer") in ("reject", "ignore") and "spans" in row:  # Prodigy
        raise _UnusableError(f"the annotator's answer is {row['answer']!r}")
    tokens = _tokens(first(row, columns.tokens))
    text = first(row, columns.text)
    if text is None and tokens:
        text = " ".join(tokens)
    if not isinstance(text, str):
        raise _UnusableError("no text" if text is None else f"the text is not a string: {text!r:.100}")
    entities, invalid = _entities(row, text, tokens, columns)
    labels = _labels(first(row, columns.labels))
    return AnnotatedText(text_id, text, entities, source, number, labels, tokens, row, invalid=invalid)


def _tokens(value: object) -> tuple[str, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(token, str) for token in value):
        return tuple(value)
    return ()


def _entities(
    row: Mapping[str, Any], text: str, tokens: Sequence[str], columns: Columns
) -> tuple[tuple[Entity, ...], tuple[str, ...]]:
    """The entities of a row, and a reason for each that has no place in the text."""
    name = next((name for name in columns.entities if row.get(name) is not None), None)
    if name == "entities" and row.get("status") in ("failed", "partial") and "doc_id" in row:
        raise _UnusableError(f"the run's annotation of it is {row['status']!r}")
    listed = row[name] if name else None
    if listed is None and (tagged := first(row, columns.tags)) is not None and tokens:
        starts = first(row, columns.starts)
        joined = first(row, columns.text) is None
        return tags.entities(text, tokens, tagged, tags.begins(text, tokens, starts, joined=joined)), ()
    entities: list[Entity] = []
    invalid: list[str] = []
    for value in _listed(listed):
        placed = _entity(value, text, entities[-1].end if entities else 0)
        if isinstance(placed, str):
            invalid.append(placed)
        else:
            entities.append(placed)
    return tuple(entities), tuple(invalid)


def _listed(value: object) -> Sequence[object]:
    """A list of entities, also out of Hugging Face's older form, a mapping of lists."""
    if isinstance(value, Mapping) and value and all(isinstance(part, list) for part in value.values()):
        return [dict(zip(value, parts, strict=False)) for parts in zip(*value.values(), strict=False)]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _UnusableError("no list of entities")
    return value


def _entity(value: object, text: str, after: int) -> Entity | str:
    """An entity with its place, or why it has none; one without offsets is looked for from `after` on.

    Raises:
        _UnusableError: it is not the description of an entity.
    """
    start, end, surface, label = _parts(value)
    if not isinstance(label, str) or not label.strip():
        raise _UnusableError(f"an entity without a label: {surface if surface is not None else value!r}")
    if start is None or end is None:
        start, end = _find(str(surface), text, after)
        if start < 0:
            return f"entity {surface!r} is not in the text"
    inside = _is_offset(start) and _is_offset(end) and start < end <= len(text)
    if inside and surface in (None, text[start:end]):
        return Entity(start, end, text[start:end], label)
    there = f", where {text[start:end]!r} is" if inside else f"; the text has {len(text)} characters"
    unit = _unit(surface, text, start, end) if isinstance(surface, str) else ""
    return f"entity {surface or label!r} is not at {start}:{end}{there}{unit}"


def _parts(value: object) -> tuple[Any, Any, Any, Any]:
    """Start, end, surface and label; start and end may be missing, or else the surface."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 3 and _is_offset(value[0]):
        return value[0], value[1], None, value[2]
    if not isinstance(value, Mapping):
        raise _UnusableError(f"an entity is not an object: {value!r:.100}")
    start, end, label = value.get("start"), value.get("end"), first(value, ("label", "type"))
    surface = value.get("text")
    if len(value) == 1 and start is None and label is None and surface is None:
        (surface, label) = next(iter(value.items()))
    placed = start is not None and end is not None
    if (surface is None and not placed) or (surface is not None and not (isinstance(surface, str) and surface.strip())):
        raise _UnusableError(f"an entity without a text: {dict(value)!r:.200}")
    return start, end, surface, label


def _find(surface: str, text: str, after: int) -> tuple[int, int]:
    """The next place after the entity before, else the first; -1 if there is none."""
    place = text.find(surface, after)
    if place < 0:
        place = text.find(surface)
    return place, place + len(surface)


def _unit(surface: str, text: str, start: object, end: object) -> str:
    """What the offsets seem to count instead of code points, to end a reason with; empty if that is unknown."""
    if not isinstance(start, int) or not isinstance(end, int):
        return ""
    for encoding, width, unit in (("utf-16-le", 2, "UTF-16 code units"), ("utf-8", 1, "bytes of UTF-8")):
        units = text.encode(encoding, "surrogatepass")[start * width : end * width]
        if units == surface.encode(encoding, "surrogatepass"):
            return f" ({unit} are counted; expected code points)"
    flat = text.replace("\r\n", "\n")
    if flat[start:end] == surface.replace("\r\n", "\n"):
        return " (a line end is counted as one character; in the text it is two, CR LF)"
    return ""


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _labels(value: object) -> LabelSet | None:
    """A label set; None for anything else, such as a column of numbers of that name."""
    if not value or isinstance(value, str) or (isinstance(value, list) and not isinstance(value[0], str | Mapping)):
        return None
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        value = list(dict.fromkeys(value))
    return label_sets.parse(value)


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
