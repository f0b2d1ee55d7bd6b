"""A common type holds every value of both, and nothing is taken for something else."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.store.column_types import common, fits, holds, plain

FLAT = [
    *(pa.null(), pa.bool_(), pa.int8(), pa.uint8(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(5, 2), pa.decimal128(20, 0), pa.decimal256(50, 4)),
    *(pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())),
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(16), pa.uuid()),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time64("us"), pa.duration("s"), pa.duration("us")),
    *(pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns")),
    *(pa.timestamp("us", "UTC"), pa.timestamp("ms", "+02:00")),
]
kinds = st.recursive(
    st.sampled_from(FLAT),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda kind: pa.list_(kind, 2)),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda fields: pa.struct(list(fields.items()))),
    ),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("one", "other", "wide"),
    [
        (pa.null(), pa.string(), pa.string()),
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint32(), pa.int32(), pa.int64()),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.string(), pa.large_string(), pa.string()),
        (pa.string_view(), pa.string(), pa.large_string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
        (pa.binary(2), pa.binary(), pa.binary()),
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("us", "UTC"), pa.timestamp("ms", "+02:00"), pa.timestamp("us", "UTC")),
        (pa.decimal128(5, 2), pa.decimal128(6, 4), pa.decimal128(7, 4)),
        (pa.list_(pa.null()), pa.list_(pa.string()), pa.list_(pa.string())),
        (pa.uuid(), pa.binary(16), pa.uuid()),
        (pa.json_(), pa.string(), pa.string()),
        (
            pa.struct([("a", pa.int32())]),
            pa.struct([("b", pa.string()), ("a", pa.int64())]),
            pa.struct([("b", pa.string()), ("a", pa.int64())]),
        ),
    ],
)
def test_types_that_differ_without_need_have_a_common_one(
    one: pa.DataType, other: pa.DataType, wide: pa.DataType
) -> None:
    assert wide == common(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.string(), pa.int64()),
        (pa.string(), pa.binary()),
        (pa.bool_(), pa.int8()),
        (pa.date32(), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.decimal128(5, 2), pa.float64()),
        (pa.list_(pa.string()), pa.string()),
        (pa.struct([("a", pa.int64())]), pa.struct([("a", pa.string())])),
    ],
)
def test_types_whose_values_mean_something_else_have_none(one: pa.DataType, other: pa.DataType) -> None:
    assert common(one, other) is None
    assert common(other, one) is None


@given(kinds, kinds)
def test_a_common_type_is_one_whatever_the_order_and_the_way_the_types_are_laid_out(
    one: pa.DataType, other: pa.DataType
) -> None:
    wide, same = common(one, other), common(other, one)

    assert (wide is None) == (same is None)
    if wide is not None:
        assert common(wide, one) == common(plain(one), wide) or holds(wide, plain(one))
        pa.nulls(1, plain(one)).cast(wide)
        pa.nulls(1, plain(other)).cast(wide)


@given(kinds, kinds)
def test_every_value_of_a_type_that_is_held_comes_back(one: pa.DataType, other: pa.DataType) -> None:
    if holds(plain(one), plain(other)):
        assert pa.nulls(2, plain(other)).cast(plain(one)).to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("values", "wide", "expected"),
    [
        (pa.array([1, None, 2**53]), pa.float64(), True),
        (pa.array([1, 2**53 + 1]), pa.float64(), False),
        (pa.array([2**63 - 1], pa.uint64()), pa.int64(), True),
        (pa.array([2**63], pa.uint64()), pa.int64(), False),
        (pa.array([1], pa.int64()), pa.decimal128(20, 2), False),
        (pa.array([Decimal("1.25")], pa.decimal128(5, 2)), pa.decimal128(5, 3), True),
        (pa.array([Decimal("125.25")], pa.decimal128(5, 2)), pa.decimal128(5, 3), False),
        (pa.array([0], pa.timestamp("us")), pa.timestamp("ns"), True),
        (pa.array([253402214400], pa.timestamp("s")), pa.timestamp("ns"), False),
        (pa.array([253402214400000000], pa.timestamp("us", "UTC")), pa.timestamp("ns", "UTC"), False),
        (pa.array([1], pa.timestamp("ns")), pa.timestamp("us"), False),
        (pa.array([1.0]), pa.int64(), False),
        (pa.nulls(3, pa.int64()), pa.float64(), True),
        (pa.array([[1]]), pa.list_(pa.float64()), False),
    ],
)
@pytest.mark.parametrize("noted", [True, False])
def test_the_footer_shows_whether_all_values_fit(
    tmp_path: Path, values: pa.Array, wide: pa.DataType, *, expected: bool, noted: bool
) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": range(len(values)), "column": values}), file, 1, write_statistics=noted)

    assert (expected and noted) == fits(pq.read_metadata(file), "column", values.type, wide)
