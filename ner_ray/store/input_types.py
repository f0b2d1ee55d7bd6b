"""Checks that a file of the input has the columns that are read, in types from which their roles can be filled."""

from __future__ import annotations

from difflib import get_close_matches

import pyarrow as pa

from ner_ray.errors import InputError
from ner_ray.schema import ANSWERS
from ner_ray.store.column_types import can_cast, is_bytes, is_list, is_text, plain
from ner_ray.store.documents import Columns
from ner_ray.store.ids import is_id


def check_columns(place: str, columns: Columns, found: pa.Schema) -> None:
    """Refuses a file in which a column is missing, there twice, or of a type that does not fit its role.

    Raises:
        InputError: names the file, the column and its type.
    """
    for name in columns.wanted():
        _check_name(place, name, found)
    text = found.field(columns.text).type
    if not _is_text_or_bytes(text) and not pa.types.is_null(text):  # in a file without any text
        raise InputError(f"{place}: column {columns.text!r} must hold text, but is {text}")
    if columns.doc_id and not is_id(found.field(columns.doc_id).type):
        raise InputError(
            f"{place}: column {columns.doc_id!r} must hold ids, but is {found.field(columns.doc_id).type}",
            hint="input.id takes text, numbers, times, UUIDs and bytes",
        )
    if columns.labels and not _is_list_of_text(found.field(columns.labels).type):
        raise InputError(
            f"{place}: column {columns.labels!r} must hold lists of label names, "
            f"but is {found.field(columns.labels).type}"
        )
    if columns.answers:
        _check_answers(place, found)


def _check_name(place: str, name: str, found: pa.Schema) -> None:
    count = found.names.count(name)
    if not count:
        raise InputError(f"{place} has no column {name!r}; it has: {', '.join(found.names)}", hint=_hint(name, found))
    if count > 1:
        raise InputError(f"{place} has {count} columns named {name!r}", hint="rename or drop all but one of them")


def _hint(name: str, found: pa.Schema) -> str:
    outer = name.partition(".")[0]
    if outer in found.names and pa.types.is_nested(found.field(outer).type):
        return f"fields of nested columns are not read: make a column of {name}"
    near = get_close_matches(name, found.names, n=1)
    return (f"do you mean {near[0]!r}? " if near else "") + (
        "set input.text, input.id and input.keep to existing columns, or to those that folders such as "
        "date=2024-01-01/ hold"
    )


def _is_text_or_bytes(kind: pa.DataType) -> bool:
    return is_text(plain(kind)) or is_bytes(plain(kind))


def _is_list_of_text(kind: pa.DataType) -> bool:
    kind = plain(kind)
    if is_list(kind):
        return _is_text_or_bytes(kind.value_type) or bool(pa.types.is_null(kind.value_type))
    return bool(pa.types.is_null(kind))


def _check_answers(place: str, found: pa.Schema) -> None:
    for name, kind in ANSWERS.items():
        if not can_cast(plain(found.field(name).type), kind):
            raise InputError(
                f"{place}: column {name!r} does not hold recorded answers, but {found.field(name).type}",
                hint="replay reads runs that were made with output.completions=true",
            )
