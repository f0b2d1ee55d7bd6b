"""Gold and predictions, row by row: side by side in one place, or joined by id from two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, zip_longest
from operator import itemgetter
from typing import Any, TypeVar

from ner_ray.data.annotated import first
from ner_ray.data.formats.base import Unreadable
from ner_ray.data.read import Record
from ner_ray.errors import InputError

BATCH_ROWS = 1024

Fields = Mapping[str, Any]
Joined = tuple[Record | None, Fields | None]
"""A row of gold with its place, and the row of predictions; None where a side has none."""

T = TypeVar("T")


def batches(source: Iterable[T], size: int = BATCH_ROWS) -> Iterator[list[T]]:
    """The items in lists of `size`; the last may be shorter."""
    iterator = iter(source)
    while batch := list(islice(iterator, size)):
        yield batch


def side_by_side(records: Iterable[Record], key: Sequence[str]) -> Iterator[Joined]:
    """Rows that hold both gold and predictions.

    Args:
        records: the rows of one or several files, file by file.
        key: the names under which a row may hold its id.

    Raises:
        InputError: two rows of one file have the same id, so that a document would count twice.
    """
    for source, rows in groupby(records, key=itemgetter(0)):
        numbers: dict[str, int] = {}
        for record in rows:
            fields = record[2] if isinstance(record[2], Mapping) else {}
            _refuse_repeated(first(fields, key), record[1], source, numbers)
            yield record, fields


def _refuse_repeated(identity: object, number: int, source: str, numbers: dict[str, int]) -> None:
    if identity is not None and numbers.setdefault(str(identity), number) != number:
        raise InputError(
            f"{source}: rows {numbers[str(identity)]} and {number} have the same id, {str(identity)!r}",
            hint="each document counts once: remove one of them, or name another column with columns.id",
        )


def join(gold: Iterable[Record], predicted: Iterable[Record], key: Sequence[str]) -> Iterator[Joined]:
    """Rows of gold with the predictions of the same id; rows without a partner come last, with None.

    Both are read in step, and a row waits only until its partner comes: memory grows with how much the orders differ
    and with the ids that have met, not with the files.

    Args:
        gold: rows of gold.
        predicted: rows of predictions.
        key: the names under which a row may hold its id.

    Raises:
        InputError: a row has no id, two rows of one side have the same, or a row of predictions cannot be read.
    """
    wanted: dict[str, Record] = {}
    named: dict[str, Record] = {}
    met: set[str] = set()
    for left, right in zip_longest(gold, predicted):
        if left and isinstance(left[2], Unreadable):
            yield left, None
            left = None  # noqa: PLW2901 - it has no id, and so no partner
        for identity in (_wait(left, key, wanted, met, "gold"), _wait(right, key, named, met, "predictions")):
            if identity in wanted and identity in named:
                met.add(identity)
                yield wanted.pop(identity), named.pop(identity)[2]  # type: ignore[misc]  # checked by `_wait`
    yield from ((left, None) for left in wanted.values())
    yield from ((None, right[2]) for right in named.values())  # type: ignore[misc]  # likewise


def _wait(row: Record | None, key: Sequence[str], side: dict[str, Record], met: set[str], name: str) -> str:
    """The id of a row, which is put on its side to wait; empty for none."""
    if row is None:
        return ""
    source, number, fields = row
    if not isinstance(fields, Mapping):
        reason = fields.reason if isinstance(fields, Unreadable) else "not a JSON object"
        raise InputError(f"{source}, row {number}, of the {name}: {reason}")
    found = first(fields, key)
    if found is None:
        raise InputError(
            f"{source}, row {number}: a row of the {name} has no {' or '.join(map(repr, key))}",
            hint="gold and predictions are joined by this column; name another with columns.id",
        )
    identity = str(found)
    if identity in side or identity in met:
        raise InputError(
            f"two rows of the {name} have the id {identity!r}; the second is {source}, row {number}",
            hint="give a run directory as it is, not its files; or name another column with columns.id",
        )
    side[identity] = row
    return identity
