"""Predictions from raw answers: the family parses them, the aligner places them; no model is needed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ner_ray.annotator.document import Conversation, ReadingRules, Round, converse, merge, step_input
from ner_ray.annotator.rounds import converse_alone
from ner_ray.evaluate.config import ScoringConfig
from ner_ray.evaluate.rows import Answers
from ner_ray.families.base import Step
from ner_ray.types import Annotation, Chunk, Exchange, LabelSet, StepInput, Transcript

Transcripts = Mapping[str, Transcript]


@dataclass(frozen=True, slots=True)
class Answered:
    """What raw answers say about a document.

    Attributes:
        annotation: what was found, as the annotation job would have written it.
        transcripts: for each chunk, by role, the answers with their prompts.
        missing: prompts of the family for which there was no answer.
        unused: answers for which the family had no prompt.
    """

    annotation: Annotation
    transcripts: tuple[tuple[Chunk, Transcripts], ...]
    missing: int
    unused: int


def read(
    family: Sequence[Step], text: str, labels: LabelSet, answers: Sequence[Answers], config: ScoringConfig
) -> Answered:
    """The document's entities.

    Args:
        family: its steps, in order.
        text: the document.
        labels: its label set.
        answers: of each chunk, for each prompt in the order in which the family asks, its samples.
        config: how mentions are placed and samples combined.
    """
    counts: Counter[str] = Counter()
    rules = ReadingRules(config.align, config.vote)
    read_chunks = [
        _converse(family, step_input(text, answered.chunk, labels), answered, rules, counts) for answered in answers
    ]
    chunks = [answered.chunk for answered in answers]
    return Answered(
        annotation=merge(text, chunks, [said.findings for said in read_chunks]),
        transcripts=tuple((chunk, said.transcripts) for chunk, said in zip(chunks, read_chunks, strict=True)),
        missing=counts["missing"],
        unused=counts["unused"],
    )


def _converse(
    family: Sequence[Step], given: StepInput, answers: Answers, rules: ReadingRules, counts: Counter[str]
) -> Conversation:
    """The conversation about a chunk, in which each prompt is answered by the next answer that is left."""
    left = deque(answers.samples)

    def answer(asked: Round) -> list[Exchange]:
        counts["missing"] += max(0, len(asked.prompts) - len(left))
        return [Exchange(prompt, left.popleft() if left else ()) for prompt in asked.prompts]

    said = converse_alone(converse(family, given, rules), answer)
    counts["unused"] += len(left)
    return said
