"""First weights that copy."""

from __future__ import annotations

import pytest

from ner_ray.errors import ConfigError
from ner_ray.train.induction import install_induction


def _model(hidden: int, heads: int, layers: int = 2):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=2000, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=heads, rope_theta=1e6, tie_word_embeddings=True,
        )
    )  # fmt: skip


def _copied(model, length: int) -> float:
    """The share of tokens that the model predicts rightly when a random sequence is repeated."""
    import torch

    generator = torch.Generator().manual_seed(1)
    sequence = torch.randint(3, 2000, (16, length), generator=generator)
    ends = torch.ones(16, 1, dtype=torch.long)
    ids = torch.cat([ends, sequence, ends + 1, ends, sequence], dim=1)
    with torch.no_grad():
        guesses = model(ids).logits[:, length + 2 : -1].argmax(-1)
    return float((guesses == sequence).float().mean())


@pytest.mark.parametrize(("hidden", "heads"), [(96, 3), (128, 4), (256, 4)])
@pytest.mark.parametrize("length", [20, 100])
def test_a_model_copies_random_tokens_before_any_training(hidden, heads, length):
    model = _model(hidden, heads)
    untouched = _copied(model, length)
    install_induction(model, seed=0)

    assert untouched < 0.02
    assert _copied(model, length) > 0.93


def test_a_model_without_room_for_it_is_refused():
    with pytest.raises(ConfigError, match="2 layers"):
        install_induction(_model(128, 4, layers=1), seed=0)
    with pytest.raises(ConfigError, match="heads"):
        install_induction(_model(128, 2), seed=0)
