"""The typed configuration of training: what to learn from, which weights to train and how, and how to judge them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ner_ray.config import Section, operational
from ner_ray.synth.config import Family, LabelSetOptions, RowOptions


class PrepareConfig(Section):
    """The configuration of `ner-ray train prepare`: annotated text in, a training file out."""

    input: str | list[str] = operational(
        description="Annotated texts: files, folders or run directories, in any format: Parquet, JSON Lines, CoNLL, "
        "Label Studio, spaCy, Hugging Face."
    )
    family: Family = Field(description="`name`, and the family's own options.")
    roles: list[str] = Field(
        default_factory=list, description="Only the steps with these roles (`tagger`, `extractor`, ...); default: all."
    )
    labels: list[str] = Field(default_factory=list, description="The label set; default: that of each text (`labels`).")
    label_map: dict[str, str | None] = Field(
        default_factory=dict, description="Label of the data -> the label to teach; null leaves its entities out."
    )
    label_set: LabelSetOptions = Field(
        default=LabelSetOptions(max_labels=None, dropout=0.0),
        description="How the labels of each row are drawn; default: all of them, in random order. B2NER: dropout 0.1.",
    )
    rows: Literal["conversation", "questions"] = Field(
        default="questions",
        description="questions: a row for each question; conversation: all questions about a text in one row "
        "(UniversalNER).",
    )
    copies: int = Field(
        default=1, ge=1, description="How often each text is used, each time with a new draw of labels."
    )
    max_characters: int = Field(default=4000, gt=0, description="Longer texts are left out and counted.")
    output: str = operational(description="The JSON Lines file to write.")
    seed: int = Field(default=0, description="Seed of all draws.")

    @property
    def row_options(self) -> RowOptions:
        """How annotated text becomes rows."""
        return RowOptions(rows=self.rows, label_set=self.label_set, surfaces="every", seed=self.seed)


class DataConfig(Section):
    """The data to learn from."""

    files: list[str] = operational(
        min_length=1,
        description="Training files, or folders of them, on any store: Parquet (`ner-ray synth` writes "
        "OUTPUT/train/FORM), JSON Lines (`ner-ray train prepare`), LLaMA-Factory or ms-swift.",
    )
    validation: list[str] = operational(
        default_factory=list, description="Files to compute the validation loss on; default: a share of `files`."
    )
    validation_share: float = Field(
        default=0.02, ge=0, lt=1, description="Share of `files` to hold out if `validation` is empty."
    )
    max_length: int = Field(
        default=2048, ge=8, description="Maximum tokens of prompt and answer; longer examples are left out and counted."
    )
    packing: bool = Field(
        default=False,
        description="Pack several examples into one sequence of at most max_length tokens; they do not see each other.",
    )
    group_by_length: bool = Field(default=True, description="Batch examples of similar length; not with packing.")

    @model_validator(mode="after")
    def _packing_or_grouping(self) -> Self:
        if self.packing and self.group_by_length:
            raise ValueError("packing makes all sequences equally long: set group_by_length to false")
        return self


class LoraConfig(Section):
    """Low-rank adapters (Hu et al. 2021)."""

    r: int = Field(default=8, ge=1, description="Rank.")
    alpha: float = Field(default=16, gt=0, description="Scale; the update is multiplied by alpha / r.")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: list[str] | str = Field(
        default="all-linear", description="Modules to adapt, by the end of their names, or `all-linear`."
    )
    modules_to_save: list[str] = Field(
        default_factory=list, description="Modules to train in full as well; vLLM cannot serve such an adapter."
    )


class ScratchConfig(Section):
    """A Qwen2 decoder with new weights, and a tokenizer learnt from the training files."""

    vocabulary: int = Field(default=4096, ge=300, description="Maximum number of tokens.")
    spaced: int = Field(default=1100, ge=0, description="How many of them include the space before a word.")
    phrases: list[str] = Field(
        default_factory=list, description="Texts to make one token each, such as the fixed parts of every prompt."
    )
    hidden: int = Field(default=256, ge=32, description="Width.")
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=704, ge=32, description="Width of the feed-forward layers.")
    positions: int = Field(default=2048, ge=64, description="The longest sequence, in tokens.")
    induction: bool = Field(
        default=True, description="Start from weights that can already copy (`ner_ray.train.induction`)."
    )


class ModelConfig(Section):
    """Which weights are trained: with `lora` an adapter, with `scratch` new weights, else all weights of `base`."""

    base: str | None = Field(default=None, description="A folder, its URI, or hub:ORGANIZATION/NAME.")
    revision: str | None = Field(default=None, description="The base's revision on the hub.")
    trust_remote_code: bool = Field(
        default=False, description="Run Python code that comes with the base model. Only for sources you trust."
    )
    legacy: bool | None = Field(
        default=None,
        description="Of a LLaMA tokenizer: put a blank before what follows a special token; default: as the base's "
        "files say. The model must be served with what it was trained with.",
    )
    lora: LoraConfig | None = None
    scratch: ScratchConfig | None = None

    @model_validator(mode="after")
    def _base_or_scratch(self) -> Self:
        if (self.base is None) == (self.scratch is None):
            raise ValueError("give either `base` (a checkpoint to tune) or `scratch` (a model to start from nothing)")
        if self.scratch and self.lora:
            raise ValueError("`lora` needs a `base`")
        return self


class OptimizerConfig(Section):
    """AdamW and its schedule; a step sees batch_size examples, however many workers there are."""

    learning_rate: float = Field(gt=0, description="Peak learning rate.")
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup", "warmup_stable_decay"] = "cosine"
    warmup: float = Field(default=0.0, ge=0, le=1, description="Share of all steps during which the rate rises.")
    decay: float = Field(
        default=0.25, ge=0, le=1, description="Share of all steps during which it falls (warmup_stable_decay only)."
    )
    weight_decay: float = Field(default=0.0, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    clip: float = Field(default=1.0, ge=0, description="Maximum gradient norm; 0 for no clipping.")
    epochs: float = Field(default=3.0, gt=0, description="Passes over the training data, unless `steps` is given.")
    steps: int | None = Field(default=None, ge=1, description="Optimiser steps.")
    batch_size: int = Field(default=256, ge=1, description="Examples per step, over all workers.")
    micro_batch: int = operational(1, ge=1, description="Examples that a worker processes at once.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="bfloat16", description="Precision of the arithmetic; with full tuning the weights stay float32."
    )
    gradient_checkpointing: bool = operational(False, description="Recompute activations to save memory.")
    compile: bool = operational(False, description="Use torch.compile: several times as fast for small models on CPUs.")


class JudgeConfig(Section):
    """How the model is judged during training: span F1 on whole passages, by generation."""

    gold: str | None = operational(
        None, description="Annotated texts, in any format as in prepare; default: only the validation loss."
    )
    family: dict[str, Any] = Field(default_factory=dict, description="`name` and options of the family that asks.")
    labels: list[str] = Field(default_factory=list, description="The label set; default: each row's `labels`.")
    label_map: dict[str, str | None] = Field(default_factory=dict, description="As in prepare.")
    scored: list[str] = Field(default_factory=list, description="Labels to score; default: all.")
    documents: int = Field(default=200, ge=1, description="Number of rows, from the first.")
    max_tokens: int = Field(default=640, ge=1, description="Maximum tokens of an answer.")
    batch: int = operational(32, ge=1, description="Prompts to answer at once.")


class WorkersConfig(Section):
    """Ray Train's workers. Nothing here changes results, except by rounding."""

    count: int = operational(
        0, ge=0, description="Processes to spread a batch over; 0 trains in this process, without Ray."
    )
    gpus: float = operational(0.0, ge=0, description="GPUs per worker.")
    cpus: float = operational(1.0, gt=0, description="CPUs per worker.")
    threads: int | None = operational(
        None, ge=1, description="PyTorch threads per worker; default: PyTorch's own choice."
    )
    sharded: bool = operational(
        False,
        description="Split weights, gradients and optimizer states over the workers (FSDP2) instead of giving each "
        "all of them. For tuning all weights of a model that is too large for one GPU; `ner-ray train --plan` tells.",
    )
    max_failures: int = operational(2, ge=0, description="How often to restart lost workers.")


class TrainConfig(Section):
    """The configuration of `ner-ray train`."""

    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    judge: JudgeConfig = Field(default_factory=JudgeConfig)
    workers: WorkersConfig = Field(default_factory=WorkersConfig)
    evaluate_every: int = Field(default=100, ge=1, description="Optimiser steps between evaluations.")
    save_every: int = Field(default=100, ge=1, description="Optimiser steps between checkpoints.")
    log_every: int = operational(10, ge=1, description="Optimiser steps between log lines.")
    report_to: list[Literal["tensorboard", "wandb", "mlflow"]] = operational(
        default_factory=list,
        description="Trackers to send the figures to as well. They are configured by environment variables of their "
        "own (WANDB_PROJECT, MLFLOW_TRACKING_URI, ...); TensorBoard's files go to OUTPUT/tensorboard.",
    )
    keep: int = operational(2, ge=1, description="Checkpoints to keep; the best one is always kept.")
    best_by: Literal["loss", "f1", "last"] = Field(
        default="loss",
        description="Which checkpoint is the result: lowest validation loss, best span F1, or the last one.",
    )
    output: str = operational(description="The output folder, visible to all workers.")
    save_dtype: Literal["float32", "bfloat16", "float16"] | None = operational(
        None, description="Data type of the resulting weights; default: as trained."
    )
    seed: int = Field(default=42, description="Seed of new weights, of the order of examples and of dropout.")
    card: dict[str, str] = operational(
        default_factory=dict, description="Fields of the model card: name, license, language, data, notes."
    )

    @model_validator(mode="after")
    def _f1_needs_gold(self) -> Self:
        if self.best_by == "f1" and not self.judge.gold:
            raise ValueError("best_by: f1 needs judge.gold")
        if self.judge.gold and not self.judge.family:
            raise ValueError("judge.gold needs judge.family")
        if self.judge.gold and not (self.data.validation or self.data.validation_share):
            raise ValueError("judge.gold needs data.validation or data.validation_share: both are judged together")
        return self

    @model_validator(mode="after")
    def _saves_are_judged(self) -> Self:
        if self.best_by != "last" and self.save_every % self.evaluate_every:
            raise ValueError(
                f"save_every ({self.save_every}) must be a multiple of evaluate_every ({self.evaluate_every}), "
                "so that every checkpoint has been evaluated"
            )
        return self

    @model_validator(mode="after")
    def _shards_are_of_use(self) -> Self:
        if not self.workers.sharded:
            return self
        if self.workers.count < 2:
            raise ValueError("workers.sharded splits a model over several workers: set workers.count to 2 or more")
        if self.model.lora:
            raise ValueError(
                "workers.sharded is for tuning all weights; with model.lora they are frozen and need little memory"
            )
        if self.judge.gold:
            raise ValueError(
                "with workers.sharded, answers cannot be generated during training: judge the model afterwards "
                "(ner-ray evaluate), and leave judge.gold out"
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
