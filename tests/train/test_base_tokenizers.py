"""The tokens that a base model learns from are those that it was pretrained on, and those that it is served with."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from ner_ray.errors import ModelError
from ner_ray.models import tokenizers
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.models.weights import save
from ner_ray.train.config import ModelConfig
from ner_ray.train.model import tokenizer_of
from tests.released import save_internlm2, save_llama
from tests.released.vocabularies import sentencepiece_model


def test_internlm2_learns_from_text_with_blanks(tmp_path: Path) -> None:
    base = save_internlm2(tmp_path)

    tokenizer = tokenizer_of(ModelConfig(base=str(base), trust_remote_code=True), ())

    assert tokenizer.decode(tokenizer.encode("Bob saw Jaws", add_special_tokens=False)) == "Bob saw Jaws"


def test_a_tokenizer_that_cannot_be_trusted_is_not_learnt_with(tmp_path: Path) -> None:
    base = save_llama(tmp_path, fast=True)
    (base / "tokenizer.model").write_bytes(sentencepiece_model("bpe", 440, dummy_prefix=True))

    with pytest.raises(ModelError, match="cannot be trusted"):
        tokenizer_of(ModelConfig(base=str(base)), ())


@pytest.mark.parametrize("legacy", [False, True])
def test_a_trained_llama_is_served_with_the_tokens_that_it_learnt_from(legacy: bool, tmp_path: Path) -> None:
    base = save_llama(tmp_path / "base")
    tokenizer = tokenizer_of(ModelConfig(base=str(base), legacy=legacy), ())

    save(AutoModelForCausalLM.from_pretrained(base), tokenizer, tmp_path / "trained")
    served = tokenizers.load(Checkpoint(str(tmp_path / "trained")))

    assert served.tokenize("text.</s>USER:") == tokenizer.tokenize("text.</s>USER:")
    assert ("▁USER" in served.tokenize("text.</s>USER:")) is legacy
