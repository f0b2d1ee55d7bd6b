"""A run directory: waves are frozen, committed whole or not at all, and never mixed between configurations."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.errors import RunError
from ner_ray.store.run import RunDirectory, Wave
from ner_ray.store.shards import Shard


def shard(name: str, rows: int = 3, problem: str = "") -> Shard:
    return Shard(f"/corpus/{name}.parquet", 100, 1, rows, problem)


def write(run: RunDirectory, wave: Wave, ids: list[int]) -> None:
    folder = Path(run.data_path(wave))
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"row_id": pa.array(ids, pa.int64())}), folder / "part.parquet")


def ids_of(wave: Wave) -> list[int]:
    return [one.first_row_id() + row for one in wave.shards for row in range(one.shard.rows)]


def test_shards_are_grouped_into_waves_of_so_many_rows(tmp_path: Path) -> None:
    waves = RunDirectory(str(tmp_path)).plan([shard("a"), shard("b"), shard("c", rows=9)], rows_per_wave=6)

    assert [[one.shard.uri[8:9] for one in wave.shards] for wave in waves] == [["a", "b"], ["c"]]


def test_a_shard_larger_than_a_wave_is_a_wave_of_its_own(tmp_path: Path) -> None:
    waves = RunDirectory(str(tmp_path)).plan([shard("a", rows=50), shard("b")], rows_per_wave=6)

    assert [wave.rows for wave in waves] == [50, 3]


def test_an_open_wave_keeps_its_shards_and_new_ones_get_their_own(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.plan([shard("b")], 10)
    again = RunDirectory(str(tmp_path)).plan([shard("a"), shard("b")], 10)

    assert [[one.shard.uri for one in wave.shards] for wave in again] == [["/corpus/b.parquet"], ["/corpus/a.parquet"]]
    assert again[0].shards[0].ordinal != again[1].shards[0].ordinal


def test_a_committed_wave_is_not_run_again_and_its_files_are_what_a_reader_sees(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan([shard("a"), shard("b")], 10)
    write(run, wave, ids_of(wave))
    with pytest.raises(RunError, match="nothing is committed"):
        run.dataset()

    run.commit(wave, {"documents": 6})

    assert run.plan([shard("a"), shard("b")], 10) == []
    assert run.dataset().to_table()["row_id"].to_pylist() == ids_of(wave)
    assert run.manifests()[0]["counts"] == {"documents": 6}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ids: ids[:-1], "1 missing, 0 doubled"),
        (lambda ids: [*ids, ids[0]], "0 missing, 1 doubled"),
        (lambda ids: [*ids[:-1], ids[0]], "1 missing, 1 doubled"),
        (lambda ids: [*ids, 999_999], "0 missing, 0 doubled"),
    ],
)
def test_a_wave_with_missing_doubled_or_foreign_rows_is_not_committed(tmp_path: Path, change, said: str) -> None:
    run = RunDirectory(str(tmp_path))
    (wave,) = run.plan([shard("a"), shard("b")], 10)
    write(run, wave, change(ids_of(wave)))

    with pytest.raises(RunError, match=said):
        run.commit(wave, {})

    assert run.committed() == set()


def test_unreadable_and_empty_shards_are_in_no_wave(tmp_path: Path) -> None:
    waves = RunDirectory(str(tmp_path)).plan([shard("a", problem="truncated"), shard("b", rows=0), shard("c")], 10)

    assert [one.shard.uri for wave in waves for one in wave.shards] == ["/corpus/c.parquet"]


def test_a_run_of_another_configuration_is_refused_with_the_differing_keys(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.write_record({"fingerprint": "one", "settings": {"chunk": {"tokens": 9}, "labels": ["a"]}})

    run.claim("one", {})
    with pytest.raises(RunError, match=r"chunk\.tokens: 9 -> 10") as refused:
        run.claim("two", {"chunk": {"tokens": 10}, "labels": ["a"]})

    assert "labels" not in str(refused.value)
