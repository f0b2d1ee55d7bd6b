"""What a teacher is asked about a passage, and what its answers mean: mentions, and their places in the passage.

Prompts and parser are those of the family `instruct`; the places come from `align`. An answer is never executed as
code.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ner_ray.align import align_mentions
from ner_ray.config import AlignConfig
from ner_ray.families import instruct
from ner_ray.types import Alignment, ErrorRecord, Mention, Prompt, StepInput, Transcript, Verdict

GROUNDING = AlignConfig(occurrences="all", fuzzy=False, inside_words=False)
"""All occurrences of a surface, and nothing merely similar: teachers list a name only once, and students should not
learn a spelling that the passage does not have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a teacher said about one passage.

    Attributes:
        mentions: in the order in which they were first named; with several samples, each only once, scored by the share
            of samples that name it.
        verdicts: one per sample.
        errors: the parts that could not be read, with the raw answer.
    """

    mentions: tuple[Mention, ...]
    verdicts: tuple[Verdict, ...] = ()
    errors: tuple[ErrorRecord, ...] = ()


def ask(text: str, options: instruct.Options) -> Prompt | None:
    """The question about a passage; None for a blank one."""
    (step,) = instruct.steps(options)
    return next(iter(step.ask(StepInput(text, ()), ())), None)


def prompt_hash(options: instruct.Options) -> str:
    """16 hexadecimal digits that identify the wording of the question, independently of the passage."""
    prompt = ask("{text}", options)
    turns = prompt.content if prompt is not None else ""
    return hashlib.sha256(repr(turns).encode()).hexdigest()[:16]


def read(text: str, transcript: Transcript, options: instruct.Options) -> Answer:
    """What the teacher's answers say about a passage. Accepts any answer, in the worst case as unparsable.

    A single sample keeps its list as it is, repetitions included, so that a filter can count them.

    Args:
        text: the passage.
        transcript: the question with its answers, one per sample; empty if there is no answer.
        options: how the question was asked.
    """
    (step,) = instruct.steps(options)
    readings = step.read(StepInput(text, ()), transcript) if transcript else []
    samples = [reading.mentions for reading in readings]
    return Answer(
        mentions=samples[0] if len(samples) == 1 else _agreed(samples),
        verdicts=tuple(reading.verdict for reading in readings),
        errors=tuple(error for reading in readings for error in reading.errors),
    )


def ground(text: str, mentions: Sequence[Mention], align: AlignConfig = GROUNDING) -> Alignment:
    """The mentions with their places in the passage; `unaligned` are those that do not occur in it."""
    return align_mentions(text, mentions, align)


def _agreed(samples: Sequence[Sequence[Mention]]) -> tuple[Mention, ...]:
    """The mentions of several samples, each only once, scored by the share of samples that name it."""
    votes = Counter(key for sample in samples for key in {(mention.text, mention.label) for mention in sample})
    first: dict[tuple[str, str], Mention] = {}
    for sample in samples:
        for mention in sample:
            first.setdefault((mention.text, mention.label), mention)
    return tuple(replace(mention, score=votes[key] / len(samples)) for key, mention in first.items())
