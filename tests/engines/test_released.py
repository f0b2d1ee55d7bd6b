"""Every preset runs whole on a tiny checkpoint in its model's released layout: prompts, tokens, engine, answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner_ray import Annotator
from ner_ray.engines import transformers, vllm
from tests.engines.models import ask
from tests.released import save_internlm2, save_internlm2_adapter, save_llama_3
from tests.released.presets import PRESETS, replacement

_IN_THE_SUITE = {"gner-t5-base"}  # one vLLM engine takes long to start; the suite has those of the tests below
_TEXTS = ("Angela Merkel met Bob in Berlin.", "安倍晋三 出生 于 东京 。", "")
# What a model of random weights may be blamed for: it writes nonsense.
_NONSENSE = {"unparsable", "truncated", "unanswered", "unknown_label"}


@pytest.mark.engine
@pytest.mark.parametrize(
    "preset",
    [preset if preset in _IN_THE_SUITE else pytest.param(preset, marks=pytest.mark.long) for preset in PRESETS],
)
def test_a_preset_runs_whole(preset: str, tmp_path: Path) -> None:
    replaced = {**replacement(preset, tmp_path), **_small(preset)}
    overrides = [f"{key}={value}" for key, value in replaced.items()]

    with Annotator(f"families/{preset}", overrides, labels=["person", "place"]) as annotator:
        annotated = [annotator(text) for text in _TEXTS]

    assert all({problem.code for problem in done.errors} <= _NONSENSE for done in annotated)
    assert all(done.usage.output_tokens for done in annotated[:2])


def _small(preset: str) -> dict[str, object]:
    """Settings that make engines start fast and answers short; everything else is the preset's."""
    roles = ["engine.extractor", "engine.classifier"] if preset.startswith("cascade") else ["engine"]
    return {f"{role}.dtype": "float32" for role in roles} | {f"{role}.sampling.max_tokens": 24 for role in roles}


@pytest.fixture(scope="module")
def internlm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_internlm2(tmp_path_factory.mktemp("internlm2"))


@pytest.fixture(scope="module")
def adapters(internlm2: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of the attention's fused weights, as B2NER trains by default, and of all five modules."""
    folder = tmp_path_factory.mktemp("adapters")
    targets = {"one": ["wqkv"], "five": ["wqkv", "wo", "w1", "w2", "w3"]}
    return [str(save_internlm2_adapter(internlm2, folder / name, modules)) for name, modules in targets.items()]


@pytest.mark.engine
def test_both_engines_read_and_write_the_same_tokens_of_internlm2_and_its_adapters(
    internlm2: Path, adapters: list[str]
) -> None:
    shared = {"model": str(internlm2), "trust_remote_code": True, "dtype": "float32", "max_model_len": 256}
    answers = []
    for module in (vllm, transformers):
        engine = module.create(module.Options(**shared, max_num_seqs=8), adapters)
        asked = [
            answer
            for adapter in (None, *adapters)
            for [answer] in ask(engine, "Angela Merkel met Bob", "Text: 安倍晋三", adapter=adapter, max_tokens=12)
        ]
        engine.close()
        answers.append([answer.logprobs for answer in asked])  # texts of broken characters may differ

    assert all(mine == pytest.approx(its, abs=1e-3) for mine, its in zip(*answers, strict=True))
    assert len(set(answers[0])) == 6


def test_a_special_token_ends_an_answer(tmp_path: Path) -> None:
    """Llama-3's turns end with a token that the base model's files do not call its end; its text is never seen."""
    folder = save_llama_3(tmp_path)
    _favour(folder, "<|eot_id|>")
    engine = transformers.create(transformers.Options(model=str(folder), max_model_len=64))

    [[endless]], [[ended]] = ask(engine, "Ada", max_tokens=9), ask(engine, "Ada", max_tokens=9, stop=["<|eot_id|>"])
    engine.close()

    assert (endless.output_tokens, endless.finish_reason) == (9, "length")
    assert (ended.output_tokens, ended.finish_reason, ended.text) == (1, "stop", "")


@pytest.mark.engine
@pytest.mark.long
def test_a_special_token_ends_an_answer_of_vllm(tmp_path: Path) -> None:
    folder = save_llama_3(tmp_path)
    _favour(folder, "<|eot_id|>")
    engine = vllm.create(vllm.Options(model=str(folder), max_model_len=64))

    [[ended]] = ask(engine, "Ada", max_tokens=9, stop=["<|eot_id|>"])
    engine.close()

    assert (ended.output_tokens, ended.finish_reason, ended.text) == (1, "stop", "")


def _favour(folder: Path, token: str) -> None:
    """Makes a model write one token for ever: its layers add nothing, and all tokens read the same."""
    import torch
    from safetensors.torch import load_file, save_file

    added = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    number = next(entry["id"] for entry in added if entry["content"] == token)
    weights = load_file(folder / "model.safetensors")
    weights = {name: torch.zeros_like(value) if "proj" in name else value for name, value in weights.items()}
    weights["model.embed_tokens.weight"] = torch.ones_like(weights["model.embed_tokens.weight"])
    weights["lm_head.weight"] = torch.zeros_like(weights["lm_head.weight"])
    weights["lm_head.weight"][number] = 1.0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
