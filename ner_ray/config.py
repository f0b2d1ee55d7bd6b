"""The typed configuration of a job: every field with its unit, its default and its reason.

A field is *semantic* when another value would give another result, and *operational* when it would only give it
faster or elsewhere. `fingerprint` covers the semantic ones: a run directory belongs to one fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def operational(default: Any = ..., **field: Any) -> Any:  # what pydantic.Field takes and returns
    """A field that does not change results, and so stays out of the fingerprint."""
    return Field(default, json_schema_extra={"operational": True}, **field)


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


class SamplingConfig(Section):
    """How an answer is drawn."""

    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    n: int = Field(default=1, ge=1, description="Samples a prompt; joined by `vote`.")
    max_tokens: int = Field(default=640, ge=1, description="The longest answer, in tokens.")
    tokens_per_prompt_token: float | None = Field(
        default=None, gt=0, description="Also at most 16 tokens and so many for each of the prompt's: stops loops."
    )
    stop: list[str] = Field(default_factory=list, description="Strings that end an answer.")
    seed: int | None = Field(default=None, description="Makes sampling repeatable where the engine can.")
    logprobs: bool = Field(default=True, description="Ask for log-probabilities, from which scores are made.")

    def longest_answer(self, prompt_tokens: int, wanted: int | None, room: int) -> int:
        """The bound on an answer's tokens: of the configuration, the prompt's own wish, its length, and the model."""
        bounds = [wanted or self.max_tokens, room]
        if self.tokens_per_prompt_token:
            bounds.append(16 + round(self.tokens_per_prompt_token * prompt_tokens))
        return min(bounds)


class EngineConfig(Section):
    """What turns prompts into completions. Another engine is one module more in `ner_ray/engines`."""

    name: str = Field(default="vllm", description="The engine's module: vllm, transformers, openai, replay.")
    model: str = Field(default="", description="A folder, or a model id on a hub.")
    revision: str | None = Field(default=None, description="The model's revision on the hub.")
    adapter: str | None = Field(default=None, description="A LoRA adapter: a folder, or an id on a hub.")
    dtype: str = Field(
        default="auto",
        description="auto (the checkpoint's; on a CPU what it is fastest in), float32, bfloat16, float16.",
    )
    quantization: str | None = Field(default=None, description="As the engine names it: awq, gptq, fp8, ...")
    max_model_len: int | None = Field(default=None, gt=0, description="Prompt and answer, in tokens; else the model's.")
    trust_remote_code: bool = Field(default=False, description="Run code that comes with the model. Off unless asked.")
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    max_num_seqs: int = operational(128, ge=1, description="Requests that the engine runs at once.")
    memory_gib: float | None = operational(
        None, gt=0, description="Memory of the KV cache on a CPU, in GiB; default 1."
    )
    gpu_memory_utilization: float = operational(0.9, gt=0, le=1, description="Share of a GPU's memory to take.")
    prefix_caching: bool = operational(True, description="Compute what prompts share once.")
    ngram_speculation: int = operational(
        0,
        ge=0,
        description="Tokens proposed from the prompt a step; lossless. Good for answers that copy (GPU).",
    )
    enforce_eager: bool | None = operational(None, description="No compiled graphs; default: on a CPU only.")
    own_process: bool | None = operational(
        None, description="Run the engine's core in a process of its own; default: on a GPU only."
    )
    stall_seconds: float = operational(
        600, gt=0, description="An engine that has requests and finishes none for so long is taken for dead."
    )
    journal: bool | None = operational(
        None,
        description="Write each answer down as it comes, until its wave is committed, so that a run that was killed "
        "asks for none again; default: for engines behind a URL.",
    )
    url: str | None = operational(None, description="Of an OpenAI-compatible server (engine `openai`).")
    extra: dict[str, Any] = Field(default_factory=dict, description="Passed on to the engine as it is.")
    tuning: dict[str, Any] = operational(
        default_factory=dict,
        description="Passed on beside `extra`: what changes no answer, such as rate limits, and may change in a run.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """What is passed on to the engine."""
        return {**self.extra, **self.tuning}

    def base(self) -> EngineConfig:
        """Without what may differ between roles that share one engine."""
        return self.model_copy(update={"adapter": None, "sampling": SamplingConfig()})


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
        description="Keep text, prompts' subjects and raw answers, so that engine `replay` can read them.",
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
    engine: EngineConfig | dict[str, EngineConfig] = Field(description="One, or one per role.")
    chunk: ChunkConfig = Field(default_factory=ChunkConfig)
    demonstrations: DemosConfig | None = Field(
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

    @field_validator("engine", mode="before")
    @classmethod
    def _one_or_per_role(cls, value: object) -> object:
        """Settles which of the two it is by its shape, so that an error names the field and not both readings."""
        if isinstance(value, dict) and value and not value.keys() & EngineConfig.model_fields.keys():
            return {role: EngineConfig.model_validate(section) for role, section in value.items()}
        return EngineConfig.model_validate(value)

    def engine_for(self, role: str) -> EngineConfig:
        """The engine that plays a role."""
        return self.engine[role] if isinstance(self.engine, dict) else self.engine


def fingerprint(settings: BaseModel | dict[str, Any]) -> str:
    """A short hash of everything that changes results: of a configuration, or of its `semantic` settings and more."""
    plain = semantic(settings) if isinstance(settings, BaseModel) else settings
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def semantic(config: BaseModel) -> dict[str, Any]:
    """The fields that change results, as plain data."""
    result = {}
    for name, field in type(config).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("operational"):
            continue
        result[name] = _semantic_value(getattr(config, name))
    return result


def _semantic_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return semantic(value)
    if isinstance(value, dict):
        return {key: _semantic_value(inner) for key, inner in value.items()}
    return value


def _bm25_alone() -> dict[str, dict[str, Any]]:
    return {"bm25": {}}


class IndexConfig(Section):
    """A pool of annotated examples and the index that is made of it."""

    pool: tuple[str, ...] = Field(min_length=1, description="Parquet or JSON Lines files, or folders of them, as URIs.")
    output: str = operational(description="The index directory, as a URI.")
    retrievers: dict[str, dict[str, Any]] = Field(
        default_factory=_bm25_alone,
        min_length=1,
        description="The retrievers to lay out, each with its own options: bm25, dense.",
    )
    label_map: dict[str, str | None] = Field(
        default_factory=dict,
        description="The pool's label -> the label that examples show; null leaves its entities out. Examples should "
        "speak of the labels of the job, or the model learns others from them.",
    )
    guard_ngram: int = Field(
        default=8, ge=2, description="Words (in CJK: characters) of an n-gram of the leakage guard."
    )
    overwrite: bool = operational(False, description="Replace an index that is already there.")
    encoders: int = operational(1, ge=1, description="Actors that embed the pool, where a retriever is dense.")
    gpus_per_encoder: float = operational(0.0, ge=0, description="GPUs of each.")


class DemosConfig(Section):
    """Which demonstrations a document gets; k, candidates and bm25_threshold are RA-IT's by default."""

    index: str = operational(description="The index directory, as a URI; its content is part of the fingerprint.")
    retriever: str = Field(default="bm25", description="bm25, dense, hybrid, or an entry point's name.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="How retrievers search, by name: {dense: {device: cuda}}."
    )
    strategy: Literal[
        "nn", "nn_bm25_rejection", "diverse_nn", "diverse_nn_bm25_rejection", "bm25_rank", "random", "mixed"
    ] = Field(
        default="nn",
        description="nn: the nearest. diverse_nn: drawn from the nearest candidates. bm25_rejection: what "
        "BM25 puts under bm25_threshold is dropped. bm25_rank: those candidates that BM25 puts first. "
        "random: drawn from the pool. mixed: nn with the probability nearest_share, else random.",
    )
    k: int = Field(default=2, ge=1, description="Examples a document, at most.")
    candidates: int = Field(
        default=128, ge=1, description="Nearest examples that diverse_nn and bm25_rank choose from."
    )
    bm25_threshold: float = Field(
        default=20.0, description="The least BM25 score that rejection and bm25_rank let pass."
    )
    nearest_share: float = Field(default=0.8, ge=0, le=1, description="The probability of nn under mixed.")
    least_score: float | None = Field(
        default=None,
        description="A document whose best example scores less with the retriever gets none (on demand).",
    )
    order: Literal["as_chosen", "nearest_first", "nearest_last"] = Field(
        default="as_chosen",
        description="as_chosen: nearest first under nn and bm25_rank, by chance where examples are drawn.",
    )
    token_budget: int | None = Field(
        default=None,
        ge=0,
        description="By how many tokens a chunk's examples may make its prompt longer; the "
        "last chosen are dropped. Default: what text and answer leave of the engine's max_model_len.",
    )
    guard: bool = Field(
        default=True, description="Hold back examples that equal, contain or largely repeat the document."
    )
    guard_overlap: float = Field(
        default=0.5, gt=0, le=1, description="The share of the shorter text's n-grams that is too much."
    )
    seed: int = Field(default=0, description="With a document's text, the seed of all that is drawn.")
    cache: str | None = operational(
        None, description="Where a node keeps copies of remote indexes; default: ~/.cache/ner_ray/demos."
    )

    @model_validator(mode="after")
    def _enough_candidates(self) -> Self:
        if self.candidates < self.k:
            raise ValueError(f"candidates ({self.candidates}) must be at least k ({self.k})")
        return self
