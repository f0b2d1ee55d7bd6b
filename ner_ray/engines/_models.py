"""What engines that load models themselves share: is it there, how is a prompt put into its tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ner_ray.config import EngineConfig
from ner_ray.errors import ModelError
from ner_ray.types import Prompt

STARTER = "starter"  # the name of the model that ships with the package


def locate(model: str) -> str:
    """Where a model is: its folder in the package for the starter, else what the configuration says."""
    return str(Path(__file__).parent.parent / STARTER) if model == STARTER else model


def check_model(config: EngineConfig) -> None:
    """Raises `ModelError` unless the model's and the adapter's own configuration can be read."""
    if not config.model:
        raise ModelError(f"the engine {config.name} needs a model", hint="engine.model=FOLDER, or an id on a hub")
    _check_files(locate(config.model), config.revision, "config.json", "model")
    if config.adapter:
        _check_files(config.adapter, None, "adapter_config.json", "adapter")


def load_tokenizer(config: EngineConfig) -> Any:  # transformers' tokenizer, which has no types
    """The model's own tokenizer; loaded once in a process.

    Raises:
        ModelError: there is none, or it wants to run code of its own.
    """
    return _tokenizer(locate(config.model), config.revision, config.trust_remote_code)


@lru_cache(maxsize=4)
def _tokenizer(model: str, revision: str | None, trust_remote_code: bool) -> Any:  # as above
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"cannot load the tokenizer of {model}: {error}",
            hint="if the model brings code of its own that you trust: engine.trust_remote_code=true",
        ) from error


def token_counter(config: EngineConfig) -> Callable[[Sequence[str]], list[int]]:
    """How many tokens each of some texts has for the model, without special ones.

    Where the model has a `tokenizer.json`, only that is loaded: transformers takes seconds to import, in every
    process that counts.

    Raises:
        ModelError: as `load_tokenizer` does.
    """
    return _counter(locate(config.model), config.revision, config.trust_remote_code)


@lru_cache(maxsize=4)
def _counter(model: str, revision: str | None, trust_remote_code: bool) -> Callable[[Sequence[str]], list[int]]:
    file = _file(model, revision, "tokenizer.json")
    if file is None:
        tokenizer = _tokenizer(model, revision, trust_remote_code)
        return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    from tokenizers import Tokenizer

    try:
        core = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises no other
        raise ModelError(f"cannot load the tokenizer of {model}: {error}") from error
    core.no_truncation()
    core.no_padding()
    return lambda texts: [len(one) for one in core.encode_batch_fast(list(texts), add_special_tokens=False)]


def _file(model: str, revision: str | None, name: str) -> Path | None:
    """A file of a model's, in its folder or the hub's cache; None where it is not there."""
    if Path(model).is_dir():
        file = Path(model) / name
        return file if file.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(model, name, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def model_revision(config: EngineConfig) -> str | None:
    """What tells this model from another of its name: a hub's commit, or a checksum of a folder's files and sizes."""
    folder = Path(locate(config.model))
    if config.model and folder.is_dir():
        digest = hashlib.sha256((folder / "config.json").read_bytes())
        for file in sorted(folder.glob("*.safetensors")):
            digest.update(f"{file.name} {file.stat().st_size}".encode())
        return digest.hexdigest()[:16]
    return _hub_commit(config.model) if config.model else None


def _hub_commit(model: str) -> str | None:
    cached = _file(model, None, "config.json")
    return cached.parent.name if cached else None


def render(tokenizer: Any, prompt: Prompt) -> list[int]:  # transformers' tokenizer, which has no types
    """The prompt's token ids; the BOS token is added to plain text unless the text begins with it."""
    if isinstance(prompt.content, str):
        with_specials = not (tokenizer.bos_token and prompt.content.startswith(tokenizer.bos_token))
        ids: list[int] = tokenizer.encode(prompt.content, add_special_tokens=with_specials)
        return ids
    turns = [{"role": turn.role, "content": turn.content} for turn in prompt.content]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    templated: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return templated


def unrender(core: Any, prompt: Sequence[int], answer: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """The text of an answer's tokens, and where in it each of them ends.

    Some decoders treat a text's beginning otherwise than its middle (they leave out a blank), so an answer is decoded
    as what follows its prompt. A token within a split character ends where the character begins; special
    tokens have no text, nor has the first half of a character whose other half is missing.

    Args:
        core: a `tokenizers.Tokenizer`.
    """
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(list(prompt), skip_special_tokens=True)
    text, ends = "", []
    for token in answer:
        try:
            piece = stream.step(core, token)
        except Exception:  # noqa: BLE001  # the library raises no other where bytes of no character come together
            stream = DecodeStream(skip_special_tokens=True)
            piece = stream.step(core, token)
        text += piece or ""
        ends.append(len(text))
    return text, tuple(ends)


def _check_files(name: str, revision: str | None, file: str, what: str) -> None:
    folder = Path(name)
    if folder.is_dir():
        if not (folder / file).is_file():
            raise ModelError(f"the {what} folder {name} has no {file}", hint="name a folder in Hugging Face's layout")
        _check_json(folder / file, what)
        return
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(f"no such {what} folder: {name}")
    _check_hub(name, revision, file, what)


def _check_json(path: Path, what: str) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"the {what}'s {path} cannot be read: {error}") from error


def _check_hub(name: str, revision: str | None, file: str, what: str) -> None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.file_download import hf_hub_download

    try:
        if isinstance(try_to_load_from_cache(name, file, revision=revision), str):
            return
        hf_hub_download(name, file, revision=revision, etag_timeout=5)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelError(
            f"the {what} {name!r} is neither a folder here nor to be had from the hub: {type(error).__name__}",
            hint="check the name; without a network, name a local folder",
        ) from error
