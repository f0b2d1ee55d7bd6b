"""Two annotations of the same documents, side by side: two runs, or a run and gold.

Documents are joined by id, and entities paired as for scores (`ner_ray.evaluate.spans`). Each pair is of one kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ner_ray import schema
from ner_ray.data.annotated import DEFAULT_COLUMNS, Columns, Reject, first, from_row
from ner_ray.data.formats.base import Unreadable
from ner_ray.data.label_map import check_label_map, relabel_entities
from ner_ray.data.read import records
from ner_ray.errors import ConfigError, InputError
from ner_ray.evaluate.examples import fault
from ner_ray.evaluate.read import Fields, Joined, join
from ner_ray.evaluate.spans import pair
from ner_ray.storage import open_store
from ner_ray.store.manifests import is_run
from ner_ray.types import Entity, ErrorRecord
from ner_ray.viewer.documents import Mark, Shown
from ner_ray.viewer.pages import Counts, Look, Pages
from ner_ray.viewer.places import MOST_IN_PAGE, InPage, place_of

KINDS = ("agreed", "only in A", "only in B", "other label", "other boundaries", "other label and boundaries")
SYMBOLS = ("", "−", "+", "≠", "↔", "≠↔")
STATES = ("same", "different", "only in A", "only in B")
_BITS = {None: 1, "missed": 2, "spurious": 4, "label": 8, "span": 16, "both": 32}
_TEXT = schema.KEPT_TEXT
_BESIDE = {"status", "errors", schema.DOC_ID}
UNUSABLE, OTHER_TEXT = "unusable", "other_text"
"""Codes of what cannot be compared: a row or an entity that cannot be used; texts that differ."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared.

    Attributes:
        a: the first annotation, a path or URI of any format that is read.
        b: the second one.
        id: the column that joins them; by default `id`, `doc_id` or `example_id`.
        label_map: label -> the name under which it is compared; None leaves its entities out.
    """

    a: str
    b: str
    id: str | None = None
    label_map: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def look(self) -> Look:
        """Of a page on them."""
        names = tuple(
            f"{letter}: {uri.rstrip('/').rsplit('/', 1)[-1]}" for letter, uri in (("A", self.a), ("B", self.b))
        )
        return Look(STATES, KINDS, names, SYMBOLS)

    @property
    def columns(self) -> Columns:
        """Where the parts of a row are."""
        return Columns(id=(self.id,)) if self.id else DEFAULT_COLUMNS


def compared(sides: Sides) -> Iterator[Shown]:
    """The documents of both sides, in the order of the first; those of one side alone come last.

    Raises:
        InputError: a side cannot be read, a row has no id or the id of another, or neither side has texts.
        ConfigError: both sides are the same, or the label map names a label that neither has.
    """
    if sides.a.rstrip("/") == sides.b.rstrip("/"):
        raise ConfigError(f"{sides.a} is compared with itself")
    columns, seen = sides.columns, set[str]()
    rows = [records(uri, (columns.names() | _BESIDE) - ({_TEXT} - wanted)) for uri, wanted in _texts_of(sides)]
    for joined in join(rows[0], rows[1], columns.id):
        yield _document(joined, sides, seen)
    check_label_map(sides.label_map, seen)


def _texts_of(sides: Sides) -> list[tuple[str, set[str]]]:
    """Each side, and whether its texts are asked for: not those of a run where the other side has them.

    A run that has not kept its texts reads them from its input, which may be gone.
    """
    of_run = [is_run(*open_store(uri)) for uri in (sides.a, sides.b)]
    wanted = {(True, True): (True, False), (True, False): (False, True), (False, True): (True, False)}
    asked = wanted.get((of_run[0], of_run[1]), (True, True))
    return [(uri, {_TEXT} if own else set()) for uri, own in zip((sides.a, sides.b), asked, strict=True)]


def _document(joined: Joined, sides: Sides, seen: set[str]) -> Shown:
    record, other = joined
    rows = (_fields(record[2]) if record else None, other)
    doc_id = str(next(first(row, sides.columns.id) for row in rows if row is not None))
    text = next((found for row in rows if row is not None and (found := first(row, sides.columns.text))), None)
    if text is None and None not in rows:
        raise InputError(
            f"document {doc_id!r} has no text on either side",
            hint="one side must hold the texts, or be a run that has kept them or whose input is still there",
        )
    read = [_read(row, str(text or ""), letter, sides) for row, letter in zip(rows, "AB", strict=True)]
    seen |= {entity.label for entities, _ in read for entity in entities}
    marks = _marks(*(relabel_entities(entities, sides.label_map)[0] for entities, _ in read))
    errors = [error for _, found in read for error in found]
    return Shown(doc_id, str(text or ""), marks, _state(rows, marks), errors)


def _fields(row: object) -> Fields:
    if isinstance(row, Mapping):
        return row
    raise InputError(f"a row cannot be compared: {row.reason if isinstance(row, Unreadable) else 'not an object'}")


def _read(row: Fields | None, text: str, letter: str, sides: Sides) -> tuple[Sequence[Entity], list[ErrorRecord]]:
    """The entities of a side; and what it says is wrong with them, and what cannot be compared."""
    if row is None:
        return (), []
    errors = []
    if _is_of_run(row):
        errors += [
            ErrorRecord(error["code"], f"{error['stage']}, {letter}", error["message"]) for error in row["errors"]
        ]
    own = first(row, sides.columns.text)
    if own is not None and own != text:
        errors.append(ErrorRecord(OTHER_TEXT, letter, "the texts of the two sides differ"))
    annotated = from_row({**row, _TEXT: text, "status": None}, "", 0, sides.columns)
    if isinstance(annotated, Reject):
        return (), [*errors, ErrorRecord(UNUSABLE, letter, annotated.reason)]
    errors += [ErrorRecord(UNUSABLE, letter, reason) for reason in annotated.invalid]
    return _with_scores(annotated.entities, row), errors


def _is_of_run(row: Fields) -> bool:
    return {schema.DOC_ID, "entities", "status", "errors"} <= row.keys()


def _with_scores(entities: Sequence[Entity], row: Fields) -> Sequence[Entity]:
    """The entities as a run has them, which knows more of them than their places."""
    if not _is_of_run(row):
        return entities
    known = {(entity["start"], entity["end"], entity["label"]): entity for entity in row["entities"]}
    return [schema.entity_from_row(known[entity.start, entity.end, entity.label]) for entity in entities]


def _marks(one: Sequence[Entity], other: Sequence[Entity]) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
    left: list[Mark] = []
    right: list[Mark] = []
    for found in pair(one, other):
        mistake = fault(found)
        bit = _BITS[mistake.kind if mistake else None]
        met = found.gold is not None and found.predicted is not None
        places = (len(left), len(right))
        if found.gold:
            left.append(Mark(found.gold, bit, places[1] if met else None))
        if found.predicted:
            right.append(Mark(found.predicted, bit, places[0] if met else None))
    return tuple(left), tuple(right)


def _state(rows: Sequence[Fields | None], marks: tuple[Sequence[Mark], Sequence[Mark]]) -> int:
    if None in rows:
        return 3 if rows[0] is None else 2
    return int(any(mark.kind != _BITS[None] for side in marks for mark in side))


class Page:
    """A page on two annotations: in a folder with all documents, in one file with the first that differ.

    Args:
        sides: what is compared.
        path: where the page goes.
        counts: of all documents; at the end, they stand at the page's head.

    Raises:
        ConfigError: the folder holds something else than an earlier page.
    """

    def __init__(self, sides: Sides, path: str, counts: Counts) -> None:
        place = place_of(path)
        self._pages = Pages(place, sides.look)
        self._title = " ≠ ".join(name for name in sides.look.sides)
        self._most = MOST_IN_PAGE if isinstance(place, InPage) else None
        self._counts = counts
        self._shown = 0
        self._more = False

    def add(self, shown: Shown) -> None:
        """One more document."""
        if self._most is None or (shown.state and self._shown < self._most):
            self._pages.add(shown)
            self._shown += 1
        else:
            self._more = True

    def finish(self) -> None:
        """Writes the page."""
        named = {name: self._counts.states[number] for number, name in enumerate(STATES)}
        summary = {"documents": sum(named.values())} | {name: times for name, times in named.items() if times}
        self._pages.finish(self._title, {name: f"{times:,}" for name, times in summary.items()}, more=self._more)


def figures(shown: Mapping[tuple[str, int], int]) -> dict[str, dict[str, int]]:
    """How many pairs of each label are of each kind, the most frequent labels first.

    Args:
        shown: counts by label and bit of a kind.
    """
    labels = sorted({label for label, _ in shown})
    table = {label: {kind: shown.get((label, 1 << bit), 0) for bit, kind in enumerate(KINDS)} for label in labels}
    return dict(sorted(table.items(), key=lambda row: -sum(row[1].values())))
