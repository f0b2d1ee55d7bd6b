"""UniversalNER: a conversation about the text, one query per label, answered with a JSON list.

Zhou et al., "UniversalNER: Targeted Distillation from Large Language Models for Open Named Entity
Recognition", 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ner_ray.families.base import FamilyOptions, Step
from ner_ray.families.toolkit.labels import descriptions, names
from ner_ray.families.toolkit.queries import read_queries, write_answer
from ner_ray.families.toolkit.targets import listed
from ner_ray.families.toolkit.template import render, template, wrap
from ner_ray.types import Entity, Message, Prompt, Reading, StepInput, Targets, Transcript


class Options(FamilyOptions):
    """UniversalNER's options; the defaults are those of its published inference code.

    `outside_labels` has no effect: a mention has the label that its prompt asked for.
    """

    wrapper: Literal["vicuna", "chat"] = Field(
        default="vicuna",
        description="vicuna: USER: ... ASSISTANT: ..., as released; chat: turns in the model's template.",
    )
    system: Literal["text", "paragraph"] = Field(
        default="text",
        description="The last word of the system turn: `text` as at inference, `paragraph` as in training.",
    )
    dataset: str = Field(
        default="", description="The name on the `Dataset:` line, for the supervised checkpoints; empty: no such line."
    )
    definitions: bool = Field(
        default=False,
        description="Ask with a label's description, if it has one, as UniNER-7B-definition expects.",
    )


def steps(options: Options) -> tuple[Step, ...]:
    """One step, `tagger`."""
    return (_Tagger(options),)


@dataclass(frozen=True, slots=True)
class _Tagger:
    options: Options
    role: str = "tagger"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """One prompt per label. They differ only at the end, so prefix caching computes the text once.

        Demonstrations are ignored: the model was trained without them.
        """
        if transcript or not passage.text.strip():
            return []
        defined = descriptions(passage.labels) if self.options.definitions else {}
        return [Prompt(self._content(passage, defined.get(name, name)), subject=name) for name in names(passage.labels)]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """The listed mentions, label by label."""
        return read_queries(passage, transcript, self.role)

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """One list per label, one item per mention, in the order of the text.

        A list cannot express which of several occurrences is meant.
        """
        return listed(self, passage, gold, names(passage.labels), write_answer)

    def _content(self, passage: StepInput, asked: str) -> str | tuple[Message, ...]:
        dataset = self.options.dataset
        text = template("universal_ner", "passage_of_dataset" if dataset else "passage")
        turns = (
            Message("system", template("universal_ner", "system", self.options.system)),
            Message("user", render(text, dataset=dataset, text=passage.text)),
            Message("assistant", template("universal_ner", "acknowledgement")),
            Message("user", render(template("universal_ner", "query"), type=asked)),
        )
        return turns if self.options.wrapper == "chat" else wrap("universal_ner", self.options.wrapper, turns)
