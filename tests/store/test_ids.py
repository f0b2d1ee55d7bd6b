"""Every id has one spelling, from which it can be had back."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.store.column_types import plain
from ner_ray.store.ids import id_texts, is_id

ID = uuid.UUID("36bcd222-d9b4-4487-959c-85fadc8cda5a")


def spelled(ids: pa.Array) -> list[str | None]:
    column = pa.chunked_array([ids])
    return id_texts(column.cast(plain(ids.type))).to_pylist()


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array(["u1", None]), ["u1", None]),
        (pa.array(["u1"], pa.large_string()), ["u1"]),
        (pa.array(["u1"], pa.string_view()), ["u1"]),
        (pa.array(["u1", "u1"]).dictionary_encode(), ["u1", "u1"]),
        (pa.array([b"u1", b"\xff"]).cast(pa.binary()).view(pa.string()), ["u1", "\\xff"]),
        (pa.array([ID.bytes], pa.uuid()), [str(ID)]),
        (pa.array([ID.bytes], pa.binary(16)), [ID.hex]),
        (pa.array([b"u1", b"\xff\x00"]), ["7531", "ff00"]),
        (pa.array([b"\xff"], pa.binary_view()), ["ff"]),
        (pa.array([3e15, 7, 0.1, 1e-7]), ["3000000000000000", "7", "0.1", "0.0000001"]),
        (pa.array([0.1], pa.float32()), ["0.1"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([Decimal("1.20"), Decimal("0E-2")], pa.decimal128(5, 2)), ["1.20", "0.00"]),
        (pa.array([True]), ["true"]),
        (pa.array([dt.date(2024, 1, 2)]), ["2024-01-02"]),
        (pa.array([1704153600], pa.timestamp("s")), ["2024-01-02 00:00:00"]),
        (pa.array([1704153600], pa.timestamp("s", "+02:00")), ["2024-01-02 02:00:00+0200"]),
        (pa.nulls(1), [None]),
    ],
)
def test_ids_of_any_flat_type_are_spelled_in_full(ids: pa.Array, expected: list[str | None]) -> None:
    assert is_id(ids.type)
    assert expected == spelled(ids)


@given(st.lists(st.floats(allow_nan=False)))
def test_floats_come_back(ids: list[float]) -> None:
    assert ids == [float(text) for text in spelled(pa.array(ids, pa.float64()))]


@given(st.lists(st.binary()))
def test_bytes_come_back(ids: list[bytes]) -> None:
    assert ids == [bytes.fromhex(text) for text in spelled(pa.array(ids, pa.binary()))]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.string()), pa.struct([("a", pa.string())]), pa.map_(pa.string(), pa.string())]
)
def test_nested_values_are_no_ids(kind: pa.DataType) -> None:
    assert not is_id(kind)
