"""Values of columns: the layout that every function of Arrow supports, the type of the run, text that is UTF-8."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ner_ray.store.column_types import is_list, is_text, plain


def as_plain(table: pa.Table) -> pa.Table:
    """The table with all columns of plain types (see `column_types.plain`), so that rows can be taken from it."""
    for number, field in enumerate(table.schema):
        if (kind := plain(field.type)) != field.type:
            table = table.set_column(number, field.name, table.column(number).cast(kind))
    return table


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of a schema, in its types; columns that it does not have are null."""
    absent = [field for field in schema if field.name not in table.column_names]
    for field in absent:
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(schema.names).cast(schema)


def valid_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    r"""The column with bytes escaped (`\xff`) that are not UTF-8, where it has text, which no reader could decode."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return _decoded(column, column.type)
    return column


def as_text(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    r"""A plain column of text or bytes as a type of text; bytes that are not UTF-8 are escaped."""
    try:
        return valid_text(column.cast(kind))
    except pa.ArrowInvalid:
        return _decoded(column, kind)


def _decoded(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    values = column.cast(_with_bytes(kind)).to_pylist()
    return pa.chunked_array([pa.array([_escaped(value, kind) for value in values], kind)])


def _with_bytes(kind: pa.DataType) -> pa.DataType:
    """The plain type with bytes in place of text."""
    if is_text(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with_bytes(field.type)) for field in kind.fields])
    if pa.types.is_map(kind):
        return pa.map_(_with_bytes(kind.key_type), _with_bytes(kind.item_type))
    return pa.list_(_with_bytes(kind.value_type)) if is_list(kind) else kind


def _escaped(value: Any, kind: pa.DataType) -> Any:  # a value as Arrow converts it to Python
    if value is None:
        return None
    if is_text(kind):
        return value.decode(errors="backslashreplace")
    if pa.types.is_struct(kind):
        return {field.name: _escaped(value[field.name], field.type) for field in kind.fields}
    if pa.types.is_map(kind):
        return [(_escaped(key, kind.key_type), _escaped(item, kind.item_type)) for key, item in value]
    return [_escaped(item, kind.value_type) for item in value] if is_list(kind) else value
