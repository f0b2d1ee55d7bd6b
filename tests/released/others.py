"""Qwen1.5 and Qwen2, as RA-IT's Chinese model and CascadeNER released them, and Flan-T5, as GNER-T5 did."""

from __future__ import annotations

import json
from pathlib import Path

from tests.released.vocabularies import added, byte_level, sentencepiece_model, write_json

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SYSTEM = "You are a helpful assistant."
# Qwen2's; Qwen1.5's writes the system turn only if it is given.
_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\n" + _SYSTEM + "<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def save_qwen(folder: Path, *, eos: str = "<|im_end|>") -> Path:
    """Qwen1.5 or Qwen2, which differ in sizes only: a Qwen2 decoder with `vocab.json` and `merges.txt`."""
    import torch
    from tokenizers import normalizers
    from transformers import Qwen2Config, Qwen2ForCausalLM

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    core = byte_level(_WORDS, specials)
    core.normalizer = normalizers.NFC()
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=core.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32768,
        rope_theta=1e6,
        bos_token_id=core.token_to_id("<|endoftext|>"),
        eos_token_id=core.token_to_id(eos),
        dtype="float32",
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    _write_qwen_tokenizer(folder, core, specials, eos)
    return folder


def _write_qwen_tokenizer(folder: Path, core, specials: list[str], eos: str) -> None:
    core.save(str(folder / "tokenizer.json"))
    model = json.loads(core.to_str())["model"]
    write_json(folder, "vocab.json", model["vocab"])
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    settings = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(core.token_to_id(name)): added(name, special=True) for name in specials},
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": None,
        "chat_template": _TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": eos,
        "errors": "replace",
        "model_max_length": 32768,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    write_json(folder, "tokenizer_config.json", settings)


def save_flan_t5(folder: Path) -> Path:
    """Flan-T5: gated activations, untied output, a SentencePiece unigram model with 100 sentinels beside it."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    sentinels = [f"<extra_id_{number}>" for number in range(100)]
    model = sentencepiece_model("unigram", 330, dummy_prefix=True, names=("<unk>", "<s>", "</s>"), pads=True)
    (folder / "spiece.model").write_bytes(model)
    settings = {
        "additional_special_tokens": sentinels,
        "eos_token": "</s>",
        "extra_ids": 100,
        "model_max_length": 512,
        "pad_token": "<pad>",
        "sp_model_kwargs": {},
        "tokenizer_class": "T5Tokenizer",
        "unk_token": "<unk>",
    }
    write_json(folder, "tokenizer_config.json", settings)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=448,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
        initializer_factor=4.0,  # answers that depend on the source
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder
