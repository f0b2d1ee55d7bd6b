"""How good the model in training is: span F1 on whole passages, asked and read as in the annotation job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ner_ray.annotator.document import ReadingRules, Round, converse
from ner_ray.annotator.rounds import converse_in_rounds
from ner_ray.annotator.spec import family_steps
from ner_ray.data import AnnotatedText
from ner_ray.evaluate import spans
from ner_ray.evaluate.spans import SpanSums
from ner_ray.train.config import JudgeConfig
from ner_ray.types import Completion, Entity, Exchange, Prompt, StepInput

Answer = Callable[[Sequence[Prompt]], Sequence[str]]
"""Answers prompts, in order."""


def judge(config: JudgeConfig, gold: Sequence[AnnotatedText], answer: Answer) -> SpanSums:
    """The span sums of a model.

    Args:
        config: the family that asks, and which labels are scored.
        gold: passages with their label sets, as `ner_ray.train.gold` reads them.
        answer: answers prompts.
    """
    steps, rules = family_steps(config.family), ReadingRules()
    dialogues = [converse(steps, StepInput(passage.text, passage.labels or ()), rules) for passage in gold]
    conversations = converse_in_rounds(dialogues, partial(_answer_rounds, answer))
    scored = set(config.scored)
    total = SpanSums()
    for conversation, passage in zip(conversations, gold, strict=True):
        total += spans.count(_only(passage.entities, scored), _only(conversation.findings.entities, scored))
    return total


def _answer_rounds(answer: Answer, rounds: Sequence[Round]) -> list[list[Exchange]]:
    """All prompts of some rounds in one call."""
    texts = iter(answer([prompt for asked in rounds for prompt in asked.prompts]))
    return [[Exchange(prompt, (Completion(next(texts)),)) for prompt in asked.prompts] for asked in rounds]


def _only(entities: Sequence[Entity], labels: set[str]) -> list[Entity]:
    return [entity for entity in entities if not labels or entity.label in labels]
