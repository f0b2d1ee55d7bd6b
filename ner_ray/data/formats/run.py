"""A run directory: its committed rows, as its manifests name them. Their texts come from the input if necessary.

Where no text is asked for, as for predictions, the input is not read.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from itertools import chain, groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ner_ray.data.formats.base import Match
from ner_ray.data.source import Source
from ner_ray.errors import InputError
from ner_ray.schema import DOC_ID, ERRORS, KEPT_TEXT, ROW_ID, TEXT
from ner_ray.storage import open_store
from ner_ray.store.changes import Input
from ner_ray.store.documents import Columns, read_rows
from ner_ray.store.manifests import is_run
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard, inspect, list_shards
from ner_ray.store.waves import ROW_BITS, NumberedShard
from ner_ray.text.usable import decoded

_BATCH_ROWS = 1024
_ANY_LENGTH = sys.maxsize


def recognizes(source: Source) -> Match:
    """By the plan of its first wave."""
    return Match.SPECIFIC if source.is_folder and is_run(*open_store(source.uri)) else Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:
    """The documents, in the order of the files, or of the input where the texts come from there.

    Raises:
        RunError: nothing is committed yet.
        InputError: the run does not carry its texts, and its input has changed or is gone.
    """
    directory = RunDirectory(source.uri)
    text = _text_column(directory)
    names = directory.dataset().schema.names
    if columns is not None and KEPT_TEXT not in columns and text not in columns:
        return _committed(directory, [name for name in names if name in {*columns, DOC_ID}])
    wanted = [name for name in names if columns is None or name in {*columns, DOC_ID, "status", "entities"}]
    kept = kept_text(directory)
    if kept is None:
        return _joined(directory, wanted, text)
    found = _committed(directory, list(dict.fromkeys([*wanted, kept])))
    return (row | {KEPT_TEXT: text_of(row[kept])} for row in found)


def kept_text(directory: RunDirectory) -> str | None:
    """The column of a run that holds the texts as they were annotated; None if it has kept none.

    A column of the input may be called as that of a text, and hold something else.
    """
    settings = directory.record().get("settings") or {}
    column = _text_column(directory)
    kept = (settings.get("input") or {}).get("keep", [column])  # the earliest versions have recorded less
    stored = (settings.get("output") or {}).get("completions", KEPT_TEXT not in kept)
    candidates = [*([column] if column in kept else []), *([KEPT_TEXT] if stored else [])]
    names = directory.schema().names
    return next((name for name in candidates if name in names), None)


def text_of(value: str | bytes | None) -> str | None:
    """A kept text, which is bytes where the input has bytes; None if it could not be annotated."""
    return decoded(value, _ANY_LENGTH)[0] if isinstance(value, bytes) else value


def _text_column(directory: RunDirectory) -> str:
    """The name of the text in the input, as the run's configuration has it."""
    settings = directory.record().get("settings") or {}
    return str((settings.get("input") or {}).get("text") or KEPT_TEXT)


def _committed(directory: RunDirectory, names: list[str]) -> Iterator[dict[str, Any]]:
    for batch in directory.dataset().to_batches(columns=names, batch_size=_BATCH_ROWS):
        yield from batch.to_pylist()


def _joined(directory: RunDirectory, names: list[str], text: str) -> Iterator[dict[str, Any]]:
    """The rows of each input shard with their texts; a shard's annotations are in memory, its texts a batch at a time.

    A shard whose rows have been superseded has none.
    """
    dataset = directory.dataset()
    for numbered in _shards(directory):
        first = numbered.first_row_id()
        inside = (pc.field(ROW_ID) >= first) & (pc.field(ROW_ID) < first + (1 << ROW_BITS))
        batches = dataset.to_batches(columns=[*names, ROW_ID], filter=inside)
        found = {row[ROW_ID] - first: row for row in chain.from_iterable(batch.to_pylist() for batch in batches)}
        if found:
            now = _unchanged(directory, numbered, text)
            texts = _texts(now, 0, now.shard.rows, text)
            yield from (
                found[row_id - first] | {KEPT_TEXT: value} for row_id, value in texts if row_id - first in found
            )


class InputTexts:
    """The texts of a run that has not kept them, read from its input as they are asked for."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._column = _text_column(directory)
        self._planned = {numbered.ordinal: numbered for numbered in _shards(directory)}
        self._checked: dict[int, NumberedShard] = {}

    def of(self, ids: Collection[int]) -> dict[int, str | None]:
        """The texts of some row ids; None for those that could not be annotated.

        Raises:
            InputError: the input is not what was annotated.
        """
        found: dict[int, str | None] = {}
        for ordinal, own in groupby(sorted(ids), lambda row_id: row_id >> ROW_BITS):
            wanted = set(own)
            numbered = self._shard(ordinal)
            first = numbered.first_row_id()
            texts = _texts(numbered, min(wanted) - first, max(wanted) - first + 1, self._column)
            found |= {row_id: text for row_id, text in texts if row_id in wanted}
        return found

    def _shard(self, ordinal: int) -> NumberedShard:
        if ordinal not in self._checked:
            self._checked[ordinal] = _unchanged(self._directory, self._planned[ordinal], self._column)
        return self._checked[ordinal]


def _shards(directory: RunDirectory) -> list[NumberedShard]:
    """The input shards, each once; one that was tried again has the ordinal that it had."""
    return list({numbered.ordinal: numbered for wave in directory.waves() for numbered in wave.shards}.values())


def _texts(numbered: NumberedShard, first: int, stop: int, column: str) -> Iterator[tuple[int, str | None]]:
    """The row ids and texts of some rows of an input shard; None for those that could not be annotated."""
    columns = Columns(column, None, None, (), _ANY_LENGTH)
    for table in read_rows(numbered, first, stop, columns, pa.schema([])):
        for row in table.select([ROW_ID, TEXT, ERRORS]).to_pylist():
            yield row[ROW_ID], None if row[ERRORS] else row[TEXT]


def _unchanged(directory: RunDirectory, numbered: NumberedShard, column: str) -> NumberedShard:
    """An input shard as a whole, where it is now.

    Raises:
        InputError: it is not what was annotated.
    """
    now = _as_it_is_now(directory, numbered.shard)
    if now is None or not now.same_content(numbered.shard):
        raise InputError(
            f"{numbered.shard.uri} {'has changed' if now else 'is gone'} since it was annotated, and the run has not "
            "kept its texts",
            hint=f"restore the file, or annotate with input.keep=[{column}] or output.completions=true",
        )
    return NumberedShard(numbered.ordinal, now)


def _as_it_is_now(directory: RunDirectory, shard: Shard) -> Shard | None:
    """An input shard, wherever it is now: by its name or, if nothing has that name any more, by its content."""
    now = inspect(shard.uri)
    path = (directory.record().get("config") or {}).get("input", {}).get("path")
    if now is None and path:
        waves = directory.waves()
        listed = list_shards(path, [numbered.shard for wave in waves for numbered in wave.shards])
        (now,) = Input(listed, waves).find([shard])
    return now
