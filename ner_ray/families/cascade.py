"""CascadeNER: one model marks the entities in the sentence, another classifies them one by one.

Luo et al., "Deploying Large Language Models for generalized and fine-grained NER (CascadeNER / GEIC)", 2024.
The labels may form trees of any depth; the classifier is asked level by level.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field

from ner_ray.errors import ErrorCode
from ner_ray.families.base import ChoiceList, ChoiceQuestions, FamilyOptions, Step
from ner_ray.families.toolkit.labels import fold, leaves, nearest, same_name
from ner_ray.families.toolkit.marks import delimitable, mark, trim, unmark
from ner_ray.families.toolkit.targets import in_label_set, play, verified, without_overlaps
from ner_ray.families.toolkit.template import render, template
from ner_ray.families.toolkit.thoughts import answer_of
from ner_ray.families.toolkit.transcript import read_samples, settle, unparsable, worst
from ner_ray.text.sentences import spans
from ner_ray.types import (
    Completion,
    Entity,
    ErrorRecord,
    Exchange,
    Label,
    LabelSet,
    LeftOut,
    LeftOutReason,
    Mention,
    Message,
    Prompt,
    Reading,
    StepInput,
    Targets,
    Transcript,
    Verdict,
)

# The list in the template of the question.
_CHOICES = ChoiceList(before="list: ", between=", ", after="?")
# A copy that is less similar than this to its source (normalised indel similarity) does not count as a copy.
_LEAST_SIMILARITY = 0.5


class Options(FamilyOptions):
    """CascadeNER's options; the defaults are those of its published inference code."""

    system: str = Field(default=template("cascade", "system"), description="System turn of both roles; empty: none.")
    wording: Literal["infer", "infer_lower", "training"] = Field(
        default="infer",
        description="The classifier's question: infer, as published; infer_lower, an older version of it; "
        "training, as in the published training data.",
    )
    context: Literal["passage", "sentence"] = Field(
        default="passage",
        description="What the classifier's question quotes: the whole passage, or the sentence in which the entity "
        "first occurs, which takes far fewer tokens where a passage has several sentences.",
    )
    lower_labels: bool = Field(
        default=True, description="Show the classifier its list in lower case, as the published code does."
    )
    constrained: bool = Field(
        default=True, description="Constrain the classifier's answer to its list, if the engine supports it."
    )


def steps(options: Options) -> tuple[Step, ...]:
    """Two steps: `extractor`, `classifier`."""
    return (_Extractor(options), _Classifier(options))


def choice_questions(options: Mapping[str, Any]) -> ChoiceQuestions:
    """The classifier's questions as in the published training data, except where the options differ."""
    training = Options.model_validate({"wording": "training", **options})
    show = str.lower if training.lower_labels else str
    return ChoiceQuestions(_Classifier(training), training.system, show, _CHOICES)


@dataclass(frozen=True, slots=True)
class _Extractor:
    options: Options
    role: str = "extractor"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """The text alone. Demonstrations are ignored: the model was trained without them."""
        if transcript or not passage.text.strip():
            return []
        return [Prompt(_turns(self.options, passage.text))]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """The answer without its marks as `copy`, and the marked spans as mentions without a label.

        Of nested marks, only the outermost count. A mention's score is the probability of the marked span.
        """
        return read_samples(
            transcript,
            lambda _, completion: _read_marks(passage.text, completion, self.role),
            text=passage.text,
            role=self.role,
        )

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """The text with all its entities marked, whatever their labels.

        Marks cannot overlap, and cannot always delimit an entity next to a `#` in the text: such entities are left out.
        """
        kept, left_out = without_overlaps(gold)
        spans = {trim(passage.text, entity.start, entity.end): entity for entity in kept}
        marked = delimitable(passage.text, spans)
        lost = [entity for span, entity in spans.items() if span not in marked]
        left_out += [LeftOut(entity, LeftOutReason.NOT_DELIMITABLE) for entity in lost]
        return Targets(play(self, passage, lambda _: mark(passage.text, marked)), tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Classifier:
    options: Options
    role: str = "classifier"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """One question per distinct surface, then another for each surface whose answer has finer labels.

        `Prompt.subject` is the surface. In the transcript, its questions are in the order of the levels.
        """
        if not passage.labels:
            return []
        exchanges = _by_surface(passage, transcript)
        walks = {surface: self._walk(passage, found) for surface, found in exchanges.items()}
        return [
            self._question(passage, surface, walk)
            for surface, walk in walks.items()
            if walk.options and len(exchanges[surface]) == walk.depth and (walk.depth or not transcript)
        ]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """One reading: every entity of the passage, in its place, with the label given to its surface.

        The score is the entity's own score times the joint probability of the answers at all levels, as far as known.
        An answer outside the list costs only that entity: the entity is in `dropped`, the answer in `errors`.
        """
        walks = {surface: self._walk(passage, found) for surface, found in _by_surface(passage, transcript).items()}
        mentions: list[Mention] = []
        dropped: list[Mention] = []
        for entity in passage.entities:
            walk = walks[entity.text]
            mention = Mention(entity.text, walk.label, _product(entity.score, walk.score), entity.start, entity.end)
            (mentions if walk.done else dropped).append(mention)
        errors = tuple(ErrorRecord(walk.code, self.role, walk.raw) for walk in walks.values() if not walk.done)
        verdict = worst([walk.verdict for walk in walks.values()])
        repairs = ("label",) if any(walk.verdict is Verdict.RECOVERED for walk in walks.values()) else ()
        return [Reading(tuple(mentions), verdict, passage.text, tuple(dropped), errors, repairs)]

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """The correct answer at every level, for each distinct surface of the gold.

        A surface is asked about once: entities whose label differs from that of its first occurrence are left out.
        """
        paths = {label: path for path, label in leaves(passage.labels).items()}
        labelled, left_out = in_label_set(gold, paths)
        first = {entity.text: entity.label for entity in reversed(labelled)}
        kept = [entity for entity in labelled if entity.label == first[entity.text]]
        left_out += [
            LeftOut(entity, LeftOutReason.LABEL_CONFLICT) for entity in labelled if entity.label != first[entity.text]
        ]
        answers = {surface: paths[label] for surface, label in first.items()}
        return verified(
            lambda some: self._answered(replace(passage, entities=tuple(some)), answers),
            lambda exchanges: self.read(replace(passage, entities=tuple(kept)), exchanges),
            passage.text,
            (kept, left_out),
        )

    def _answered(self, passage: StepInput, answers: Mapping[str, Sequence[str]]) -> tuple[Exchange, ...]:
        """The transcript in which the answers lead every surface down its path."""
        levels: Counter[str] = Counter()

        def answer(prompt: Prompt) -> str:
            path = answers[prompt.subject][: levels[prompt.subject] + 1]
            levels[prompt.subject] += 1
            options = _below(passage.labels, path[:-1])
            return self._shown(options)[[label.name for label in options].index(path[-1])]

        return play(self, passage, answer)

    def _question(self, passage: StepInput, surface: str, walk: _Walk) -> Prompt:
        wording = self.options.wording
        places = [(entity.start, entity.end) for entity in passage.entities if entity.text == surface]
        begin, end = (
            _sentence(passage.text, *places[0]) if self.options.context == "sentence" else (0, len(passage.text))
        )
        shown = self._shown(walk.options)
        lower = wording == "infer_lower" or (wording == "infer" and walk.depth > 0)
        sentence = passage.text[begin:end]
        if wording == "training":
            sentence = mark(
                sentence, [(first - begin, last - begin) for first, last in places if begin <= first <= last <= end]
            )
        text = render(
            template("cascade", "question", wording),
            entity=surface.lower() if lower else surface,
            sentence=sentence,
            ordinal=_ordinal(walk.depth),
            labels=_CHOICES.between.join(shown),
        )
        return Prompt(_turns(self.options, text), subject=surface, choices=shown if self.options.constrained else ())

    def _walk(self, passage: StepInput, exchanges: Sequence[Exchange]) -> _Walk:
        walk = _Walk(options=passage.labels)
        names = leaves(passage.labels)
        for exchange in exchanges:
            walk = self._descend(walk, exchange, names, passage.text)
        return walk

    def _descend(self, walk: _Walk, exchange: Exchange, names: Mapping[tuple[str, ...], str], text: str) -> _Walk:
        """One level further down, by the majority of the samples; of tied answers, the first."""
        if not exchange.completions:
            return replace(walk, options=(), code=ErrorCode.UNANSWERED)
        answers = [answer_of(completion, text) for completion in exchange.completions]
        if all(answer.lost for answer in answers):
            raw = f"{answers[0].lost}: {exchange.completions[0].text}"
            return replace(walk, options=(), code=ErrorCode.TRUNCATED, raw=raw, verdict=Verdict.TRUNCATED)
        said = [
            (completion.text, answer.completion)
            for completion, answer in zip(exchange.completions, answers, strict=True)
            if not answer.lost
        ]
        nearest_wins = self.options.outside_labels == "nearest"
        found = [_match(completion, walk.options, nearest_wins=nearest_wins) for _, completion in said]
        votes = Counter(label for label, _ in found)
        (winner, count), *_ = votes.most_common(1)
        voters = [voter for voter, (label, _) in zip(said, found, strict=True) if label == winner]
        verdict = next(verdict for label, verdict in found if label == winner)
        if winner is None:
            return self._unknown(walk, *voters[0])
        probabilities = [completion.joint_probability() for _, completion in voters]
        known = [probability for probability in probabilities if probability is not None]
        share = count / len(found)
        sure = share * sum(known) / len(known) if known else (share if len(found) > 1 else None)
        path = (*walk.path, winner.name)
        return replace(
            walk,
            path=path,
            label=names.get(path, winner.name),
            options=winner.children,
            score=_product(walk.score, sure),
            verdict=worst([walk.verdict, verdict]),
            done=not winner.children,
        )

    def _unknown(self, walk: _Walk, raw: str, completion: Completion) -> _Walk:
        """The walk after an answer outside the list; `raw` is that answer with the thoughts before it."""
        answer = completion.text.strip()
        policy = self.options.outside_labels
        if policy == "keep" and answer:
            return replace(walk, options=(), label=answer, verdict=Verdict.RECOVERED, done=True)
        verdict = settle(completion, recovered=True)
        return replace(walk, options=(), code=ErrorCode.UNKNOWN_LABEL, raw=raw, verdict=verdict)

    def _shown(self, options: LabelSet) -> tuple[str, ...]:
        """The names in a list, in lower case if that is wanted and they remain distinct."""
        names = tuple(label.name for label in options)
        lower = tuple(name.lower() for name in names)
        return lower if self.options.lower_labels and len(set(lower)) == len(lower) else names


@dataclass(frozen=True, slots=True)
class _Walk:
    """How far down the label trees a surface has come.

    `options` are the labels to choose from next: empty at a leaf, and after an answer that is not among them.
    """

    options: LabelSet
    path: tuple[str, ...] = ()
    label: str = ""
    score: float | None = None
    verdict: Verdict = Verdict.OK
    done: bool = False
    code: str = ErrorCode.UNANSWERED
    raw: str = ""

    @property
    def depth(self) -> int:
        return len(self.path)


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of the sentence that contains `text[start:end]`, or of the sentences that it touches."""
    touched = [(first, last) for first, last in _sentences(text) if first < end and last > start]
    begin, stop = touched[0][0], touched[-1][1]
    return begin, begin + len(text[begin:stop].rstrip())


@lru_cache(1024)
def _sentences(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(spans(text))


def _turns(options: Options, text: str) -> tuple[Message, ...]:
    system = (Message("system", options.system),) if options.system else ()
    return (*system, Message("user", text))


def _read_marks(text: str, completion: Completion, role: str) -> Reading:
    copy, spans, clean = unmark(completion.text, text)
    if not spans and not _is_copy(copy, text):
        return unparsable(role, completion)
    mentions = tuple(
        Mention(
            text=copy[span.start : span.end],
            score=completion.probability(span.answer_start, span.answer_end),
            start=span.start,
            end=span.end,
        )
        for span in spans
    )
    return Reading(mentions, settle(completion, recovered=not clean), copy, repairs=() if clean else ("marks",))


def _is_copy(copy: str, text: str) -> bool:
    from rapidfuzz.distance import Indel

    if copy.strip() == text.strip() or text.startswith(copy.strip() or "\0"):
        return True
    return Indel.normalized_similarity(copy, text) >= _LEAST_SIMILARITY


def _below(options: LabelSet, path: Sequence[str]) -> LabelSet:
    """The labels to choose from after the choices along a path."""
    for name in path:
        options = next(label.children for label in options if label.name == name)
    return options


def _by_surface(passage: StepInput, transcript: Transcript) -> dict[str, list[Exchange]]:
    found: dict[str, list[Exchange]] = {entity.text: [] for entity in passage.entities}
    for exchange in transcript:
        if exchange.prompt.subject in found:
            found[exchange.prompt.subject].append(exchange)
    return found


def _match(completion: Completion, options: LabelSet, *, nearest_wins: bool) -> tuple[Label | None, Verdict]:
    """The label that an answer names, and how well the answer could be read.

    This is more tolerant than the published code: it accepts quotes, bullets, a full stop, and a sentence that contains
    exactly one of the labels.
    """
    answer = completion.text.strip()
    labels = {label.name: label for label in options}
    spelt = same_name(answer, labels)
    if spelt is not None:
        return labels[spelt], settle(completion)
    spelt = same_name(answer.strip("\"'`*-•.。,;:“”‘’「」 \n"), labels)
    if spelt is not None:
        return labels[spelt], settle(completion, recovered=True)
    by_name = {fold(label.name): label for label in reversed(options)}
    named = _named(fold(answer), by_name)
    if len(named) == 1:
        return by_name[named.pop()], settle(completion, recovered=True)
    if nearest_wins and answer:
        return by_name[nearest(answer, list(by_name))], settle(completion, recovered=True)
    return None, settle(completion, recovered=True)


def _named(answer: str, names: Mapping[str, Label]) -> set[str]:
    """The names that occur in an answer as whole words, except within a longer one."""
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)
    return set(re.findall(rf"(?<!\w)(?:{longest_first})(?!\w)", answer)) if longest_first else set()


def _ordinal(depth: int) -> str:
    ordinals = template("cascade", "ordinals").split()
    return ordinals[depth] if depth < len(ordinals) else f"{depth + 1}th"


def _product(*scores: float | None) -> float | None:
    known = [score for score in scores if score is not None]
    return math.prod(known) if known else None
