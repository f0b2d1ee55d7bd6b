"""The weights that are trained: those of a checkpoint, adapters on top of it, or new ones; and how they are saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.extras import require
from ner_ray.models import checkpoints, tokenizers
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.train.config import LoraConfig, ModelConfig, ScratchConfig
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
    model = _load(config)
    return _with_adapters(model, config.lora) if config.lora else model


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
        model = loader.from_config(_architecture(config), trust_remote_code=config.trust_remote_code)
        return _with_adapters(model, config.lora) if config.lora else model


def is_encoder_decoder(model: Any) -> bool:
    """Whether the model reads the prompt and writes the answer with two different stacks, as T5 does."""
    return bool(model.config.is_encoder_decoder)


def is_pair(config: ModelConfig) -> bool:
    """The same, known without loading any weights.

    Raises:
        ModelError: the base cannot be loaded.
    """
    return config.base is not None and bool(_architecture(config).is_encoder_decoder)


def save(
    model: Any,
    tokenizer: Any,
    folder: str | Path,
    dtype: str | None = None,
    weights: dict[str, Any] | None = None,  # tensors
) -> None:
    """Writes a checkpoint, or the adapter if only that was trained, that the engines load by its path.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        folder: where to write.
        dtype: data type of the weights to write; default: as they are.
        weights: by name, if the model itself holds only a part of them.
    """
    import torch

    if weights is not None:
        kind = getattr(torch, dtype or "float32")
        tied = getattr(model, "all_tied_weights_keys", None) or {}
        weights = {name: tensor.to(kind) for name, tensor in weights.items() if name not in tied}
        model.config.dtype = kind
    elif dtype:
        model = model.to(getattr(torch, dtype))
    model.config.use_cache = True  # the trainer has switched it off, which would slow down inference
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    settings = Path(folder) / "tokenizer_config.json"
    if type(tokenizer).__name__ == tokenizers.PLAIN:
        _keep_tokenizer(settings)
    elif getattr(tokenizer, "legacy", False):
        _set(settings, legacy=True)  # which transformers leaves out, and without which it reads prompts differently


def _keep_tokenizer(path: Path) -> None:
    """Makes transformers load the tokenizer as it is.

    Transformers 5 gives a model of type qwen2 its own Qwen2Tokenizer, with another normaliser and other word
    boundaries, whatever `tokenizer_class` says, unless `auto_map` names a class. If that class does not exist, or may
    not be loaded because it would be foreign code, transformers falls back to the plain tokenizer file.
    """
    _set(path, tokenizer_class=tokenizers.PLAIN, auto_map={"AutoTokenizer": [None, "none.None"]})


def _set(path: Path, **settings: object) -> None:
    """Sets keys of a JSON file."""
    changed = json.loads(path.read_text(encoding="utf-8")) | settings
    path.write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")


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
    require("peft", "torch", "transformers", extra=("train", "transformers"), purpose="merging an adapter")
    from peft import PeftConfig, PeftModel

    if not (Path(adapter) / "adapter_config.json").is_file():
        raise ModelError(f"{adapter} is not an adapter: it has no adapter_config.json")
    if (Path(output) / "config.json").exists():
        raise ModelError(f"{output} already contains a model", hint="choose another folder")
    name = base or PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path
    config = ModelConfig(base=name)
    model = PeftModel.from_pretrained(_load(config), str(adapter)).merge_and_unload()
    save(model, tokenizer_of(config, ()), output, dtype)
    if (Path(adapter) / "README.md").is_file():
        shutil.copy(Path(adapter) / "README.md", Path(output) / "README.md")
    return Path(output)


def _load(config: ModelConfig) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    loader = AutoModelForSeq2SeqLM if is_pair(config) else AutoModelForCausalLM
    # Frozen weights may keep the precision of the checkpoint; trained ones need float32.
    dtype = "auto" if config.lora else torch.float32
    try:
        return loader.from_pretrained(checkpoints.fetch(_base(config)), dtype=dtype, **_base(config).source)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load the model {config.base}: {error}") from error


def _architecture(config: ModelConfig) -> Any:  # transformers' PretrainedConfig
    from transformers import AutoConfig

    checkpoints.require_folder(_base(config))
    try:
        return AutoConfig.from_pretrained(_base(config).location, **_base(config).source)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load the model {config.base}: {error}") from error


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
