"""The types of the project, in the order in which data flows through it.

    Document -> Chunk -> StepInput -> Prompt -> Completion -> Reading -> Alignment -> Findings -> Annotation

All are frozen and slotted, with few fields; behaviour lives in the functions of other modules. Offsets are half-open
and count code points. GLOSSARY.md explains the same terms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How well an answer could be parsed.

    Attributes:
        OK: it follows the format.
        RECOVERED: it deviates from the format, but could still be understood.
        TRUNCATED: it was cut off; what is complete was parsed.
        UNPARSABLE: nothing in it could be understood.
    """

    OK = "ok"
    RECOVERED = "recovered"
    TRUNCATED = "truncated"
    UNPARSABLE = "unparsable"


class SpanStatus(StrEnum):
    """How a mention was found in the text, from the most to the least certain.

    Attributes:
        EXACT: the same characters.
        NORMALIZED: the same except for case, width, white space, quotes, dashes and the like.
        INSIDE_WORD: the same, but beginning or ending inside a longer word: what an answer lists is placed so only if
            it occurs nowhere as a whole word; what it marks in a copy of the text, wherever the marks are.
        FUZZY: something similar.

    >>> entities = Entity(0, 3, "Ann", "person"), Entity(8, 11, "REX", "person", status=SpanStatus.NORMALIZED)
    >>> [entity.text for entity in entities if entity.status == "exact"]
    ['Ann']
    """

    EXACT = "exact"
    NORMALIZED = "normalized"
    INSIDE_WORD = "inside_word"
    FUZZY = "fuzzy"


class DocumentStatus(StrEnum):
    """Whether a document is annotated completely, in part, or not at all.

    >>> [status.value for status in DocumentStatus]
    ['ok', 'partial', 'failed']
    >>> Annotation(entities=()).status is DocumentStatus.OK  # nothing to find is not a failure
    True
    """

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"


class LeftOutReason(StrEnum):
    """Why an answer cannot express a gold entity; a family may add reasons of its own.

    Attributes:
        OVERLAPS: the format has no overlapping entities, and it overlaps another one.
        LABEL_NOT_IN_SET: its label is not in the label set.
        LABEL_CONFLICT: the format has one label per surface, and the same surface has another label earlier on.
        NOT_DELIMITABLE: its text contains characters of the format and would be parsed as something else.
        BLANK: it consists of white space.
    """

    OVERLAPS = "overlaps"
    LABEL_NOT_IN_SET = "label_not_in_set"
    LABEL_CONFLICT = "label_conflict"
    NOT_DELIMITABLE = "not_delimitable"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Label:
    """An entity type; `children` are its subtypes if labels form a tree.

    >>> place = Label("place", children=(Label("city", "a town or city"), Label("river")))
    >>> [label.name for label in place.children]
    ['city', 'river']
    """

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

    The cores of a document's chunks partition it, so an entity in an overlap is kept once.

    >>> text = "Ann met Rex. They left."
    >>> first, second = Chunk(0, 18, core_start=0, core_end=15), Chunk(13, 23, core_start=15, core_end=23)
    >>> text[first.start : first.end], text[second.start : second.end]
    ('Ann met Rex. They ', 'They left.')
    """

    start: int
    end: int
    core_start: int
    core_end: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A piece of text that a model named, with its label.

    Attributes:
        text: the surface, as the model wrote it.
        label: empty until a classifier assigns one.
        score: in [0, 1], or None if unknown.
        start: offset in the `Reading.copy` from which it was parsed; None for a listed mention.
        end: end offset there, exclusive.

    >>> annotation = Annotation(entities=(), unaligned=(Mention("Max", "person"),))
    >>> [(mention.text, mention.label) for mention in annotation.unaligned]  # named by the model, not in the text
    [('Max', 'person')]
    """

    text: str
    label: str = ""
    score: float | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """A mention with its span: always, `text == source[start:end]`.

    >>> source = "Ann met Rex."
    >>> entity = Entity(start=8, end=11, text="Rex", label="person", score=0.97)
    >>> source[entity.start : entity.end] == entity.text
    True
    """

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
        text: the text of the example.
        mentions: its entities; `start` and `end`, where known, are offsets in `text`.
        score: its similarity to the text that it was retrieved for, on the retriever's own scale.
        example_id: its id in the pool.

    Give an `Annotator` your own instead of retrieved ones, as in `annotator(text, demonstrations=[example])`:

    >>> example = Demonstration("Eve lives in Oslo.", (Mention("Eve", "person"), Mention("Oslo", "place")))
    >>> {mention.text: mention.label for mention in example.mentions}
    {'Eve': 'person', 'Oslo': 'place'}
    """

    text: str
    mentions: tuple[Mention, ...]
    score: float = 0.0
    example_id: str = ""


@dataclass(frozen=True, slots=True)
class StepInput:
    """What a step of a family sees: a chunk's text, and everything known about it so far.

    Attributes:
        text: the chunk.
        labels: the label set.
        demonstrations: annotated examples for the prompt.
        entities: what earlier steps have found, with offsets into `text`.
        core: the span of `text` that the chunk owns, half-open; None for all of it. Entities that start outside it
            belong to a neighbouring chunk.
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
        content: text that the model reads as it is (the engine adds a BOS token where needed), or chat turns, which
            the engine renders with the model's own chat template.
        subject: what the answer is about, for the step that asked: a label, or the number of an entity.
        choices: if given, the answer may be constrained to one of these.
        max_tokens: maximum length of the answer, where the step knows better than the configuration.
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
        finish_reason: `stop`, or `length` if a limit cut the answer off.
        token_ends: for each generated token, the offset in `text` at which it ends; empty if unknown.
        logprobs: natural logarithm of each generated token's probability, parallel to `token_ends`.
        prompt_tokens: number of tokens read; counted once per prompt, in the first of its samples.
        cached_tokens: number of these that were in the prefix cache.
        output_tokens: number of tokens generated.
    """

    text: str
    finish_reason: str = "stop"
    token_ends: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def probability(self, start: int = 0, end: int | None = None) -> float | None:
        """The geometric mean of the probabilities of the tokens that touch `text[start:end]`; None if unknown.

        >>> round(Completion("Rex", token_ends=(1, 3), logprobs=(0.0, -1.0)).probability(), 3)
        0.607
        """
        stop = len(self.text) if end is None else end
        begins = (0, *self.token_ends)
        touched = [
            logprob
            for begin, finish, logprob in zip(begins, self.token_ends, self.logprobs, strict=False)
            if begin < stop and finish > start
        ]
        return math.exp(sum(touched) / len(touched)) if touched else None

    def joint_probability(self) -> float | None:
        """The probability of the whole answer, including its end: the product over its tokens; None if unknown.

        Use this for an answer chosen from a list: once only one continuation is left, tokens are certain, and the mean
        in `probability` would count that certainty as confidence in the choice.
        """
        return math.exp(sum(self.logprobs)) if self.logprobs else None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A gold entity that a step's answer cannot express, and why: a short, stable reason such as `overlaps`."""

    entity: Entity
    reason: str


@dataclass(frozen=True, slots=True)
class Targets:
    """What a perfect model would answer to a step's questions: training data.

    Attributes:
        exchanges: every prompt with its one correct answer; reading them yields the gold, except for `left_out`.
        left_out: the gold entities that the answers do not express.
    """

    exchanges: tuple[Exchange, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """An error of one document, as data.

    Attributes:
        code: a short, stable word, such as `unparsable` or `prompt_too_long` (see `errors.ErrorCode`).
        stage: the stage or the role in which it happened.
        message: for people.

    >>> error = ErrorRecord("unparsable", stage="extractor", message="I cannot help with that.")
    >>> annotation = Annotation(entities=(), status=DocumentStatus.FAILED, errors=(error,))
    >>> {error.code for error in annotation.errors}
    {'unparsable'}
    """

    code: str
    stage: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and its answers, one per sample.

    Attributes:
        error: why there are no answers, if the engine refused the request.
    """

    prompt: Prompt
    completions: tuple[Completion, ...]
    error: ErrorRecord | None = None


Transcript = Sequence[Exchange]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a family's parser makes of one sample's answers about a chunk.

    Attributes:
        mentions: in the order of the answer.
        verdict: how well the answers could be parsed.
        copy: for answers that repeat the text (tagged words, marks), the model's own copy of it without tags or marks,
            into which the mentions' offsets point. None for listed mentions.
        dropped: mentions that were parsed but refused: a label outside the label set, or no usable class.
        errors: what could not be parsed, each with the raw answer in its message.
        repairs: how an answer that is not of the expected form was read, as short, stable words:
            `syntax` (quotes, commas or brackets), `surroundings` (text around the list), `lists` (several joined),
            `draft` (a draft, an echo of the format or a repetition left out), `lines` (lines instead of a list),
            `words` ("there are none" in words), `shape` (records where strings were asked for), `fields` (a record
            under names of its own), `label` (written otherwise than in the set), `bio` (words tagged one by one, put
            together), `sides` (the label stood on the other side), `unclear` (nothing tells which side is the label),
            `untyped` (mentions without a label, in `dropped`), `prose` (sentences), `continuation` (what followed the
            answer left out), `tags` and `marks` (in a copy of the text, other than well-formed).
    """

    mentions: tuple[Mention, ...]
    verdict: Verdict = Verdict.OK
    copy: str | None = None
    dropped: tuple[Mention, ...] = ()
    errors: tuple[ErrorRecord, ...] = ()
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alignment:
    """Mentions aligned with a text: entities with their spans, and the mentions that were not found."""

    entities: tuple[Entity, ...]
    unaligned: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of a document or of one of its steps; can be added.

    Attributes:
        requests: number of prompts sent.
        prompt_tokens: number of tokens in them.
        cached_tokens: number of these that were in the prefix cache.
        output_tokens: number of tokens generated.

    >>> sum([Usage(requests=1, prompt_tokens=60, output_tokens=9), Usage(requests=2, prompt_tokens=90)], Usage())
    Usage(requests=3, prompt_tokens=150, cached_tokens=0, output_tokens=9)
    """

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
    """What the steps so far have found in one chunk, with offsets into its text.

    Attributes:
        status: failed if a step has no sample that could be parsed; partial if a sample was cut off or unparsable, or a
            request was refused.
        verdicts: one per sample that was read.
        repairs: how answers that are not of the expected form were read: each word of `Reading.repairs` once, sorted.
    """

    entities: tuple[Entity, ...] = ()
    unaligned: tuple[Mention, ...] = ()
    status: DocumentStatus = DocumentStatus.OK
    errors: tuple[ErrorRecord, ...] = ()
    usage: Usage = Usage()
    dropped: tuple[Mention, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Annotation:
    """Everything that is known about a document at the end, with offsets into its original text.

    Attributes:
        entities: what was found, in the order of the text.
        unaligned: mentions that the model named and that are not in the text.
        status: see `DocumentStatus`.
        errors: what went wrong, if anything.
        usage: what it cost.
        dropped: mentions that were understood and refused, such as those with a label outside the label set.
        verdicts: how well each answer could be parsed.
        repairs: how answers that are not of the expected form were read; see `Reading.repairs`.

    >>> annotation = Annotation((Entity(0, 3, "Ann", "person"), Entity(8, 11, "Rex", "person")))
    >>> [entity.text for entity in annotation.entities], annotation.status.value
    (['Ann', 'Rex'], 'ok')
    """

    entities: tuple[Entity, ...]
    unaligned: tuple[Mention, ...] = ()
    status: DocumentStatus = DocumentStatus.OK
    errors: tuple[ErrorRecord, ...] = ()
    usage: Usage = Usage()
    dropped: tuple[Mention, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    repairs: tuple[str, ...] = ()
