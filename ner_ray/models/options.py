"""What engines that load checkpoints themselves have in common: settings, and the parts of their contract that follow.

An engine imports the last three functions as its own; see `ner_ray.engines.base.EngineModule`.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ner_ray.config import EngineConfig, operational
from ner_ray.models import checkpoints, tokenizers, weights
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.models.tokenizers import PromptCounter, TokenCounter


class CheckpointOptions(EngineConfig):
    """What to load, how precisely to compute, and what to hand on to the library that loads it."""

    revision: str | None = Field(default=None, description="Branch, tag or commit on the hub, as in hub:NAME@REVISION.")
    trust_remote_code: bool = Field(
        default=False, description="Allow Python code that comes with the model to run. Off by default."
    )
    legacy: bool | None = Field(
        default=None,
        description="Of a LLaMA tokenizer: put a blank before what follows a special token, as models expect that were "
        "tuned before mid-2023; default: what the model's files say.",
    )
    merge: str | None = Field(
        default=None,
        description="A LoRA adapter to merge into the model's weights before they are loaded, once a node: a folder, "
        "its URI, or hub:ORGANIZATION/NAME. Unlike `adapter`, it costs nothing afterwards.",
    )
    check_tokenizer: bool = operational(
        True, description="Refuse a model whose tokenizer does not give texts back, or not with the right tokens."
    )
    dtype: str = Field(
        default="auto",
        description="float32, bfloat16, float16, or auto: on a GPU the checkpoint's type, on a CPU the fastest.",
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments for the library that loads the model, passed on unchanged."
    )
    tuning: dict[str, Any] = operational(
        default_factory=dict,
        description="Like `extra`, for arguments that do not change answers, such as memory limits; they may differ "
        "each time a run continues.",
    )

    @property
    def checkpoint(self) -> Checkpoint:
        """The model."""
        return Checkpoint(self.model, self.revision, self.trust_remote_code, self.legacy, self.merge)

    @property
    def passed_on(self) -> dict[str, Any]:
        """`extra` and `tuning` together."""
        return {**self.extra, **self.tuning}


def check(options: CheckpointOptions) -> None:
    """Makes sure that the files of the model and its adapter are there, and that its tokenizer can be trusted.

    Raises:
        ModelError: they are not, or it cannot; see `checkpoints.check` and `probe.check`.
        MissingExtraError: an adapter is to be merged, and peft is not installed.
    """
    if options.merge:
        weights.check_merge()
    checkpoints.check(options.checkpoint, options.adapter)
    if options.check_tokenizer:
        tokenizers.check(options.checkpoint)


def token_counter(options: CheckpointOptions) -> TokenCounter:
    """Counts with the checkpoint's tokenizer."""
    return tokenizers.counter(options.checkpoint)


def prompt_counter(options: CheckpointOptions) -> PromptCounter:
    """Counts what the checkpoint's chat template makes of a prompt."""
    return tokenizers.prompt_counter(options.checkpoint)


def pinned(options: CheckpointOptions) -> CheckpointOptions:
    """The settings with the model at the commit that its revision means now; see `checkpoints.pinned`."""
    fixed = checkpoints.pinned(options.checkpoint)
    merge = options.merge and pinned_adapter(options.merge)
    return options.model_copy(update={"model": fixed.model, "revision": fixed.revision, "merge": merge})


def pinned_adapter(adapter: str) -> str:
    """An adapter's name with the commit that it means now."""
    fixed = checkpoints.pinned(Checkpoint(adapter))
    return f"{fixed.model}@{fixed.revision}" if fixed.revision else adapter


def identity(options: CheckpointOptions) -> dict[str, str | None]:
    """The checkpoint, with the revision or the checksum of what is there."""
    revision = checkpoints.identity(options.checkpoint)
    return {"model": options.model, "revision": revision, "adapter": options.adapter}
