"""Checkpoints in Hugging Face's layout: where one is, whether it can be read, and what tells it from another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ner_ray.errors import ModelError

STARTER = "starter"  # the name of the model that ships with the package


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model on disk or on the hub.

    Attributes:
        model: a folder, an id on the Hugging Face hub, or `starter`.
        revision: a branch, tag or commit on the hub; None: the main branch.
        trust_remote_code: whether Python code that comes with the model may run.
        legacy: whether a LLaMA tokenizer puts a blank before what follows a special token; None: as its files say.
    """

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    legacy: bool | None = None

    @property
    def location(self) -> str:
        """What loaders are given: the folder inside the package for `starter`, otherwise `model` unchanged.

        >>> Checkpoint("org/name").location
        'org/name'
        """
        return str(Path(__file__).parent.parent / STARTER) if self.model == STARTER else self.model

    def file(self, name: str) -> Path | None:
        """One of its files, from its folder or the hub's cache; None where it is in neither."""
        folder = Path(self.location)
        if folder.is_dir():
            file = folder / name
            return file if file.is_file() else None
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.model, name, revision=self.revision)
        return Path(cached) if isinstance(cached, str) else None


def check(checkpoint: Checkpoint, adapter: str | None = None) -> None:
    """Checks that the configuration files of a model and its adapter can be read; no weights are loaded.

    A file that is not in the hub's cache is downloaded.

    Raises:
        ModelError: no model is named, a folder or file is missing or malformed, or the hub does not provide it.
    """
    if not checkpoint.model:
        raise ModelError("no model is named", hint="set engine.model to a folder or to an id on the Hugging Face hub")
    _check_file(checkpoint, "config.json", "model")
    if adapter:
        _check_file(Checkpoint(adapter), "adapter_config.json", "adapter")


def identity(checkpoint: Checkpoint) -> str | None:
    """What distinguishes the model from others of the same name.

    Returns:
        For a folder, a checksum over `config.json` and the names and sizes of the weight files. For a model on the
        hub, the commit in the local cache or else the requested revision; None where neither is known.
    """
    folder = Path(checkpoint.location)
    if checkpoint.model and folder.is_dir():
        return _checksum(folder)
    cached = checkpoint.file("config.json") if checkpoint.model else None
    return cached.parent.name if cached else checkpoint.revision


def _checksum(folder: Path) -> str:
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(f"{file.name} {file.stat().st_size}".encode())
    return digest.hexdigest()[:16]


def _check_file(checkpoint: Checkpoint, file: str, kind: str) -> None:
    name = checkpoint.location
    folder = Path(name)
    if folder.is_dir():
        if not (folder / file).is_file():
            raise ModelError(f"the {kind} folder {name} has no {file}", hint="name a folder in Hugging Face's layout")
        _check_json(folder / file, kind)
        return
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(f"no such {kind} folder: {name}")
    _check_hub(checkpoint, file, kind)


def _check_json(path: Path, kind: str) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"the {kind}'s {path} cannot be read: {error}") from error


def _check_hub(checkpoint: Checkpoint, file: str, kind: str) -> None:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.file_download import hf_hub_download

    name = checkpoint.model
    try:
        if checkpoint.file(file):
            return
        hf_hub_download(name, file, revision=checkpoint.revision, etag_timeout=5)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelError(
            f"the {kind} {name!r} is neither a local folder nor available from the hub: {type(error).__name__}",
            hint="check the name; without a network, name a local folder",
        ) from error
