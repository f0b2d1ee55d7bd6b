"""One document, from its text to its annotation, without a cluster: what the pipeline's stages call.

    split into passages -> converse with each step's engine -> read the answers -> merge the passages

A step's answers are parsed by its family, put onto the passage's text by `align`, and where there are several
samples joined by vote. Everything but `converse` is a pure function.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ner_ray.align import align
from ner_ray.align.votes import join
from ner_ray.config import AlignConfig, VoteConfig
from ner_ray.families.base import Step
from ner_ray.types import (
    Annotation,
    Chunk,
    Completion,
    DocumentStatus,
    Entity,
    ErrorRecord,
    Exchange,
    Findings,
    Prompt,
    StepInput,
    Transcript,
    Usage,
    Verdict,
)

Ask = Callable[[Prompt], Awaitable[Exchange]]


async def converse(step: Step, passage: StepInput, ask: Ask) -> list[Exchange]:
    """The transcript of a step with its engine: all it asks at once, then what follows from the answers."""
    transcript: list[Exchange] = []
    while prompts := step.ask(passage, transcript):
        transcript.extend(await asyncio.gather(*(ask(prompt) for prompt in prompts)))
    return transcript


def read_step(
    step: Step, passage: StepInput, transcript: Transcript, align_config: AlignConfig, vote_config: VoteConfig
) -> Findings:
    """What a step's transcript says about a passage: entities with their place in its text, and the rest."""
    readings = step.read(passage, transcript)
    alignments = [align(passage.text, reading, align_config) for reading in readings]
    joined = join(alignments, vote_config)
    verdicts = tuple(reading.verdict for reading in readings)
    return Findings(
        entities=joined.entities,
        unaligned=joined.unaligned,
        status=_status_of(verdicts),
        dropped=tuple(mention for reading in readings for mention in reading.dropped),
        errors=tuple(problem for reading in readings for problem in reading.errors),
        verdicts=verdicts,
        usage=_usage(transcript),
    )


def follow(before: Findings, after: Findings) -> Findings:
    """What two steps in a row have found: the later one's entities, and everything else of both."""
    return Findings(
        entities=after.entities,
        unaligned=before.unaligned + after.unaligned,
        status=_worst([before.status, after.status]),
        dropped=before.dropped + after.dropped,
        errors=before.errors + after.errors,
        verdicts=before.verdicts + after.verdicts,
        usage=before.usage + after.usage,
    )


def own(chunk: Chunk, entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """Those that start in the chunk's core, with offsets into the chunk's text; `merge` keeps no others."""
    return tuple(one for one in entities if chunk.core_start <= chunk.start + one.start < chunk.core_end)


def merge(
    text: str, chunks: Sequence[Chunk], findings: Sequence[Findings], errors: Sequence[ErrorRecord] = ()
) -> Annotation:
    """A document's annotation from those of its chunks.

    An entity is kept iff it starts in its chunk's core, so an overlap gives no duplicates. Its text is cut from the
    document, so `text[start:end]` is what it says.

    Args:
        text: of the document.
        chunks: in order.
        findings: parallel to `chunks`, with offsets into their texts.
        errors: of the document as a whole.
    """
    pairs = list(zip(chunks, findings, strict=True))
    entities = [moved for chunk, found in pairs for moved in _in_core(text, chunk, found.entities)]
    return Annotation(
        entities=tuple(sorted(entities, key=lambda entity: (entity.start, entity.end, entity.label))),
        unaligned=tuple(mention for _, found in pairs for mention in found.unaligned),
        status=_status(findings, errors),
        errors=(*errors, *(problem for _, found in pairs for problem in found.errors)),
        usage=sum((found.usage for _, found in pairs), Usage()),
        dropped=tuple(mention for _, found in pairs for mention in found.dropped),
        verdicts=tuple(verdict for _, found in pairs for verdict in found.verdicts),
    )


def _in_core(text: str, chunk: Chunk, entities: Sequence[Entity]) -> list[Entity]:
    places = [(one, chunk.start + one.start, chunk.start + one.end) for one in own(chunk, entities)]
    return [replace(one, start=start, end=end, text=text[start:end]) for one, start, end in places]


def _status_of(verdicts: Sequence[Verdict]) -> DocumentStatus:
    """How far one step's samples could be read; none at all means that the engine refused."""
    if all(verdict is Verdict.UNPARSABLE for verdict in verdicts):
        return DocumentStatus.FAILED
    if {Verdict.UNPARSABLE, Verdict.TRUNCATED} & set(verdicts):
        return DocumentStatus.PARTIAL
    return DocumentStatus.OK


POISON = "poison"  # the code of a document that no engine survived: it was never answered


def _status(findings: Sequence[Findings], errors: Sequence[ErrorRecord]) -> DocumentStatus:
    """A document fails when nothing of it is annotated, and is partial when something of it is missing."""
    statuses = [found.status for found in findings]
    if any(problem.code == POISON for problem in errors):
        return DocumentStatus.FAILED
    if all(status is DocumentStatus.FAILED for status in statuses) and (statuses or errors):
        return DocumentStatus.FAILED
    return DocumentStatus.PARTIAL if errors else _worst(statuses, DocumentStatus.PARTIAL)


def _worst(statuses: Sequence[DocumentStatus], at_worst: DocumentStatus = DocumentStatus.FAILED) -> DocumentStatus:
    if DocumentStatus.FAILED in statuses:
        return at_worst
    return DocumentStatus.PARTIAL if DocumentStatus.PARTIAL in statuses else DocumentStatus.OK


def _usage(transcript: Transcript) -> Usage:
    completions: list[Completion] = [one for exchange in transcript for one in exchange.completions]
    return Usage(
        requests=len(transcript),
        prompt_tokens=sum(one.prompt_tokens for one in completions),
        cached_tokens=sum(one.cached_tokens for one in completions),
        output_tokens=sum(one.output_tokens for one in completions),
    )
