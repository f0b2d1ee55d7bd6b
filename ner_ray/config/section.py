"""What every configuration is made of: frozen sections, and which of their fields change results.

A field is *semantic* when another value would give another result, and *operational* when it would only give it
faster or elsewhere. `fingerprint` covers the semantic ones: a run directory belongs to one fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def operational(default: Any = ..., **field: Any) -> Any:  # what pydantic.Field takes and returns
    """A field that does not change results, and so stays out of the fingerprint."""
    return Field(default, json_schema_extra={"operational": True}, **field)


def fingerprint(settings: BaseModel | dict[str, Any]) -> str:
    """A short hash of everything that changes results: of a configuration, or of its `semantic` settings and more."""
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
    """The keys at which two pieces of plain data differ, with both values.

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
