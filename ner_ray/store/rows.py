"""Writes a run's committed rows to a single file, unchanged."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.storage import open_store
from ner_ray.store.run import RunDirectory

_BATCH_ROWS = 5_000


def write_parquet(run: str, out: str) -> int:
    """Writes all committed rows to one Parquet file on any store; returns their number."""
    dataset = RunDirectory(run).dataset()
    store, path = open_store(out)
    rows = 0
    with store.open_output_stream(path) as stream, pq.ParquetWriter(stream, dataset.schema, compression="zstd") as file:
        for batch in dataset.to_batches(batch_size=_BATCH_ROWS):
            file.write_batch(batch)
            rows += batch.num_rows
    return rows


def write_jsonl(run: str, out: str) -> int:
    """Writes all committed rows to one JSON Lines file on any store; returns their number."""
    dataset = RunDirectory(run).dataset()
    store, path = open_store(out)
    rows = 0
    with store.open_output_stream(path) as stream:
        for batch in dataset.to_batches(batch_size=_BATCH_ROWS):
            stream.write(_lines(batch))
            rows += batch.num_rows
    return rows


def _lines(batch: pa.RecordBatch) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n" for row in batch.to_pylist())
