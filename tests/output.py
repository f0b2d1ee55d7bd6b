"""Makes output files like those of the job, without running it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from ner_ray import schema
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard
from ner_ray.types import Annotation, DocumentStatus, Entity, ErrorRecord


def annotated(labels: Sequence[str] = (), codes: Sequence[str] = ()) -> Annotation:
    """A document with one entity per label and one error per code."""
    return Annotation(
        entities=tuple(Entity(0, 1, "x", label) for label in labels),
        status=DocumentStatus.FAILED if codes else DocumentStatus.OK,
        errors=tuple(ErrorRecord(code, "tagger") for code in codes),
    )


def table(ids: Iterable[int], annotations: Sequence[Annotation] | None = None, mark: str = "") -> pa.Table:
    """Rows with these ids, and with empty annotations unless given; a kept column `mark` holds `mark`."""
    ids = [int(row_id) for row_id in ids]
    rows = [
        {schema.ROW_ID: row_id, "mark": mark, **schema.annotation_to_row(annotation)}
        for row_id, annotation in zip(ids, annotations or [annotated()] * len(ids), strict=True)
    ]
    fields = [pa.field(schema.ROW_ID, pa.int64()), pa.field("mark", pa.string()), *schema.OUTPUT]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def inputs(run: RunDirectory) -> list[Shard]:
    """The shards of a run, as if the input were listed again and nothing had changed."""
    return [numbered.shard for wave in run.waves() for numbered in wave.shards]
