"""What becomes an example, and what is rejected and why."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.data.read import Record, parse
from ner_ray.errors import InputError
from ner_ray.retrieval.pool import Pool, make_pool, read_pool
from ner_ray.types import Mention

from .conftest import CHINESE, ENGLISH, rows, write_pool


def _pool(rows: list[Record]) -> Pool:
    return make_pool(parse(rows))


def _one(row: object) -> Any:
    pool = _pool([("p.jsonl", 7, row)])
    return (*pool.examples, *(reject.reason for reject in pool.rejects))[0]


def test_parquet_and_json_lines_give_the_same_pool(tmp_path: Path) -> None:
    content = rows(ENGLISH + CHINESE)
    pq.write_table(pa.Table.from_pylist(content), tmp_path / "pool.parquet")
    json_lines = write_pool(tmp_path / "pool.jsonl", content)

    parquet = read_pool([str(tmp_path / "pool.parquet")])

    assert parquet == read_pool([json_lines])
    assert [example.example_id for example in parquet.examples] == [row["id"] for row in content]


def test_a_folder_is_read_in_the_order_of_its_names_and_compressed_files_too(tmp_path: Path) -> None:
    content = rows(ENGLISH)
    (tmp_path / "b.jsonl").write_text(json.dumps(content[1]), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not of the pool", encoding="utf-8")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(content[0]) + "\n\n")

    pool = read_pool([str(tmp_path)])

    assert [example.example_id for example in pool.examples] == ["e0", "e1"]


def test_files_by_uri_are_read(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool.jsonl", rows(ENGLISH))

    assert len(read_pool([f"file://{tmp_path}/pool.jsonl"]).examples) == len(ENGLISH)


def test_entities_without_places_get_the_next_one_in_the_text() -> None:
    text = "Kiel, Oslo, Kiel"
    names = [{"text": "Kiel", "type": "city"}, {"text": "Oslo", "type": "city"}, {"text": "Kiel", "type": "city"}]

    example = _one({"text": text, "entities": names})

    assert [(mention.start, mention.end) for mention in example.mentions] == [(0, 4), (6, 10), (12, 16)]


def test_entities_listed_out_of_order_are_found_from_the_start() -> None:
    example = _one({"text": "Kiel und Oslo", "entity": [{"Oslo": "city"}, {"Kiel": "city"}]})

    assert example.mentions == (
        Mention("Oslo", "city", start=9, end=13),
        Mention("Kiel", "city", start=0, end=4),
    )


def test_an_example_without_an_id_gets_its_file_and_row() -> None:
    assert _one({"text": "Kiel", "entities": []}).example_id == "p.jsonl:7"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "not a JSON object"),
        ("{broken", "not a JSON object"),
        ({"entities": []}, "no text"),
        ({"text": " ", "entities": []}, "no text"),
        ({"text": "Kiel"}, "no list of entities"),
        ({"text": "Kiel \ud800", "entities": []}, "not Unicode"),
        ({"text": "Kiel", "entities": [{"Kiel": "\ud800"}]}, "not Unicode"),
        ({"text": "Kiel", "entities": "Kiel"}, "no list of entities"),
        ({"text": "Kiel", "entities": ["Kiel"]}, "an entity is not an object: 'Kiel'"),
        ({"text": "Kiel", "entities": [{"text": "", "label": "city"}]}, "an entity without a text"),
        ({"text": "Kiel", "entities": [{"text": "Kiel"}]}, "an entity without a label: 'Kiel'"),
        ({"text": "Kiel", "entities": [{"Oslo": "city"}]}, "entity 'Oslo' is not in the text"),
        (
            {"text": "Kiel", "entities": [{"start": 1, "end": 5, "text": "Kiel", "label": "city"}]},
            "entity 'Kiel' is not at 1:5",
        ),
        (
            {"text": "Kiel", "entities": [{"start": -4, "end": 4, "text": "Kiel", "label": "city"}]},
            "entity 'Kiel' is not at -4:4",
        ),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason(row: object, reason: str) -> None:
    assert _one(row).startswith(reason)


def test_a_text_that_was_there_before_is_rejected_and_names_the_first() -> None:
    pool = _pool([("p", number, {"id": f"x{number}", "text": "Kiel", "entities": []}) for number in range(2)])

    assert len(pool.examples) == 1
    assert pool.rejects[0].reason == "its text is the same as that of 'x0'"
    assert (pool.rejects[0].row, pool.rejects[0].example_id) == (1, "x1")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "text", "entities", "entity", "label", "start", "end"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=4))
def test_any_row_is_an_example_or_a_reject(content: list[Any]) -> None:
    pool = _pool([("p", number, row) for number, row in enumerate(content)])

    assert len(pool.examples) + len(pool.rejects) == len(content)
    for example in pool.examples:
        assert all(example.text[m.start : m.end] == m.text and m.label for m in example.mentions)


@pytest.mark.parametrize("name", ["absent.jsonl", "empty", "pool.csv"])
def test_a_place_without_a_pool_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pool.csv").write_text("text\n", encoding="utf-8")

    with pytest.raises(InputError, match=f"(nothing at|no annotated texts in) .*{name}"):
        read_pool([str(tmp_path / name)])


def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pool.parquet").write_bytes(b"not a Parquet file")

    with pytest.raises(InputError, match=r"cannot read pool\.parquet"):
        read_pool([str(tmp_path / "pool.parquet")])
