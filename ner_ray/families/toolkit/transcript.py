"""What every step does with a transcript: join the answers of several prompts, settle the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ner_ray.errors import ErrorCode
from ner_ray.types import Completion, ErrorRecord, Prompt, Reading, Transcript, Verdict

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
    problem = ErrorRecord(code=ErrorCode.UNPARSABLE, stage=role, message=completion.text)
    return Reading(mentions=(), verdict=Verdict.UNPARSABLE, errors=(problem,))


def settle(completion: Completion, *, cut: bool = False, recovered: bool = False) -> Verdict:
    """The verdict on an answer that could be read."""
    if cut or completion.finish_reason == "length":
        return Verdict.TRUNCATED
    return Verdict.RECOVERED if recovered else Verdict.OK


def _join(readings: Sequence[Reading]) -> Reading:
    if len(readings) == 1:
        return readings[0]
    return Reading(
        mentions=tuple(mention for reading in readings for mention in reading.mentions),
        verdict=worst([reading.verdict for reading in readings]),
        dropped=tuple(mention for reading in readings for mention in reading.dropped),
        errors=tuple(problem for reading in readings for problem in reading.errors),
    )
