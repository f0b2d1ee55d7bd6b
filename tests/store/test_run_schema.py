"""Whatever types files bring, night after night: they are refused before the start, or the run reads as one table."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray import open_run
from ner_ray.errors import ConfigError, InputError, RunError
from ner_ray.store.health import verify
from ner_ray.store.run import RunDirectory
from ner_ray.store.wave_files import Layout
from tests.nights import config_of, night, write_shard

ROWS = 2
moments = st.sampled_from([0, 1_700_000_000, 253_402_214_400])  # 1970, 2023, 9999


def _integers(kind: pa.DataType) -> st.SearchStrategy[int]:
    signed = pa.types.is_signed_integer(kind)
    largest = 2 ** (kind.bit_width - signed) - 1
    return st.sampled_from([0, 7, largest, *([-largest - 1] if signed else [])])


Kind = tuple[pa.DataType, st.SearchStrategy[Any]]  # a type, and values of it

NULL: Kind = (pa.null(), st.none())
NUMBERS: list[Kind] = [
    *((kind, _integers(kind)) for kind in (pa.int8(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())),
    (pa.float32(), st.sampled_from([0.5, 2.0**100])),
    (pa.float64(), st.sampled_from([0.5, 1e300])),
    (pa.decimal128(5, 2), st.sampled_from([Decimal("1.25"), Decimal("999.99")])),
    (pa.decimal128(30, 10), st.sampled_from([Decimal("1.25"), Decimal(10) ** 19])),
]
STRINGS: list[Kind] = [
    *(
        (kind, st.sampled_from(["", "a", "ü"]))
        for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))
    ),
    (pa.binary(), st.sampled_from([b"a", b"\xff"])),
    (pa.binary(2), st.sampled_from([b"ab", b"\xff\x00"])),
]
MOMENTS: list[Kind] = [
    *(
        (pa.timestamp(unit, zone), moments.map(lambda at, factor=factor: at * factor))
        for unit, factor in (("s", 1), ("ms", 1000), ("us", 1_000_000))
        for zone in (None, "UTC")
    ),
    (pa.timestamp("ns"), st.sampled_from([0, 1])),
    (pa.date32(), st.sampled_from([dt.date(2024, 1, 2)])),
]
OTHERS: list[Kind] = [(pa.bool_(), st.booleans()), NUMBERS[3], STRINGS[0], MOMENTS[0]]
WRAPPED: list[Callable[[Kind], Kind]] = [
    lambda inner: inner,
    lambda inner: (pa.list_(inner[0]), st.lists(inner[1], max_size=2)),
    lambda inner: (pa.struct([("a", inner[0])]), st.fixed_dictionaries({"a": inner[1]})),
    lambda inner: (
        pa.struct([("b", pa.int64()), ("a", inner[0])]),
        st.fixed_dictionaries({"a": inner[1], "b": st.just(3)}),
    ),
]


def _array(kind: Kind) -> st.SearchStrategy[pa.Array]:
    values = st.lists(st.none() | kind[1], min_size=ROWS, max_size=ROWS)
    return values.map(lambda drawn: pa.array(drawn, kind[0]))


@st.composite
def _nights(draw: st.DrawFn) -> list[list[pa.Array]]:
    """Nights of files, whose types are alike."""
    family = [NULL, *draw(st.sampled_from([NUMBERS, STRINGS, MOMENTS, OTHERS]))]
    wraps = draw(st.sampled_from([WRAPPED[:1], WRAPPED[1:2], WRAPPED[2:]]))
    kinds = st.builds(lambda wrap, kind: wrap(kind), st.sampled_from(wraps), st.sampled_from(family))
    return draw(st.lists(st.lists(kinds.flatmap(_array), min_size=1, max_size=3), min_size=1, max_size=3))


def _same(given: Any, read: Any) -> bool:
    """Whether a value was read as it was given; a struct may have got fields."""
    if isinstance(given, dict):
        return isinstance(read, dict) and all(_same(given.get(name), read[name]) for name in read)
    if isinstance(given, list):
        return len(given) == len(read) and all(map(_same, given, read))
    return bool(given == read) and isinstance(given, bool) == isinstance(read, bool)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=30)
@given(nights=_nights())
def test_types_are_refused_before_the_start_or_the_run_reads_as_one_table(
    tmp_path_factory: pytest.TempPathFactory, nights: list[list[pa.Array]]
) -> None:
    folder = tmp_path_factory.mktemp("nights")
    config = config_of(folder, {"keep": ["column"]})
    expected: dict[str, Any] = {}
    for number, arrays in enumerate(nights):
        before = _files(folder / "run")
        names = [f"{9 - number}{letter}" for letter in "abc"]  # later nights are listed first
        for name, array in zip(names, arrays, strict=False):
            write_shard(folder / "in" / f"{name}.parquet", {"column": array}, ROWS)
        try:
            run = night(config)
        except InputError as refused:
            assert re.match(rf"{folder}/in/.*column 'column'", refused.message)  # noqa: PT017  # it need not be raised
            assert before == _files(folder / "run")
            for name in names:
                (folder / "in" / f"{name}.parquet").unlink(missing_ok=True)
            continue
        for name, array in zip(names, arrays, strict=False):
            expected |= {f"{name}:{row}": value for row, value in enumerate(array.to_pylist())}

        table = open_run(run.uri).to_table()
        read = dict(zip(table["doc_id"].to_pylist(), table["column"].to_pylist(), strict=True))
        assert expected.keys() == read.keys()
        assert all(_same(expected[doc_id], read[doc_id]) for doc_id in read), (expected, read)
        assert verify(run.uri) == (len(expected), [])
        assert table.schema.equals(run.recorded_schema())


NIGHTS = [
    (pa.array([1, 2], pa.int32()), pa.array([2**40, 0]), pa.int64()),
    (pa.nulls(2), pa.array(["x", "y"]), pa.string()),
    (pa.array([1, 2]), pa.array([0.5, None]), pa.float64()),
    (
        pa.array([{"a": 1}] * 2),
        pa.array([{"a": 1, "b": "x"}] * 2),
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
    ),
]


@pytest.mark.parametrize(("first", "second", "wide"), NIGHTS)
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_later_night_may_widen_the_run_whatever_the_order_of_the_files(
    tmp_path: Path, first: pa.Array, second: pa.Array, wide: pa.DataType, order: str
) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    for name, array in zip(order, (first, second), strict=True):
        write_shard(tmp_path / "in" / f"{name}.parquet", {"column": array}, 2)
        run = night(config)

    assert wide == open_run(run.uri).to_table().schema.field("column").type
    assert verify(run.uri) == (4, [])


@pytest.mark.parametrize(
    ("nulls", "values"),
    [
        (pa.nulls(2, pa.float64()), pa.array(["x", "y"])),
        (pa.nulls(2, pa.large_string()), pa.array([0.5, 1.5])),
        (pa.nulls(2, pa.string()), pa.array([dt.date(2024, 1, 2), None])),
    ],
)
@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_column_without_a_value_may_be_declared_as_anything(
    tmp_path: Path, nulls: pa.Array, values: pa.Array, order: str, *, at_once: bool
) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    for name, array in zip(order, (nulls, values), strict=True):
        write_shard(tmp_path / "in" / f"{name}.parquet", {"column": array}, 2)
        if not at_once:
            night(config)
    run = night(config)

    table = open_run(run.uri).to_table()
    assert values.type == table.schema.field("column").type
    assert table["column"].null_count == 2 + values.null_count
    assert verify(run.uri) == (4, [])


def test_nulls_of_a_type_that_arrow_does_not_convert_are_not_widened(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    write_shard(tmp_path / "in" / "a.parquet", {"column": pa.nulls(2, pa.string())}, 2)
    night(config)
    write_shard(tmp_path / "in" / "b.parquet", {"column": pa.array([{"a": 1}, None])}, 2)

    with pytest.raises(InputError, match=r"b\.parquet: column 'column' is struct.*the run"):
        night(config)


def test_a_file_without_any_text_is_a_file_of_null_texts(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {"text": pa.nulls(1)}, 1)
    write_shard(tmp_path / "in" / "b.parquet", {}, 1)

    table = open_run(night(config_of(tmp_path)).uri).to_table()

    assert {row["doc_id"]: [error["code"] for error in row["errors"]] for row in table.to_pylist()} == {
        "a:0": ["null_text"],
        "b:0": [],
    }


def test_old_moments_beyond_2262_stay_what_they_are(tmp_path: Path) -> None:
    moments = pa.array([253402300799000000, 1704153600000000], pa.timestamp("us"))
    write_shard(tmp_path / "in" / "a.parquet", {"column": moments}, 2)
    table = pq.read_table(tmp_path / "in" / "a.parquet")
    pq.write_table(table, tmp_path / "in" / "a.parquet", use_deprecated_int96_timestamps=True)

    kept = open_run(night(config_of(tmp_path, {"keep": ["column"]})).uri).to_table()["column"]

    assert moments.to_pylist() == kept.to_pylist()


def test_a_night_of_another_type_is_refused_with_file_types_and_advice(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    write_shard(tmp_path / "in" / "b.parquet", {"column": pa.array([1, 2])}, 2)
    night(config)
    write_shard(tmp_path / "in" / "a.parquet", {"column": pa.array(["x", "y"])}, 2)

    with pytest.raises(InputError, match=r"/in/a\.parquet: column 'column' is string, but int64 in the run") as refused:
        night(config)
    assert "choose another output.path" in refused.value.hint


def test_two_files_of_one_night_are_named_together(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {"column": pa.array([1, 2])}, 2)
    write_shard(tmp_path / "in" / "b.parquet", {"column": pa.array(["x", "y"])}, 2)

    with pytest.raises(InputError, match=r"b\.parquet: column 'column' is string, but int64 in .*/in/a\.parquet"):
        night(config_of(tmp_path, {"keep": ["column"]}))


def test_integers_that_no_float_holds_do_not_become_floats(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    write_shard(tmp_path / "in" / "a.parquet", {"column": pa.array([2**53 + 1, 0])}, 2)
    night(config)
    write_shard(tmp_path / "in" / "b.parquet", {"column": pa.array([0.5, 0.5])}, 2)

    with pytest.raises(InputError, match=r"b\.parquet.* double, which may not hold all values of the run \(int64\)"):
        night(config)


def _forget_types(run: RunDirectory) -> None:
    record = run.record()
    del record["schema"]
    run.write_record(record)


def test_a_run_of_an_earlier_version_gets_its_types_from_its_files(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    write_shard(tmp_path / "in" / "a.parquet", {"column": pa.array([1, 2], pa.int32())}, 2)
    _forget_types(night(config))
    write_shard(tmp_path / "in" / "0.parquet", {"column": pa.array([3, 4])}, 2)
    run = night(config)
    _forget_types(run)

    assert pa.int64() == open_run(run.uri).to_table().schema.field("column").type
    assert verify(run.uri) == (4, [])


def test_a_run_whose_files_do_not_agree_is_named_by_verify_and_by_readers(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"keep": ["column"]}, output={"rows_per_wave": 2})
    for name in "ab":
        write_shard(tmp_path / "in" / f"{name}.parquet", {"column": pa.array([1, 2])}, 2)
    run = night(config)
    path = run.files()[1]
    table = pq.read_table(path)
    at = table.column_names.index("column")
    pq.write_table(table.set_column(at, "column", pa.array(["x", "y"])), path)

    (finding,) = verify(run.uri)[1]
    assert (path, "column 'column' is string, but int64 in the run") == (finding.place, finding.problem)

    _forget_types(run)
    (finding,) = verify(run.uri)[1]
    assert "does not read as one table" in finding.problem
    with pytest.raises(RunError, match=r"does not read as one table: .*: column 'column' is string, but int64 in"):
        open_run(run.uri)


def test_a_wave_whose_files_were_begun_with_narrower_types_is_joined(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    write_shard(tmp_path / "in" / "a.parquet", {"column": pa.array([1, 2], pa.int32())}, 2)
    write_shard(tmp_path / "in" / "b.parquet", {"column": pa.array([3, 4])}, 2)
    run = night(config)
    narrow = pq.read_table(run.files()[0])
    narrow = narrow.set_column(narrow.column_names.index("column"), "column", narrow["column"].cast(pa.int16()))
    pq.write_table(narrow, run.files()[0])
    (tmp_path / "run" / "manifest" / "00000.json").unlink()
    (wave,) = run.waves()
    run.commit(wave, {}, Layout(min_rows=100))

    assert len(run.files()) == 1
    assert sorted(open_run(run.uri).to_table()["column"].to_pylist()) == [1, 2, 3, 4]


def test_files_that_were_checked_but_not_annotated_are_checked_again(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"keep": ["column"]})
    write_shard(tmp_path / "in" / "a.parquet", {"column": pa.array([1, 2])}, 2)
    run = night(config)
    write_shard(tmp_path / "in" / "b.parquet", {"column": pa.array([0.5, 0.5])}, 2)
    recorded = run.record()
    night(config)
    (tmp_path / "run" / "manifest" / "00001.json").unlink()
    run.write_record(recorded)  # the driver was killed between its plan and its record

    assert sorted(open_run(night(config).uri).to_table()["column"].to_pylist()) == [0.5, 0.5, 1, 2]


@pytest.mark.parametrize("array", [
    pa.array(["a", "b"], pa.string_view()),
    pa.array([b"a", b"b"], pa.binary_view()),
    pa.array(["a", "b"]).dictionary_encode(),
    pa.array([["a"], ["b"]], pa.list_(pa.string_view())),
    pa.array([{"a": "a"}, {"a": "b"}], pa.struct([("a", pa.string_view())])),
])  # fmt: skip
def test_every_layout_of_strings_is_text_id_and_kept_on_retry_too(tmp_path: Path, array: pa.Array) -> None:
    flat = not pa.types.is_nested(array.type)
    roles = {"text": "column", "id": "column"} if flat else {}
    config = config_of(tmp_path, {"keep": ["column"]} | roles)
    write_shard(tmp_path / "in" / "a.parquet", {"column": array}, 2)
    run = night(config)
    before = open_run(run.uri).to_table().select(["doc_id", "column"]).to_pylist()
    run.plan_retry(open_run(run.uri).to_table()["row_id"].to_numpy()[1:], [])
    night(config)

    after = open_run(run.uri).to_table().sort_by("row_id").select(["doc_id", "column"]).to_pylist()
    assert array.to_pylist() == [row["column"] for row in before]
    assert before == after
    assert verify(run.uri) == (2, [])


@pytest.mark.parametrize("name", ["chunks", "exchanges", "text_hash", "_text", "_labels", "labels", "status_"])
def test_columns_with_names_of_internal_ones_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    config = config_of(tmp_path, {"keep": [name, name]})
    values = [[], []] if name in ("chunks", "exchanges") else ["mine", None]
    write_shard(tmp_path / "in" / "a.parquet", {} if name in ("chunks", "exchanges") else {name: values}, 2)

    assert values == open_run(night(config).uri).to_table()[name].to_pylist()


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("entities", {}, "which are columns that the output adds"),
        ("row_id", {}, "which are columns that the output adds"),
        ("doc_id", {}, "which are columns that the output adds"),
        ("chunks", {"output": {"completions": True}}, "which are columns that the output adds"),
        ("text_hash", {"reuse": True}, "which are columns that the output adds"),
        ("__ner_ray_text", {}, "names that begin with __ner_ray_ are for internal columns"),
    ],
)
def test_no_column_of_the_input_is_overwritten(tmp_path: Path, name: str, changes: dict, reason: str) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {name: ["mine"]}, 1)

    with pytest.raises(ConfigError, match=f"input.keep names {name}.*{reason}"):
        night(config_of(tmp_path, {"keep": [name]}, **changes))
    assert not (tmp_path / "run").exists()


def test_a_text_that_is_kept_and_stored_with_completions_is_as_in_the_input(tmp_path: Path) -> None:
    texts = pa.array(["a", None, b"\xff".decode("latin-1")])
    write_shard(tmp_path / "in" / "a.parquet", {"text": texts}, 3)
    run = night(config_of(tmp_path, {"keep": ["text"]}, output={"completions": True}))

    assert texts.to_pylist() == open_run(run.uri).to_table()["text"].to_pylist()


def test_another_text_column_is_not_taken_for_the_kept_one(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {"body": ["a"]}, 1)

    with pytest.raises(ConfigError, match=r"input\.keep names text, which are columns that the output adds"):
        night(config_of(tmp_path, {"text": "body", "keep": ["text"]}, output={"completions": True}))


def test_two_columns_of_one_name_are_refused_if_they_are_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {}, 1)
    table = pq.read_table(tmp_path / "in" / "a.parquet").append_column("text", pa.array(["other"]))
    pq.write_table(table, tmp_path / "in" / "a.parquet")

    with pytest.raises(InputError, match=r"a\.parquet has 2 columns named 'text'"):
        night(config_of(tmp_path))


def test_a_field_of_a_nested_column_is_not_taken_for_a_column(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {"payload": pa.array([{"text": "x"}])}, 1)

    with pytest.raises(InputError, match=r"no column 'payload\.text'; it has: .*payload") as refused:
        night(config_of(tmp_path, {"text": "payload.text"}))
    assert "make a column of payload.text" in refused.value.hint


def test_kept_text_that_is_not_utf8_can_be_read_by_everyone(tmp_path: Path) -> None:
    array = pa.array([b"good", b"\xff bad"]).view(pa.string())
    nested = pa.ListArray.from_arrays(pa.array([0, 1, 2]), array)
    write_shard(tmp_path / "in" / "a.parquet", {"text": array, "nested": nested}, 2)
    run = night(config_of(tmp_path, {"keep": ["text", "nested"]}))

    table = open_run(run.uri).to_table()
    assert table["text"].to_pylist() == ["good", "\\xff bad"]
    assert table["nested"].to_pylist() == [["good"], ["\\xff bad"]]
    assert table.filter(pa.array([False, True]))["status"].to_pylist() == ["failed"]


def test_the_record_is_json(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {}, 1)
    night(config_of(tmp_path))

    assert isinstance(json.loads((tmp_path / "run" / "run.json").read_text())["schema"], str)
