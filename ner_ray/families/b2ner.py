"""B2NER: one prompt, answered with `label: entity; label: entity`.

Yang et al., "Beyond Boundaries: Learning a Universal Entity Taxonomy across Datasets and Languages for Open
Named Entity Recognition", 2024.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from pydantic import Field, model_validator

from ner_ray.families.base import FamilyOptions, LabelPolicy, Step
from ner_ray.families.toolkit.answers import list_entities, to_reading
from ner_ray.families.toolkit.guide import Guide
from ner_ray.families.toolkit.labels import descriptions, fold, outputs, resolve
from ner_ray.families.toolkit.targets import listed
from ner_ray.families.toolkit.template import render, template
from ner_ray.families.toolkit.transcript import read_samples, settle, unparsable
from ner_ray.types import (
    Completion,
    Demonstration,
    Entity,
    Mention,
    Message,
    Prompt,
    Reading,
    StepInput,
    Targets,
    Transcript,
)

_NOTHING = " None"
_SEPARATOR = re.compile(r"[;；\n]")
# A label does not contain more colons than this.
_MOST_COLONS = 8
_COLON = re.compile(r"[:：]")
_LEAD = re.compile(r"\s*(?:(?:[-*•]|\d{1,3}[.)]|Answer:|答案[:：]|Antwort:|Antwoord:|Respuesta:)\s+)?")
# The languages whose released templates have placeholders for descriptions and examples.
_FULL_LANGUAGES = ("en", "zh")


class Options(FamilyOptions):
    """B2NER's options; the defaults are those of the released checkpoints."""

    language: Literal["en", "zh", "de", "nl", "es"] = "en"
    wrapper: Literal["raw", "chat"] = Field(
        default="raw",
        description="raw: no chat template, as released; chat: one turn in the model's own template.",
    )
    descriptions: bool = Field(default=False, description="Include label descriptions (English and Chinese only).")
    max_labels: int = Field(
        default=18,
        ge=1,
        description="Maximum number of labels per prompt, as in training; larger sets are split evenly over several.",
    )

    @model_validator(mode="after")
    def _has_template(self) -> Self:
        if self.descriptions and self.language not in _FULL_LANGUAGES:
            raise ValueError(f"B2NER has templates with descriptions for en and zh only, not {self.language!r}")
        return self


def steps(options: Options) -> tuple[Step, ...]:
    """One step, `tagger`."""
    return (_Tagger(options),)


@dataclass(frozen=True, slots=True)
class _Tagger:
    options: Options
    role: str = "tagger"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """One prompt per group of up to `max_labels` labels; `Prompt.subject` is the group's number.

        Demonstrations are shown where the language has a template for them (en, zh), instead of descriptions; other
        languages ignore them.
        """
        if transcript or not passage.text.strip():
            return []
        groups = _split(list(outputs(passage.labels)), self.options.max_labels)
        return [Prompt(self._content(passage, group), subject=str(number)) for number, group in enumerate(groups)]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """The listed mentions of all prompts. A mention's score is the probability of its label and text."""
        known = outputs(passage.labels)
        return read_samples(
            transcript,
            lambda _, completion: _read(passage.text, completion, known, self.options.outside_labels, self.role),
            text=passage.text,
            role=self.role,
        )

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """`label: entity` for every mention, in the order of the text.

        The format cannot express which of several occurrences is meant, nor an entity that looks like its own
        separators (`;`, a line break, a `:` after one of them).
        """
        known = outputs(passage.labels)
        names = {label: path for path, label in known.items()}
        groups = _split(list(known), self.options.max_labels)

        def answer(prompt: Prompt, kept: Sequence[Entity]) -> str:
            group = groups[int(prompt.subject)]
            items = ((names[entity.label], entity.text) for entity in kept)
            return _write([item for item in items if item[0] in group])

        return listed(self, passage, gold, names, answer)

    def _content(self, passage: StepInput, group: Sequence[str]) -> str | tuple[Message, ...]:
        language = self.options.language
        few_shot = bool(passage.demonstrations) and language in _FULL_LANGUAGES
        described = self.options.descriptions and not few_shot
        kind = "few_shot" if few_shot else "described" if described else "zero_shot"
        text = render(
            template("b2ner", kind, language),
            labels=", ".join(group),
            descriptions=self._descriptions(passage, group) if described else "",
            examples=self._examples(passage, group) if few_shot else "",
            text=passage.text,
        ) + template("b2ner", "answer", language)
        return (Message("user", text),) if self.options.wrapper == "chat" else text

    def _descriptions(self, passage: StepInput, group: Sequence[str]) -> str:
        known, described = outputs(passage.labels), descriptions(passage.labels)
        line = template("b2ner", "description", self.options.language)
        return "; ".join(
            render(line, label=path, description=described[known[path]]) for path in group if known[path] in described
        )

    def _examples(self, passage: StepInput, group: Sequence[str]) -> str:
        """The demonstrations, without mentions whose label belongs to another prompt about this passage."""
        names = {label: path for path, label in outputs(passage.labels).items()}
        others = set(names.values()) - set(group)

        def entities(one: Demonstration) -> str:
            items = [(names.get(mention.label, mention.label), mention.text) for mention in one.mentions]
            return _write([item for item in items if item[0] not in others])

        line = template("b2ner", "example", self.options.language)
        prefix = template("b2ner", "answer", self.options.language)
        return "".join(
            render(line, text=demonstration.text, answer=prefix, entities=entities(demonstration))
            for demonstration in passage.demonstrations
        )


@dataclass(frozen=True, slots=True)
class _Item:
    """A label and an entity of an answer: the item is `start:end`, the entity `entity:end`."""

    label: str
    start: int
    entity: int
    end: int


def _split(names: Sequence[str], size: int) -> list[Sequence[str]]:
    """The names in order, in as few groups of at most `size` as possible, of sizes as equal as possible."""
    count = -(-len(names) // size)
    bounds = [len(names) * number // max(count, 1) for number in range(count + 1)]
    return [names[begin:end] for begin, end in itertools.pairwise(bounds)]


def _write(items: Sequence[tuple[str, str]]) -> str:
    return " " + "; ".join(f"{label}: {entity}" for label, entity in items) if items else _NOTHING


def _read(text: str, completion: Completion, known: Mapping[str, str], policy: LabelPolicy, role: str) -> Reading:
    """Reads an answer as `label: entity; ...`, or in whichever dialect yields more entities of the passage."""
    answer = completion.text
    cut = completion.finish_reason == "length"
    if fold(answer).rstrip(".。") in ("none", "无"):
        repairs = () if answer.strip() == _NOTHING.strip() else ("words",)
        return Reading((), settle(completion, recovered=bool(repairs)), repairs=repairs)
    guide = Guide(tuple(known), text)
    items, odd = _items(answer, guide, cut=cut)
    own = _placeable(((item.label, answer[item.entity : item.end]) for item in items), guide)
    if odd or own < len(items) or not items:
        listed = list_entities(answer, guide, cut=cut)
        named = ((item.label.value if item.label else "", item.entity.value) for item in listed.items)
        if listed.understood and (_placeable(named, guide) > own or not (own or listed.items)):
            return to_reading(listed, completion, guide, known, policy)
    if not items and not (cut and answer.strip()):
        return unparsable(role, completion)
    return _reading(items, completion, guide, known, policy, odd=odd)


def _placeable(named: Iterable[tuple[str, str]], guide: Guide) -> int:
    """The number of named entities that occur in the passage and have a label of the set."""
    return sum(guide.has(entity) and guide.label(label) is not None for label, entity in named)


def _reading(
    items: Sequence[_Item],
    completion: Completion,
    guide: Guide,
    known: Mapping[str, str],
    policy: LabelPolicy,
    *,
    odd: bool,
) -> Reading:
    mentions: list[Mention] = []
    dropped: list[Mention] = []
    repairs = {"lines"} if odd else set()
    for item in items:
        entity = completion.text[item.entity : item.end]
        if guide.is_nothing(entity):
            repairs.add("words")
            continue
        resolved = resolve(guide.label(item.label) or item.label, known, policy)
        repairs |= set() if resolved.exact and item.label in known else {"label"}
        label = item.label if resolved.label is None else resolved.label
        score = completion.probability(item.start, item.end)
        (dropped if resolved.label is None else mentions).append(Mention(entity, label, score))
    verdict = settle(completion, recovered=bool(repairs))
    return Reading(tuple(mentions), verdict, dropped=tuple(dropped), repairs=tuple(sorted(repairs)))


def _items(answer: str, guide: Guide, *, cut: bool) -> tuple[list[_Item], bool]:
    """The complete items of an answer, and whether anything had to be repaired.

    Repairs are: items on separate lines, full-width punctuation, bullets, a repeated answer prefix, an entity that
    contains a semicolon, and several entities after one label if each of them occurs in the text, but not all of them
    together.
    """
    pieces = list(_pieces(answer))
    odd = "\n" in answer.strip() or re.search("[；：]", answer) is not None
    if cut:
        pieces = pieces[:-1]
    items: list[_Item] = []
    for start, end, repaired in pieces:
        label, entity = _label(answer, start, end, guide)
        odd |= repaired or not label
        if label and answer[entity:end].strip("*_` "):
            parts = list(_entities(answer, entity, end, guide.text))
            odd |= len(parts) > 1
            items += [_Item(label, start, begin, stop) for begin, stop in parts]
        elif not label and items and answer[items[-1].entity : end] in guide.text:
            items[-1] = replace(items[-1], end=end)
    return items, odd


def _pieces(answer: str) -> Iterator[tuple[int, int, bool]]:
    """The text between separators, without white space, bullets and answer prefixes."""
    begin = 0
    for end in [*(match.start() for match in _SEPARATOR.finditer(answer)), len(answer)]:
        piece = answer[begin:end]
        lead = _LEAD.match(piece)
        start = begin + (lead.end() if lead else 0)
        stripped = answer[start:end].rstrip()
        if stripped:
            yield start, start + len(stripped), bool(lead and lead[0].strip())
        begin = end + 1


def _label(answer: str, start: int, end: int, guide: Guide) -> tuple[str, int]:
    """The label of a piece and where its entity begins; the label is empty if the piece has none.

    A label of the set may contain colons; any other label ends at the first colon.
    """
    piece = answer[start:end]
    colons = [match.start() for match in itertools.islice(_COLON.finditer(piece), _MOST_COLONS)]
    ends = [colon for colon in colons if guide.label(piece[:colon])][-1:] or colons[:1]
    if not ends or not piece[: ends[0]].strip():
        return "", start
    behind = piece[ends[0] + 1 :]
    return piece[: ends[0]].strip(), end - len(behind.lstrip())


def _entities(answer: str, begin: int, end: int, text: str) -> Iterator[tuple[int, int]]:
    whole = answer[begin:end]
    parts = [match.span() for match in re.finditer(r"[^,，、]+", whole)]
    spans = [(begin + start, begin + stop) for start, stop in parts if whole[start:stop].strip()]
    trimmed = [_trim(answer, *span) for span in spans]
    if whole in text or len(trimmed) < 2 or not all(answer[start:stop] in text for start, stop in trimmed):
        yield begin, end
    else:
        yield from trimmed


def _trim(answer: str, begin: int, end: int) -> tuple[int, int]:
    piece = answer[begin:end]
    return end - len(piece.lstrip()), begin + len(piece.rstrip())
