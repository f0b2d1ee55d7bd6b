"""The typed configuration of `ner-ray synth`: which texts, who annotates them, and what is made of the answers."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ner_ray import plugins
from ner_ray.config import (
    AlignConfig,
    DemonstrationsConfig,
    Engines,
    ResourceConfig,
    Section,
    fingerprint,
    operational,
)
from ner_ray.families import instruct
from ner_ray.synth.duplicates import THRESHOLD
from ner_ray.synth.dynamic import DynamicOptions
from ner_ray.synth.filters import FilterOptions
from ner_ray.synth.instances import InstanceOptions
from ner_ray.synth.teacher import GROUNDING, prompt_hash


class CorpusConfig(Section):
    """Where the raw texts are."""

    path: str | list[str] = operational(description="Parquet: file, folder, glob or list of them, on any store.")
    text: str = Field(default="text", description="The column with the text.")
    id: str | None = Field(default=None, description="The column with the document's id; else shard and row number.")
    source: str | None = Field(
        default=None, description="The column that says where a document comes from: passages are drawn evenly over it."
    )
    max_characters: int = Field(default=20_000_000, gt=0, description="Longer texts are left out, and counted.")


class PassageConfig(Section):
    """How documents become the passages that the teacher is asked about."""

    tokenizer: str = Field(
        default="words",
        description="Whose tokens are counted: `words` (words; characters of scripts without spaces), `tiktoken:NAME` "
        "(published for Sky-NER: tiktoken:o200k_base), else a model's folder or its id on a hub.",
    )
    tokens: int = Field(default=256, ge=8, description="The longest passage, in tokens.")
    separators: Literal["en", "zh"] = Field(default="en", description="At whose signs passages are cut.")
    min_characters: int = Field(default=1, ge=1, description="Shorter passages are left out, and counted.")
    languages: tuple[str, ...] = Field(
        default=(), description="Languages that are kept (ISO 639-1: en, zh, ...); none: passages are not judged."
    )
    duplicates: Literal["near", "exact", "keep"] = Field(
        default="near", description="What is left out: near and exact repetitions, exact ones only, nothing."
    )
    similarity: float = Field(
        default=THRESHOLD, gt=0, le=1, description="From which Jaccard similarity on passages are near duplicates."
    )
    count: int | None = Field(default=None, ge=1, description="Passages to draw; default: all that `rate` lets pass.")
    rate: float = Field(default=1.0, gt=0, le=1, description="The share of passages that are looked at at all.")
    spread: Literal["proportional", "even"] = Field(
        default="proportional", description="How `count` is divided among sources: by their size, or alike."
    )


class TeacherConfig(Section):
    """Who annotates the passages, and how it is asked."""

    question: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the family `instruct` (language, returns, template); the prompt is the annotation one.",
    )
    family: dict[str, Any] | None = Field(
        default=None,
        description="Ask for `labels` as another family does (`name`, and its options), instead of the open question: "
        "to teach one model what another one does.",
    )
    labels: str | list[Any] | dict[str, Any] = Field(
        default_factory=list, description="With `family`: the label set, or a file with one."
    )
    engine: Engines = Field(description="One engine for all roles of the family, or one per role.")
    rows_per_file: int = operational(
        1_000,
        ge=1,
        description="Passages whose answers are in one file, at least. A kill does not cost them: what a server "
        "has answered is written down at once (`engine.journal`).",
    )
    rows_per_wave: int = operational(100_000, ge=1, description="Passages that are committed together.")
    resources: ResourceConfig = Field(default_factory=ResourceConfig)
    max_error_rate: float = operational(
        0.05,
        ge=0,
        le=1,
        description="A run with a larger share of passages without a readable answer ends with status 3.",
    )

    @field_validator("question")
    @classmethod
    def _is_annotation(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Settled, so that the record of a run holds a template's words and not the name of its file."""
        return instruct.Options.model_validate({"prompt": "annotation", **value}).model_dump(mode="json")

    @property
    def asks(self) -> instruct.Options | None:
        """The open question; None where a family asks for labels."""
        return None if self.family else instruct.Options.model_validate(self.question)

    @property
    def name(self) -> str:
        """The model, or all models of all roles."""
        engines = self.engine.values() if isinstance(self.engine, dict) else [self.engine]
        return "+".join(dict.fromkeys(engine.adapter or engine.model for engine in engines))

    @property
    def prompt_hash(self) -> str:
        """What tells one way of asking from another."""
        asks = self.asks
        return prompt_hash(asks) if asks else fingerprint({"family": self.family, "labels": self.labels})


class TypeConfig(Section):
    """One name for each type."""

    unify: bool = Field(default=True, description="Join types that differ in case, width, blanks, or a plural.")
    synonyms: dict[str, str] = Field(default_factory=dict, description="Type -> the name to use instead.")


class OwnDemosConfig(DemonstrationsConfig):
    """Which other passages a row shows as examples; the index is made of the annotated passages themselves."""

    index: str = operational("", description="Made by the job; not to be given.")
    guard: Literal[True] = Field(default=True, description="A passage is never its own example.")


class FormConfig(InstanceOptions):
    """One form of the training data."""

    family: dict[str, Any] = Field(description="`name`, and the family's own options: its prompts and answers.")
    labels: str | list[Any] | dict[str, Any] | None = Field(
        default=None,
        description="A label set, a tree or a file with one, for all passages; default: a passage's own types and "
        "negative ones.",
    )
    dynamic: DynamicOptions | None = Field(
        default=None, description="DynamicNER's steps for a classifier's questions (family `cascade`); default: none."
    )
    demonstrations: OwnDemosConfig | None = Field(
        default=None, description="Other annotated passages to show in each row (RA-IT); default: none."
    )

    @field_validator("family", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_a_family(self) -> Self:
        name = self.family.get("name")
        if name not in plugins.names("families"):
            raise ValueError(f"no family {name!r}; known: {', '.join(plugins.names('families'))}")
        if self.dynamic and name != "cascade":
            raise ValueError("`dynamic` varies a classifier's questions, which only the family cascade has")
        return self


class SynthConfig(Section):
    """The configuration of `ner-ray synth`."""

    input: CorpusConfig
    passages: PassageConfig = Field(default_factory=PassageConfig)
    teacher: TeacherConfig
    filters: FilterOptions = Field(default_factory=FilterOptions)
    types: TypeConfig = Field(default_factory=TypeConfig)
    align: AlignConfig = GROUNDING
    forms: dict[str, FormConfig] = Field(
        default_factory=dict, description="Forms of training data, by the name of their folder."
    )
    layouts: tuple[Literal["llama_factory", "ms_swift"], ...] = Field(
        default=(), description="Files for these trainers, beside the Parquet."
    )
    output: str = operational(description="The directory of it all, on any store.")
    seed: int = Field(default=0, description="Of the draw of passages; each form has a seed of its own.")
