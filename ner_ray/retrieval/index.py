"""The index: a pool laid out once, on any store, and opened by many processes.

    manifest.json           what it was built with; written last, so an unfinished index is never read
    examples.arrow          the examples, in order
    rejects.jsonl           the rows of the pool that cannot be examples, and why
    guard/                  arrays of the leakage guard
    retrievers/<name>/      arrays of each retriever

Arrays are memory-mapped in place; those of a remote store from a copy that one process of each node makes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

import ner_ray
from ner_ray.config import IndexConfig
from ner_ray.config.load import validate
from ner_ray.errors import ConfigError, InputError
from ner_ray.retrieval import base, leakage
from ner_ray.retrieval.base import Builder, Retriever
from ner_ray.retrieval.pool import Pool, read_pool
from ner_ray.schema import DEMONSTRATION, demonstration_to_row, demonstrations_from_table
from ner_ray.storage import Location, made_once
from ner_ray.storage import cache as node_cache
from ner_ray.types import Demonstration

KIND = base.CONTRACT.kind
FORMAT = 1
MANIFEST = "manifest.json"

_EXAMPLES = "examples.arrow"
_REJECTS = "rejects.jsonl"
_BATCH = 10_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What was built.

    Attributes:
        uri: where the index is.
        examples: the number of its examples.
        rejected: rows of the pool that are not examples; the reasons are in `rejects.jsonl`.
        dropped: entities that the label map leaves out.
        retrievers: the names of those laid out.
        bytes: the size of all files.
    """

    uri: str
    examples: int
    rejected: int
    dropped: int
    retrievers: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Index:
    """An index that was found whole.

    Attributes:
        folder: where its files are, on this node.
        manifest: what it was built with.
        digest: of the manifest, which holds all files' checksums: equal digests, equal indexes.
        table: the examples, memory-mapped.
    """

    folder: Path
    manifest: Mapping[str, Any]
    digest: str
    table: pa.Table

    @property
    def size(self) -> int:
        """How many examples there are."""
        return int(self.table.num_rows)

    def examples(self, positions: list[int]) -> list[Demonstration]:
        """The examples at these positions."""
        return demonstrations_from_table(self.table.take(pa.array(positions, pa.int64())))


def build_index(config: IndexConfig, builders: Mapping[str, Builder] | None = None) -> IndexReport:
    """Reads the pool, lays out the guard and the retrievers, and writes the index where the configuration says.

    Args:
        config: the pool, the place, and the retrievers with their options.
        builders: takes the place of a retriever's own `build`, by name: for embeddings made on a cluster.

    Raises:
        ConfigError: an unknown retriever, option or label, or there is an index already.
        MissingExtraError: a package that a retriever needs is missing.
        InputError: the pool cannot be read, or holds no example.
    """
    for name in config.retrievers:
        base.check(name)
    chosen = {name: (base.load(name), section) for name, section in config.retrievers.items()}
    options = {
        name: validate(module.BuildOptions, section, f"retrievers.{name}") for name, (module, section) in chosen.items()
    }
    place = Location(config.output)
    if place.exists(MANIFEST) and not config.overwrite:
        raise ConfigError(f"there is an index at {config.output}", hint="choose another output, or set overwrite=true")
    pool = read_pool(config.pool, config.label_map)
    own: dict[str, Builder] = {name: module.build for name, (module, _) in chosen.items()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        manifest = _lay_out(pool, config, options, own | dict(builders or {}), folder)
        _publish(folder, manifest, place)
    report = IndexReport(
        uri=config.output,
        examples=len(pool.examples),
        rejected=len(pool.rejects),
        dropped=pool.dropped,
        retrievers=tuple(options),
        bytes=sum(entry["bytes"] for entry in manifest["files"].values()),
    )
    _log.info("index.built %s", " ".join(f"{key}={value}" for key, value in asdict(report).items()))
    return report


def open_index(uri: str, *, cache: str | None = None) -> Index:
    """The index at a URI, its files checked against the manifest's checksums.

    Args:
        uri: the index directory.
        cache: where copies of remote indexes are kept, for all processes of a node.

    Raises:
        InputError: there is none, it is damaged, or it was built by an incompatible version.
    """
    place = Location(uri)
    content, manifest = _read_manifest(place, uri)
    digest = hashlib.sha256(content).hexdigest()
    copies = Path(cache).expanduser() if cache else node_cache("retrieval")
    folder = place.local or _copied(place, manifest, copies / digest[:32])
    _verify(folder, manifest, uri)
    with pa.memory_map(str(folder / _EXAMPLES)) as source:
        table = pa.ipc.open_file(source).read_all()
    return Index(folder, manifest, digest, table)


def index_digest(uri: str) -> str:
    """What tells this index from any other, without reading more than its manifest.

    Raises:
        InputError: there is none.
    """
    return hashlib.sha256(_read_manifest(Location(uri), uri)[0]).hexdigest()


def load_retriever(
    index: Index, name: str, options: Mapping[str, Mapping[str, Any]], loaded: dict[str, Retriever]
) -> Retriever:
    """A retriever of an index, with those that it is made of.

    Args:
        index: where its arrays are.
        name: of the retriever.
        options: how retrievers search, by name.
        loaded: those opened so far; what is opened here is added.

    Raises:
        ConfigError: no such retriever, its options are wrong, or the index was built without it.
        InputError: the tokenizer or encoder that is installed here is not the one that read the pool.
    """
    if name in loaded:
        return loaded[name]
    module = base.load(name)
    search = validate(module.SearchOptions, options.get(name, {}), f"options.{name}")
    held = index.manifest["retrievers"]
    if name not in held and not module.PARTS:
        raise ConfigError(
            f"the index was built without {name}; it holds {', '.join(sorted(held)) or 'no retriever'}",
            hint=f"build it with retrievers.{name}",
        )
    parts = {part: load_retriever(index, part, options, loaded) for part in module.PARTS}
    retriever: Retriever = module.load(_folder(index.folder, name), held.get(name, {}), search, parts)
    loaded[name] = retriever
    return retriever


def _lay_out(
    pool: Pool,
    config: IndexConfig,
    options: Mapping[str, BaseModel],
    builders: Mapping[str, Builder],
    folder: Path,
) -> dict[str, Any]:
    """Writes all files but the manifest, which is returned."""
    if not pool.examples:
        _log.warning("index.empty rejected=%d", len(pool.rejects))
    texts = [example.text for example in pool.examples]
    _write_examples(pool.examples, folder / _EXAMPLES)
    with (folder / _REJECTS).open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in pool.rejects)
    guard = folder / "guard"
    guard.mkdir()
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "ner_ray": ner_ray.__version__,
        "examples": len(texts),
        "rejected": len(pool.rejects),
        "pool": list(config.pool),
        "guard": leakage.build(texts, config.guard_ngram, guard),
        "retrievers": {},
    }
    for name, wanted in options.items():
        target = _folder(folder, name)
        target.mkdir(parents=True)
        manifest["retrievers"][name] = builders[name](texts, wanted, target)
    return manifest | {"files": {name: _entry(folder / name) for name in Location(str(folder)).files()}}


def _write_examples(examples: tuple[Demonstration, ...], path: Path) -> None:
    schema = pa.schema(list(DEMONSTRATION))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for start in range(0, len(examples), _BATCH):
            rows = [demonstration_to_row(example) for example in examples[start : start + _BATCH]]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))


def _publish(folder: Path, manifest: Mapping[str, Any], place: Location) -> None:
    """Puts an index on its store: an old manifest goes first, the new one comes last.

    Until it is there, and if this ends before, a reader finds no index rather than half of one.
    """
    if place.exists(MANIFEST):
        place.delete(MANIFEST)
    for name in manifest["files"]:
        place.upload(folder / name, name)
    place.write(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1).encode())


def _read_manifest(place: Location, uri: str) -> tuple[bytes, dict[str, Any]]:
    if not place.exists(MANIFEST):
        raise InputError(f"there is no index at {uri}", hint="build it with `ner-ray index`")
    content = place.read(MANIFEST)
    manifest: object = None
    with suppress(ValueError):
        manifest = json.loads(content)
    if not isinstance(manifest, dict) or not {"format", "files", "retrievers"} <= manifest.keys():
        raise InputError(f"{MANIFEST} at {uri} is not the manifest of an index")
    if manifest["format"] != FORMAT or manifest["guard"]["version"] != leakage.VERSION:
        raise InputError(
            f"the index at {uri} was built by ner_ray {manifest.get('ner_ray')}, whose format is not read here",
            hint="build it again",
        )
    return content, manifest


def _verify(folder: Path, manifest: Mapping[str, Any], uri: str) -> None:
    for name, wanted in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"the index at {uri} lacks {name}", hint="build it again")
        if path.stat().st_size != wanted["bytes"] or _entry(path) != wanted:
            raise InputError(f"{name} of the index at {uri} is damaged", hint="build it again")


def _copied(place: Location, manifest: Mapping[str, Any], target: Path) -> Path:
    """A node's copy of a remote index; the first process that asks makes it, the others wait."""

    def make(folder: Path) -> None:
        for name in manifest["files"]:
            place.download(name, folder / name)

    return made_once(target, make)


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _folder(folder: Path, name: str) -> Path:
    return folder / "retrievers" / name
