"""The CPU stages: Arrow table in, Arrow table out, with a pure function for each row in between.

They run as Ray tasks, and keep what is dear to make (a tokenizer) for the life of their worker process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator.document import follow, merge, own, read_step
from ner_ray.annotator.spec import Spec
from ner_ray.config import EngineConfig, labels
from ner_ray.engines import base as engines
from ner_ray.errors import ConfigError
from ner_ray.families.base import Step
from ner_ray.models.tokenizers import TokenCounter
from ner_ray.pipeline.progress import Counts
from ner_ray.schema import (
    BETWEEN_STAGES,
    CHUNKS,
    DEMONSTRATIONS,
    DOC_ID,
    ERRORS,
    EXCHANGES,
    FINDINGS,
    KEPT_TEXT,
    LABELS,
    REUSED,
    TEXT,
    TEXT_HASH,
    Row,
)
from ner_ray.text.chunks import split
from ner_ray.types import (
    Annotation,
    Chunk,
    Demonstration,
    DocumentStatus,
    ErrorRecord,
    Findings,
    LabelSet,
    Message,
    StepInput,
)

_PROBE = "x"

_LOG = logging.getLogger(__name__)


class ChunkStage:
    """Cuts each row's text into chunks that the model can take."""

    def __init__(self, spec: Spec, counts: Counts) -> None:
        self._spec = spec
        self._counts = counts

    def __call__(self, table: pa.Table) -> pa.Table:
        began = time.perf_counter()
        rows = table.select([name for name in BETWEEN_STAGES if name in table.column_names]).to_pylist()
        chunked = [_guarded(self._chunk, row, ([], [_INTERNAL_CHUNK])) for row in rows]
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
            return [], [_NO_LABELS]
        counter = token_counter(self._spec.pools[0].engine)
        chunks = split(row[TEXT], counter, self._spec.budget, self._spec.config.chunk.shared)
        return [schema.chunk_to_row(one) for one in chunks], []


class ReadStage:
    """Reads the answers to some steps, on top of what the steps before have found.

    After the last step each document's chunks are merged into the output columns; before, the findings travel on.
    """

    def __init__(self, spec: Spec, steps: Sequence[Step], counts: Counts) -> None:
        self._spec = spec
        self._steps = tuple(steps)
        self._last = self._steps[-1] is spec.steps[-1]
        self._counts = counts

    def __call__(self, table: pa.Table) -> pa.Table:
        began = time.perf_counter()
        rows = [
            _with_lists(row)
            for row in table.select([name for name in BETWEEN_STAGES if name in table.column_names]).to_pylist()
        ]
        findings = [_guarded(self._read, row, None) for row in rows]
        table = self._finish(table, rows, findings) if self._last else self._pass_on(table, rows, findings)
        self._counts.add(seconds_read=time.perf_counter() - began)
        return table

    def _read(self, row: Row) -> list[Findings]:
        chunks = [schema.chunk_from_row(chunk) for chunk in row[CHUNKS]]
        return [read_chunk(self._spec, row, number, chunk, self._steps) for number, chunk in enumerate(chunks)]

    def _pass_on(self, table: pa.Table, rows: list[Row], findings: Sequence[list[Findings] | None]) -> pa.Table:
        found = [
            [schema.findings_to_row(one) for one in (mine or [_BROKEN] * len(row[CHUNKS]))]
            for row, mine in zip(rows, findings, strict=True)
        ]
        if not self._spec.config.output.completions:
            table = schema.with_column(table, EXCHANGES, pa.list_(schema.EXCHANGE), [[] for _ in rows])
        return schema.with_column(table, FINDINGS, pa.list_(schema.FINDINGS), found)

    def _merge(self, row: Row, findings: list[Findings] | None) -> Annotation:
        if findings is None:
            return _FAILED
        chunks = [schema.chunk_from_row(chunk) for chunk in row[CHUNKS]]
        errors = [schema.error_from_row(problem) for problem in row[ERRORS]]
        return merge(row[TEXT], chunks, findings, errors)

    def _finish(self, table: pa.Table, rows: list[Row], findings: Sequence[list[Findings] | None]) -> pa.Table:
        annotations = [self._merge(row, found) for row, found in zip(rows, findings, strict=True)]
        self._count(annotations)
        output = [
            schema.annotation_to_row(annotation) | (row.get(REUSED) or {})
            for row, annotation in zip(rows, annotations, strict=True)
        ]
        config = self._spec.config
        kept = [
            schema.ROW_ID,
            DOC_ID,
            *(name for name in config.input.keep if name not in (schema.ROW_ID, DOC_ID)),
        ]
        columns = {name: table[name] for name in kept}
        columns |= {
            field.name: pa.array([row[field.name] for row in output], type=field.type) for field in schema.OUTPUT
        }
        if TEXT_HASH in table.column_names:
            columns[TEXT_HASH] = table[TEXT_HASH]
        if config.output.completions:
            columns |= {KEPT_TEXT: table[TEXT], CHUNKS: table[CHUNKS], EXCHANGES: table[EXCHANGES]}
        return pa.table(columns)

    def _count(self, annotations: Sequence[Annotation]) -> None:
        self._counts.add(
            documents=len(annotations),
            failed=sum(one.status is DocumentStatus.FAILED for one in annotations),
            partial=sum(one.status is DocumentStatus.PARTIAL for one in annotations),
            entities=sum(len(one.entities) for one in annotations),
            unaligned=sum(len(one.unaligned) for one in annotations),
        )


def _with_lists(row: Row) -> Row:
    """A replayed row may have no chunks and answers at all: its shard could not be decoded."""
    return row | {name: row[name] or [] for name in (CHUNKS, EXCHANGES)}


def read_chunk(spec: Spec, row: Row, number: int, chunk: Chunk, steps: Sequence[Step]) -> Findings:
    """What is known about a chunk: the findings in its row, and on top what some steps' answers there say."""
    passage = passage_of(spec, row, number, chunk)
    known = row.get(FINDINGS)
    found = schema.findings_from_row(known[number]) if known else Findings()
    for step in steps:
        mine = [one for one in row[EXCHANGES] if one["chunk"] == number and one["role"] == step.role]
        transcript = [schema.exchange_from_row(one) for one in mine]
        seen = replace(passage, entities=found.entities)
        now = read_step(step, seen, transcript, spec.config.align, spec.config.vote)
        found = follow(found, now)
        # What a chunk does not own is its neighbour's: no later step need be asked about it.
        found = replace(found, entities=own(chunk, found.entities))
    return found


def passage_of(spec: Spec, row: Row, number: int, chunk: Chunk) -> StepInput:
    """A chunk as the family sees it before anything is found."""
    shown = (row.get(DEMONSTRATIONS) or [[]] * (number + 1))[number]
    return StepInput(
        text=row[TEXT][chunk.start : chunk.end],
        labels=labels_of(spec, row),
        demonstrations=tuple(schema.demonstration_from_row(one) for one in shown),
    )


def labels_of(spec: Spec, row: Row) -> LabelSet:
    """The label set for a row; empty where the row's own is missing or unusable."""
    if spec.labels is not None:
        return spec.labels
    try:
        return labels.parse(row[LABELS] or [])
    except ConfigError:
        return ()


def token_counter(engine: EngineConfig) -> TokenCounter:
    """How many tokens each of some texts has for the engine's model."""
    return engines.load(engine.name).token_counter(engine)


def prompt_tokens(spec: Spec, shown: tuple[Demonstration, ...] = ()) -> int:
    """Of the longest prompt of the first step, with examples and all but without a text; for a plan with labels."""
    prompts = spec.steps[0].ask(StepInput(_PROBE, spec.labels or LabelSet(()), shown), ())
    count = token_counter(spec.pools[0].engine)
    return max((sum(count(_strings(prompt.content))) for prompt in prompts), default=0)


def _strings(content: str | tuple[Message, ...]) -> list[str]:
    return [content] if isinstance(content, str) else [turn.content for turn in content]


_NO_LABELS: Row = {"code": "no_labels", "stage": "chunk", "message": "the row's label set is empty or no list of names"}
_INTERNAL_CHUNK: Row = {"code": "internal", "stage": "chunk", "message": "see the log"}
_BROKEN = Findings(status=DocumentStatus.FAILED, errors=(ErrorRecord("internal", "read", "see the log"),))
_FAILED = Annotation(
    entities=(), status=DocumentStatus.FAILED, errors=(ErrorRecord("internal", "read", "see the log"),)
)


def _guarded(work: Callable[[Row], Any], row: Row, otherwise: Any) -> Any:
    """What `work` makes of a row; a bug costs that row and is logged without its text."""
    try:
        return work(row)
    except Exception as error:  # noqa: BLE001  # the row boundary: one document must not end the job
        frames = []
        trace = error.__traceback__
        while trace:
            frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
            trace = trace.tb_next
        _LOG.error("row.failed error=%s at=%s", type(error).__name__, " ".join(frames[-3:]))
        return otherwise
