"""JSON: one record per line, or an array of records; compressed or not.

A record is a row, or a pair `[text, {"entities": ...}]`, as spaCy's training data used to be. A record without a text
that has a list of `annotations` stands for them, as in the files of NER Annotator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ner_ray.data.formats.base import Match
from ner_ray.data.json_rows import json_rows
from ner_ray.data.source import Source

_ENDINGS = tuple(
    f".{name}{packing}" for name in ("jsonl", "ndjson", "json") for packing in ("", ".gz", ".zst", ".bz2", ".lz4")
)


def recognizes(source: Source) -> Match:
    """By its extension, or by a bracket at its beginning."""
    if source.is_folder:
        return Match.NO
    opening = source.head().removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return Match.GENERAL if opening in (b"{", b"[") or source.label.endswith(_ENDINGS) else Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:  # noqa: ARG001 - JSON is read whole
    """The records."""
    for value in json_rows(source):
        if isinstance(value, dict) and "text" not in value and isinstance(value.get("annotations"), list):
            yield from map(_record, value["annotations"])
        else:
            yield _record(value)


def _record(value: object) -> object:
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
        return {"text": value[0], **value[1]}
    return value
