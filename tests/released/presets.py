"""For each preset, a tiny checkpoint as its model is released, and the settings that put it in the model's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.released.internlm2 import save_internlm2, save_internlm2_adapter
from tests.released.llama import save_llama, save_llama_3
from tests.released.others import save_flan_t5, save_qwen

_WITH_THE_PACKAGE = {"cascade-starter", "b2ner-smollm2"}  # which run as they are
PRESETS = sorted(
    {path.stem for path in (Path(__file__).parents[2] / "conf" / "families").glob("*.yaml")} - _WITH_THE_PACKAGE
)


def replacement(preset: str, folder: Path) -> dict[str, Any]:
    """Settings by their keys in the configuration, such as `engine.model`; the checkpoints are written to `folder`."""
    if preset.startswith("b2ner"):
        model = save_internlm2(folder / "model")
        adapter = save_internlm2_adapter(model, folder / "adapter", ["wqkv"])
        return {"engine.model": model, "engine.adapter": adapter, "engine.trust_remote_code": "true"}
    if preset.startswith("cascade-qwen2"):
        roles = ("extractor", "classifier")
        return {f"engine.{role}.model": save_qwen(folder / role, eos="<|endoftext|>") for role in roles}
    savers = {
        "gner-llama": lambda: save_llama(folder / "model", fast=True, legacy=True),
        "gner-t5": lambda: save_flan_t5(folder / "model"),
        "ra-it-ner-8b": lambda: save_llama_3(folder / "model"),
        "ra-it-ner-zh": lambda: save_qwen(folder / "model"),
        "uniner-7b-all": lambda: save_llama(folder / "model"),
        "uniner-7b-type": lambda: save_llama(folder / "model", fast=True),
    }
    return {"engine.model": next(save for name, save in savers.items() if preset.startswith(name))()}
