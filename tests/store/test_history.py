"""What a run has planned and committed is told by its documents; a snapshot only makes it quicker to learn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.storage import read_json
from ner_ray.store import history as history_module
from ner_ray.store import snapshot as snapshot_module
from ner_ray.store.health import status
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard
from ner_ray.store.snapshot import SCHEMA, STAMPS
from tests import output

COLUMNS = [name for name in SCHEMA.names if name not in ("wave", *STAMPS)]


@pytest.fixture(autouse=True)
def _no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "_TICK_NS", 0)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the documents that are read one by one."""
    names: list[str] = []

    def read(store: Any, path: str) -> Any:
        names.append("/".join(path.split("/")[-2:]))
        return read_json(store, path)

    monkeypatch.setattr(history_module, "read_json", read)
    return names


def run_of(folder: Path, waves: int) -> RunDirectory:
    """A run with one shard of three rows in each wave, all committed but the last."""
    run = RunDirectory(str(folder))
    shards = [Shard(f"/corpus/{number}.parquet", 100, 1, 3, "", f"digest {number}") for number in range(waves)]
    planned = run.plan_waves(shards, 3)
    for wave in planned[:-1]:
        commit(run, wave)
    return run


def commit(run: RunDirectory, wave: Any) -> None:
    folder = Path(run.data_path(wave))
    folder.mkdir(parents=True)
    pq.write_table(output.table(wave.row_ids(), [output.annotated(["person"])] * wave.rows), folder / "a.parquet")
    run.commit(wave, {"seconds": 1.0, "documents": wave.rows})


def table(run: RunDirectory) -> list[dict[str, Any]]:
    return run.history().table(*COLUMNS).to_pylist()


def snapshots(run: RunDirectory) -> list[Path]:
    return sorted(Path(run.path, "snapshot").glob("*"))


def test_a_snapshot_stands_for_all_documents_it_has_seen(tmp_path: Path, reads: list[str]) -> None:
    run = run_of(tmp_path, 5)
    before, state = table(run), status(str(tmp_path))

    run.history().snapshot(at_least=1)
    reads.clear()

    assert table(run) == before
    assert len(run.files()) == 4
    assert not reads
    assert status(str(tmp_path)) == state
    assert reads == ["plan/00004.json"]  # of the open wave


def test_documents_that_came_since_or_are_others_now_are_read(tmp_path: Path, reads: list[str]) -> None:
    run = run_of(tmp_path, 5)
    run.history().snapshot(at_least=1)
    commit(run, run.open_waves()[0])
    run = RunDirectory(str(tmp_path))
    plan = tmp_path / "plan/00001.json"
    plan.write_text(plan.read_text().replace("/corpus/1.parquet", "/corpus/B.parquet"))
    reads.clear()

    rows = table(run)

    assert sorted(reads) == ["manifest/00001.json", "manifest/00004.json", "plan/00001.json", "plan/00004.json"]
    assert rows[1]["uri"] == ["/corpus/B.parquet"]
    assert all(row["committed"] for row in rows)


def test_a_document_as_new_as_the_store_can_tell_is_not_in_a_snapshot(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, 3)
    newest = max(path.stat().st_mtime_ns for path in tmp_path.rglob("*.json"))
    for path in tmp_path.rglob("00000.json"):
        os.utime(path, ns=(newest, newest - 10**10))
    monkeypatch.setattr(history_module, "_TICK_NS", 10**9)
    run.history().snapshot(at_least=1)
    run = RunDirectory(str(tmp_path))
    reads.clear()

    table(run)

    assert sorted(reads) == ["manifest/00001.json", "plan/00001.json", "plan/00002.json"]


def test_a_document_is_read_once_while_it_stays_the_same(tmp_path: Path, reads: list[str]) -> None:
    run = run_of(tmp_path, 3)
    table(run)
    reads.clear()

    before = table(run)
    plan = tmp_path / "plan/00001.json"
    plan.write_text(plan.read_text().replace("/corpus/1.parquet", "/corpus/1-moved.parquet"))

    assert not reads
    assert table(run) != before
    assert reads == ["manifest/00001.json", "plan/00001.json"]


@pytest.mark.parametrize("harm", ["torn", "garbage", "flipped", "other_columns"])
def test_a_snapshot_that_cannot_be_read_is_ignored_and_made_anew(tmp_path: Path, harm: str) -> None:
    run = run_of(tmp_path, 4)
    before = table(run)
    run.history().snapshot(at_least=1)
    (path,) = snapshots(run)
    content = path.read_bytes()
    if harm == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "garbage":
        path.write_bytes(b"no Parquet")
    elif harm == "flipped":
        path.write_bytes(content[:40] + bytes(byte ^ 0xFF for byte in content[40:200]) + content[200:])
    else:
        pq.write_table(pa.table({"wave": [0, 1, 2, 3]}), path)

    assert table(run) == before
    run.history().snapshot(at_least=1)
    assert table(run) == before
    assert snapshots(run)[-1] != path


def test_a_snapshot_of_another_run_is_believed_in_nothing(tmp_path: Path) -> None:
    run, other = run_of(tmp_path / "a", 3), run_of(tmp_path / "b", 3)
    for path in (tmp_path / "b").rglob("*.json"):
        path.write_text(path.read_text().replace("/corpus/", "/others/"))
    before = table(run)
    other.history().snapshot(at_least=1)
    (tmp_path / "a/snapshot").mkdir()
    (theirs,) = snapshots(other)
    (tmp_path / "a/snapshot" / theirs.name).write_bytes(theirs.read_bytes())

    assert table(run) == before


def test_only_the_last_snapshots_are_kept(tmp_path: Path) -> None:
    run = run_of(tmp_path, 6)
    for wave in range(4):
        (tmp_path / f"plan/{wave:05}.json").touch()
        run.history().snapshot(at_least=0)
        plan = tmp_path / f"plan/{wave:05}.json"
        plan.write_text(plan.read_text() + " ")
        run.history().snapshot(at_least=1)

    assert 1 <= len(snapshots(run)) <= 2
    assert len(table(run)) == 6


def test_a_store_that_refuses_a_snapshot_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of(tmp_path, 3)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot_module, "put_atomically", refuse)

    run.history().snapshot(at_least=1)

    assert "snapshot.not_written" in caplog.text
    assert not snapshots(run)


def test_snapshots_are_written_beside_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ner_ray.store.run.BETWEEN_SNAPSHOTS", 3)
    monkeypatch.setattr(history_module, "BETWEEN_SNAPSHOTS", 3)

    run = run_of(tmp_path, 8)

    assert snapshots(run)
    assert len(table(run)) == 8
