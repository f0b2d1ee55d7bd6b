"""A family of another distribution: the model copies the text with marks such as `<person>Ann</person>`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from ner_ray.families.base import FamilyOptions, Step
from ner_ray.families.toolkit.labels import names, resolve
from ner_ray.families.toolkit.targets import in_label_set, play, verified, without_overlaps
from ner_ray.families.toolkit.template import render
from ner_ray.families.toolkit.transcript import read_samples, settle
from ner_ray.types import Completion, Entity, Mention, Message, Prompt, Reading, StepInput, Targets, Transcript

_TEXT = r"(?P<text>[^<>]*[^<>\s][^<>]*)"


class Options(FamilyOptions):
    """The question."""

    question: str = Field(default="Mark all {labels} in: {text}", description="With {labels} and {text}.")


def steps(options: Options) -> tuple[Step, ...]:
    return (Angle(options),)


@dataclass(frozen=True, slots=True)
class Angle:
    options: Options
    role: str = "tagger"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        if transcript or not passage.text.strip():
            return []
        question = render(self.options.question, labels=", ".join(names(passage.labels)), text=passage.text)
        return [Prompt((Message("user", question),))]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        known = names(passage.labels)
        return read_samples(transcript, lambda _, completion: self._read(completion, known), text=passage.text)

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        asked, unasked = in_label_set(gold, names(passage.labels))
        kept, overlapping = without_overlaps(asked)
        return verified(
            lambda some: play(self, passage, lambda _: _marked(passage.text, some)),
            lambda exchanges: self.read(passage, exchanges),
            passage.text,
            (kept, unasked + overlapping),
        )

    def _read(self, completion: Completion, known: Mapping[str, str]) -> Reading:
        copy = ""
        end = 0
        mentions: list[Mention] = []
        dropped: list[Mention] = []
        for match in _marks(known).finditer(completion.text):
            copy += completion.text[end : match.start()]
            score = completion.probability(match.start(), match.end())
            label = resolve(match["label"], known, self.options.outside_labels).label
            place = len(copy), len(copy) + len(match["text"])
            mention = Mention(match["text"], match["label"] if label is None else label, score, *place)
            (dropped if label is None else mentions).append(mention)
            copy += match["text"]
            end = match.end()
        return Reading(tuple(mentions), settle(completion), copy + completion.text[end:], tuple(dropped))


def _marks(known: Iterable[str]) -> re.Pattern[str]:
    """Marks with a label of the set, whatever its characters, or with any other."""
    return re.compile(rf"<(?P<label>{'|'.join(map(re.escape, known))}|[^<>/]+)>{_TEXT}</(?P=label)>")


def _marked(text: str, entities: Sequence[Entity]) -> str:
    """The text with marks around entities that are in order and do not overlap."""
    parts = []
    end = 0
    for entity in entities:
        parts += [text[end : entity.start], f"<{entity.label}>{text[entity.start : entity.end]}</{entity.label}>"]
        end = entity.end
    return "".join([*parts, text[end:]])
