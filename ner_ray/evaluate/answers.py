"""Predictions out of raw answers: the family reads them, the aligner places them; no model is needed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ner_ray import plugins
from ner_ray.annotator.document import follow, merge, read_step
from ner_ray.errors import ConfigError
from ner_ray.evaluate.config import ScoringConfig
from ner_ray.evaluate.rows import Answers
from ner_ray.families.base import Step
from ner_ray.types import Annotation, Chunk, Exchange, Findings, LabelSet, StepInput

Transcripts = dict[str, list[Exchange]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What raw answers say about a document.

    Attributes:
        annotation: what was found, as annotating would have put it.
        transcripts: for each chunk, by role, the answers with the prompts they belong to.
        missing: prompts of the family for which there was no answer.
        unused: answers for which the family had no prompt.
    """

    annotation: Annotation
    transcripts: tuple[tuple[Chunk, Transcripts], ...]
    missing: int
    unused: int


def steps(config: ScoringConfig) -> tuple[Step, ...]:
    """The steps of the family that is to read the answers.

    Raises:
        ConfigError: no family is named, or its options are wrong.
    """
    if config.family is None or "name" not in config.family:
        raise ConfigError("raw answers need a model family that reads them", hint="for example: family gner")
    options = dict(config.family)
    name = options.pop("name")
    module = plugins.load("families", name)
    try:
        family_steps: tuple[Step, ...] = module.steps(module.Options(**options))
    except ValueError as error:
        raise ConfigError(f"options of the family {name!r}: {error}") from error
    return family_steps


def read(
    family_steps: Sequence[Step], text: str, labels: LabelSet, answers: Sequence[Answers], config: ScoringConfig
) -> Answered:
    """The document's entities.

    Args:
        family_steps: of the family, in order.
        text: the document.
        labels: its label set.
        answers: of each chunk, for each prompt in the order in which the family asks, its samples.
        config: how mentions are placed and samples joined.
    """
    counts: Counter[str] = Counter()
    read_chunks = [
        _read_chunk(family_steps, StepInput(text[one.chunk.start : one.chunk.end], labels), one, config, counts)
        for one in answers
    ]
    chunks = [one.chunk for one in answers]
    return Answered(
        annotation=merge(text, chunks, [findings for findings, _ in read_chunks]),
        transcripts=tuple((chunk, said) for chunk, (_, said) in zip(chunks, read_chunks, strict=True)),
        missing=counts["missing"],
        unused=counts["unused"],
    )


def _read_chunk(
    family_steps: Sequence[Step], passage: StepInput, answers: Answers, config: ScoringConfig, counts: Counter[str]
) -> tuple[Findings, Transcripts]:
    left = deque(answers.samples)
    transcripts: Transcripts = {}
    findings = Findings()
    for step in family_steps:
        transcript = transcripts.setdefault(step.role, [])
        while prompts := step.ask(passage, transcript):
            counts["missing"] += max(0, len(prompts) - len(left))
            transcript += [Exchange(prompt, left.popleft() if left else ()) for prompt in prompts]
        found = read_step(step, passage, transcript, config.align, config.vote)
        findings = follow(findings, found)
        passage = replace(passage, entities=findings.entities)
    counts["unused"] += len(left)
    return findings, transcripts
