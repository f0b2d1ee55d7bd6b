"""Checkpoints in Hugging Face's layout: where one is, whether it can be read, and what tells it from another.

A model is named by a folder, by the URI of a folder on an object store, or as `hub:organization/name`, to which a
branch, tag or commit may be added: `hub:organization/name@v1`. A name without `hub:` is never looked up on the hub:
what is meant as a relative path could be registered there by a stranger.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.models import copies, smollm2

STARTER = "starter"  # the name of the model that ships with the package

_PACKAGE = Path(__file__).parent.parent
_HUB = "hub:"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model on disk, on an object store or on the hub.

    Attributes:
        model: a folder, the URI of one, `hub:` and an id on the Hugging Face hub, `starter` or `smollm2`.
        revision: a branch, tag or commit on the hub; None: what follows `@` in `model`, or else the main branch.
        trust_remote_code: whether Python code that comes with the model may run.
        legacy: whether a LLaMA tokenizer puts a blank before what follows a special token; None: as its files say.
        merge: an adapter to merge into the weights; all other files are the model's own.
    """

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    legacy: bool | None = None
    merge: str | None = None

    @property
    def repository(self) -> str | None:
        """Its id on the hub; None if it is elsewhere.

        >>> Checkpoint("hub:org/name@v1").repository, Checkpoint("org/name").repository
        ('org/name', None)
        """
        return self.model.removeprefix(_HUB).partition("@")[0] if self.model.startswith(_HUB) else None

    @property
    def is_named(self) -> bool:
        """Whether `model` is the same on every machine: the name of a model that comes with the package, or a URI."""
        return self.model in (STARTER, smollm2.NAME) or "://" in self.model

    @property
    def location(self) -> str:
        """What loaders of configuration files and tokenizers are given: a folder on this node, or an id on the hub.

        The small files of a model on an object store are copied to this node first.
        """
        if self.model == STARTER:
            return str(_PACKAGE / STARTER)
        if self.model == smollm2.NAME:
            return str(smollm2.folder())
        if "://" in self.model:
            return str(copies.of_small_files(self.model))
        # A relative path that is not there would be looked up on the hub.
        return self.repository or str(Path(self.model).expanduser().absolute())

    @property
    def source(self) -> dict[str, Any]:
        """The arguments that go with `location` to transformers' `from_pretrained`."""
        return {"revision": self.wanted, "trust_remote_code": self.trust_remote_code}

    @property
    def wanted(self) -> str | None:
        """The branch, tag or commit on the hub; None for the main branch."""
        named = self.model.partition("@")[2] if self.repository else ""
        return self.revision or named or None

    def without_merge(self) -> Checkpoint:
        """The model alone."""
        return replace(self, merge=None)

    def file(self, name: str) -> Path | None:
        """One of its small files, from its folder or the hub's cache; None where it is in neither."""
        if self.repository is None:
            file = Path(self.location) / name
            return file if file.is_file() else None
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.repository, name, revision=self.wanted)
        return Path(cached) if isinstance(cached, str) else None


def fetch_folder(name: str, kind: str = "adapter") -> Path:
    """The folder of an adapter or an encoder on this node; it is downloaded if it is not there yet.

    Raises:
        ModelError: there is no such folder.
    """
    checkpoint = Checkpoint(name)
    if checkpoint.repository is None:
        require_folder(checkpoint, kind)
        return copies.of_all_files(name) if "://" in name else Path(checkpoint.location)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(checkpoint.repository, revision=checkpoint.wanted))


def check(checkpoint: Checkpoint, adapter: str | None = None) -> None:
    """Checks that the configuration files of a model and its adapter can be read; no weights are loaded.

    A file that is not in the hub's cache is downloaded.

    Raises:
        ModelError: no model is named, a folder or file is missing or malformed, or the hub does not provide it.
    """
    if not checkpoint.model:
        raise ModelError("no model is named", hint="set engine.model to a folder or to hub:ORGANIZATION/NAME")
    if checkpoint.model == smollm2.NAME:
        smollm2.check()
    _check_file(checkpoint, "config.json", "model")
    for name in filter(None, (adapter, checkpoint.merge)):
        _check_file(Checkpoint(name), "adapter_config.json", "adapter")


def require_folder(checkpoint: Checkpoint, kind: str = "model") -> None:
    """Makes sure that a model which is not on the hub is there.

    Raises:
        ModelError: it is not.
    """
    if checkpoint.repository is None and not Path(checkpoint.location).is_dir():
        raise ModelError(f"no such {kind} folder: {checkpoint.model}", hint=_hint(checkpoint.model))


def identity(checkpoint: Checkpoint) -> str | None:
    """What distinguishes the model from others of the same name.

    Returns:
        For a folder or a store, a checksum over `config.json` and the names and sizes of the weight files. For a model
        on the hub, the commit in the local cache or else the requested revision; None where neither is known. With an
        adapter to merge, its checksum follows.
    """
    if checkpoint.merge:
        return f"{identity(checkpoint.without_merge())}-{_content(fetch_folder(checkpoint.merge))}"
    if checkpoint.repository:
        cached = checkpoint.file("config.json")
        return cached.parent.name if cached else checkpoint.wanted
    if not checkpoint.model:
        return None
    if "://" in checkpoint.model:
        return _checksum(Path(checkpoint.location), copies.sizes(checkpoint.model))
    folder = Path(checkpoint.location)
    return _checksum(folder, {file.name: file.stat().st_size for file in folder.glob("*")}) if folder.is_dir() else None


def pinned(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint at the commit that its revision means now, so that a later push to the hub changes nothing.

    Without the hub, that is the commit in the local cache; where there is none either, the checkpoint stays as it is.
    """
    if checkpoint.repository is None or _COMMIT.fullmatch(checkpoint.wanted or ""):
        return checkpoint
    commit = _newest(checkpoint) or identity(checkpoint)
    return replace(checkpoint, model=f"{_HUB}{checkpoint.repository}", revision=commit)


def _newest(checkpoint: Checkpoint) -> str | None:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        found = HfApi().model_info(checkpoint.repository or "", revision=checkpoint.wanted, timeout=_HUB_SECONDS)
    except (HfHubHTTPError, HFValidationError, OSError):
        return None
    return found.sha


def _content(adapter: Path) -> str:
    """A checksum over an adapter's weights: trained again, they have the same names and sizes."""
    digest = hashlib.sha256()
    for file in sorted(adapter.glob("adapter_*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _checksum(folder: Path, sizes: Mapping[str, int]) -> str:
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for name in sorted(name for name in sizes if name.endswith(".safetensors")):
        digest.update(f"{name} {sizes[name]}".encode())
    return digest.hexdigest()[:16]


def _check_file(checkpoint: Checkpoint, file: str, kind: str) -> None:
    if checkpoint.repository:
        _check_hub(checkpoint, file, kind)
        return
    require_folder(checkpoint, kind)
    folder = Path(checkpoint.location)
    if not (folder / file).is_file():
        raise ModelError(
            f"the {kind} folder {checkpoint.model} has no {file}", hint="name a folder in Hugging Face's layout"
        )
    _check_json(folder / file, kind)


def _hint(model: str) -> str:
    """What a name that is no folder may have been meant as."""
    is_id = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) and not model.startswith(".")
    return f"if you mean the Hugging Face hub, and trust who owns that name there: hub:{model}" if is_id else ""


def _check_json(path: Path, kind: str) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"the {kind}'s {path} cannot be read: {error}") from error


def _check_hub(checkpoint: Checkpoint, file: str, kind: str) -> None:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.file_download import hf_hub_download

    try:
        if checkpoint.file(file):
            return
        hf_hub_download(checkpoint.repository or "", file, revision=checkpoint.wanted, etag_timeout=_HUB_SECONDS)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelError(
            f"the {kind} {checkpoint.model!r} is not available from the hub: {type(error).__name__}",
            hint="check the name; a gated model needs HF_TOKEN; without a network, name a local folder",
        ) from error
