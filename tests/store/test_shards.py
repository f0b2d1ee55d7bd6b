"""Input shards are listed by file, folder, glob and list; unreadable ones are reported and do not stop the job."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.errors import InputError
from ner_ray.store import shards as shards_module
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards, schemas_of
from ner_ray.store.waves import Wave
from tests.output import table


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for name, rows in {"a": 2, "b": 3, "deep/c": 4}.items():
        pq.write_table(pa.table({"text": ["x"] * rows}), tmp_path / f"{name}.parquet")
    (tmp_path / "notes.txt").write_text("no shard")
    (tmp_path / "_draft.parquet").write_text("left over by a writer")
    return tmp_path


def test_a_folder_is_searched_recursively_in_the_order_of_names(corpus: Path) -> None:
    shards = list_shards(str(corpus))

    assert [(Path(shard.uri).name, shard.rows) for shard in shards] == [
        ("a.parquet", 2),
        ("b.parquet", 3),
        ("c.parquet", 4),
    ]


def test_a_file_a_glob_and_a_list_name_their_files_once_each(corpus: Path) -> None:
    assert len(list_shards(f"{corpus}/a.parquet")) == 1
    assert len(list_shards(f"{corpus}/[ab].parquet")) == 2
    assert len(list_shards([f"{corpus}/a.parquet", str(corpus)])) == 3


def test_a_file_uri_is_a_path(corpus: Path) -> None:
    assert [shard.uri for shard in list_shards(f"file://{corpus}/a.parquet")] == [f"{corpus}/a.parquet"]


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing more", b"\x00" * 5000])
def test_a_corrupt_file_is_listed_with_its_problem(corpus: Path, content: bytes) -> None:
    (corpus / "bad.parquet").write_bytes(content)
    by_name = {Path(shard.uri).name: shard for shard in list_shards(str(corpus))}

    assert by_name["bad.parquet"].problem
    assert not by_name["a.parquet"].problem


def test_a_truncated_file_is_listed_with_its_problem(corpus: Path) -> None:
    whole = (corpus / "a.parquet").read_bytes()
    (corpus / "a.parquet").write_bytes(whole[: len(whole) // 2])

    assert list_shards(f"{corpus}/a.parquet")[0].problem


def test_a_path_that_names_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        list_shards(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no Parquet file"):
        list_shards(str(tmp_path))
    with pytest.raises(InputError, match="no installed library opens odd://"):
        list_shards("odd://bucket/x")


def test_known_shards_are_not_opened_again(corpus: Path) -> None:
    known = list_shards(str(corpus))
    claimed = [type(shard)(shard.uri, shard.size, shard.modified, 77) for shard in known]

    assert {shard.rows for shard in list_shards(str(corpus), claimed)} == {77}


def test_reading_many_footers_logs_its_progress(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ner_ray.store.shards._LOG_SECONDS", 0.0)

    with caplog.at_level("INFO"):
        list_shards(str(corpus))

    assert "input.listed files=3 of=3" in caplog.text


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run with three committed rows, the last of which was retried, so that `data/` holds four."""
    pq.write_table(pa.table({"text": ["x"] * 3}), tmp_path / "input.parquet")
    directory = RunDirectory(str(tmp_path / "run"))
    (wave,) = directory.plan_waves(list_shards(str(tmp_path / "input.parquet")), 100)
    _write_rows(directory, wave, "first")
    _write_rows(directory, directory.plan_retry(wave.row_ids()[2:], []), "again")
    return directory


def _write_rows(directory: RunDirectory, wave: Wave, mark: str) -> None:
    folder = Path(directory.data_path(wave))
    folder.mkdir(parents=True)
    pq.write_table(table(wave.row_ids(), mark=mark), folder / "part.parquet")
    directory.commit(wave, {})


def test_a_run_directory_means_its_committed_files(run: RunDirectory) -> None:
    shards = list_shards(run.uri)

    rows = [row for shard in shards for row in pq.read_table(shard.uri).to_pylist()]
    assert sorted(row["row_id"] for row in rows) == [0, 1, 2]
    assert [row["mark"] for row in rows if row["row_id"] == 2] == ["again"]
    assert sum(shard.rows for shard in shards) == 3


@pytest.mark.parametrize("path", ["run/data", "run/data/wave=00000", "run/data/*/*.parquet", "run/data/"])
def test_a_path_inside_a_run_is_refused_with_the_run_to_give_instead(run: RunDirectory, path: str) -> None:
    with pytest.raises(InputError, match=f"give the run directory itself, {run.uri}"):
        list_shards(f"{Path(run.uri).parent}/{path}")


def test_a_run_without_a_committed_row_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "input.parquet")
    RunDirectory(str(tmp_path / "run")).plan_waves(list_shards(str(tmp_path / "input.parquet")), 100)

    with pytest.raises(InputError, match="nothing is committed yet"):
        list_shards(str(tmp_path / "run"))


def test_a_folder_named_data_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "data" / "a.parquet")

    assert len(list_shards(str(tmp_path / "data"))) == 1


def test_the_footer_of_a_new_file_is_read_once_for_its_rows_and_its_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        pq.write_table(
            pa.table({"text": ["x"] * (number + 1), "n": [1] * (number + 1)}), tmp_path / f"{number}.parquet"
        )
    listed = list_shards(str(tmp_path))

    def refuse(uri: str) -> None:
        raise AssertionError(uri)

    monkeypatch.setattr(shards_module, "open_store", refuse)

    assert [schema.names for schema in schemas_of(listed)] == [["text", "n"]] * 3
    assert listed[0].schema is listed[1].schema
    assert "schema" not in listed[0].to_dict()
