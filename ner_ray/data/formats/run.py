"""A run directory: its committed rows, believed through its manifests. Their texts come from the input if need be.

Where no text is asked for, as of predictions, the input is not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ner_ray.data.formats.base import Match
from ner_ray.data.source import Source
from ner_ray.errors import InputError
from ner_ray.schema import DOC_ID, KEPT_TEXT, ROW_ID
from ner_ray.storage import open_store
from ner_ray.store.manifests import is_run
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.store.waves import ROW_BITS, NumberedShard

_BATCH_ROWS = 1024


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
    kept = next((name for name in (text, KEPT_TEXT) if name in names), None)
    if kept is None:
        return _joined(directory, wanted, text)
    return (row | {KEPT_TEXT: row[kept]} for row in _committed(directory, list(dict.fromkeys([*wanted, kept]))))


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
        found = {row.pop(ROW_ID) - first: row for row in chain.from_iterable(batch.to_pylist() for batch in batches)}
        if found:
            texts = enumerate(_texts(numbered, text))
            yield from (found[number] | {KEPT_TEXT: value} for number, value in texts if number in found)


def _shards(directory: RunDirectory) -> list[NumberedShard]:
    """The input shards, each once; one that was tried again has the ordinal that it had."""
    return list({numbered.ordinal: numbered for wave in directory.waves() for numbered in wave.shards}.values())


def _texts(numbered: NumberedShard, column: str) -> Iterator[str | None]:
    """The texts of an input shard.

    Raises:
        InputError: it is not what was annotated.
    """
    shard = numbered.shard
    (now,) = list_shards(shard.uri)
    if (now.size, now.modified) != (shard.size, shard.modified):
        raise InputError(
            f"{shard.uri} has changed since it was annotated, so its texts do not belong to the annotations",
            hint=f"annotate with input.keep=[{column}], or output.completions=true",
        )
    store, path = open_store(shard.uri)
    with store.open_input_file(path) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=_BATCH_ROWS, columns=[column]):
            yield from batch.column(0).to_pylist()
