"""What every step does with transcripts: join the answers of several prompts, write the ideal one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ner_ray.families.base import Step
from ner_ray.types import Completion, Entity, ErrorRecord, Exchange, Prompt, Reading, StepInput, Transcript, Verdict

_SEVERITY = (Verdict.OK, Verdict.RECOVERED, Verdict.TRUNCATED, Verdict.UNPARSABLE)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The gravest of some verdicts; OK for none."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.OK)


def read_samples(transcript: Transcript, read_one: Callable[[Prompt, Completion], Reading]) -> list[Reading]:
    """One reading a sample, each of which joins that sample's answers to all prompts.

    Nothing asked gives one empty reading; nothing answered (an engine refused) gives none.
    """
    if not transcript:
        return [Reading(mentions=())]
    samples = max(len(exchange.completions) for exchange in transcript)
    return [
        _join(
            [
                read_one(exchange.prompt, exchange.completions[sample])
                for exchange in transcript
                if sample < len(exchange.completions)
            ]
        )
        for sample in range(samples)
    ]


def unparsable(role: str, completion: Completion) -> Reading:
    """The reading of an answer that says nothing we understand; its text is kept."""
    problem = ErrorRecord(code="unparsable", stage=role, message=completion.text)
    return Reading(mentions=(), verdict=Verdict.UNPARSABLE, errors=(problem,))


def settle(completion: Completion, *, cut: bool = False, recovered: bool = False) -> Verdict:
    """The verdict on an answer that could be read."""
    if cut or completion.finish_reason == "length":
        return Verdict.TRUNCATED
    return Verdict.RECOVERED if recovered else Verdict.OK


def play(step: Step, passage: StepInput, answer: Callable[[Prompt], str]) -> list[Exchange]:
    """The transcript of a step whose every prompt is answered by `answer`."""
    transcript: list[Exchange] = []
    while prompts := step.ask(passage, transcript):
        transcript.extend(Exchange(prompt, (Completion(answer(prompt)),)) for prompt in prompts)
    return transcript


def flat(gold: Sequence[Entity]) -> list[Entity]:
    """Gold without overlaps: of overlapping entities the one that starts first, of these the longest."""
    kept: list[Entity] = []
    for entity in sorted(gold, key=lambda one: (one.start, -one.end)):
        if not kept or entity.start >= kept[-1].end:
            kept.append(entity)
    return kept


def _join(readings: Sequence[Reading]) -> Reading:
    if len(readings) == 1:
        return readings[0]
    return Reading(
        mentions=tuple(mention for reading in readings for mention in reading.mentions),
        verdict=worst([reading.verdict for reading in readings]),
        dropped=tuple(mention for reading in readings for mention in reading.dropped),
        errors=tuple(problem for reading in readings for problem in reading.errors),
    )
