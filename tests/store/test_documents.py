"""Each row of a shard is read exactly once, with its id, whatever the row groups and ranges."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.schema import ERRORS, ROW_ID, TEXT
from ner_ray.store.documents import Columns, read_groups, read_rows
from ner_ray.store.shards import list_shards
from ner_ray.store.waves import NumberedShard

COLUMNS = Columns(text="text", doc_id=None, labels=None, keep=(), max_characters=100)


def numbered(table: pa.Table, folder: Path, row_group: int = 4) -> NumberedShard:
    pq.write_table(table, folder / "shard.parquet", row_group_size=row_group)
    return NumberedShard(3, list_shards(str(folder))[0])


def read(shard: NumberedShard, first: int, stop: int, columns: Columns = COLUMNS, keep: pa.Schema | None = None):
    parts = list(read_rows(shard, first, stop, columns, keep or pa.schema([])))
    return pa.concat_tables(parts).to_pylist() if parts else []


@given(rows=st.integers(1, 40), row_group=st.integers(1, 12), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_ranges_that_partition_a_shard_give_each_row_once_with_its_own_id(
    tmp_path_factory: pytest.TempPathFactory, rows: int, row_group: int, cuts: list[int]
) -> None:
    texts = [f"text {number}" for number in range(rows)]
    shard = numbered(pa.table({"text": texts}), tmp_path_factory.mktemp("shard"), row_group)
    edges = sorted({0, rows, *(cut for cut in cuts if cut < rows)})

    read_back = [row for first, stop in pairwise(edges) for row in read(shard, first, stop)]

    assert [row[TEXT] for row in read_back] == texts
    assert [row[ROW_ID] for row in read_back] == [(3 << 40) + number for number in range(rows)]
    assert [row["doc_id"] for row in read_back] == [f"shard:{number}" for number in range(rows)]


@given(rows=st.integers(1, 40), row_group=st.integers(1, 12), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_ranges_give_each_row_group_once_to_where_it_begins(
    tmp_path_factory: pytest.TempPathFactory, rows: int, row_group: int, cuts: list[int]
) -> None:
    shard = numbered(pa.table({"text": ["text"] * rows}), tmp_path_factory.mktemp("shard"), row_group)
    edges = sorted({0, rows, *(cut for cut in cuts if cut < rows)})

    for first, stop in pairwise(edges):
        ids = [row_id for part in read_groups(shard, first, stop, COLUMNS, pa.schema([])) for row_id in part[ROW_ID]]

        begins = [number for number in range(0, rows, row_group) if first <= number < stop]
        numbers = [number for begin in begins for number in range(begin, min(begin + row_group, rows))]
        assert [row_id.as_py() for row_id in ids] == [(3 << 40) + number for number in numbers]


@given(rows=st.integers(1, 600), row_group=st.integers(1, 400), data=st.data())
def test_only_the_chosen_rows_of_a_shard_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: int, row_group: int, data: st.DataObject
) -> None:
    chosen = tuple(sorted(data.draw(st.sets(st.integers(0, rows - 1), max_size=20))))
    cut = data.draw(st.integers(0, rows))
    table = pa.table({"text": [f"text {number}" for number in range(rows)]})
    shard = replace(numbered(table, tmp_path_factory.mktemp("shard"), row_group), chosen=chosen)

    read_back = [*read(shard, 0, cut), *read(shard, cut, rows)]

    assert [row[TEXT] for row in read_back] == [f"text {number}" for number in chosen]
    assert [row[ROW_ID] for row in read_back] == shard.row_ids().tolist()


def test_text_that_is_null_too_long_or_not_utf8_becomes_a_row_with_an_error(tmp_path: Path) -> None:
    buffers = pa.array([b"good", None, b"\xff\xfe bad", b"x" * 101, b"\xed\xa0\x80 half a pair"], pa.binary())
    shard = numbered(pa.table({"text": buffers}), tmp_path)

    rows = read(shard, 0, 5)

    assert [row[TEXT] for row in rows] == ["good", "", "", "", ""]
    assert [[problem["code"] for problem in row[ERRORS]] for row in rows] == [
        [],
        ["null_text"],
        ["invalid_utf8"],
        ["too_long"],
        ["invalid_utf8"],
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_every_type_that_holds_text_is_read(tmp_path: Path, kind: pa.DataType) -> None:
    texts = (
        pa.array(["a", "b"]).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(["a", "b"]).cast(kind)
    )
    shard = numbered(pa.table({"text": texts}), tmp_path)

    assert [row[TEXT] for row in read(shard, 0, 2)] == ["a", "b"]


def test_kept_columns_are_cast_to_the_first_shards_type(tmp_path: Path) -> None:
    shard = numbered(pa.table({"text": ["a"], "n": pa.array([7], pa.int32()), "id": [12]}), tmp_path)
    columns = Columns("text", "id", None, ("n",), 100)

    (row,) = read(shard, 0, 1, columns, pa.schema([("n", pa.int64())]))

    assert (row["n"], row["doc_id"]) == (7, "12")
