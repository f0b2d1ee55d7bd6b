"""The words of the project, in the order in which data flows through it.

    Document -> Chunk -> StepInput -> Prompt -> Completion -> Reading -> Alignment -> Findings -> Annotation

Frozen, slotted, few fields; behaviour lives in the functions of the other modules. Offsets are
half-open and count code points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How well an answer could be read."""

    OK = "ok"
    RECOVERED = "recovered"
    TRUNCATED = "truncated"
    UNPARSABLE = "unparsable"


class SpanStatus(StrEnum):
    """How a mention was found in the text, from the surest to the least sure.

    Attributes:
        EXACT: the same characters.
        NORMALIZED: the same but for case, width, white space, quotes, dashes and the like.
        INSIDE_WORD: a listed mention that occurs nowhere as a whole word, but verbatim inside a longer one.
        FUZZY: something similar.
    """

    EXACT = "exact"
    NORMALIZED = "normalized"
    INSIDE_WORD = "inside_word"
    FUZZY = "fuzzy"


class DocumentStatus(StrEnum):
    """Whether a document is wholly, partly or not at all annotated."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"


class LeftOutReason(StrEnum):
    """Why an answer cannot express a gold entity; a family may have further reasons of its own.

    Attributes:
        OVERLAPS: the format has no overlaps, and another entity takes the place.
        LABEL_NOT_IN_SET: nobody asks for its label.
        LABEL_CONFLICT: the format has one label per surface, and the same surface bears another one before.
        NOT_DELIMITABLE: written down it would be read as something else: its characters are those of the format.
        BLANK: it is nothing but white space.
    """

    OVERLAPS = "overlaps"
    LABEL_NOT_IN_SET = "label_not_in_set"
    LABEL_CONFLICT = "label_conflict"
    NOT_DELIMITABLE = "not_delimitable"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Label:
    """An entity type; `children` are its finer types, where labels form a tree."""

    name: str
    description: str = ""
    children: tuple[Label, ...] = ()


LabelSet = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One input row."""

    doc_id: str
    text: str
    labels: LabelSet


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a document: the model sees `start:end`, and entities that start in the core are kept.

    The cores of a document's chunks partition it, so a mention in an overlap is kept once.
    """

    start: int
    end: int
    core_start: int
    core_end: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A surface that a model named, with its label.

    Attributes:
        text: the surface, as the model wrote it.
        label: empty as long as no classifier has spoken.
        score: in [0, 1], or None where nothing is known.
        start: where it begins in the `Reading.copy` it was read from, or None for a listed mention.
        end: where it ends there, exclusive.
    """

    text: str
    label: str = ""
    score: float | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """A mention with its place: `text == source[start:end]`, always."""

    start: int
    end: int
    text: str
    label: str
    score: float | None = None
    status: SpanStatus = SpanStatus.EXACT


@dataclass(frozen=True, slots=True)
class Demonstration:
    """An annotated example that goes into a prompt.

    Attributes:
        text: the example.
        mentions: its entities; `start` and `end`, where known, are places in `text`.
        score: how near it is to the text it was retrieved for, on the retriever's own scale.
        example_id: its id in the pool.
    """

    text: str
    mentions: tuple[Mention, ...]
    score: float = 0.0
    example_id: str = ""


@dataclass(frozen=True, slots=True)
class StepInput:
    """What a step of a family sees: a chunk's text, and all that is known about it so far.

    Attributes:
        text: the chunk.
        labels: the label set.
        demonstrations: annotated examples for the prompt.
        entities: what the steps before have found, with offsets into `text`.
        core: the stretch of `text` that the chunk owns, half-open; None for all of it. Entities that start outside
            of it are a neighbouring chunk's.
    """

    text: str
    labels: LabelSet
    demonstrations: tuple[Demonstration, ...] = ()
    entities: tuple[Entity, ...] = ()
    core: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to an engine.

    Attributes:
        content: text that the model reads as it is (a BOS token is the engine's affair), or chat turns,
            which the engine renders with the model's own chat template.
        subject: what the answer is about, for the step that asked: a label, the number of an entity.
        choices: where given, the answer may be held to one of these.
        max_tokens: a bound on the answer that the step knows better than the configuration.
    """

    content: str | tuple[Message, ...]
    subject: str = ""
    choices: tuple[str, ...] = ()
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of an engine.

    Attributes:
        text: the answer, without special tokens.
        finish_reason: `stop`, or `length` where a limit cut the answer.
        token_ends: for each generated token, the offset in `text` at which it ends; empty where unknown.
        logprobs: natural logarithm of each generated token's probability, parallel to `token_ends`.
        prompt_tokens: tokens read (counted once for all samples of a prompt: on the first).
        cached_tokens: of these, how many the prefix cache held.
        output_tokens: tokens generated.
    """

    text: str
    finish_reason: str = "stop"
    token_ends: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def probability(self, start: int = 0, end: int | None = None) -> float | None:
        """The exponential of the mean log-probability of the tokens that touch `text[start:end]`; None if unknown."""
        stop = len(self.text) if end is None else end
        begins = (0, *self.token_ends)
        touched = [
            logprob
            for begin, finish, logprob in zip(begins, self.token_ends, self.logprobs, strict=False)
            if begin < stop and finish > start
        ]
        return math.exp(sum(touched) / len(touched)) if touched else None

    def joint_probability(self) -> float | None:
        """The probability of the whole answer, token by token, its end included; None if unknown.

        What counts for an answer out of a list: where only one continuation is left a token is certain, and the mean
        that `probability` takes would count that certainty as confidence in the choice.
        """
        return math.exp(sum(self.logprobs)) if self.logprobs else None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A gold entity that a step's answer cannot express, and a short, stable reason such as `overlaps`."""

    entity: Entity
    reason: str


@dataclass(frozen=True, slots=True)
class Targets:
    """What a perfect model would answer to a step's questions: training data.

    Attributes:
        exchanges: every prompt with its one right answer; reading them gives the gold back, but for `left_out`.
        left_out: the gold entities that the answers do not express.
    """

    exchanges: tuple[Exchange, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """Something that went wrong with one document, as data.

    Attributes:
        code: a short, stable word, such as `unparsable` or `prompt_too_long`.
        stage: the stage or the engine role at which it happened.
        message: for people.
    """

    code: str
    stage: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and its answers, one for each sample.

    Attributes:
        error: why there are no answers, where the engine refused the request.
    """

    prompt: Prompt
    completions: tuple[Completion, ...]
    error: ErrorRecord | None = None


Transcript = Sequence[Exchange]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a family's parser makes of one sample's answers to a passage.

    Attributes:
        mentions: what was named, in the order of the answer.
        verdict: how well the answers could be read.
        copy: for answers that repeat the text (tagged words, marks): the model's own copy of it, without
            tags or marks, into which the mentions' offsets point. None for listed mentions.
        dropped: mentions that were understood and refused: a label outside the set, no usable class.
        errors: what could not be read, each with the raw answer in its message.
    """

    mentions: tuple[Mention, ...]
    verdict: Verdict = Verdict.OK
    copy: str | None = None
    dropped: tuple[Mention, ...] = ()
    errors: tuple[ErrorRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Alignment:
    """Mentions put onto a text: entities with their place, and what could not be placed."""

    entities: tuple[Entity, ...]
    unaligned: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a document cost; adds."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """What the steps so far have found in one passage, with offsets into its text.

    Attributes:
        status: failed where a step has no sample that could be read, partial where one was cut or unreadable.
        verdicts: one for each sample that was read.
    """

    entities: tuple[Entity, ...] = ()
    unaligned: tuple[Mention, ...] = ()
    status: DocumentStatus = DocumentStatus.OK
    errors: tuple[ErrorRecord, ...] = ()
    usage: Usage = Usage()
    dropped: tuple[Mention, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Annotation:
    """All that is known about one document at the end, with offsets into its original text."""

    entities: tuple[Entity, ...]
    unaligned: tuple[Mention, ...] = ()
    status: DocumentStatus = DocumentStatus.OK
    errors: tuple[ErrorRecord, ...] = ()
    usage: Usage = Usage()
    dropped: tuple[Mention, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
