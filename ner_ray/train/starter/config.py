"""The typed configuration of the starter model's training file."""

from __future__ import annotations

from pydantic import Field

from ner_ray.config import Section, operational


class SourceConfig(Section):
    """Some annotated files and what their labels mean."""

    files: list[str] = operational(description="Parquet files, relative to the mixture's `folder`.")
    weight: float = Field(gt=0, description="How often a sentence is drawn from here, relative to the other sources.")
    labels: dict[str, str | None] = Field(
        description="The corpus's label -> a type of the starter, `vague`, or null to leave it out."
    )
    style: str = Field(description="Mentions are swapped between sources of the same style.")
    capitals_only: bool = Field(default=False, description="Leave out mentions without a capital letter.")


class MixtureConfig(Section):
    """The configuration of the starter's training file."""

    folder: str = operational(description="The folder of the sources' files.")
    sources: dict[str, SourceConfig]
    grammar_weight: float = Field(
        default=6.0, ge=0, description="How often a sentence is drawn from the grammar, relative to the sources."
    )
    grammar_sentences: int = Field(
        default=150_000, ge=1, description="Number of distinct grammar sentences to generate."
    )
    held_out: dict[str, int] = Field(
        default_factory=dict, description="Source -> n: leave out every n-th of its rows, for evaluation."
    )
    examples: int = Field(default=400_000, ge=1, description="Lines to write.")
    classifier_share: float = Field(default=0.28, ge=0, le=1, description="Share of questions to the classifier.")
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
