"""Parquet and JSON Lines: all columns of a run, in types that every reader knows."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ner_ray import schema
from ner_ray.export import jsonl, parquet
from ner_ray.export.base import ExportContext, Exported
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

ODD = {
    "blob": b"\x00\xff",
    "day": dt.date(2024, 1, 2),
    "moment": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "hour": dt.time(3, 4),
    "span": dt.timedelta(seconds=1.5),
    "price": Decimal("1.10"),
    "share": float("nan"),
    "most": float("inf"),
    "vector": [0.5, float("nan")],
    "inner": {"blob": b"a", "least": float("-inf")},
    "none": None,
}
PLAIN = {
    "blob": "AP8=",
    "day": "2024-01-02",
    "moment": "2024-01-02T03:04:05+00:00",
    "hour": "03:04:00",
    "span": 1.5,
    "price": "1.10",
    "share": None,
    "most": None,
    "vector": [0.5, None],
    "inner": {"blob": "YQ==", "least": None},
    "none": None,
}


def _context(**columns: object) -> ExportContext:
    failed = schema.annotation_to_row(Annotation((), status=DocumentStatus.FAILED))
    found = schema.annotation_to_row(Annotation((Entity(0, 1, "x", "y"), Entity(2, 3, "x", "y", float("nan")))))
    rows = [{"doc_id": "1", **columns, **found}, {"doc_id": "2", **columns, **failed}]
    inferred = pa.table({name: [value] for name, value in columns.items()}).schema
    whole = pa.schema([("doc_id", pa.string()), *inferred, *schema.OUTPUT])
    return ExportContext(rows=ds.dataset(pa.Table.from_pylist(rows, schema=whole)))


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@pytest.mark.parametrize("exporter", [jsonl, parquet])
def test_all_columns_of_a_run_are_written_and_counted(exporter, tmp_path: Path) -> None:
    written = exporter.write(iter(()), tmp_path / "a", _context(kept=[1, 2]))

    assert (written, written.failed) == (Exported(2, 2), 1)


def test_json_lines_are_valid_json_whatever_the_columns_hold(tmp_path: Path) -> None:
    jsonl.write(iter(()), tmp_path / "a", _context(**ODD))
    lines = (tmp_path / "a").read_text().splitlines()
    rows = [json.loads(line, parse_constant=_refuse) for line in lines]

    assert [{name: row[name] for name in PLAIN} for row in rows] == [PLAIN, PLAIN]
    assert [entity["score"] for entity in rows[0]["entities"]] == [None, None]


def test_values_without_odd_numbers_are_written_alike(tmp_path: Path) -> None:
    """The quick way and the way for rows with numbers that JSON does not have."""
    even = {name: value for name, value in ODD.items() if name not in ("share", "most", "vector", "inner")}
    context = _context(**even)
    only = ExportContext(rows=context.rows.filter(ds.field("doc_id") == "2"))
    jsonl.write(iter(()), tmp_path / "a", only)
    (row,) = map(json.loads, (tmp_path / "a").read_text().splitlines())

    assert {name: row[name] for name in even} == {name: PLAIN[name] for name in even}


def test_parquet_keeps_the_types(tmp_path: Path) -> None:
    context = _context(**ODD)
    parquet.write(iter(()), tmp_path / "a", context)

    assert pq.read_schema(tmp_path / "a").equals(context.rows.schema)


def test_documents_that_come_from_no_run_are_rows_too(tmp_path: Path) -> None:
    documents = [(Document("1", "x y", ()), Annotation((Entity(0, 1, "x", "l"),)))]
    parquet.write(documents, tmp_path / "a")
    jsonl.write(documents, tmp_path / "b")

    assert pq.read_table(tmp_path / "a").to_pylist() == [json.loads((tmp_path / "b").read_text())]
