"""LoRA adapters for vLLM: what it does not serve, and the rank that it must make room for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.models import checkpoints
from ner_ray.models.checkpoints import Checkpoint

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_MERGE = "merge it into its base model and serve that: ner-ray train merge"
# Settings of peft that change more than vLLM adds up: what they are, by the name in `adapter_config.json`.
_NOT_SERVED = {
    "modules_to_save": "whole modules beside the adapter",
    "use_dora": "DoRA",
    "lora_bias": "biases",
    "layer_replication": "replicated layers",
}


def check(adapter: str) -> None:
    """Makes sure that vLLM can serve an adapter, as far as its configuration file tells.

    Raises:
        ModelError: it cannot; it would say so only once it has started on a GPU.
    """
    file = Checkpoint(adapter).file("adapter_config.json")
    if file is None:
        return
    settings = _settings(file)
    found = [f"{name} ({what})" for name, what in _NOT_SERVED.items() if settings.get(name)]
    if found:
        raise ModelError(f"vLLM does not serve the adapter {adapter}, which has {', '.join(found)}", hint=_MERGE)
    if _rank(settings) > _RANKS[-1]:
        raise ModelError(
            f"vLLM does not serve the adapter {adapter}, whose rank is {_rank(settings)}, more than {_RANKS[-1]}",
            hint=_MERGE,
        )


def room(adapters: Sequence[str]) -> int:
    """The rank to make room for: the least that vLLM has and no adapter exceeds."""
    folders = [checkpoints.fetch_folder(adapter) for adapter in adapters]
    largest = max(_rank(_settings(folder / "adapter_config.json")) for folder in folders)
    return next(rank for rank in _RANKS if rank >= largest)


def _settings(file: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return settings


def _rank(settings: dict[str, Any]) -> int:
    """The largest rank of any module."""
    ranks: list[int] = [settings.get("r", 0), *(settings.get("rank_pattern") or {}).values()]
    return max(ranks)
