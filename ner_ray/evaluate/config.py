"""Evaluation settings: what is compared, which columns hold what, how it is scored, and where the reports go."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from ner_ray.config import AlignConfig, Section, VoteConfig, operational


class Columns(Section):
    """Names of columns. `id`, `labels` and `words` are optional."""

    text: str = Field(default="text", description="The document.")
    gold: str | None = Field(
        default=None,
        description="Annotated entities: a list of {start, end, label}. Default: `gold`, else `entities` where the "
        "predictions are elsewhere.",
    )
    predicted: str = Field(default="entities", description="Predicted entities: a list of {start, end, label}.")
    answers: str | None = Field(
        default=None,
        description="Raw answers of a model, in the order in which the family asks: a string; a list with one string "
        "per prompt; or a list of lists, with one string per sample.",
    )
    id: str | None = Field(
        default=None,
        description="Identifies a document, and joins gold and predictions. Default: `id`, `doc_id` or `example_id`.",
    )
    labels: str = Field(default="labels", description="The document's label set: a list of names.")
    words: str = Field(default="tokens", description="The document's words, for scorers that count words.")


class ScoringConfig(Section):
    """How rows are read and scored."""

    columns: Columns = Field(default_factory=Columns)
    scorers: tuple[str, ...] = Field(default=(), description="Published scorers to run in addition to our own.")
    labels: list[Any] | dict[str, Any] = Field(
        default_factory=list,
        description="The label set of rows that have none, a list or a tree. Default: the labels of the row's gold; "
        "but raw answers are not read without a label set, since no other label could be wrong in them.",
    )
    label_map: dict[str, str | None] = Field(
        default_factory=dict,
        description="Label -> the name under which it is compared, in gold, predictions and label sets; null leaves "
        "its entities out.",
    )
    family: dict[str, Any] | None = Field(
        default=None, description="For raw answers: the model family's `name` and options."
    )
    align: AlignConfig = Field(default_factory=AlignConfig)
    vote: VoteConfig = Field(default_factory=VoteConfig)
    samples: int = Field(default=1000, ge=0, description="Bootstrap replicates; 0 for no intervals.")
    seed: int = Field(default=0, description="Seed of the bootstrap.")
    examples: int = Field(default=100, ge=0, description="Documents with errors to show in the report.")


class EvaluateConfig(ScoringConfig):
    """The configuration of `ner-ray evaluate`."""

    gold: str = operational(description="The annotated texts to compare with, a path or a URI.")
    predictions: str | None = operational(
        None, description="The predictions or raw answers, joined to the gold by id; default: in the rows of the gold."
    )
    json_out: str | None = operational(None, description="Write all figures to this file, as JSON.")
    html_out: str | None = operational(None, description="Write a report to this file, as one HTML page.")
    calibration_out: str | None = operational(
        None,
        description="Write a calibration to this file: a map from the predictions' scores to how often entities with "
        "such scores are right, for `calibration` of `ner-ray annotate`.",
    )
    title: str = operational("Evaluation", description="The heading of the HTML report.")
    on_ray: bool = operational(
        False, description="Score Parquet shards on the cluster; the predictions are in the rows of the gold."
    )

    @model_validator(mode="after")
    def _one_file_on_ray(self) -> Self:
        if self.on_ray and self.predictions:
            raise ValueError("on_ray scores rows that hold both gold and predictions: leave `predictions` out")
        return self
