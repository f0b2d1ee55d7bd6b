"""RA-IT: UniversalNER's conversation, preceded by retrieved demonstrations, in English and Chinese.

Xie et al., "Retrieval Augmented Instruction Tuning for Open NER with Large Language Models", 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ner_ray.families.base import FamilyOptions, Step
from ner_ray.families.toolkit.labels import names
from ner_ray.families.toolkit.queries import read_queries, write_answer
from ner_ray.families.toolkit.targets import listed
from ner_ray.families.toolkit.template import render, template, wrap
from ner_ray.types import (
    Demonstration,
    Entity,
    Message,
    Prompt,
    Reading,
    StepInput,
    Targets,
    Transcript,
)


class Options(FamilyOptions):
    """RA-IT's options; the defaults are those of RA-IT-NER-8B. For RA-IT-NER-zh-7B, use `zh` and `qwen`.

    `outside_labels` has no effect: a mention has the label that its prompt asked for.
    """

    language: Literal["en", "zh"] = "en"
    wrapper: Literal["llama-3", "qwen", "chat"] = Field(
        default="llama-3",
        description="llama-3 and qwen as released; chat: turns in the model's own template.",
    )
    wording: Literal["training", "generator", "serve"] = Field(
        default="training",
        description="training: as the checkpoints were tuned and evaluated; generator: as in the published data "
        "generator (differs in English); serve: as in the published demo.",
    )
    system: str | None = Field(
        default=None,
        description="System turn; null: the released one for this wrapper and wording; empty: none.",
    )
    dataset: str = Field(default="", description="The name on the `Dataset:` line; empty: no such line.")


def steps(options: Options) -> tuple[Step, ...]:
    """One step, `tagger`."""
    return (_Tagger(options),)


@dataclass(frozen=True, slots=True)
class _Tagger:
    options: Options
    role: str = "tagger"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """One prompt per label. They differ only at the end, so prefix caching computes the rest once."""
        if transcript or not passage.text.strip():
            return []
        return [Prompt(self._content(passage, name), subject=name) for name in names(passage.labels)]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """The listed mentions, label by label."""
        return read_queries(passage, transcript, self.role)

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """One list per label, one item per mention, in the order of the text.

        A list cannot express which of several occurrences is meant. Unlike the published generator, this writes JSON:
        quotes within an entity are escaped.
        """
        return listed(self, passage, gold, names(passage.labels), write_answer)

    def _content(self, passage: StepInput, asked: str) -> str | tuple[Message, ...]:
        dataset = self.options.dataset
        turns = [
            *self._opening(passage.demonstrations),
            Message(
                "user",
                self._say("passage_of_dataset" if dataset else "passage", dataset=dataset, text=passage.text),
            ),
            Message("assistant", self._say("acknowledgement")),
            Message("user", self._say("query", type=asked)),
        ]
        return tuple(turns) if self.options.wrapper == "chat" else wrap("ra_it", self.options.wrapper, turns)

    def _opening(self, demonstrations: Sequence[Demonstration]) -> list[Message]:
        turns = []
        if system := self._system():
            turns.append(Message("system", system))
        if demonstrations:
            examples = "\n".join(
                self._say("example", text=demonstration.text, entities=_entities(demonstration))
                for demonstration in demonstrations
            )
            turns.append(Message("user", self._say("examples", examples=examples)))
            turns.append(Message("assistant", self._say("examples_acknowledgement")))
        return turns

    def _system(self) -> str:
        if self.options.system is not None:
            return self.options.system
        if self.options.wording == "serve":
            return template("ra_it", "system", "serve")
        return template("ra_it", "system", "training", self.options.wrapper)

    def _say(self, key: str, **values: str) -> str:
        return render(template("ra_it", self.options.wording, self.options.language, key), **values)


def _entities(demonstration: Demonstration) -> str:
    """The mentions of all types, written as in the released data: in Python's notation for a list of dictionaries."""
    return repr([{mention.text: mention.label} for mention in demonstration.mentions])
