"""Input shards are found by file, folder, glob and list; broken ones are told apart, not fatal."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.errors import InputError
from ner_ray.store.shards import list_shards


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for name, rows in {"a": 2, "b": 3, "deep/c": 4}.items():
        pq.write_table(pa.table({"text": ["x"] * rows}), tmp_path / f"{name}.parquet")
    (tmp_path / "notes.txt").write_text("no shard")
    (tmp_path / "_draft.parquet").write_text("left over by a writer")
    return tmp_path


def test_a_folder_is_searched_to_the_bottom_in_the_order_of_names(corpus: Path) -> None:
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
    with pytest.raises(InputError, match="no library at hand opens odd://"):
        list_shards("odd://bucket/x")


def test_known_shards_are_not_opened_again(corpus: Path) -> None:
    known = list_shards(str(corpus))
    told = [type(shard)(shard.uri, shard.size, shard.modified, 77) for shard in known]

    assert {shard.rows for shard in list_shards(str(corpus), told)} == {77}


def test_reading_many_footers_tells_how_far_it_is(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ner_ray.store.shards._TELL_SECONDS", 0.0)

    with caplog.at_level("INFO"):
        list_shards(str(corpus))

    assert "input.listed files=3 of=3" in caplog.text
