"""InternLM2 with code of its own, and adapters as B2NER released them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.released.vocabularies import added, sentencepiece_model, write_json

_CODE = Path(__file__).parent / "internlm2_code"
_SIZE = 560
_RESERVED = 8  # at the end of the vocabulary, most without a use; the released model's begin at 92,538


def save_internlm2(folder: Path, *, dummy_prefix: bool = True) -> Path:
    """InternLM2: code, a SentencePiece model without its conversion, and special tokens behind its pieces.

    Args:
        folder: where to write.
        dummy_prefix: whether the SentencePiece model puts a blank before a text.
    """
    import torch
    from safetensors.torch import save_file

    shutil.copytree(_CODE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tokenizer.model").write_bytes(sentencepiece_model("bpe", _SIZE, dummy_prefix=dummy_prefix))
    config = _config()
    write_json(folder, "config.json", config)
    write_json(folder, "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2})
    write_json(folder, "tokenizer_config.json", _tokenizer_config())
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 0.2
        for name, shape in _shapes(config).items()
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def save_internlm2_adapter(model: Path, folder: Path, targets: Sequence[str] = ("wqkv",)) -> Path:
    """A LoRA adapter in peft's layout, of rank 32 and alpha 64 as B2NER's, with weights that change answers."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "base_model_name_or_path": str(model),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": 64,
        "lora_dropout": 0.05,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": 32,
        "target_modules": list(targets),
        "task_type": "CAUSAL_LM",
    }
    write_json(folder, "adapter_config.json", settings)
    generator = torch.Generator().manual_seed(1)
    weights = {}
    shapes = _shapes(json.loads((model / "config.json").read_text()))
    for name, shape in shapes.items():
        if name.split(".")[-2] in targets:
            module = f"base_model.model.{name.removesuffix('.weight')}"
            weights[f"{module}.lora_A.weight"] = torch.randn((32, shape[1]), generator=generator) * 0.3
            weights[f"{module}.lora_B.weight"] = torch.randn((shape[0], 32), generator=generator) * 0.3
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


def _config() -> dict[str, object]:
    return {
        "architectures": ["InternLM2ForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_internlm2.InternLM2Config",
            "AutoModel": "modeling_internlm2.InternLM2ForCausalLM",
            "AutoModelForCausalLM": "modeling_internlm2.InternLM2ForCausalLM",
        },
        "bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 128,
        "intermediate_size": 192,
        "max_position_embeddings": 32768,
        "model_type": "internlm2",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "pad_token_id": 2,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {"type": "dynamic", "factor": 2.0},
        "rope_theta": 1000000,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": _SIZE + _RESERVED,
    }


def _tokenizer_config() -> dict[str, object]:
    names = ["<unk>", "<s>", "</s>"]
    chat = ["<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", "<|im_end|>", "<|im_start|>"]
    numbered = [*enumerate(names), *enumerate(chat, start=_SIZE)]
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {str(number): added(name, special=True) for number, name in numbered},
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>", *chat[3:1:-1], "<|interpreter|>", "<|plugin|>"],
        "auto_map": {
            "AutoTokenizer": [
                "tokenization_internlm2.InternLM2Tokenizer",
                "tokenization_internlm2_fast.InternLM2TokenizerFast",
            ]
        },
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "decode_with_prefix_space": False,
        "eos_token": "</s>",
        "model_max_length": 1000000000000000019884624838656,
        "pad_token": "</s>",
        "sp_model_kwargs": None,
        "tokenizer_class": "InternLM2Tokenizer",
        "unk_token": "<unk>",
    }


def _shapes(config: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """The shape of each weight, by the names in the checkpoint."""
    hidden, wide, words = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads = config["num_attention_heads"]
    fused = hidden // heads * (heads + 2 * config["num_key_value_heads"])
    layer = {
        "attention.wqkv": (fused, hidden),
        "attention.wo": (hidden, hidden),
        "feed_forward.w1": (wide, hidden),
        "feed_forward.w3": (wide, hidden),
        "feed_forward.w2": (hidden, wide),
        "attention_norm": (hidden,),
        "ffn_norm": (hidden,),
    }
    layers = {
        f"model.layers.{number}.{name}.weight": shape
        for number in range(config["num_hidden_layers"])
        for name, shape in layer.items()
    }
    outer = {"model.tok_embeddings.weight": (words, hidden), "model.norm.weight": (hidden,)}
    return {**layers, **outer, "output.weight": (words, hidden)}
