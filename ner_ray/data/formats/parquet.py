"""Parquet: one text per row."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow.parquet as pq

from ner_ray.data.formats.base import Match
from ner_ray.data.source import Source

_BATCH_ROWS = 1024
_MAGIC = b"PAR1"


def recognizes(source: Source) -> Match:
    """By its extension or its first bytes."""
    named = source.name.endswith((".parquet", ".pq")) or source.uri.endswith((".parquet", ".pq"))
    found = not source.is_folder and (named or source.head().startswith(_MAGIC))
    return Match.GENERAL if found else Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:
    """The rows; nested columns are read as a whole, and columns that are not asked for not at all."""
    with source.open_random() as file:
        table = pq.ParquetFile(file)
        names = [name for name in table.schema_arrow.names if columns is None or name in columns]
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=names):
            yield from batch.to_pylist()
