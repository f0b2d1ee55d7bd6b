"""JSON Lines: one JSON object per committed row of a run, with all its columns.

JSON has fewer types than Parquet. Numbers that are not finite become null, binary data base64, dates and times ISO
8601, durations seconds, and decimals strings, so that no digit is lost. Failed documents are rows like all others;
`status` says so and `errors` says why.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from ner_ray.export._rows import batches, counted
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, open_output
from ner_ray.types import Annotation, Document


def write(
    documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
) -> Exported:
    """Writes the rows of the run; for documents that are not from a run: id, text and annotation."""
    written = Exported()
    _, rows = batches(documents, context, "jsonl")
    with open_output(path) as stream:
        for batch in rows:
            stream.write(_lines(batch))
            written += counted(batch)
    return written


def _lines(batch: pa.RecordBatch) -> bytes:
    return b"".join(_line(row) for row in batch.to_pylist())


def _line(row: dict[str, Any]) -> bytes:
    try:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # a number that is not finite
        line = json.dumps(_finite(row), ensure_ascii=False, allow_nan=False)
    return line.encode(errors="replace") + b"\n"


def _plain(value: object) -> object:
    """The JSON form of a value whose type JSON lacks."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return str(value)


def _finite(value: object) -> object:
    """The same data in types of JSON, with null for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else _plain(value)
