"""The typed configuration of training: what to learn from, which weights to train, how, and how to judge them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ner_ray.config import Section, operational

Role = str


class PrepareConfig(Section):
    """The configuration of `ner-ray train prepare`: annotated rows in, training files out."""

    input: str | list[str] = operational(
        description="Annotated Parquet files, or folders of them, with columns text and entities (start, end, "
        "label), and perhaps labels."
    )
    family: dict[str, Any] = Field(description="`name`, and the family's own options.")
    roles: list[Role] = Field(
        default_factory=list, description="Only the steps with these roles (`tagger`, `extractor`, ...); default: all."
    )
    labels: list[str] = Field(
        default_factory=list, description="The label set; default: each row's own `labels` column."
    )
    label_map: dict[str, str | None] = Field(
        default_factory=dict, description="The corpus' label -> the label to teach; null leaves its entities out."
    )
    shuffle_labels: bool = Field(
        default=True, description="Give the label set in another order for every row (GNER, B2NER)."
    )
    drop_labels: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The chance with which a label is left out of a row's set, its entities with it (B2NER: 0.1).",
    )
    copies: int = Field(default=1, ge=1, description="How often each row is used, each time with other labels drawn.")
    max_characters: int = Field(default=4000, gt=0, description="Longer texts are left out, and counted.")
    output: str = operational(description="The JSON Lines file to write.")
    seed: int = Field(default=0, description="Of all that is drawn.")

    @field_validator("family", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class DataConfig(Section):
    """What is learnt from."""

    files: list[str] = operational(
        min_length=1, description="Training files (JSON Lines, see `ner_ray.train.examples`), as paths."
    )
    validation: list[str] = operational(
        default_factory=list, description="Training files whose loss is watched; default: a share of `files`."
    )
    validation_share: float = Field(
        default=0.02, ge=0, lt=1, description="The share of `files` held out where `validation` is empty."
    )
    max_length: int = Field(
        default=2048, ge=8, description="Tokens of prompt and answer; longer examples are left out."
    )
    packing: bool = Field(
        default=False,
        description="Put several examples into one row of at most max_length tokens; they do not see each other.",
    )
    group_by_length: bool = Field(
        default=True, description="Make batches of examples of like length; not with packing."
    )

    @model_validator(mode="after")
    def _packing_or_grouping(self) -> Self:
        if self.packing and self.group_by_length:
            raise ValueError("packing fills every row: set group_by_length to false")
        return self


class LoraConfig(Section):
    """Low-rank adapters (Hu et al. 2021)."""

    r: int = Field(default=8, ge=1, description="Rank.")
    alpha: float = Field(default=16, gt=0, description="Scale; the update is weighted by alpha / r.")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: list[str] | str = Field(
        default="all-linear", description="Modules by the end of their names, or `all-linear`."
    )
    modules_to_save: list[str] = Field(
        default_factory=list, description="Modules that are trained whole beside it; vLLM serves no adapter with them."
    )


class ScratchConfig(Section):
    """A Qwen2 decoder with new weights, and a tokenizer made from the training files."""

    vocabulary: int = Field(default=4096, ge=300, description="Tokens, at most.")
    spaced: int = Field(default=1100, ge=0, description="Of these, tokens that hold the blank before a word.")
    phrases: list[str] = Field(
        default_factory=list, description="Texts that are one token each: what every prompt says, so that it is short."
    )
    hidden: int = Field(default=256, ge=32, description="Width.")
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=704, ge=32, description="Width of the feed-forward layers.")
    positions: int = Field(default=2048, ge=64, description="The longest sequence, in tokens.")
    induction: bool = Field(
        default=True, description="Start from weights that copy already (`ner_ray.train.starter.induction`)."
    )


class ModelConfig(Section):
    """Which weights are trained. With `lora` an adapter, with `scratch` new weights, else all weights of `base`."""

    base: str | None = Field(default=None, description="A folder, or a model id on a hub.")
    revision: str | None = Field(default=None, description="The base's revision on the hub.")
    trust_remote_code: bool = Field(default=False, description="Run code that comes with the base. Off unless asked.")
    lora: LoraConfig | None = None
    scratch: ScratchConfig | None = None

    @model_validator(mode="after")
    def _base_or_scratch(self) -> Self:
        if (self.base is None) == (self.scratch is None):
            raise ValueError("give either `base` (a checkpoint to tune) or `scratch` (a model to begin)")
        if self.scratch and self.lora:
            raise ValueError("`lora` needs a `base`")
        return self


class OptimizerConfig(Section):
    """AdamW and its schedule; one step sees batch_size examples, however many workers there are."""

    learning_rate: float = Field(gt=0, description="At the peak.")
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup", "warmup_stable_decay"] = "cosine"
    warmup: float = Field(default=0.0, ge=0, le=1, description="Share of all steps in which the rate rises.")
    decay: float = Field(
        default=0.25, ge=0, le=1, description="Share of all steps in which it falls (warmup_stable_decay only)."
    )
    weight_decay: float = Field(default=0.0, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    clip: float = Field(default=1.0, ge=0, description="The largest norm of a gradient; 0 for none.")
    epochs: float = Field(default=3.0, gt=0, description="Passes over the training files, unless `steps` is given.")
    steps: int | None = Field(default=None, ge=1, description="Optimiser steps.")
    batch_size: int = Field(default=256, ge=1, description="Examples a step, over all workers.")
    micro_batch: int = operational(1, ge=1, description="Examples that a worker computes at once.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="bfloat16", description="Of the arithmetic; the weights of full tuning stay float32."
    )
    gradient_checkpointing: bool = operational(False, description="Compute activations twice to save memory.")
    compile: bool = operational(False, description="torch.compile: several times as fast for small models on CPUs.")


class JudgeConfig(Section):
    """How the model is judged while it is trained: span F1 of whole passages, by generation."""

    gold: str | None = operational(None, description="Annotated Parquet; default: validation loss alone.")
    family: dict[str, Any] = Field(default_factory=dict, description="`name` and options of the family that asks.")
    labels: list[str] = Field(default_factory=list, description="The label set; default: each row's `labels`.")
    label_map: dict[str, str | None] = Field(default_factory=dict, description="As in prepare.")
    scored: list[str] = Field(default_factory=list, description="Labels that count; default: all.")
    documents: int = Field(default=200, ge=1, description="How many rows, from the first.")
    max_tokens: int = Field(default=640, ge=1, description="The longest answer, in tokens.")
    batch: int = operational(32, ge=1, description="Prompts that are answered at once.")


class WorkersConfig(Section):
    """Ray Train's workers. Nothing in here changes results but by rounding."""

    count: int = operational(
        0, ge=0, description="Processes over which a batch is spread; 0 trains in this process, without Ray."
    )
    gpus: float = operational(0.0, ge=0, description="GPUs a worker.")
    cpus: float = operational(1.0, gt=0, description="CPUs a worker.")
    threads: int | None = operational(None, ge=1, description="Threads of PyTorch a worker; default: PyTorch's own.")
    max_failures: int = operational(2, ge=0, description="How often a lost worker group is begun again.")


class TrainConfig(Section):
    """The configuration of `ner-ray train`."""

    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    judge: JudgeConfig = Field(default_factory=JudgeConfig)
    workers: WorkersConfig = Field(default_factory=WorkersConfig)
    evaluate_every: int = Field(default=100, ge=1, description="Optimiser steps between judgements.")
    save_every: int = Field(
        default=100,
        ge=1,
        description="Optimiser steps between checkpoints.",
    )
    log_every: int = operational(10, ge=1, description="Optimiser steps between lines of metrics.")
    keep: int = operational(2, ge=1, description="Checkpoints that are kept, the best one always.")
    best_by: Literal["loss", "f1", "last"] = Field(
        default="loss",
        description="Which checkpoint is the result: the least validation loss, the best span F1, the last.",
    )
    output: str = operational(description="A folder that all workers see.")
    save_dtype: Literal["float32", "bfloat16", "float16"] | None = operational(
        None, description="Of the result's weights; default: as they were trained."
    )
    seed: int = Field(default=42)
    card: dict[str, str] = operational(
        default_factory=dict, description="What the model card says: name, licence, language, data, notes."
    )

    @model_validator(mode="after")
    def _f1_needs_gold(self) -> Self:
        if self.best_by == "f1" and not self.judge.gold:
            raise ValueError("best_by: f1 needs judge.gold")
        if self.judge.gold and not self.judge.family:
            raise ValueError("judge.gold needs judge.family")
        return self

    @model_validator(mode="after")
    def _saves_are_judged(self) -> Self:
        if self.best_by != "last" and self.save_every % self.evaluate_every:
            raise ValueError(
                f"save_every ({self.save_every}) must be a multiple of evaluate_every ({self.evaluate_every}), "
                "so that every checkpoint has its figure"
            )
        return self

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        together = self.optimizer.micro_batch * max(self.workers.count, 1)
        if self.optimizer.batch_size % together:
            raise ValueError(
                f"optimizer.batch_size ({self.optimizer.batch_size}) must be a multiple of micro_batch x workers "
                f"({together})"
            )
        return self
