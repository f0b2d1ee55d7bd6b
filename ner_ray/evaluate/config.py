"""What an evaluation is told: where things stand in the rows, and how they are compared."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ner_ray.config import AlignConfig, Section, VoteConfig


class Columns(Section):
    """Names of columns. `id`, `labels` and `words` are used where they exist."""

    text: str = Field(default="text", description="The document.")
    gold: str = Field(default="gold", description="Annotated entities: a list of {start, end, label}.")
    predicted: str = Field(default="entities", description="Predicted entities, likewise.")
    answers: str | None = Field(
        default=None,
        description="Raw answers of a model, in the order in which the family asks: a string; a list of "
        "strings, one a prompt; or a list of lists, one string a sample.",
    )
    id: str = Field(default="id", description="What tells documents apart and joins two files.")
    labels: str = Field(default="labels", description="The document's label set: a list of names.")
    words: str = Field(default="tokens", description="The document's words, for scorers that count words.")


class EvaluateConfig(Section):
    """How predictions are scored."""

    columns: Columns = Field(default_factory=Columns)
    scorers: tuple[str, ...] = Field(default=(), description="Published scorers to run beside our own.")
    labels: list[Any] | dict[str, Any] = Field(
        default_factory=list,
        description="The label set of rows that have none, a list or a tree; else all labels of the row's gold.",
    )
    label_map: dict[str, str] = Field(
        default_factory=dict, description="Label -> the name it is compared under, in gold and predictions."
    )
    family: dict[str, Any] | None = Field(
        default=None, description="For raw answers: the model family's `name` and options."
    )
    align: AlignConfig = Field(default_factory=AlignConfig)
    vote: VoteConfig = Field(default_factory=VoteConfig)
    samples: int = Field(default=1000, ge=0, description="Bootstrap replicates; 0 for no intervals.")
    seed: int = Field(default=0, description="Of the bootstrap.")
    examples: int = Field(default=100, ge=0, description="Documents with errors to show in the report.")
