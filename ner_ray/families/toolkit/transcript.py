"""What every step does with a transcript: merge the answers to several prompts and decide on the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ner_ray.errors import ErrorCode
from ner_ray.families.toolkit.thoughts import answer_of
from ner_ray.types import Completion, ErrorRecord, Prompt, Reading, Transcript, Verdict

_SEVERITY = (Verdict.OK, Verdict.RECOVERED, Verdict.TRUNCATED, Verdict.UNPARSABLE)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The most severe of several verdicts; OK if there are none."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.OK)


def read_samples(
    transcript: Transcript, read_one: Callable[[Prompt, Completion], Reading], *, text: str = "", role: str = "tagger"
) -> list[Reading]:
    """One reading per sample, each of which merges that sample's answers to all prompts.

    If nothing was asked, there is one empty reading; if nothing was answered (an engine refused), there is none. A
    reasoning model's thoughts are removed first, for every family; if nothing else remains, the reading is empty and
    `truncated`, and its error says why.

    Args:
        transcript: the prompts and their answers.
        read_one: reads one answer, which is free of thoughts.
        text: the passage that was asked about; thought marks that occur in it are text.
        role: the step's role, for errors.
    """
    if not transcript:
        return [Reading(mentions=())]
    samples = max(len(exchange.completions) for exchange in transcript)
    return [
        _join(
            [
                _read(exchange.prompt, exchange.completions[sample], read_one, text, role)
                for exchange in transcript
                if sample < len(exchange.completions)
            ]
        )
        for sample in range(samples)
    ]


def cut_short(role: str, completion: Completion, why: str = "") -> Reading:
    """The reading of an answer that ended before it named an entity; the error gives the reason and the answer."""
    message = f"{why}: {completion.text}" if why else completion.text
    problem = ErrorRecord(code=ErrorCode.TRUNCATED, stage=role, message=message)
    return Reading(mentions=(), verdict=Verdict.TRUNCATED, errors=(problem,))


def unparsable(role: str, completion: Completion) -> Reading:
    """The reading of an answer that we cannot interpret; its text is kept."""
    problem = ErrorRecord(code=ErrorCode.UNPARSABLE, stage=role, message=completion.text)
    return Reading(mentions=(), verdict=Verdict.UNPARSABLE, errors=(problem,))


def settle(completion: Completion, *, cut: bool = False, recovered: bool = False) -> Verdict:
    """The verdict on an answer that could be read."""
    if cut or completion.finish_reason == "length":
        return Verdict.TRUNCATED
    return Verdict.RECOVERED if recovered else Verdict.OK


def _read(
    prompt: Prompt, completion: Completion, read_one: Callable[[Prompt, Completion], Reading], text: str, role: str
) -> Reading:
    answer = answer_of(completion, text)
    if answer.lost:
        return cut_short(role, completion, answer.lost)
    reading = read_one(prompt, answer.completion)
    if answer.ran_on:
        repairs = tuple(sorted({*reading.repairs, "continuation"}))
        reading = replace(reading, verdict=worst([reading.verdict, Verdict.RECOVERED]), repairs=repairs)
    if answer.completion is completion or not reading.errors:
        return reading
    # An error contains the raw answer, including thoughts.
    return replace(reading, errors=tuple(replace(problem, message=completion.text) for problem in reading.errors))


def _join(readings: Sequence[Reading]) -> Reading:
    if len(readings) == 1:
        return readings[0]
    return Reading(
        mentions=tuple(mention for reading in readings for mention in reading.mentions),
        verdict=worst([reading.verdict for reading in readings]),
        dropped=tuple(mention for reading in readings for mention in reading.dropped),
        errors=tuple(problem for reading in readings for problem in reading.errors),
        repairs=tuple(sorted({repair for reading in readings for repair in reading.repairs})),
    )
