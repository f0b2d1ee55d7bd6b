"""The CPU stages: Arrow table in, Arrow table out, with a pure function per row in between.

They run as Ray tasks and cache what is expensive to create (a tokenizer) for the life of their worker process.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator.budget import token_counter
from ner_ray.annotator.rows import labels_of, merge_row, read_row
from ner_ray.annotator.spec import Spec
from ner_ray.annotator.traces import traced
from ner_ray.errors import ErrorCode
from ner_ray.families.base import Step
from ner_ray.pipeline.metrics import CODE
from ner_ray.pipeline.progress import Counts
from ner_ray.schema import (
    BETWEEN_STAGES,
    CHUNKS,
    DOC_ID,
    ERRORS,
    EXCHANGES,
    FINDINGS,
    KEPT_CHUNKS,
    KEPT_EXCHANGES,
    KEPT_HASH,
    KEPT_TEXT,
    REUSED,
    ROW_ID,
    TEXT,
    TEXT_HASH,
    Row,
)
from ner_ray.text.chunks import split
from ner_ray.types import Annotation, DocumentStatus, ErrorRecord, Findings

_LOG = logging.getLogger(__name__)

_NO_LABELS = ErrorRecord(ErrorCode.NO_LABELS, "chunk", "the row's label set is empty or is not a list of names")
_INTERNAL_CHUNK = ErrorRecord(ErrorCode.INTERNAL, "chunk", "see the log")
_INTERNAL_READ = ErrorRecord(ErrorCode.INTERNAL, "read", "see the log")
_BROKEN = Findings(status=DocumentStatus.FAILED, errors=(_INTERNAL_READ,))
_FAILED = Annotation(entities=(), status=DocumentStatus.FAILED, errors=(_INTERNAL_READ,))


class ChunkStage:
    """Cuts each row's text into chunks that fit into a prompt."""

    def __init__(self, spec: Spec, counts: Counts) -> None:
        self._spec = spec
        self._counts = counts

    def __call__(self, table: pa.Table) -> pa.Table:
        began = time.perf_counter()
        rows = rows_of(table)
        chunked = [_guarded(self._chunk, row, ([], [schema.error_to_row(_INTERNAL_CHUNK)])) for row in rows]
        errors = [[*row[ERRORS], *new] for row, (_, new) in zip(rows, chunked, strict=True)]
        table = schema.with_column(table, CHUNKS, pa.list_(schema.CHUNK), [chunks for chunks, _ in chunked])
        table = schema.with_column(table, ERRORS, pa.list_(schema.ERROR), errors)
        table = schema.with_column(table, EXCHANGES, pa.list_(schema.EXCHANGE), [[] for _ in rows])
        self._counts.add(seconds_chunk=time.perf_counter() - began)
        return table

    def _chunk(self, row: Row) -> tuple[list[Row], list[Row]]:
        if row.get(REUSED):
            return [], []
        if not row[ERRORS] and not labels_of(self._spec, row):
            return [], [schema.error_to_row(_NO_LABELS)]
        counter = token_counter(self._spec)
        chunks = split(row[TEXT], counter, self._spec.budget, self._spec.config.chunk.shared)
        return [schema.chunk_to_row(chunk) for chunk in chunks], []


class ReadStage:
    """Reads the answers to some steps and adds them to the findings of earlier steps.

    After the last step, the findings of a document's chunks are merged into the output columns; before, they travel on.

    Args:
        spec: the job's.
        steps: those whose answers are to be read.
        counts: receives the counts of the stage.
        keep: the columns to copy to the output, in addition to the row's ids; None for all columns of the input.
    """

    def __init__(self, spec: Spec, steps: Sequence[Step], counts: Counts, keep: Sequence[str] | None) -> None:
        self._spec = spec
        self._steps = tuple(steps)
        self._last = self._steps[-1] is spec.steps[-1]
        self._counts = counts
        self._keep = keep

    def __call__(self, table: pa.Table) -> pa.Table:
        began = time.perf_counter()
        rows = rows_of(table)
        findings = [_guarded(self._read, row, None) for row in rows]
        table = self._finish(table, rows, findings) if self._last else self._pass_on(table, rows, findings)
        self._counts.add(seconds_read=time.perf_counter() - began)
        return table

    def _read(self, row: Row) -> list[Findings]:
        return read_row(self._spec, row, self._steps)

    def _pass_on(self, table: pa.Table, rows: list[Row], findings: Sequence[list[Findings] | None]) -> pa.Table:
        column = [
            [schema.findings_to_row(chunk) for chunk in (read or [_BROKEN] * len(row[CHUNKS] or ()))]
            for row, read in zip(rows, findings, strict=True)
        ]
        if not self._spec.config.output.completions:
            table = schema.with_column(table, EXCHANGES, pa.list_(schema.EXCHANGE), [[] for _ in rows])
        return schema.with_column(table, FINDINGS, pa.list_(schema.CHUNK_FINDINGS), column)

    def _finish(self, table: pa.Table, rows: list[Row], findings: Sequence[list[Findings] | None]) -> pa.Table:
        annotations = [
            _FAILED if read is None else merge_row(row, read) for row, read in zip(rows, findings, strict=True)
        ]
        self._count(annotations)
        output = [
            schema.annotation_to_row(annotation) | (row.get(REUSED) or {})
            for row, annotation in zip(rows, annotations, strict=True)
        ]
        columns = {name: table[name] for name in self._kept(table)}
        columns |= {
            field.name: pa.array([row[field.name] for row in output], type=field.type) for field in schema.OUTPUT
        }
        if TEXT_HASH in table.column_names:
            columns[KEPT_HASH] = table[TEXT_HASH]
        if self._spec.config.output.completions:
            columns.setdefault(KEPT_TEXT, table[TEXT])  # unless the text is kept as it is in the input
            columns |= {KEPT_CHUNKS: table[CHUNKS], KEPT_EXCHANGES: table[EXCHANGES]}
        return pa.table(columns)

    def _kept(self, table: pa.Table) -> list[str]:
        if self._keep is None:
            return [name for name in table.column_names if name not in (*BETWEEN_STAGES, ROW_ID)]
        return [ROW_ID, DOC_ID, *(name for name in self._keep if name not in (ROW_ID, DOC_ID))]

    def _count(self, annotations: Sequence[Annotation]) -> None:
        codes = Counter(code for annotation in annotations for code in {error.code for error in annotation.errors})
        self._counts.add(
            **{f"{CODE}{code}": number for code, number in codes.items()},
            documents=len(annotations),
            failed=sum(annotation.status is DocumentStatus.FAILED for annotation in annotations),
            partial=sum(annotation.status is DocumentStatus.PARTIAL for annotation in annotations),
            entities=sum(len(annotation.entities) for annotation in annotations),
            unaligned=sum(len(annotation.unaligned) for annotation in annotations),
        )


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a table, with the columns that stages use."""
    rows: list[Row] = table.select([name for name in BETWEEN_STAGES if name in table.column_names]).to_pylist()
    return rows


def _guarded(work: Callable[[Row], Any], row: Row, otherwise: Any) -> Any:
    """The result of `work` for a row; a bug makes only that row fail, and is logged without the row's text."""
    try:
        return work(row)
    except Exception as error:  # noqa: BLE001  # the row boundary: one document must not end the job
        _LOG.error("row.failed error=%s", traced(error))
        return otherwise
