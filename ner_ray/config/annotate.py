"""The configuration of `ner-ray annotate`: every field with its unit, its default and its reason."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ner_ray.config.demonstrations import DemonstrationsConfig
from ner_ray.config.engine import EngineConfig, Engines
from ner_ray.config.section import Section, operational


class InputConfig(Section):
    """Where the documents are."""

    path: str | list[str] = operational(
        description="File, folder, glob or list of them, on any store pyarrow or fsspec opens (s3://, gs://, ...)."
    )
    text: str = Field(default="text", description="The column with the text.")
    id: str | None = Field(default=None, description="The column with the document's id; else shard and row number.")
    keep: list[str] = Field(default_factory=list, description="Columns to carry along into the output.")
    max_characters: int = Field(
        default=20_000_000, gt=0, description="Longer texts are not annotated: their row says `too_long`."
    )
    on_change: Literal["error", "reprocess"] = operational(
        "error",
        description="What to do about a file that has changed since it was annotated: end with status 2, or annotate "
        "it anew and take its former rows out.",
    )


class ChunkConfig(Section):
    """How long documents are cut."""

    tokens: int = Field(default=512, ge=8, description="The longest chunk, in tokens of the model.")
    overlap: int | None = Field(
        default=None, ge=0, description="What neighbouring chunks share, in tokens; default: an eighth of `tokens`."
    )

    @property
    def shared(self) -> int:
        """The overlap, settled."""
        return self.tokens // 8 if self.overlap is None else self.overlap

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> ChunkConfig:
        if self.shared * 2 > self.tokens:
            raise ValueError(f"overlap ({self.overlap}) may be at most half of tokens ({self.tokens})")
        return self


class AlignConfig(Section):
    """How mentions are put onto the text."""

    normalize: bool = Field(
        default=True, description="Match over differences of case, width, white space, quotes and dashes."
    )
    fuzzy: bool = Field(
        default=True, description="Match misspelt mentions, and mentions of which only some words are found."
    )
    threshold: float = Field(
        default=0.8, ge=0, le=1, description="The least similarity (normalised indel) of a fuzzy match."
    )
    inside_words: bool = Field(
        default=True,
        description="For answers that list mentions: place a mention that occurs only inside longer words there, as a "
        "last resort. Such entities have the status `inside_word`.",
    )
    fuzzy_budget: int = Field(
        default=200_000,
        ge=0,
        description="The most comparisons for fuzzy matches in one text, about 0.5 microseconds each.",
    )
    min_matched: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="The least share of a mention's tokens found in the text, for answers that repeat the text.",
    )
    occurrences: Literal["listed", "all"] = Field(
        default="listed",
        description="For answers that list mentions. listed: one place for each time a mention is listed; "
        "all: every place of a listed mention.",
    )


class VoteConfig(Section):
    """How several samples of one answer are joined."""

    method: Literal["agreement", "longest"] = Field(
        default="agreement",
        description="agreement: keep spans that enough samples found; longest: CascadeNER's longest-wins union.",
    )
    min_agreement: float = Field(default=0.5, ge=0, le=1, description="The least share of samples that found a span.")


class OutputConfig(Section):
    """Where results go."""

    path: str = operational(description="The run directory, on any store.")
    completions: bool = Field(
        default=False,
        description="Keep the text and the raw answers, so that `replay` can read them again.",
    )
    prompts: bool = Field(default=False, description="With `completions`: keep the prompts too, as they were sent.")
    rows_per_wave: int = operational(
        1_000_000,
        ge=1,
        description="Shards are committed together up to so many rows: the unit a reader sees appear.",
    )
    min_rows_per_file: int = operational(
        10_000, ge=1, description="Output files hold at least so many rows, the last of a wave excepted."
    )
    max_rows_per_file: int = operational(1_000_000, ge=1, description="Output files hold at most so many rows.")
    row_group_rows: int = operational(5_000, ge=1, description="Rows a row group of an output file.")


class ResourceConfig(Section):
    """What the cluster gives to the job. Nothing in here changes results."""

    replicas: int = operational(1, ge=1, description="Engines a pool at the start, and at least.")
    max_replicas: int | None = operational(None, ge=1, description="Engines a pool at most; default: `replicas`.")
    gpus: float = operational(0.0, ge=0, description="GPUs a replica (times tensor_parallel).")
    cpus: float | None = operational(
        None,
        ge=0,
        description="CPUs a replica, and so the threads of an engine without a GPU. Default: 1 beside a GPU, else all "
        "that the machine has, less two for reading and writing.",
    )
    tensor_parallel: int = operational(1, ge=1, description="GPUs that one engine is spread over.")
    block_kib: int = operational(256, ge=16, description="Size of a block between stages, in KiB: the unit of retry.")
    blocks_in_flight: int = operational(4, ge=1, description="Blocks whose rows are in an engine at once.")
    cpu_tasks: int | None = operational(None, ge=1, description="Chunking and reading tasks at once; default: Ray's.")


class AnnotateConfig(Section):
    """The configuration of `ner-ray annotate`."""

    input: InputConfig
    labels: str | list[Any] | dict[str, Any] = Field(
        description="A list, a tree (name -> children), a file with either, or `column:NAME` for a set per row."
    )
    family: dict[str, Any] = Field(description="`name`, and the family's own options.")
    engine: Engines = Field(
        default_factory=dict, validate_default=True, description="One engine for all roles, or one per role."
    )
    replay: bool = Field(
        default=False,
        description="Ask no engine: read again the answers that the input's rows carry, from a run with "
        "`output.completions=true`. Tries other parsing, alignment or voting settings without a GPU.",
    )
    chunk: ChunkConfig = Field(default_factory=ChunkConfig)
    demonstrations: DemonstrationsConfig | None = Field(
        default=None, description="Annotated examples to retrieve into each prompt, where the family takes them."
    )
    align: AlignConfig = Field(default_factory=AlignConfig)
    vote: VoteConfig = Field(default_factory=VoteConfig)
    output: OutputConfig
    resources: ResourceConfig = Field(default_factory=ResourceConfig)
    reuse: bool = operational(
        False,
        description="Take over the annotation of a text that this run has annotated before, by the text's hash; the "
        "output then has a column `text_hash`.",
    )
    max_error_rate: float = operational(
        0.05, ge=0, le=1, description="A run with a larger share of failed documents ends with status 3."
    )

    @field_validator("family", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    def engine_for(self, role: str) -> EngineConfig:
        """The engine that plays a role."""
        return self.engine[role] if isinstance(self.engine, dict) else self.engine
