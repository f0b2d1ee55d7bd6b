"""The weights that are trained: those of a checkpoint, adapters on top of it, or new ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.models import checkpoints, tokenizers, weights
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.train.config import LoraConfig, ModelConfig, ScratchConfig, TrainConfig
from ner_ray.train.induction import install_induction
from ner_ray.train.vocabulary import END, PAD, build_tokenizer


def tokenizer_of(config: ModelConfig, texts: Iterable[str]) -> Any:  # transformers' tokenizer
    """The base's tokenizer, or a new one learnt from `texts`."""
    if config.scratch:
        scratch = config.scratch
        return build_tokenizer(texts, scratch.vocabulary, scratch.spaced, scratch.positions, scratch.phrases)
    base = _base(config)
    checkpoints.check(base)
    tokenizers.check(base)
    tokenizer = tokenizers.load(base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def model_of(config: ModelConfig, tokenizer: Any, seed: int) -> Any:  # transformers' or peft's model
    """The model in float32, with everything frozen that is not trained.

    Raises:
        ModelError: the base cannot be loaded.
    """
    if config.scratch:
        return _new(config.scratch, tokenizer, seed)
    if config.lora:
        # Frozen weights may keep the precision of the checkpoint; trained ones need float32.
        return _with_adapters(weights.load(_base(config)), config.lora)
    import torch

    return weights.load(_base(config), torch.float32)


def outline(config: ModelConfig) -> Any:  # transformers' or peft's model
    """The model without the values of its weights, which takes no memory.

    Raises:
        ModelError: the base's configuration cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, Qwen2ForCausalLM

    with torch.device("meta"):
        if config.scratch:
            return Qwen2ForCausalLM(_new_config(config.scratch, config.scratch.vocabulary))
        loader = AutoModelForSeq2SeqLM if is_pair(config) else AutoModelForCausalLM
        model = loader.from_config(weights.architecture(_base(config)), trust_remote_code=config.trust_remote_code)
        return _with_adapters(model, config.lora) if config.lora else model


def is_encoder_decoder(model: Any) -> bool:
    """Whether the model reads the prompt and writes the answer with two different stacks, as T5 does."""
    return bool(model.config.is_encoder_decoder)


def is_pair(config: ModelConfig) -> bool:
    """The same, known without loading any weights.

    Raises:
        ModelError: the base cannot be loaded.
    """
    return config.base is not None and bool(weights.architecture(_base(config)).is_encoder_decoder)


def attend_plainly(model: Any) -> None:
    """Makes a model compute attention as plain matrix products.

    On CPUs, PyTorch's fused attention takes several times as long on its way back: a quarter of a step's time at 100
    tokens. Its memory grows with the length alone, though, and that of plain attention with the length's square.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    inner.set_attn_implementation("eager")


def save(config: TrainConfig, model: Any, tokenizer: Any, whole: dict[str, Any] | None = None) -> None:
    """Writes the result into the folder `model` of the output.

    Args:
        config: all of it.
        model: the trained model.
        tokenizer: its tokenizer.
        whole: its tensors by name, where the model itself holds only a part of them.
    """
    folder = Path(config.output) / "model"
    weights.save(model, tokenizer, folder, config.save_dtype, whole)
    if config.model.lora:
        weights.name_base(folder, _base(config.model))


def merge(adapter: str | Path, output: str | Path, base: str | None = None, dtype: str = "bfloat16") -> Path:
    """Merges an adapter into its base model and writes the checkpoint; returns its folder.

    Args:
        adapter: the adapter's folder.
        output: the folder to write; it must not contain a model.
        base: the model that the adapter was trained on; default: the one it names.
        dtype: data type of the weights to write.

    Raises:
        ModelError: there is no adapter or base, or `output` is taken.
        MissingExtraError: peft is not installed.
    """
    if (Path(output) / "config.json").exists():
        raise ModelError(f"{output} already contains a model", hint="choose another folder")
    weights.merge(Checkpoint(base or _base_of(Path(adapter))), Path(adapter), Path(output), dtype)
    return Path(output)


def _base_of(adapter: Path) -> str:
    """The model that an adapter names.

    Raises:
        ModelError: the folder is no adapter.
    """
    try:
        settings: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        return str(settings["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{adapter} is not an adapter: it has no adapter_config.json that names its base") from error


def _base(config: ModelConfig) -> Checkpoint:
    assert config.base is not None
    return Checkpoint(config.base, config.revision, config.trust_remote_code, config.legacy)


def _with_adapters(model: Any, lora: LoraConfig) -> Any:
    from peft import LoraConfig as PeftLora
    from peft import TaskType, get_peft_model

    task = TaskType.SEQ_2_SEQ_LM if is_encoder_decoder(model) else TaskType.CAUSAL_LM
    settings = PeftLora(
        task_type=task,
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        modules_to_save=lora.modules_to_save or None,
    )
    adapted = get_peft_model(model, settings)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    adapted.enable_input_require_grads()
    return adapted


def _new(scratch: ScratchConfig, tokenizer: Any, seed: int) -> Any:
    import torch
    from transformers import Qwen2ForCausalLM

    torch.manual_seed(seed)
    end, pad = tokenizer.convert_tokens_to_ids([END, PAD])
    model = Qwen2ForCausalLM(_new_config(scratch, len(tokenizer), eos_token_id=end, pad_token_id=pad))
    if scratch.induction:
        install_induction(model, seed)
    return model


def _new_config(scratch: ScratchConfig, vocabulary: int, **tokens: int) -> Any:
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=scratch.hidden,
        intermediate_size=scratch.feed_forward,
        num_hidden_layers=scratch.layers,
        num_attention_heads=scratch.heads,
        num_key_value_heads=scratch.heads,
        max_position_embeddings=scratch.positions,
        rope_theta=1e6,
        tie_word_embeddings=True,
        use_sliding_window=False,
        bos_token_id=None,
        **tokens,
    )
