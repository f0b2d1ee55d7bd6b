"""A model's weights: what loaders of them are given, loading and saving them, and merging an adapter into them."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.extras import require
from ner_ray.models import checkpoints, copies, tokenizers
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.storage import cache, made_once

_LOG = logging.getLogger(__name__)


def fetch(checkpoint: Checkpoint) -> str:
    """What loaders of weights are given: a complete folder on this node, or an id on the hub.

    A model on an object store is copied once a node, and an adapter is merged once a node; a loader downloads models of
    the hub itself.

    Raises:
        ModelError: the model or the adapter to merge cannot be read.
    """
    if checkpoint.merge:
        # The model's own name too: of one on the hub, whose files are not here yet, nothing else may be known.
        content = repr((checkpoint.model, checkpoints.identity(checkpoint)))
        name = hashlib.sha256(content.encode()).hexdigest()[:32]
        return str(made_once(cache("models") / f"{name}-merged", partial(_merge, checkpoint)))
    return str(copies.of_all_files(checkpoint.model)) if "://" in checkpoint.model else checkpoint.location


def architecture(checkpoint: Checkpoint) -> Any:  # transformers' PretrainedConfig
    """The model's configuration.

    Raises:
        ModelError: it cannot be read.
    """
    from transformers import AutoConfig

    checkpoints.require_folder(checkpoint)
    try:
        return AutoConfig.from_pretrained(checkpoint.location, **checkpoint.source)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load the model {checkpoint.model}: {error}") from error


def load(checkpoint: Checkpoint, dtype: Any = "auto") -> Any:  # transformers' PreTrainedModel
    """The model, a decoder or an encoder-decoder.

    Args:
        checkpoint: where it is.
        dtype: PyTorch's type of the weights, or `auto` for that of the checkpoint.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    loader = AutoModelForSeq2SeqLM if architecture(checkpoint).is_encoder_decoder else AutoModelForCausalLM
    try:
        return loader.from_pretrained(fetch(checkpoint), dtype=dtype, **checkpoint.source)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load the model {checkpoint.model}: {error}") from error


def save(
    model: Any,
    tokenizer: Any,
    folder: str | Path,
    dtype: str | None = None,
    whole: dict[str, Any] | None = None,  # tensors
) -> None:
    """Writes a checkpoint, or the adapter if the model is one of peft's, that the engines load by its path.

    Args:
        model: transformers' or peft's model.
        tokenizer: its tokenizer.
        folder: where to.
        dtype: name of the type of the weights to write; default: as they are.
        whole: the weights by name, where the model itself holds only a part of them.
    """
    import torch

    if whole is not None:
        kind = getattr(torch, dtype or "float32")
        tied = getattr(model, "all_tied_weights_keys", None) or {}
        whole = {name: tensor.to(kind) for name, tensor in whole.items() if name not in tied}
        model.config.dtype = kind
    elif dtype:
        model = model.to(getattr(torch, dtype))
    model.config.use_cache = True  # the trainer has switched it off, which would slow down inference
    model.save_pretrained(folder, state_dict=whole)
    tokenizer.save_pretrained(folder)
    settings = Path(folder) / "tokenizer_config.json"
    if type(tokenizer).__name__ == tokenizers.PLAIN:
        _keep_tokenizer(settings)
    elif getattr(tokenizer, "legacy", False):
        _set(settings, legacy=True)  # which transformers leaves out, and without which it reads prompts differently


def name_base(adapter: Path, checkpoint: Checkpoint) -> None:
    """Writes into an adapter which model it belongs to: peft names the folder that the model was loaded from."""
    name = checkpoint.repository or (checkpoint.model if checkpoint.is_named else checkpoint.location)
    _set(adapter / "adapter_config.json", base_model_name_or_path=name)


def merge(checkpoint: Checkpoint, adapter: Path, folder: Path, dtype: str | None = None) -> None:
    """Writes a checkpoint: a model with an adapter merged into its weights.

    Args:
        checkpoint: the model that the adapter was trained on.
        adapter: the adapter's folder.
        folder: where to.
        dtype: name of the type of the weights to write; default: that of the model.

    Raises:
        ModelError: there is no such adapter, or the model cannot be loaded.
        MissingExtraError: peft is not installed.
    """
    check_merge()
    if not (adapter / "adapter_config.json").is_file():
        raise ModelError(f"{adapter} is not an adapter: it has no adapter_config.json")
    from peft import PeftModel

    model = PeftModel.from_pretrained(load(checkpoint), str(adapter)).merge_and_unload()
    save(model, tokenizers.load(checkpoint), folder, dtype)
    if (adapter / "README.md").is_file():
        shutil.copy(adapter / "README.md", folder / "README.md")


def check_merge() -> None:
    """Makes sure that adapters can be merged.

    Raises:
        MissingExtraError: a package is not installed.
    """
    require("peft", "torch", "transformers", extra=("train", "transformers"), purpose="merging an adapter")


def _merge(checkpoint: Checkpoint, folder: Path) -> None:
    assert checkpoint.merge
    _LOG.info("model.merging name=%s adapter=%s", checkpoint.model, checkpoint.merge)
    merge(checkpoint.without_merge(), checkpoints.fetch_folder(checkpoint.merge), folder)


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
