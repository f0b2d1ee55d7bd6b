"""Models on object stores: each node copies one once, and every process there uses the copy.

A process that only counts tokens needs the small files alone; the weights are copied for engines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

from ner_ray.errors import InputError, ModelError
from ner_ray.storage import Location, cache, is_local, made_once, open_store

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx"}
_AT_ONCE = 8


def of_small_files(uri: str) -> Path:
    """A folder on this node with all files of a model but its weights, or with all if it is there.

    Raises:
        ModelError: the store cannot be read, or there is no such folder.
    """
    if place := _on_this_node(uri):
        return place
    whole = _folder(uri, "whole")
    if whole.is_dir():
        return whole
    return made_once(_folder(uri, "small"), partial(_download, uri, [name for name in sizes(uri) if _is_small(name)]))


def of_all_files(uri: str) -> Path:
    """A folder on this node with all files that a loader may need: of several kinds of weights, the safe ones.

    Raises:
        ModelError: the store cannot be read, or there is no such folder.
    """
    if place := _on_this_node(uri):
        return place
    names = list(sizes(uri))
    if any(name.endswith(".safetensors") for name in names):
        names = [name for name in names if _is_small(name) or name.endswith(".safetensors")]
    return made_once(_folder(uri, "whole"), partial(_download, uri, names))


@lru_cache(maxsize=8)
def sizes(uri: str) -> dict[str, int]:
    """The files of a model, as they were when this process first asked, with their sizes.

    Raises:
        ModelError: the store cannot be read, or there is no such folder.
    """
    try:
        found = Location(uri).sizes()
    except (InputError, OSError) as error:
        raise ModelError(f"the model at {uri} cannot be read: {error}") from error
    if not found:
        raise ModelError(f"there is no model at {uri}", hint="name a folder in Hugging Face's layout")
    return found


def _on_this_node(uri: str) -> Path | None:
    """The folder itself, where it is on a disk of this node or in the package."""
    store, path = open_store(uri)
    return Path(path) if is_local(store) and sizes(uri) else None


def _folder(uri: str, kind: str) -> Path:
    """Another folder whenever the files have other names or sizes."""
    content = repr((uri.rstrip("/"), sorted(sizes(uri).items())))
    return cache("models") / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}-{kind}"


def _download(uri: str, names: Iterable[str], folder: Path) -> None:
    place = Location(uri)
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(lambda name: place.download(name, folder / name), names):
                pass
    except OSError as error:
        raise ModelError(f"the model at {uri} cannot be copied to this node: {error}") from error


def _is_small(name: str) -> bool:
    return PurePosixPath(name).suffix not in _WEIGHTS
