"""Reads a document's row between stages: its label set, chunks, transcripts and findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ner_ray import schema
from ner_ray.annotator.document import Conversation, merge, read_recorded, step_input
from ner_ray.annotator.spec import Spec
from ner_ray.config import labels
from ner_ray.errors import ConfigError
from ner_ray.families.base import Step
from ner_ray.schema import CHUNKS, DEMONSTRATIONS, ERRORS, EXCHANGES, FINDINGS, LABELS, TEXT, Row
from ner_ray.store.documents import Columns
from ner_ray.types import Annotation, Chunk, Demonstration, Exchange, Findings, LabelSet, StepInput

Transcripts = dict[str, list[Exchange]]  # by role


def columns_of(spec: Spec) -> Columns:
    """The input columns that the job reads."""
    section = spec.config.input
    return Columns(
        text=section.text,
        doc_id=section.id,
        labels=spec.labels_column,
        keep=tuple(dict.fromkeys(section.keep)),
        answers=not spec.pools,
        max_characters=section.max_characters,
    )


def labels_of(spec: Spec, row: Row) -> LabelSet:
    """The label set for a row; empty if the row's own is missing or unusable."""
    if spec.labels is not None:
        return spec.labels
    try:
        return labels.parse(row.get(LABELS) or [])
    except ConfigError:
        return ()


def chunks_of(row: Row) -> list[Chunk]:
    """A row's chunks; none if its shard could not be decoded."""
    return [schema.chunk_from_row(chunk) for chunk in row[CHUNKS] or ()]


def inputs_of(spec: Spec, row: Row) -> list[StepInput]:
    """What a family sees of each chunk of a row before anything is found."""
    label_set = labels_of(spec, row)
    chunks = chunks_of(row)
    shown: Sequence[Sequence[Row]] = row.get(DEMONSTRATIONS) or [[]] * len(chunks)
    return [
        step_input(row[TEXT], chunk, label_set, _demonstrations(examples))
        for chunk, examples in zip(chunks, shown, strict=True)
    ]


def findings_of(row: Row) -> list[Findings | None]:
    """What earlier steps have found in each chunk of a row; None if this is the first step."""
    known = row.get(FINDINGS)
    return [schema.findings_from_row(findings) for findings in known] if known else [None] * len(row[CHUNKS] or ())


def read_row(spec: Spec, row: Row, steps: Sequence[Step]) -> list[Findings]:
    """What is known about each chunk: the row's findings, and what the recorded answers to some steps add.

    Linear in the number of chunks and answers.
    """
    transcripts = _transcripts(row)
    return [
        read_recorded(steps, given, transcripts.get(number, {}), spec.rules, known)
        for number, (given, known) in enumerate(zip(inputs_of(spec, row), findings_of(row), strict=True))
    ]


def merge_row(row: Row, findings: Sequence[Findings]) -> Annotation:
    """The document's annotation from those of its chunks."""
    return merge(row[TEXT], chunks_of(row), findings, [schema.error_from_row(error) for error in row[ERRORS]])


def exchange_rows(number: int, conversation: Conversation, *, with_prompt: bool) -> list[Row]:
    """The exchanges about chunk `number`, as rows for the `exchanges` column of the document."""
    return [
        schema.exchange_to_row(number, role, exchange, with_prompt=with_prompt)
        for role, transcript in conversation.transcripts.items()
        for exchange in transcript
    ]


def _transcripts(row: Row) -> dict[int, Transcripts]:
    """The recorded exchanges of a row by chunk, in one pass."""
    by_chunk: dict[int, Transcripts] = defaultdict(lambda: defaultdict(list))
    for exchange in row[EXCHANGES] or ():
        by_chunk[exchange["chunk"]][exchange["role"]].append(schema.exchange_from_row(exchange))
    return by_chunk


def _demonstrations(rows: Sequence[Row]) -> tuple[Demonstration, ...]:
    return tuple(schema.demonstration_from_row(row) for row in rows)
