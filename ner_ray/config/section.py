"""The building blocks of every configuration: frozen sections, and which of their fields change results.

A field is *semantic* if changing its value can change the results, and *operational* if it only affects where or how
fast they are made. `fingerprint` covers the semantic fields; a run directory belongs to one fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A frozen model that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def operational(default: Any = ..., **field: Any) -> Any:  # as pydantic.Field
    """A field that does not change results, and so is left out of the fingerprint; takes the arguments of `Field`."""
    return Field(default, json_schema_extra={"operational": True}, **field)


def fingerprint(settings: BaseModel | dict[str, Any]) -> str:
    """A 16-digit hash of everything that changes results.

    Args:
        settings: a configuration, or plain data: its `semantic` fields, perhaps with more.
    """
    plain = semantic(settings) if isinstance(settings, BaseModel) else settings
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def semantic(config: BaseModel) -> dict[str, Any]:
    """The fields that change results, as plain data."""
    result = {}
    for name, field in type(config).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("operational"):
            continue
        result[name] = _semantic_value(getattr(config, name))
    return result


def _semantic_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return semantic(value)
    if isinstance(value, dict):
        return {key: _semantic_value(inner) for key, inner in value.items()}
    return value


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """The keys at which two pieces of plain data differ, one line per key, with both values.

    >>> differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b: 1 -> 3']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [
            line
            for key in keys
            for line in differences(before.get(key), after.get(key), f"{place}.{key}" if place else key)
        ]
    if before == after:
        return []
    return [f"{place}: {json.dumps(before, ensure_ascii=False)} -> {json.dumps(after, ensure_ascii=False)}"]
