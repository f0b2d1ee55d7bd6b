r"""Document ids as text: one spelling for each value of a column, from which the value can be had back.

The spelling depends on the type of the column, not on the value. Text stays as it is; of text that is not UTF-8, single
bytes are escaped (`\xff`). UUIDs have their usual form, other bytes are hexadecimal. Numbers have no exponent. Times
are written as in ISO 8601, with a blank before the hour.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from ner_ray.store.column_types import is_bytes, is_text, plain
from ner_ray.store.column_values import valid_text


def is_id(kind: pa.DataType) -> bool:
    """Whether values of a type can be ids: all but nested ones."""
    kind = plain(kind)
    return not pa.types.is_nested(kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind)


def id_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids of a plain type as text; null stays null."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = column.cast(kind.storage_type)
    if is_text(column.type):
        return valid_text(column).cast(pa.string())
    spell = _spelling(kind)
    if spell is None:
        return column.cast(pa.string())
    texts = [None if value is None else spell(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _spelling(kind: pa.DataType) -> Callable[[Any], str] | None:
    """What spells a value of a type; None if Arrow does."""
    if isinstance(kind, pa.UuidType):
        return lambda value: str(uuid.UUID(bytes=value))
    if is_bytes(kind) or pa.types.is_fixed_size_binary(kind):
        return bytes.hex
    if pa.types.is_floating(kind):
        number = kind.to_pandas_dtype()
        return lambda value: np.format_float_positional(number(value), trim="-")
    return "{:f}".format if pa.types.is_decimal(kind) else None
