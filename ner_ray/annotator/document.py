"""One document, from text to annotation: the core of the system, as pure functions.

    text -> chunks -> ask -> read -> align -> merge -> annotation

Everything that annotates goes through the functions here: the job and the `Annotator` drive `converse` with an engine,
the trainer's judge with the model in training, `evaluate` with answers from a file. None of them does any I/O:
`converse` is a generator that hands out prompts and is sent the answers, so one loop serves synchronous callers,
event loops, and callers that batch many documents in lock-step.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ner_ray.align import align
from ner_ray.align.votes import join
from ner_ray.annotator.calibration import Calibration
from ner_ray.config import AlignConfig, VoteConfig
from ner_ray.errors import ErrorCode
from ner_ray.families.base import Step
from ner_ray.types import (
    Annotation,
    Chunk,
    Completion,
    Demonstration,
    DocumentStatus,
    Entity,
    ErrorRecord,
    Exchange,
    Findings,
    LabelSet,
    Prompt,
    Reading,
    StepInput,
    Transcript,
    Usage,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """How answers become entities: how mentions are aligned, and how several samples are combined.

    Attributes:
        align: of mentions to the text.
        vote: of several samples.
        calibration: of the scores of the entities that come out at the end.
        last: the role of the step that they come out of.
    """

    align: AlignConfig = field(default_factory=AlignConfig)
    vote: VoteConfig = field(default_factory=VoteConfig)
    calibration: Calibration | None = None
    last: str = ""

    def scored(self, role: str, entities: Sequence[Entity]) -> Sequence[Entity]:
        """Entities that a step has found, with the scores that they are given."""
        if self.calibration is None or role != self.last:
            return entities
        return [
            entity if entity.score is None else replace(entity, score=self.calibration(entity.score))
            for entity in entities
        ]


@dataclass(frozen=True, slots=True)
class Round:
    """Prompts that can be answered at the same time, all for one role."""

    role: str
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The prompts and answers about one chunk, and the findings from them.

    Attributes:
        findings: of all steps that were read.
        transcripts: by role.
    """

    findings: Findings
    transcripts: Mapping[str, Transcript]


Dialogue = Generator[Round, Sequence[Exchange], Conversation]
"""Yields rounds of prompts, is sent their exchanges in order, and returns the whole conversation."""


def step_input(text: str, chunk: Chunk, labels: LabelSet, demonstrations: Sequence[Demonstration] = ()) -> StepInput:
    """A chunk of `text` as a family sees it before anything is found."""
    core = (chunk.core_start - chunk.start, chunk.core_end - chunk.start)
    return StepInput(text[chunk.start : chunk.end], labels, tuple(demonstrations), core=core)


def converse(
    steps: Sequence[Step],
    given: StepInput,
    rules: ReadingRules,
    known: Findings | None = None,
    *,
    leave_last: bool = False,
) -> Dialogue:
    """Asks the steps in order and reads each one's answers before the next is asked.

    Args:
        steps: of a family, or those of them that share an engine.
        given: the chunk.
        rules: how answers become entities.
        known: what earlier steps have found; None for nothing.
        leave_last: do not read the last step's answers; the caller will, from the transcript.
    """
    findings = known or Findings()
    transcripts: dict[str, Transcript] = {}
    if is_broken(findings):
        return Conversation(findings, transcripts)
    for step in steps:
        seen = replace(given, entities=findings.entities)
        transcript = yield from _ask(step, seen)
        transcripts[step.role] = transcript
        if not leave_last or step is not steps[-1]:
            findings = follow(findings, read_step(step, seen, transcript, rules))
    return Conversation(findings, transcripts)


def _ask(step: Step, seen: StepInput) -> Generator[Round, Sequence[Exchange], list[Exchange]]:
    """Asks all that a step asks at once, then what follows from the answers, until nothing more does."""
    transcript: list[Exchange] = []
    while prompts := step.ask(seen, transcript):
        transcript.extend((yield Round(step.role, tuple(prompts))))
    return transcript


def read_recorded(
    steps: Sequence[Step],
    given: StepInput,
    transcripts: Mapping[str, Transcript],
    rules: ReadingRules,
    known: Findings | None = None,
) -> Findings:
    """Reads recorded transcripts, and adds what they say to what is known.

    A chunk in which a step was broken off by a bug is left as it is: its findings already say so.
    """
    findings = known or Findings()
    if is_broken(findings):
        return findings
    for step in steps:
        seen = replace(given, entities=findings.entities)
        findings = follow(findings, read_step(step, seen, transcripts.get(step.role, ()), rules))
    return findings


def read_step(step: Step, given: StepInput, transcript: Transcript, rules: ReadingRules) -> Findings:
    """Reads one step's transcript: aligned entities, and everything that was lost on the way.

    Entities outside the chunk's core (see `StepInput.core`) are its neighbours': no later step is asked about them.
    """
    readings = step.read(given, transcript)
    joined = join([align(given.text, reading, rules.align, given.core) for reading in readings], rules.vote)
    refused = [exchange.error or _no_sample(step.role) for exchange in transcript if not exchange.completions]
    errors = (*refused, *(error for reading in readings for error in _errors(reading, step.role)))
    return Findings(
        entities=_owned(rules.scored(step.role, joined.entities), given.core),
        unaligned=joined.unaligned,
        status=_worst([_status(readings), DocumentStatus.PARTIAL if refused else DocumentStatus.OK]),
        dropped=tuple(mention for reading in readings for mention in reading.dropped),
        errors=errors,
        verdicts=tuple(reading.verdict for reading in readings),
        repairs=_union(reading.repairs for reading in readings),
        usage=_usage(transcript),
    )


def follow(before: Findings, after: Findings) -> Findings:
    """Combines the findings of two consecutive steps: the entities of the later one, and everything else of both."""
    return Findings(
        entities=after.entities,
        unaligned=before.unaligned + after.unaligned,
        status=_worst([before.status, after.status]),
        dropped=before.dropped + after.dropped,
        errors=before.errors + after.errors,
        verdicts=before.verdicts + after.verdicts,
        repairs=_union([before.repairs, after.repairs]),
        usage=before.usage + after.usage,
    )


def is_broken(findings: Findings) -> bool:
    """Whether an earlier step was broken off by a bug; if so, nothing more is asked or read."""
    return any(error.code == ErrorCode.INTERNAL for error in findings.errors)


def broken(known: Findings, role: str, error: Exception) -> Findings:
    """The findings of a chunk in which a step was broken off by a bug: failed, whatever was found before."""
    return failed(known, ErrorRecord(ErrorCode.INTERNAL, role, type(error).__name__))


def failed(known: Findings, record: ErrorRecord) -> Findings:
    """The findings of a chunk that an error has put an end to, whatever was found before."""
    return replace(known, entities=(), status=DocumentStatus.FAILED, errors=(*known.errors, record))


def merge(
    text: str, chunks: Sequence[Chunk], findings: Sequence[Findings], errors: Sequence[ErrorRecord] = ()
) -> Annotation:
    """A document's annotation from those of its chunks.

    An entity is kept if and only if it starts in its chunk's core, so overlaps yield no duplicates. Its text is taken
    from the document, so that `text[start:end] == entity.text`.

    Args:
        text: the document.
        chunks: in order.
        findings: parallel to `chunks`, with offsets into their texts.
        errors: those of the document as a whole, which leave nothing of it.
    """
    if errors:
        return Annotation(entities=(), status=DocumentStatus.FAILED, errors=tuple(errors))
    pairs = list(zip(chunks, findings, strict=True))
    entities = [moved for chunk, found in pairs for moved in _in_document(text, chunk, found.entities)]
    return Annotation(
        entities=tuple(sorted(entities, key=lambda entity: (entity.start, entity.end, entity.label))),
        unaligned=tuple(mention for found in findings for mention in found.unaligned),
        status=_document_status(findings),
        errors=tuple(error for found in findings for error in found.errors),
        usage=sum((found.usage for found in findings), Usage()),
        dropped=tuple(mention for found in findings for mention in found.dropped),
        verdicts=tuple(verdict for found in findings for verdict in found.verdicts),
        repairs=_union(found.repairs for found in findings),
    )


def _union(repairs: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({word for words in repairs for word in words}))


def _owned(entities: Sequence[Entity], core: tuple[int, int] | None) -> tuple[Entity, ...]:
    if core is None:
        return tuple(entities)
    return tuple(entity for entity in entities if core[0] <= entity.start < core[1])


def _in_document(text: str, chunk: Chunk, entities: Sequence[Entity]) -> list[Entity]:
    owned = _owned(entities, (chunk.core_start - chunk.start, chunk.core_end - chunk.start))
    places = [(entity, chunk.start + entity.start, chunk.start + entity.end) for entity in owned]
    return [replace(entity, start=start, end=end, text=text[start:end]) for entity, start, end in places]


def _errors(reading: Reading, role: str) -> tuple[ErrorRecord, ...]:
    """A reading's errors; at least one where it makes a document partial or failed, so that this can be counted."""
    if reading.verdict is Verdict.TRUNCATED:
        record = ErrorRecord(ErrorCode.TRUNCATED, role, "the answer was cut off at its token limit")
    elif reading.verdict is Verdict.UNPARSABLE:
        record = ErrorRecord(ErrorCode.UNPARSABLE, role, "no entities could be read from the answer")
    else:
        return reading.errors
    return reading.errors if record.code in {error.code for error in reading.errors} else (*reading.errors, record)


def _no_sample(role: str) -> ErrorRecord:
    return ErrorRecord(ErrorCode.REQUEST, role, "the engine has returned no sample")


def _status(readings: Sequence[Reading]) -> DocumentStatus:
    """How far the samples of a step could be read; no sample at all means that the engine refused."""
    if all(map(_is_lost, readings)):
        return DocumentStatus.FAILED
    verdicts = {reading.verdict for reading in readings}
    return DocumentStatus.PARTIAL if verdicts & {Verdict.UNPARSABLE, Verdict.TRUNCATED} else DocumentStatus.OK


def _is_lost(reading: Reading) -> bool:
    """Whether an answer says nothing at all: it could not be parsed, or was cut off before it began."""
    if reading.verdict is Verdict.TRUNCATED:
        return bool(reading.errors) and not reading.mentions and not reading.dropped
    return reading.verdict is Verdict.UNPARSABLE


def _document_status(findings: Sequence[Findings]) -> DocumentStatus:
    """A document fails when nothing of it is annotated, and is partial when something of it is missing."""
    statuses = {found.status for found in findings}
    if statuses == {DocumentStatus.FAILED}:
        return DocumentStatus.FAILED
    return DocumentStatus.PARTIAL if statuses - {DocumentStatus.OK} else DocumentStatus.OK


def _worst(statuses: Sequence[DocumentStatus]) -> DocumentStatus:
    for status in (DocumentStatus.FAILED, DocumentStatus.PARTIAL):
        if status in statuses:
            return status
    return DocumentStatus.OK


def _usage(transcript: Transcript) -> Usage:
    completions: list[Completion] = [completion for exchange in transcript for completion in exchange.completions]
    return Usage(
        requests=len(transcript),
        prompt_tokens=sum(completion.prompt_tokens for completion in completions),
        cached_tokens=sum(completion.cached_tokens for completion in completions),
        output_tokens=sum(completion.output_tokens for completion in completions),
    )
