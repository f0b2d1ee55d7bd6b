"""The typed configuration of `ner-ray synth`: which texts, who annotates them, and what the answers become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

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
from ner_ray.families.base import ChoiceModule, load
from ner_ray.synth.duplicates import THRESHOLD
from ner_ray.synth.teacher import GROUNDING, prompt_hash

PUBLISHED_FILTERS = ("duplicate", "length", "in_text", "type", "brackets")
"""Sky-NER's rules, in the published order; see `ner_ray.synth.filters`."""

PUBLISHED_TYPES = frozenset(
    {"实体", "实体类别", "其他", "无", "无类别", "未定义", "entity_type", "entity typeentity"}
    | {"else", "none", "na", "misc"}
)
"""Types without meaning, as Sky-NER's code has them."""

MEANINGLESS_TYPES = PUBLISHED_TYPES - {"entity typeentity"} | {
    *("", "entity", "entity type", "entities", "other", "others", "miscellaneous", "n/a", "null", "unknown", "type"),
    *("实体类型", "其它", "未知", "类别", "类型"),
}
"""The same list as it was intended, with closely related types."""

FilterName = Literal["agreement", "brackets", "duplicate", "in_text", "length", "normalize", "repetition", "type"]
StepName = Literal["merge", "synonyms", "reduce", "special"]


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Family = Annotated[dict[str, Any], BeforeValidator(_named)]
"""A family's name, or a section with its `name` and options."""


class CorpusConfig(Section):
    """Where the raw texts are."""

    path: str | list[str] = operational(description="Parquet: file, folder, glob or list of them, on any store.")
    text: str = Field(default="text", description="The column with the text.")
    id: str | None = Field(
        default=None, description="The column with the document id; default: the shard's name and the row number."
    )
    source: str | None = Field(
        default=None, description="The column that names a document's source; `passages.spread` draws by it."
    )
    max_characters: int = Field(default=20_000_000, gt=0, description="Longer texts are left out and counted.")


class PassageConfig(Section):
    """How documents become the passages that the teacher is asked about."""

    tokenizer: str = Field(
        default="words",
        description="What counts tokens: `words` (words; characters in scripts without spaces), `tiktoken:NAME` "
        "(published for Sky-NER: tiktoken:o200k_base), or a model's folder or hub:ORGANIZATION/NAME.",
    )
    tokens: int = Field(default=256, ge=8, description="Maximum length of a passage, in tokens.")
    separators: Literal["en", "zh"] = Field(default="en", description="Whose punctuation passages are cut at.")
    min_characters: int = Field(default=1, ge=1, description="Shorter passages are left out and counted.")
    languages: tuple[str, ...] = Field(
        default=(), description="Languages to keep (ISO 639-1: en, zh, ...); empty: do not identify languages."
    )
    duplicates: Literal["near", "exact", "keep"] = Field(
        default="near", description="What to leave out: near and exact duplicates, exact ones only, or nothing."
    )
    similarity: float = Field(
        default=THRESHOLD, gt=0, le=1, description="Minimum Jaccard similarity of near duplicates."
    )
    count: int | None = Field(default=None, ge=1, description="Passages to draw; default: all that `rate` admits.")
    rate: float = Field(default=1.0, gt=0, le=1, description="Share of passages that are considered at all.")
    spread: Literal["proportional", "even"] = Field(
        default="proportional", description="How `count` is divided among sources: by size, or evenly."
    )


class TeacherConfig(Section):
    """Who annotates the passages, and how the question is asked."""

    question: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the family `instruct` (language, returns, template); the prompt is `annotation`.",
    )
    family: dict[str, Any] | None = Field(
        default=None,
        description="Instead of the open question, ask for `labels` in another family's way (`name` and its options): "
        "to distil one model into another.",
    )
    labels: str | list[Any] | dict[str, Any] = Field(
        default_factory=list, description="With `family`: the label set, or a file with one."
    )
    engine: Engines = Field(description="One engine for all roles of the family, or one per role.")
    rows_per_file: int = operational(
        1_000,
        ge=1,
        description="Minimum passages per file of answers. A kill does not lose them: every answer of a server is "
        "journalled at once (`engine.journal`).",
    )
    rows_per_wave: int = operational(100_000, ge=1, description="Passages that are committed together.")
    resources: ResourceConfig = Field(default_factory=ResourceConfig)
    max_error_rate: float = operational(
        0.05,
        ge=0,
        le=1,
        description="Exit with status 3 if a larger share of passages has no readable answer.",
    )

    @field_validator("question")
    @classmethod
    def _is_annotation(cls, value: dict[str, Any]) -> dict[str, Any]:
        """The options resolved, so that a run's record contains the template itself and not the name of its file."""
        return instruct.Options.model_validate({"prompt": "annotation", **value}).model_dump(mode="json")

    @property
    def asks(self) -> instruct.Options | None:
        """The open question; None if a family asks for labels."""
        return None if self.family else instruct.Options.model_validate(self.question)

    @property
    def name(self) -> str:
        """The teacher's model, or the models of all its roles joined by `+`."""
        engines = self.engine.values() if isinstance(self.engine, dict) else [self.engine]
        return "+".join(dict.fromkeys(engine.adapter or engine.model for engine in engines))

    @property
    def prompt_hash(self) -> str:
        """Identifies the way the question is asked."""
        asks = self.asks
        return prompt_hash(asks) if asks else fingerprint({"family": self.family, "labels": self.labels})


class FilterOptions(Section):
    """The filters, their order and their limits."""

    steps: tuple[FilterName, ...] = Field(
        default=("repetition", "normalize", "brackets", "duplicate", "length", "in_text", "type"),
        description="Filters to apply, in order. Those that change mentions come before those that compare them; the "
        "published order is the other way round.",
    )
    length_unit: Literal["characters", "words"] = Field(
        default="characters",
        description="What `length` counts: characters, as published for Chinese, or words, for English.",
    )
    max_length: int = Field(default=20, ge=1, description="Maximum length of a surface, in these units.")
    invalid_types: frozenset[str] = Field(
        default=MEANINGLESS_TYPES, description="Types that `type` removes, in lower case."
    )
    brackets: tuple[str, ...] = Field(
        default=("《》", "【】", "[]"), description="Pairs that `brackets` strips from both ends of a surface."
    )
    type_map: Mapping[str, str] = Field(
        default_factory=dict, description="Type -> the name that `normalize` gives it; see `types`."
    )
    min_agreement: float = Field(
        default=0.5, ge=0, le=1, description="`agreement` removes what a smaller share of the teacher's samples names."
    )
    max_repeats: int = Field(
        default=8,
        ge=1,
        description="`repetition` removes a pair that one answer lists more often: the teacher is in a loop.",
    )


class TypeConfig(Section):
    """One name for each type."""

    unify: bool = Field(
        default=True, description="Merge types that differ only in case, width, white space or a plural."
    )
    synonyms: dict[str, str] = Field(default_factory=dict, description="Type -> the name to use instead.")


class NegativeOptions(Section):
    """Types to ask for although a passage does not have them. The defaults are as published, except for `repeats`."""

    draw: Literal["frequency", "uniform", "none"] = Field(
        default="frequency",
        description="Draw types by their frequency in the whole data set, uniformly, or not at all.",
    )
    rate: float = Field(default=0.5, ge=0, description="Negative types for each type that the passage has.")
    number: Literal["binomial", "rounded"] = Field(
        default="binomial",
        description="binomial: a coin toss of probability `rate` (at most 1) for each type; rounded: always the "
        "nearest whole number.",
    )
    repeats: bool = Field(
        default=False,
        description="Draw mentions instead of types, as published. A type drawn twice counts once, so passages get "
        "fewer negatives where some types are frequent.",
    )


class LabelSetOptions(Section):
    """Which labels a prompt offers: B2NER's regularisation. The defaults are those of its training scripts."""

    max_labels: int | None = Field(
        default=18, ge=1, description="Maximum number of labels in a prompt; null: no limit."
    )
    dropout: float = Field(
        default=0.1, ge=0, le=1, description="Probability that a label is left out, and its entities with it."
    )
    shuffle: bool = Field(default=True, description="Offer the labels in random order.")


class RowOptions(Section):
    """How annotated text becomes training rows."""

    rows: Literal["conversation", "questions"] = Field(
        default="conversation",
        description="conversation: all questions about a passage in one row; questions: one row for each question.",
    )
    negatives: NegativeOptions = NegativeOptions()
    label_set: LabelSetOptions | None = Field(
        default=None,
        description="Draw the labels of each row as B2NER does; null: offer all of them, in random order.",
    )
    surfaces: Literal["once", "every"] = Field(
        default="once",
        description="once: answers of a conversation list each surface once, as published; every: each mention.",
    )
    seed: int = Field(default=0, description="Seed of all draws; each passage derives its own from its id.")


class DynamicOptions(Section):
    """DynamicNER's steps for a classifier's questions."""

    steps: tuple[StepName, ...] = Field(
        default=("merge", "synonyms", "reduce"),
        description="In this order. The published code takes `special` too, as the last step: it makes 16 % to 30 % "
        "of the answers wrong on purpose.",
    )
    synonyms: Mapping[str, str] = Field(
        default_factory=dict, description="Type -> another name for it; compared without case and accents."
    )
    seed: int = Field(default=0, description="Seed of all draws.")


class OwnDemosConfig(DemonstrationsConfig):
    """Which other passages a row shows as examples; the index is built from the annotated passages themselves."""

    index: str = operational("", description="Set by the job; leave it out.")
    guard: Literal[True] = Field(default=True, description="A passage is never its own example.")


class FormConfig(RowOptions):
    """One form of the training data."""

    family: Family = Field(description="`name`, and the family's own options: its prompts and answers.")
    labels: str | list[Any] | dict[str, Any] | None = Field(
        default=None,
        description="A label set, a tree, or a file with either, for all passages; default: a passage's own types and "
        "negative ones.",
    )
    dynamic: DynamicOptions | None = Field(
        default=None,
        description="DynamicNER's steps for questions that list choices, as `cascade` asks them; default: none.",
    )
    demonstrations: OwnDemosConfig | None = Field(
        default=None, description="Other annotated passages to show in each row (RA-IT); default: none."
    )

    @model_validator(mode="after")
    def _has_a_family(self) -> Self:
        name = self.family.get("name")
        if name not in plugins.names("families"):
            raise ValueError(f"no family {name!r}; known: {', '.join(plugins.names('families'))}")
        if self.dynamic and not isinstance(load(name), ChoiceModule):
            raise ValueError(f"`dynamic` varies lists of choices, with which no question of the family {name!r} ends")
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
        default_factory=dict, description="Forms of training data, by the name of their folder below `train`."
    )
    layouts: tuple[Literal["llama_factory", "ms_swift"], ...] = Field(
        default=(),
        description="Other trainers to write files for, in addition to the Parquet that `ner-ray train` reads.",
    )
    output: str = operational(description="The output directory, on any store.")
    seed: int = Field(default=0, description="Seed of the draw of passages; each form has a seed of its own.")
