"""What exporters share that keep all columns of a run: its rows, batch by batch, and their counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from ner_ray import schema
from ner_ray.errors import ConfigError
from ner_ray.export._tags import storable
from ner_ray.export.base import ExportContext, Exported
from ner_ray.types import Annotation, Document, DocumentStatus

_BATCH_ROWS = 5_000
_DOCUMENT = [("doc_id", pa.string()), ("text", pa.string())]


def batches(
    documents: Iterable[tuple[Document, Annotation]], context: ExportContext, name: str
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The rows of the run as they are; for documents that are not from a run: id, text and annotation.

    Raises:
        ConfigError: entities are to be left out of the rows.
    """
    if context.rows is not None:
        if context.min_score is not None:
            raise ConfigError(
                f"{name} keeps all columns as they are, entities with low scores included",
                hint="leave out --min-score, or choose another --format",
            )
        return context.rows.schema, context.rows.to_batches(batch_size=_BATCH_ROWS)
    columns = pa.schema([*_DOCUMENT, *schema.OUTPUT])
    return columns, _from_documents(documents, columns)


def counted(batch: pa.RecordBatch) -> Exported:
    """The counts of some rows."""
    lengths = pc.sum(pc.list_value_length(batch.column("entities"))).as_py()
    failed = pc.sum(pc.equal(batch.column("status"), DocumentStatus.FAILED.value)).as_py()
    return Exported(batch.num_rows, lengths or 0, 0, failed or 0)


def _from_documents(documents: Iterable[tuple[Document, Annotation]], columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    waiting = iter(documents)
    while some := list(islice(waiting, _BATCH_ROWS)):
        rows = [_row(document, annotation) for document, annotation in some]
        yield pa.RecordBatch.from_pylist(rows, schema=columns)


def _row(document: Document, annotation: Annotation) -> object:
    row = {"doc_id": document.doc_id, "text": document.text, **schema.annotation_to_row(annotation)}
    return _storable(row)


def _storable(value: object) -> object:
    """Plain data whose strings UTF-8 can hold."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {key: _storable(inner) for key, inner in value.items()}
    return [_storable(inner) for inner in value] if isinstance(value, list) else value
