"""Hugging Face: a Parquet file that `datasets.load_dataset("parquet", data_files=path)` reads with its features.

The columns are those of token classification: `tokens`, and `ner_tags` in BIO. Their class labels have the order of the
run's label set, so that files of runs with one label set agree. `starts` tells where in `text` a token begins;
`entities` has all of them, also those that BIO cannot express. Nothing is known about a document that failed: it has no
tokens. https://huggingface.co/docs/datasets/about_dataset_features
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ner_ray.export._tags import OUTSIDE, storable, tagged
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, exported, open_output
from ner_ray.extras import require
from ner_ray.text.overlaps import without_overlaps
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

_BATCH_ROWS = 256
_ENTITY = {"start": "int64", "end": "int64", "text": "string", "label": "string", "score": "float64"}


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,
) -> Exported:
    """Writes the documents twice, since the features come first, and the last document may bring a new label.

    Raises:
        MissingExtraError: datasets is not installed.
    """
    require("datasets", extra="export", purpose="the export format huggingface")
    with_names = _schema([])
    waiting = iter(documents)
    written = Exported()
    labels: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.parquet"
        with pq.ParquetWriter(draft, with_names) as file:
            while some := list(islice(waiting, _BATCH_ROWS)):
                rows = [_row(document, annotation) for document, annotation in some]
                file.write_table(pa.Table.from_pylist(rows, schema=with_names))
                written = sum((exported(annotation) for _, annotation in some), written)
                labels |= {entity["label"] for row in rows for entity in row["entities"]}
        names = dict.fromkeys(map(storable, context.label_set(labels)))
        _number_tags(draft, path, [OUTSIDE, *(f"{mark}-{name}" for name in names for mark in "BI")])
    return written


def _schema(tags: Sequence[str]) -> pa.Schema:
    """With the features that datasets looks for; tags are strings until their names are known."""
    from datasets import ClassLabel, Features, List, Value

    features = {
        "doc_id": Value("string"),
        "text": Value("string"),
        "status": Value("string"),
        "tokens": List(Value("string")),
        "starts": List(Value("int64")),
        "ner_tags": List(ClassLabel(names=list(tags)) if tags else Value("string")),
        "entities": List({name: Value(kind) for name, kind in _ENTITY.items()}),
    }
    return Features(features).arrow_schema


def _row(document: Document, annotation: Annotation) -> dict[str, Any]:
    text = storable(document.text)
    failed = annotation.status is DocumentStatus.FAILED
    tokens = [] if failed else list(tagged(text, without_overlaps(annotation.entities)[0]))
    return {
        "doc_id": storable(document.doc_id),
        "text": text,
        "status": annotation.status.value,
        "tokens": [text[start:end] for start, end, _ in tokens],
        "starts": [start for start, *_ in tokens],
        "ner_tags": [storable(tag) for *_, tag in tokens],
        "entities": [_entity(entity, text) for entity in annotation.entities],
    }


def _entity(entity: Entity, text: str) -> dict[str, Any]:
    return {
        "start": entity.start,
        "end": entity.end,
        "text": text[entity.start : entity.end],
        "label": storable(entity.label),
        "score": entity.score,
    }


def _number_tags(draft: Path, path: str | Path, tags: Sequence[str]) -> None:
    """Copies a file, replacing each tag by its index among all tags."""
    schema = _schema(tags)
    column = schema.get_field_index("ner_tags")
    with (
        pq.ParquetFile(draft) as named,
        open_output(path) as stream,
        pq.ParquetWriter(stream, schema, compression="zstd") as numbered,
    ):
        for batch in named.iter_batches(_BATCH_ROWS):
            written = batch.column(column)
            numbers = pc.index_in(written.flatten(), value_set=pa.array(tags, pa.string())).cast(pa.int64())
            offsets = pc.subtract(written.offsets, written.offsets[0])
            arrays = [*batch.columns]
            arrays[column] = pa.ListArray.from_arrays(offsets, numbers)
            numbered.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
