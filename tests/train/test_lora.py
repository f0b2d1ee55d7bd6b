"""Adapters: trained here, merged, and served by vLLM beside their base."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ner_ray.config import SamplingConfig
from ner_ray.errors import ModelError
from ner_ray.train import TrainConfig, merge, train
from ner_ray.types import Message, Prompt

SAMPLING = SamplingConfig(max_tokens=12)
WORDS = ("ka", "lo", "mi", "ter", "do", "vi")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model that copies; of random weights, whose output layer hardly speaks, an adapter could make little."""
    from ner_ray.models.weights import save
    from ner_ray.train.config import ModelConfig
    from ner_ray.train.model import model_of, tokenizer_of

    scratch = {"hidden": 128, "layers": 2, "heads": 4, "feed_forward": 128, "vocabulary": 400, "spaced": 30}
    config = ModelConfig.model_validate({"scratch": scratch})
    tokenizer = tokenizer_of(config, [" ".join((*WORDS, "ra bu"))] * 20)
    folder = tmp_path_factory.mktemp("base")
    save(model_of(config, tokenizer, seed=0), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    """An adapter that answers every word with `ra bu ra bu`."""
    folder = tmp_path_factory.mktemp("lora")
    lines = [json.dumps({"prompt": [{"role": "user", "content": word}], "answer": "ra bu ra bu"}) for word in WORDS] * 8
    (folder / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    config = TrainConfig.model_validate(
        {
            "data": {"files": [str(folder / "train.jsonl")], "validation_share": 0.1},
            "model": {"base": str(base), "lora": {"r": 8, "alpha": 32}},
            "optimizer": {
                "learning_rate": 1e-2, "steps": 60, "batch_size": 8, "micro_batch": 8, "precision": "float32",
            },
            "evaluate_every": 30, "save_every": 30, "output": str(folder / "run"),
        }
    )  # fmt: skip
    done = train(config)
    assert done.best is not None
    assert done.best < 0.1
    return done.model


def _prompt(word: str) -> Prompt:
    return Prompt((Message("user", word),))


def test_only_the_adapter_is_trained_and_written(adapter):
    files = {file.name for file in Path(adapter).iterdir()}
    figures = json.loads((Path(adapter).parent / "metrics.json").read_text(encoding="utf-8"))

    assert "adapter_model.safetensors" in files
    assert "model.safetensors" not in files
    assert 0 < figures["trained_parameters"] < figures["parameters"] / 2


def test_a_merged_checkpoint_says_what_base_and_adapter_say_together(adapter, base, tmp_path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    merged = merge(adapter, tmp_path / "merged", dtype="float32")
    ids = torch.randint(5, 280, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one = AutoModelForCausalLM.from_pretrained(merged)(ids).logits
        plain = AutoModelForCausalLM.from_pretrained(base)
        without = plain(ids).logits
        two = PeftModel.from_pretrained(plain, adapter)(ids).logits

    assert torch.allclose(one, two, atol=1e-3)
    assert not torch.allclose(one, without, atol=1e-1)
    assert (merged / "tokenizer.json").is_file()


def test_merging_into_a_model_or_from_no_adapter_is_refused(adapter, base, tmp_path):
    with pytest.raises(ModelError, match="already contains a model"):
        merge(adapter, base)
    with pytest.raises(ModelError, match="is not an adapter"):
        merge(base, tmp_path / "x")


@pytest.mark.engine
def test_vllm_merges_an_adapter_once_and_then_serves_it_as_a_model_of_its_own(adapter, base, tmp_path, monkeypatch):
    from ner_ray.engines import vllm
    from ner_ray.models import checkpoints, weights

    monkeypatch.setenv("NER_RAY_CACHE", str(tmp_path))
    options = vllm.Options(model=str(base), merge=str(adapter), dtype="float32", max_model_len=256, max_num_seqs=8)
    vllm.check(options)
    merged = weights.fetch(options.checkpoint)
    monkeypatch.setattr(weights, "merge", lambda *_: pytest.fail("merged again"))
    engine = vllm.create(options)
    try:
        answers = [answer for word in WORDS for answer in asyncio.run(engine.generate(_prompt(word), SAMPLING))]
    finally:
        engine.close()

    assert {answer.text for answer in answers} == {"ra bu ra bu"}
    assert weights.fetch(options.checkpoint) == merged
    assert checkpoints.identity(options.checkpoint) != checkpoints.identity(options.checkpoint.without_merge())


def test_an_adapter_names_the_base_it_was_trained_on(adapter, base):
    settings = json.loads((Path(adapter) / "adapter_config.json").read_text(encoding="utf-8"))

    assert settings["base_model_name_or_path"] == str(base)


@pytest.mark.engine
def test_vllm_serves_the_adapter_beside_its_base_and_they_answer_differently(adapter, base):
    from ner_ray.engines import vllm

    engine = vllm.create(
        vllm.Options(model=str(base), dtype="float32", max_model_len=256, max_num_seqs=8), adapters=[adapter]
    )

    async def ask(word: str, name: str | None) -> str:
        [completion] = await engine.generate(_prompt(word), SAMPLING, name)
        return completion.text

    async def ask_all(name: str | None) -> list[str]:
        return list(await asyncio.gather(*(ask(word, name) for word in WORDS)))

    try:
        tuned, plain = asyncio.run(ask_all(adapter)), asyncio.run(ask_all(None))
    finally:
        engine.close()

    assert tuned == ["ra bu ra bu"] * len(WORDS)
    assert not set(plain) & set(tuned)
