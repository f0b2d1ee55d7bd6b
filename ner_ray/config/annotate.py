"""The configuration of `ner-ray annotate`. Its field descriptions are the reference that `ner-ray schema` prints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ner_ray.config.demonstrations import DemonstrationsConfig
from ner_ray.config.engine import EngineConfig, Engines
from ner_ray.config.section import Section, operational


class InputConfig(Section):
    """The documents to annotate."""

    path: str | list[str] = operational(
        description="Parquet files, folders, globs or earlier runs, or a list of these, on a disk, a web server, or "
        "any store that pyarrow or fsspec opens (s3://, gs://, ...). `*` stays within one folder, `**` is any number "
        "of folders."
    )
    text: str = Field(default="text", description="The column that holds the text.")
    id: str | None = Field(
        default=None,
        description="The column that holds the document id, of any type that is not nested, spelled as text. Default: "
        "ids of the form FILE:ROW, made of the file's path below the input's folder (without `.parquet`) and the row "
        "number, such as `date=2024-01-01/part-0:0`.",
    )
    keep: list[str] = Field(
        default_factory=list,
        description="Input columns to copy to the output. Their types are settled over all files. Columns that folders "
        "such as `date=2024-01-01/` hold can be kept as text.",
    )
    max_characters: int = Field(
        default=20_000_000,
        gt=0,
        description="Maximum length of a text, in characters. Longer texts are not annotated; their rows get the error "
        "`too_long`.",
    )
    on_change: Literal["error", "reprocess"] = operational(
        "error",
        description="What to do when an input file has changed since it was annotated. error: stop with exit status 2. "
        "reprocess: annotate the file again and replace its rows.",
    )


class ChunkConfig(Section):
    """How long documents are cut into chunks that fit into a prompt."""

    tokens: int = Field(
        default=512,
        ge=8,
        description="Maximum length of a chunk, in tokens of the model that is asked first. Lowered as needed where "
        "`engine.max_model_len` is set and all documents share one label set.",
    )
    overlap: int | None = Field(
        default=None,
        ge=0,
        description="Overlap of neighbouring chunks, in tokens, so that an entity at a boundary is seen whole. At most "
        "half of `tokens`; default: an eighth of `tokens`.",
    )

    @property
    def shared(self) -> int:
        """The overlap in tokens, with the default filled in."""
        return self.tokens // 8 if self.overlap is None else self.overlap

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> ChunkConfig:
        if self.shared * 2 > self.tokens:
            raise ValueError(f"overlap ({self.overlap}) may be at most half of tokens ({self.tokens})")
        return self


class AlignConfig(Section):
    """How the mentions in an answer are aligned with the text."""

    normalize: bool = Field(
        default=True,
        description="Also align mentions that differ from the text in case, character width, white space, quotes or "
        "dashes.",
    )
    fuzzy: bool = Field(
        default=True,
        description="Also align misspelt mentions, and mentions of which only some words occur in the text.",
    )
    threshold: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Minimum similarity of a fuzzy match (normalised indel similarity, 0 to 1).",
    )
    inside_words: bool = Field(
        default=True,
        description="For answers that list mentions: as a last resort, accept a match inside a longer word. Such "
        "entities have the status `inside_word`.",
    )
    fuzzy_budget: int = Field(
        default=200_000,
        ge=0,
        description="Maximum number of comparisons for fuzzy matches per text; each takes about 0.5 microseconds.",
    )
    min_matched: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="For answers that repeat the text: minimum share of a mention's tokens to be found in the text.",
    )
    occurrences: Literal["listed", "all"] = Field(
        default="listed",
        description="For answers that list mentions. listed: align a mention as many times as it is listed. "
        "all: align it with every occurrence in the text.",
    )


class VoteConfig(Section):
    """How several samples per prompt (`engine.sampling.n`) are combined."""

    method: Literal["agreement", "longest"] = Field(
        default="agreement",
        description="agreement: keep the spans that at least `min_agreement` of the samples contain. longest: the "
        "union of all samples, where the longest of overlapping spans wins, as in CascadeNER.",
    )
    min_agreement: float = Field(
        default=0.5, ge=0, le=1, description="Under `agreement`: minimum share of samples that must contain a span."
    )


class OutputConfig(Section):
    """Where the results go, and how their files are laid out."""

    path: str = operational(
        description="The run directory, on any store. Running the same command again resumes the run there."
    )
    completions: bool = Field(
        default=False,
        description="Also store the text, its chunks and the raw answers, so that `replay` can parse them again.",
    )
    prompts: bool = Field(default=False, description="With `completions`: also store the prompts as they were sent.")
    rows_per_wave: int = operational(
        1_000_000,
        ge=1,
        description="Maximum number of rows in a wave, the group of input files whose results become visible together: "
        "how often readers see something new. Engines serve all waves of a call without a pause. A larger file is a "
        "wave of its own.",
    )
    min_rows_per_file: int = operational(
        10_000, ge=1, description="Minimum rows per output file; the last file of a wave may be smaller."
    )
    max_rows_per_file: int = operational(1_000_000, ge=1, description="Maximum rows per output file.")
    row_group_rows: int = operational(5_000, ge=1, description="Rows per Parquet row group.")


class EngineResources(Section):
    """What each engine of a pool gets."""

    replicas: int = operational(1, ge=1, description="Minimum (and initial) number of engines per pool.")
    max_replicas: int | None = operational(
        None, ge=1, description="Maximum number of engines per pool; default: `replicas`."
    )
    gpus: Literal["auto"] | Annotated[float, Field(ge=0)] = operational(
        "auto",
        description="GPUs per engine, to be multiplied by `tensor_parallel`. A fraction is also the engine's share of "
        "the GPU's memory: with 0.5, two engines use one GPU. auto: 1 for an engine that is installed for GPUs, and "
        "otherwise none.",
    )
    cpus: float | None = operational(
        None,
        ge=0,
        description="CPUs per engine, which is also the number of threads of an engine without a GPU. Default: 1 for "
        "an engine with a GPU; otherwise the engines of a machine share all its CPUs but two, which are left for "
        "reading and writing.",
    )
    tensor_parallel: int = operational(1, ge=1, description="Number of GPUs that one model is split across.")
    accelerator: str | None = operational(
        None, description="Ray's name for the type of GPU that engines must be on, such as H100 or A100-80G."
    )

    @model_validator(mode="after")
    def _gpus_make_sense(self) -> Self:
        gpus = 1.0 if self.gpus == "auto" else self.gpus
        if self.tensor_parallel > 1 and gpus not in (0, 1):
            raise ValueError(
                f"a model that is split across {self.tensor_parallel} GPUs uses each of them whole and once: "
                f"`gpus` is 1 then, not {gpus:g}"
            )
        if gpus > 1 and gpus % 1:
            raise ValueError(f"`gpus` is a whole number or less than 1, not {gpus:g}")
        return self


class ResourceConfig(EngineResources):
    """The resources that the job uses. Nothing here changes the results."""

    roles: dict[str, EngineResources] = operational(
        default_factory=dict, description="What is different for the engines of a role: {classifier: {gpus: 0.5}}."
    )
    wait_seconds: float = operational(
        0, ge=0, description="How long to wait for nodes that the cluster lacks and that autoscaling may bring."
    )
    block_kib: int = operational(
        256,
        ge=16,
        description="Target size of the blocks of rows that pass between stages, in KiB: the unit of retry.",
    )
    blocks_in_flight: int | None = operational(
        None,
        ge=1,
        description="Number of blocks that an engine works on at the same time; default: at least 4, and enough that "
        "`engine.max_num_seqs` requests are always waiting.",
    )
    cpu_tasks: int | None = operational(
        None,
        ge=1,
        description="Maximum number of concurrent tasks for each stage without an engine (chunking, retrieval, reading "
        "answers, writing); default: as many as Ray finds CPUs for.",
    )

    def of(self, roles: Iterable[str]) -> EngineResources:
        """What each engine gets that serves these roles of a family."""
        values = {name: getattr(self, name) for name in EngineResources.model_fields}
        for role in roles:
            values |= self.roles[role].model_dump(exclude_unset=True) if role in self.roles else {}
        return EngineResources.model_validate(values)

    @model_validator(mode="after")
    def _roles_make_sense(self) -> Self:
        for role in self.roles:
            self.of([role])
        return self


class AnnotateConfig(Section):
    """The configuration of `ner-ray annotate`.

    >>> from ner_ray.config.load import load
    >>> files = ["input.path=news/*.parquet", "output.path=runs/news"]
    >>> config = load(AnnotateConfig, "annotate/demo", [*files, "labels=[person, place]"])
    >>> config.family["name"], config.labels, config.output.path
    ('b2ner', ['person', 'place'], 'runs/news')
    """

    input: InputConfig
    labels: str | list[Any] | dict[str, Any] = Field(
        description="The entity types to find: a list, a tree (name -> children), a file that contains either, or "
        "`column:NAME` for an input column with a list of labels per row."
    )
    family: dict[str, Any] = Field(
        description="How the model is prompted and its answers are parsed: the family's `name` and its own options. "
        "The name alone will do."
    )
    engine: Engines = Field(
        default_factory=dict,
        validate_default=True,
        description="The model that answers: one engine for all roles of the family, or a mapping of role to engine.",
    )
    replay: bool = Field(
        default=False,
        description="Ask no engine, but parse again the answers of an earlier run: `input.path` names a run made with "
        "`output.completions=true`. Tries other parsing, alignment or voting settings without a GPU.",
    )
    chunk: ChunkConfig = Field(default_factory=ChunkConfig)
    demonstrations: DemonstrationsConfig | None = Field(
        default=None, description="Few-shot examples to retrieve for each prompt, if the family supports them."
    )
    align: AlignConfig = Field(default_factory=AlignConfig)
    vote: VoteConfig = Field(default_factory=VoteConfig)
    calibration: str | None = Field(
        default=None,
        description="A file that `ner-ray evaluate calibration_out=FILE` has written on annotated text: turns scores "
        "into probabilities of being right.",
    )
    output: OutputConfig
    resources: ResourceConfig = Field(default_factory=ResourceConfig)
    reuse: bool = operational(
        False,
        description="Copy the annotation of a text that this run has annotated before, with the same labels and with "
        "the status `ok`, instead of asking the engine again. Texts are compared by hash, which the output then holds "
        "in the column `text_hash`.",
    )
    max_error_rate: float = operational(
        0.05, ge=0, le=1, description="Exit status 3 when a larger share of the documents has failed."
    )
    max_partial_rate: float = operational(
        0.05,
        ge=0,
        le=1,
        description="Exit status 3 when a larger share of the documents is annotated only in part: an answer was cut "
        "off, filtered, refused or unreadable, and others were not.",
    )

    @field_validator("family", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    def engine_for(self, role: str) -> EngineConfig:
        """The engine that answers for a role."""
        return self.engine[role] if isinstance(self.engine, dict) else self.engine
