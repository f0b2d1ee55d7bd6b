"""LLaMA as UniNER and GNER-LLaMA released it, and Llama-3 as RA-IT did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.released.vocabularies import added, byte_level, converted, sentencepiece_model, write_json

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHERS = r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SIZE = 560


def save_llama(folder: Path, *, fast: bool = False, legacy: bool | None = None) -> Path:
    """LLaMA: a SentencePiece model, and with `fast` also its conversion.

    Args:
        folder: where to write.
        fast: whether there is a `tokenizer.json`.
        legacy: what `tokenizer_config.json` says; None: nothing, as before transformers 4.31.
    """
    model = sentencepiece_model("bpe", _SIZE, dummy_prefix=True)
    _save_weights(folder, vocab_size=_SIZE, bos_token_id=1, eos_token_id=2, max_position_embeddings=2048)
    (folder / "tokenizer.model").write_bytes(model)
    if fast:
        converted(model, legacy=legacy is not False).save(str(folder / "tokenizer.json"))
    special = {
        name: {"__type": "AddedToken", **added(text, normalized=True)}
        for name, text in (("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"))
    }
    settings: dict[str, Any] = {
        **special,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 2048,
        "pad_token": None,
        "padding_side": "right",
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
    }
    write_json(folder, "tokenizer_config.json", settings | ({} if legacy is None else {"legacy": legacy}))
    return folder


def save_llama_3(folder: Path) -> Path:
    """Llama-3 as LLaMA-Factory saves it: the base's end token, and turns that end with `<|eot_id|>`."""
    from tokenizers import processors

    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    core = byte_level(f"{_LETTERS}|{_OTHERS}", specials)
    begin, end, *_ = (core.token_to_id(name) for name in specials)
    core.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begin)]),
        ]
    )
    size = core.get_vocab_size()
    _save_weights(
        folder, vocab_size=size, bos_token_id=begin, eos_token_id=end, max_position_embeddings=8192, rope_theta=5e5
    )
    core.save(str(folder / "tokenizer.json"))
    settings = {
        "added_tokens_decoder": {str(core.token_to_id(name)): added(name, special=True) for name in specials},
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|end_of_text|>",
        "pad_token": "<|end_of_text|>",
        "clean_up_tokenization_spaces": True,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 8192,
        "padding_side": "right",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    write_json(folder, "tokenizer_config.json", settings)
    return folder


def _save_weights(folder: Path, **settings: Any) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        dtype="float32",
        **settings,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
