"""Any chat model: a prompt that asks for entities with their types, answered with a list of pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from ner_ray.config import Section
from ner_ray.families.base import FamilyOptions, Step
from ner_ray.families.toolkit.answers import read_answer
from ner_ray.families.toolkit.guide import Guide
from ner_ray.families.toolkit.labels import descriptions, names
from ner_ray.families.toolkit.targets import listed
from ner_ray.families.toolkit.template import placeholders, render, template
from ner_ray.families.toolkit.transcript import read_samples
from ner_ray.types import (
    Entity,
    Message,
    Prompt,
    Reading,
    StepInput,
    Targets,
    Transcript,
)

_PLACEHOLDERS = frozenset({"text", "labels", "descriptions"})


class UserTemplate(Section):
    """A user-defined prompt."""

    user: str = Field(
        description="The user turn. {text} is the text, {labels} the labels joined by commas, {descriptions} "
        "one line `label: description` per label that has one."
    )
    system: str = Field(default="", description="The system turn; empty: none. {labels} works here too.")

    @model_validator(mode="after")
    def _has_known_placeholders(self) -> Self:
        unknown = (placeholders(self.user) | placeholders(self.system)) - _PLACEHOLDERS
        if unknown or "text" not in placeholders(self.user):
            known = ", ".join(f"{{{name}}}" for name in sorted(_PLACEHOLDERS))
            found = ", ".join(f"{{{name}}}" for name in sorted(unknown)) or "no {text} in `user`"
            raise ValueError(f"a prompt template knows {known} and must hold {{text}} in `user`; found {found}")
        return self


class Options(FamilyOptions):
    """What to ask, and which form of answer to ask for; any form is understood."""

    prompt: Literal["evaluation", "annotation"] = Field(
        default="evaluation",
        description="evaluation: with the label set; annotation: open, the model chooses its own types.",
    )
    language: Literal["en", "zh"] = "en"
    returns: Literal["json", "tuples"] = Field(
        default="json",
        description="json: a list of one-key dictionaries; tuples: pairs (published for annotation only).",
    )
    template: UserTemplate | None = Field(
        default=None,
        description="Your own prompt: a YAML file with `user` and `system`, or a mapping with these keys.",
    )

    @field_validator("template", mode="before")
    @classmethod
    def _read_file(cls, value: object) -> object:
        """The content of the file, so that a run's record contains the prompt and workers need no file."""
        if not isinstance(value, str | Path):
            return value
        try:
            return yaml.safe_load(Path(value).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ValueError(f"cannot read the prompt template {str(value)!r}: {error}") from error

    @model_validator(mode="after")
    def _is_published(self) -> Self:
        if self.template is None and self.prompt == "evaluation" and self.returns == "tuples":
            raise ValueError("there is no published evaluation prompt that asks for tuples; use `returns: json`")
        return self


def steps(options: Options) -> tuple[Step, ...]:
    """One step, `tagger`."""
    return (_Tagger(options),)


@dataclass(frozen=True, slots=True)
class _Tagger:
    options: Options
    role: str = "tagger"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """One prompt; demonstrations are earlier turns of the chat."""
        if transcript or not passage.text.strip():
            return []
        system, user = self._templates()
        values = _values(passage)
        turns = [Message("system", render(system, **values))] if system else []
        for demonstration in passage.demonstrations:
            turns.append(Message("user", render(user, **{**values, "text": demonstration.text})))
            turns.append(
                Message("assistant", self._write([(mention.text, mention.label) for mention in demonstration.mentions]))
            )
        return [Prompt((*turns, Message("user", render(user, **values))))]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """The listed mentions. A mention's score is the probability of its entity and type.

        Without a label set, every type is kept as it is.
        """
        known = names(passage.labels)
        policy = self.options.outside_labels if known else "keep"
        guide = Guide(tuple(known), passage.text)
        return read_samples(
            transcript,
            lambda _, completion: read_answer(completion, guide, known, policy, self.role),
            text=passage.text,
            role=self.role,
        )

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """One pair per mention, in the order of the text; without a label set, with whatever label it has.

        A list cannot express which of several occurrences is meant.
        """
        labels = names(passage.labels) or {entity.label for entity in gold}
        return listed(
            self, passage, gold, labels, lambda _, kept: self._write([(entity.text, entity.label) for entity in kept])
        )

    def _templates(self) -> tuple[str, str]:
        if self.options.template is not None:
            return self.options.template.system, self.options.template.user
        language = self.options.language
        return (
            template("instruct", "system", language),
            template("instruct", self.options.prompt, language, self.options.returns),
        )

    def _write(self, items: Sequence[tuple[str, str]]) -> str:
        if self.options.returns == "json":
            return json.dumps([{entity: label} for entity, label in items], ensure_ascii=False)
        return "[" + ", ".join(f"({_quote(entity)}, {_quote(label)})" for entity, label in items) + "]"


def _values(passage: StepInput) -> dict[str, str]:
    described = descriptions(passage.labels)
    return {
        "text": passage.text,
        "labels": ", ".join(names(passage.labels)),
        "descriptions": "\n".join(f"{name}: {text}" for name, text in described.items()),
    }


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
