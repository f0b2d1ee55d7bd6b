"""The typed configuration of a training file that is mixed from several corpora."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ner_ray.config import Section, operational
from ner_ray.synth.config import Family


class SourceConfig(Section):
    """Some annotated files and what their labels mean."""

    files: list[str] = operational(description="Annotated files, relative to the mixture's `folder`.")
    weight: float = Field(gt=0, description="How often a sentence is drawn from here, relative to the other sources.")
    labels: dict[str, str | None] | None = Field(
        default=None,
        description="The corpus's label -> a type, `vague`, or null to leave it out; default: its labels are the "
        "types.",
    )
    absent: list[str] = Field(
        default_factory=list,
        description="Types that its texts do not mention, or hardly: asked for now and then, to teach that a label "
        "may have no entities.",
    )
    style: str = Field(description="Mentions are swapped between sources of the same style.")
    capitals_only: bool = Field(default=False, description="Leave out mentions without a capital letter.")


class MixtureConfig(Section):
    """The configuration of `ner-ray train mixture`."""

    folder: str = operational(description="The folder of the sources' files.")
    sources: dict[str, SourceConfig]
    family: Family = Field(
        default={"name": "cascade", "system": ""}, description="The family that asks: `name`, and its own options."
    )
    names: dict[str, list[str]] = Field(
        default_factory=dict, description="Type -> other names for it, one of which stands for it now and then."
    )
    other_names: float = Field(default=0.2, ge=0, le=1, description="Probability that a type has another name.")
    max_labels: int = Field(default=14, ge=2, description="Maximum number of labels in a label set.")
    label_dropout: float = Field(
        default=0.1, ge=0, lt=1, description="Probability that a type of the text is not asked for (B2NER: 0.1)."
    )
    grammar_weight: float = Field(
        default=6.0, ge=0, description="How often a sentence is drawn from the grammar, relative to the sources."
    )
    grammar_sentences: int = Field(
        default=150_000, ge=1, description="Number of distinct grammar sentences to generate."
    )
    held_out: dict[str, int] = Field(
        default_factory=dict, description="Source -> n: leave out every n-th of its rows, for evaluation."
    )
    examples: int = Field(default=400_000, ge=1, description="Lines to write, at least.")
    classifier_share: float = Field(
        default=0.28, ge=0, le=1, description="Share of questions to a classifier, where the family has one."
    )
    classifier_weight: float = Field(
        default=3.0, gt=0, description="Weight of a classifier's line in the loss: its answer is only a word long."
    )
    copying_share: float = Field(
        default=0.12, ge=0, le=1, description="Share of lines that only practise copying without losing one's place."
    )
    swap: float = Field(default=0.2, ge=0, le=1, description="Probability that a mention is swapped for another.")
    join: float = Field(default=0.12, ge=0, lt=1, description="Probability that another sentence follows.")
    max_characters: int = Field(default=420, ge=20, description="Maximum length of a text.")
    output: str = operational(description="The JSON Lines file to write.")
    seed: int = Field(default=0, description="Seed of all draws.")

    @model_validator(mode="after")
    def _known_sources(self) -> Self:
        if unknown := sorted(set(self.held_out) - set(self.sources)):
            raise ValueError(f"held_out names no source: {', '.join(unknown)}")
        return self
