"""A run directory: waves are frozen, committed whole or not at all, and never mixed between configurations."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ner_ray.errors import InputError, LeaseError, RunError
from ner_ray.store.health import status, verify
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard
from ner_ray.store.wave_files import Layout
from ner_ray.store.waves import Wave
from tests import output


def shard(name: str, rows: int = 3, problem: str = "") -> Shard:
    return Shard(f"/corpus/{name}.parquet", 100, 1, rows, problem)


def write(run: RunDirectory, wave: Wave, ids: list[int]) -> None:
    folder = Path(run.data_path(wave))
    folder.mkdir(parents=True)
    pq.write_table(output.table(ids), folder / "part.parquet")


def ids_of(wave: Wave) -> list[int]:
    return [numbered.first_row_id() + row for numbered in wave.shards for row in range(numbered.shard.rows)]


def test_shards_are_grouped_into_waves_of_at_most_so_many_rows(tmp_path: Path) -> None:
    waves = RunDirectory(str(tmp_path)).plan_waves([shard("a"), shard("b"), shard("c", rows=9)], rows_per_wave=6)

    assert [[numbered.shard.uri[8:9] for numbered in wave.shards] for wave in waves] == [["a", "b"], ["c"]]


def test_a_shard_larger_than_a_wave_is_a_wave_of_its_own(tmp_path: Path) -> None:
    waves = RunDirectory(str(tmp_path)).plan_waves([shard("a", rows=50), shard("b")], rows_per_wave=6)

    assert [wave.rows for wave in waves] == [50, 3]


def test_an_open_wave_keeps_its_shards_and_new_ones_get_their_own(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.plan_waves([shard("b")], 10)
    again = RunDirectory(str(tmp_path)).plan_waves([shard("a"), shard("b")], 10)

    assert [[numbered.shard.uri for numbered in wave.shards] for wave in again] == [
        ["/corpus/b.parquet"],
        ["/corpus/a.parquet"],
    ]
    assert again[0].shards[0].ordinal != again[1].shards[0].ordinal


def test_a_committed_wave_is_not_run_again_and_its_files_are_what_a_reader_sees(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a"), shard("b")], 10)
    write(run, wave, ids_of(wave))
    with pytest.raises(RunError, match="nothing is committed"):
        run.dataset()

    run.commit(wave, {"documents": 6})

    assert run.plan_waves([shard("a"), shard("b")], 10) == []
    assert run.dataset().to_table()["row_id"].to_pylist() == ids_of(wave)
    assert run.manifests()[0]["counts"] == {"documents": 6}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids: ids[:-1], "5 out, 1 missing, 0 foreign"),
        (lambda ids: [*ids[:-1], ids[0]], "5 out, 1 missing, 0 foreign"),
        (lambda ids: [*ids, 999_999], "7 out, 0 missing, 1 foreign"),
    ],
)
def test_a_wave_with_missing_or_foreign_rows_is_not_committed(tmp_path: Path, change, message: str) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a"), shard("b")], 10)
    write(run, wave, change(ids_of(wave)))

    with pytest.raises(RunError, match=message):
        run.commit(wave, {})

    assert run.committed() == set()


def test_unreadable_and_empty_shards_are_in_no_wave(tmp_path: Path) -> None:
    waves = RunDirectory(str(tmp_path)).plan_waves(
        [shard("a", problem="truncated"), shard("b", rows=0), shard("c")], 10
    )

    assert [numbered.shard.uri for wave in waves for numbered in wave.shards] == ["/corpus/c.parquet"]


def test_a_run_of_another_configuration_is_refused_with_the_differing_keys(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.write_record({"fingerprint": "one", "settings": {"chunk": {"tokens": 9}, "labels": ["a"]}})

    run.claim("one", {})
    with pytest.raises(RunError, match=r"chunk\.tokens: 9 -> 10") as refused:
        run.claim("two", {"chunk": {"tokens": 10}, "labels": ["a"]})

    assert "labels" not in str(refused.value)


def write_more(run: RunDirectory, wave: Wave, ids: list[int], name: str, mark: str = "") -> Path:
    folder = Path(run.data_path(wave))
    folder.mkdir(parents=True, exist_ok=True)
    table = output.table(ids, mark=mark or name)
    pq.write_table(table, folder / f"{name}.parquet", write_page_checksum=True)
    return folder / f"{name}.parquet"


def marks(run: RunDirectory) -> dict[int, str]:
    rows = run.dataset().to_table().to_pylist()
    assert len({row["row_id"] for row in rows}) == len(rows)
    return {row["row_id"]: row["mark"] for row in rows}


def test_an_open_wave_resumes_from_what_its_files_hold(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a"), shard("b")], 10)
    ids = ids_of(wave)
    write_more(run, wave, ids[:2], "1")
    write_more(run, wave, ids[1:4], "2")
    torn = write_more(run, wave, ids[4:], "3")
    torn.write_bytes(torn.read_bytes()[:-20])

    assert run.resume(wave).row_ids().tolist() == ids[4:]

    assert not torn.exists()
    write_more(run, wave, ids[4:], "4")
    run.commit(wave, {})
    assert marks(run) == dict(zip(ids, ["1", "1", "2", "2", "4", "4"], strict=True))


def test_a_row_that_a_file_holds_twice_is_committed_once(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a")], 10)
    write_more(run, wave, [*ids_of(wave), ids_of(wave)[0]], "1")

    run.commit(wave, {})

    assert sorted(marks(run)) == ids_of(wave)


def test_small_files_are_joined_and_large_ones_left(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a", rows=30)], 100)
    ids = ids_of(wave)
    large = write_more(run, wave, ids[:10], "large")
    for number in range(20):
        write_more(run, wave, [ids[10 + number]], f"small{number}")

    run.commit(wave, {}, Layout(min_rows=8, max_rows=12, group_rows=5))

    files = [pq.ParquetFile(path).metadata for path in run.files()]
    groups = [[file.row_group(number).num_rows for number in range(file.num_row_groups)] for file in files]
    assert sorted(groups) == [[5, 3], [5, 5, 2], [10]]
    assert large.exists()
    assert sorted(marks(run)) == ids


def test_a_changed_shard_is_an_error_or_replaces_its_earlier_rows(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a"), shard("b")], 10)
    before = ids_of(wave)
    write_more(run, wave, before, "old")
    run.commit(wave, {})
    changed = Shard("/corpus/a.parquet", 200, 2, 4)
    with pytest.raises(InputError, match=r"a\.parquet has changed"):
        run.plan_waves([changed, shard("b")], 10)

    (again,) = run.plan_waves([changed, shard("b")], 10, "reprocess")
    write_more(run, again, ids_of(again), "new")
    assert set(marks(run).values()) == {"old"}
    run.commit(again, {})

    assert marks(run) == dict.fromkeys(before[3:], "old") | dict.fromkeys(ids_of(again), "new")
    assert len(ids_of(again)) == 4
    assert run.plan_waves([changed, shard("b")], 10) == []
    assert verify(str(tmp_path)) == (7, [])


def test_a_shard_that_changes_again_while_its_wave_is_open_replaces_the_committed_rows(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a")], 10)
    write(run, wave, ids_of(wave))
    run.commit(wave, {})
    run.plan_waves([replace(shard("a", rows=4), modified=2, size=101)], 10, "reprocess")

    (latest,) = run.plan_waves([replace(shard("a", rows=5), modified=3, size=102)], 10, "reprocess")
    write(run, latest, ids_of(latest))
    run.commit(latest, {})

    assert sorted(marks(run)) == ids_of(latest)


def test_retried_rows_replace_their_earlier_versions(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a"), shard("b")], 10)
    ids = ids_of(wave)
    write_more(run, wave, ids, "old")
    run.commit(wave, {})

    again = run.plan_retry(np.array([ids[1], ids[4]]), output.inputs(run))
    assert RunDirectory(str(tmp_path)).open_waves() == [again]
    write_more(run, again, [ids[1], ids[4]], "new")
    run.commit(again, {})

    assert {row for row, mark in marks(run).items() if mark == "new"} == {ids[1], ids[4]}
    assert verify(str(tmp_path)) == (6, [])


@pytest.mark.parametrize("harm", ["torn", "flipped", "gone"])
def test_verify_finds_a_file_that_is_not_what_was_committed(tmp_path: Path, harm: str) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a", rows=1000)], 5000)
    file = write_more(run, wave, ids_of(wave), "1")
    run.commit(wave, {})
    assert verify(str(tmp_path)) == (1000, [])
    content = bytearray(file.read_bytes())
    if harm == "torn":
        file.write_bytes(content[:-30])
    elif harm == "gone":
        file.unlink()
    else:
        content[200] ^= 0xFF
        file.write_bytes(content)

    rows, findings = verify(str(tmp_path))

    assert rows == 0
    assert [(Path(finding.place).name, finding.problem[:14]) for finding in findings] == [
        ("1.parquet", "cannot be read"),
        ("a.parquet", "1000 rows in, "),
    ]


def test_status_counts_what_is_done_and_open(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    with pytest.raises(RunError, match="there is no run"):
        status(str(tmp_path))
    first, second = run.plan_waves([shard("a"), shard("b", rows=4)], 3)
    write_more(run, first, ids_of(first), "1")
    run.commit(first, {"seconds": 2.0, "documents": 3})
    write_more(run, second, ids_of(second)[:1], "2")

    progress = status(str(tmp_path))

    assert (progress.waves, progress.committed, progress.rows, progress.done) == (2, 1, 7, 4)
    assert (progress.rate, progress.eta, progress.driver) == (1.5, 2.0, None)


def test_a_reader_beside_a_writer_sees_whole_waves_only(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    waves = run.plan_waves([shard(f"{number:02}", rows=5) for number in range(30)], 10)
    seen: set[int] = set()

    def write_all() -> None:
        for wave in waves:
            ids = ids_of(wave)
            for part in range(0, len(ids), 3):
                write_more(run, wave, ids[part : part + 3], f"{part}")
            run.commit(wave, {}, Layout(min_rows=4))

    thread = threading.Thread(target=write_all)
    thread.start()
    while thread.is_alive():
        try:
            seen.add(RunDirectory(str(tmp_path)).dataset().count_rows())
        except RunError:
            seen.add(0)
    thread.join()

    assert len(seen) > 3
    assert all(rows % 10 == 0 for rows in seen)
    assert run.dataset().count_rows() == 150


def test_a_driver_without_its_lease_commits_nothing(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan_waves([shard("a")], 10)
    write_more(run, wave, ids_of(wave), "1")

    def taken() -> None:
        raise LeaseError("the run was taken over")

    with pytest.raises(LeaseError):
        run.commit(wave, {}, check=taken)

    assert run.committed() == set()
