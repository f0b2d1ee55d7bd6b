"""Types of columns: in which one the values of several files are kept, and whether it holds all of them unchanged.

Files of one corpus differ in type for harmless reasons: a column is null in one file and text in another, a writer took
32 bits for small integers, a struct has got a field. Such types have a common one. What the values are must not change:
text is not taken for bytes, nor a number for text; an integer becomes a float only where the footers show that it is
small enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

_WITHOUT_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
_UNITS = ("s", "ms", "us", "ns")
_STORED_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
_EXACT_BITS = {16: 11, 32: 24, 64: 53}  # bits of a float -> bits of the integers that it holds exactly
_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}  # bits -> decimal digits, at most


def plain(kind: pa.DataType) -> pa.DataType:
    """The type with the same values that every function of Arrow supports.

    Views and dictionaries are layouts of a file or of memory, not properties of values; nor are the names of a list's
    items, and whether a field is declared as never null.
    """
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return _plain_nested(kind) if pa.types.is_nested(kind) else _WITHOUT_VIEWS.get(kind, kind)


def _plain_nested(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, plain(field.type)) for field in kind.fields])
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_item(kind), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(_item(kind))
    return pa.list_(_item(kind)) if pa.types.is_list(kind) else kind


def _item(kind: pa.DataType) -> pa.Field:
    """The items of a list, under the name that they have in Parquet: Arrow fails to rename items that are all null."""
    return pa.field("element", plain(kind.value_type))


def common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The plain type in which values of both are kept, the first if it can be; None if there is none.

    Of some types, not all values may fit it: see `holds` and `fits`.

    >>> common(pa.int32(), pa.int64())
    DataType(int64)
    >>> common(pa.int32(), pa.string()) is None
    True
    """
    one, other = plain(one), plain(other)
    if holds(one, other):
        return one
    if holds(other, one):
        return other
    try:
        schemas = [pa.schema([("column", kind)]) for kind in (one, other)]
        wide = plain(pa.unify_schemas(schemas, promote_options="permissive").field(0).type)
    except (pa.ArrowTypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return wide if all(holds(wide, kind) or _may_fit(wide, kind) for kind in (one, other)) else None


def holds(wide: pa.DataType, kind: pa.DataType) -> bool:
    """Whether every value of a type is one of another type; both are plain.

    >>> holds(pa.timestamp("ms"), pa.timestamp("s"))
    True
    >>> holds(pa.int64(), pa.float64())
    False
    """
    if wide == kind or pa.types.is_null(kind):
        return True
    if isinstance(wide, pa.BaseExtensionType):  # of bytes, any 16 are a UUID; of text, not any is JSON
        return isinstance(wide, pa.UuidType) and kind == wide.storage_type
    if isinstance(kind, pa.BaseExtensionType):
        return holds(wide, kind.storage_type)
    return any(rule(wide, kind) for rule in _RULES)


def fits(footer: pq.FileMetaData, name: str, kind: pa.DataType, wide: pa.DataType) -> bool:
    """Whether the footer of a file shows that a column's values are all of another type.

    It tells the smallest and the largest value, if the writer has noted them and the column is not nested.
    """
    if not _may_fit(wide, kind):
        return False
    try:
        for extremes in _extremes(footer, name, kind):
            extremes.cast(kind).cast(wide)
    except (pa.ArrowInvalid, OverflowError, LookupError):
        return False
    return True


def is_null(footer: pq.FileMetaData, name: str) -> bool:
    """Whether the footer of a file shows that a column has no value at all, whatever its type."""
    paths = [footer.schema.column(number).path for number in range(footer.num_columns)]
    if name not in paths:
        return False
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    noted = [(group.num_rows, group.column(paths.index(name)).statistics) for group in groups]
    return all(found is not None and found.has_null_count and found.null_count == rows for rows, found in noted)


def can_cast(kind: pa.DataType, wide: pa.DataType) -> bool:
    """Whether Arrow converts values of one type to another at all."""
    try:
        pa.nulls(0, kind).cast(wide)
    except pa.ArrowException:
        return False
    return True


def _may_fit(wide: pa.DataType, kind: pa.DataType) -> bool:
    """Whether a type holds values of another up to a size, so that the largest and the smallest tell of all."""
    if pa.types.is_integer(kind):
        return bool(pa.types.is_integer(wide) or pa.types.is_floating(wide))
    if pa.types.is_decimal(kind):
        return bool(pa.types.is_decimal(wide) and wide.scale >= kind.scale)
    return _is_same_moment(wide, kind) and _is_finer(wide, kind)


def _extremes(footer: pq.FileMetaData, name: str, kind: pa.DataType) -> Iterator[pa.Array]:
    """The smallest and the largest value of a column in each row group that has any.

    Raises:
        LookupError: there is no such column, or no such note.
    """
    paths = [footer.schema.column(number).path for number in range(footer.num_columns)]
    if name not in paths:
        raise LookupError
    place = paths.index(name)
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        noted = group.column(place).statistics
        if noted is not None and noted.has_null_count and noted.null_count == group.num_rows:
            continue
        if noted is None or not noted.has_min_max:
            raise LookupError
        if pa.types.is_decimal(kind):
            yield pa.array([noted.min, noted.max], kind)
        else:
            yield _as_stored([noted.min_raw, noted.max_raw], kind, footer.schema.column(place))


def _as_stored(raw: list[int], kind: pa.DataType, column: pq.ColumnSchema) -> pa.Array:
    """Integers or moments out of notes, where integers have signs, and moments the unit of the file."""
    if pa.types.is_unsigned_integer(kind):
        return pa.array([value & ((1 << kind.bit_width) - 1) for value in raw], kind)
    if pa.types.is_timestamp(kind):
        unit = json.loads(column.logical_type.to_json()).get("timeUnit")
        return pa.array(raw, pa.timestamp(_STORED_UNITS[unit], kind.tz))
    return pa.array(raw, kind)


def _integers(wide: pa.DataType, kind: pa.DataType) -> bool:
    if not pa.types.is_integer(kind):
        return False
    signed = int(pa.types.is_signed_integer(kind))
    if pa.types.is_floating(wide):
        return bool(kind.bit_width - signed <= _EXACT_BITS[wide.bit_width])
    if pa.types.is_decimal(wide):
        return bool(wide.precision - wide.scale >= _INTEGER_DIGITS[kind.bit_width])
    if not pa.types.is_integer(wide):
        return False
    return bool(wide.bit_width > kind.bit_width) and bool(pa.types.is_signed_integer(wide) or not signed)


def _floats(wide: pa.DataType, kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(wide) and pa.types.is_floating(kind) and wide.bit_width >= kind.bit_width)


def _decimals(wide: pa.DataType, kind: pa.DataType) -> bool:
    if not (pa.types.is_decimal(wide) and pa.types.is_decimal(kind)):
        return False
    return bool(wide.scale >= kind.scale and wide.precision - wide.scale >= kind.precision - kind.scale)


def _moments(wide: pa.DataType, kind: pa.DataType) -> bool:
    """Times of day, days, and moments; a moment that fits microseconds may be too far away for nanoseconds."""
    if pa.types.is_date32(kind):
        return bool(pa.types.is_date64(wide))
    if pa.types.is_time(kind):
        return bool(pa.types.is_time(wide) and _is_finer(wide, kind))
    if not (_is_same_moment(wide, kind) and _is_finer(wide, kind)):
        return False
    return bool(wide.unit == kind.unit or (wide.unit != "ns" and pa.types.is_timestamp(kind)))


def _is_same_moment(wide: pa.DataType, kind: pa.DataType) -> bool:
    """Whether both are durations, or moments; the moment is the same in every time zone, but not without one."""
    if pa.types.is_duration(kind):
        return bool(pa.types.is_duration(wide))
    return bool(pa.types.is_timestamp(kind) and pa.types.is_timestamp(wide)) and bool(wide.tz) == bool(kind.tz)


def _is_finer(wide: pa.DataType, kind: pa.DataType) -> bool:
    return _UNITS.index(wide.unit) >= _UNITS.index(kind.unit)


def is_text(kind: pa.DataType) -> bool:
    """Whether a plain type is that of text, not of bytes."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a plain type is that of bytes of any length."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _strings(wide: pa.DataType, kind: pa.DataType) -> bool:
    if is_bytes(wide):
        return is_bytes(kind) or bool(pa.types.is_fixed_size_binary(kind))
    return is_text(wide) and is_text(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is that of lists, of any length or of a fixed one."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _lists(wide: pa.DataType, kind: pa.DataType) -> bool:
    if not (is_list(wide) and is_list(kind)) or pa.types.is_fixed_size_list(wide):
        return False
    return holds(wide.value_type, kind.value_type)


def _structs(wide: pa.DataType, kind: pa.DataType) -> bool:
    if not (pa.types.is_struct(wide) and pa.types.is_struct(kind)):
        return False
    of_wide, of_kind = ({field.name: field.type for field in struct} for struct in (wide, kind))
    distinct = len(of_wide) == wide.num_fields and len(of_kind) == kind.num_fields
    return distinct and all(name in of_wide and holds(of_wide[name], inner) for name, inner in of_kind.items())


def _maps(wide: pa.DataType, kind: pa.DataType) -> bool:
    if not (pa.types.is_map(wide) and pa.types.is_map(kind)):
        return False
    return holds(wide.key_type, kind.key_type) and holds(wide.item_type, kind.item_type)


_RULES: tuple[Callable[[pa.DataType, pa.DataType], bool], ...] = (
    _integers,
    _floats,
    _decimals,
    _moments,
    _strings,
    _lists,
    _structs,
    _maps,
)
