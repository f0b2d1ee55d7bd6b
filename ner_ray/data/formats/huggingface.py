"""A Hugging Face data set: a folder that `save_to_disk` wrote, one of its Arrow files, or Parquet with its features.

Numbers of class labels (`ClassLabel`) become their names, wherever in a row they are; the names of tags also give the
label set. Tags are the column `ner_tags` or
`tags`, else the only column that is a list of class labels which are tags. `datasets` itself is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.data import tags
from ner_ray.data.formats.base import Match, Unreadable
from ner_ray.data.source import Source
from ner_ray.errors import InputError
from ner_ray.storage import join

_STATE, _SPLITS = "state.json", "dataset_dict.json"
_METADATA = b"huggingface"
_TAGS = "ner_tags"
_BATCH_ROWS = 1024
_PARQUET = b"PAR1"
_ARROW = (b"ARROW1", b"\xff\xff\xff\xff")  # of a file, and of a stream, which is what `datasets` writes


def recognizes(source: Source) -> Match:
    """By the files of a folder, or by the features that a file carries."""
    if source.is_folder:
        found = source.location.exists(_STATE) or source.location.exists(_SPLITS)
        return Match.SPECIFIC if found else Match.NO
    head = source.head()
    if head.startswith(_ARROW):
        return Match.SPECIFIC
    return Match.SPECIFIC if head.startswith(_PARQUET) and _parquet_features(source) else Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:
    """The rows, class labels as their names; one with a number that has no name is `Unreadable`.

    Raises:
        InputError: a folder with several splits, of which one must be named.
    """
    if not source.is_folder:
        yield from _decoded(source, columns)
        return
    for name in _files(source):
        yield from _decoded(Source(source.uri, name), columns)


def _files(source: Source) -> list[str]:
    """The Arrow files of a folder, in order."""
    folder = ""
    if source.location.exists(_SPLITS):
        splits = json.loads(source.location.read(_SPLITS))["splits"]
        if len(splits) != 1:
            raise InputError(
                f"{source.uri} holds the splits {', '.join(splits)}", hint=f"name one: {join(source.uri, splits[0])}"
            )
        folder = f"{splits[0]}/"
    state = json.loads(source.location.read(folder + _STATE))
    return [folder + file["filename"] for file in state["_data_files"]]


def _decoded(source: Source, columns: Collection[str] | None) -> Iterator[object]:
    head = source.head()
    with source.open_random() as file:
        if head.startswith(_PARQUET):
            parquet = pq.ParquetFile(file)
            features = _features(parquet.schema_arrow)
            wanted = _wanted(parquet.schema_arrow, features, columns)
            batches = parquet.iter_batches(_BATCH_ROWS, columns=wanted)
        else:
            reader = pa.ipc.open_file(file) if head.startswith(_ARROW[0]) else pa.ipc.open_stream(file)
            features = _features(reader.schema)
            wanted = _wanted(reader.schema, features, columns)
            batches = (batch.select(wanted) for batch in _arrow_batches(reader))
        for batch in batches:
            yield from (_row(row, features) for row in batch.to_pylist())


def _arrow_batches(reader: Any) -> Iterator[pa.RecordBatch]:  # a reader of an Arrow file, or of a stream
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(number) for number in range(reader.num_record_batches))
    return iter(reader)


def _wanted(schema: pa.Schema, features: Mapping[str, Any], columns: Collection[str] | None) -> list[str]:
    """The names of the columns to read: those that are asked for, and tags under whatever name."""
    return [name for name in schema.names if columns is None or name in columns or _are_tags(features.get(name))]


def _row(row: dict[str, Any], features: Mapping[str, Any]) -> object:
    try:
        decoded = {name: _value(value, features.get(name)) for name, value in row.items()}
    except _NumberError as error:
        return Unreadable(error.args[0], str(row.get("id") or ""))
    tagged = [name for name in row if _are_tags(features.get(name))]
    if tagged and "labels" not in row:
        decoded["labels"] = _labels(features[tagged[0]])
    if _TAGS not in row and "tags" not in row and len(tagged) == 1:
        decoded[_TAGS] = decoded.pop(tagged[0])
    return decoded


class _NumberError(ValueError):
    """A class label's number that has no name."""


def _value(value: Any, feature: Any) -> Any:  # what a row holds, and what JSON says of it
    """The value with class labels as names.

    A feature is a list of one feature (of a list), a mapping of features by name (of a struct), or a description with
    its `_type`. A list of structs is stored as a struct of lists by `datasets` before version 4.
    """
    if value is None or feature is None:
        return value
    inner = feature[0] if isinstance(feature, list) else feature.get("feature")
    if isinstance(value, list):
        return [_value(item, inner) for item in value]
    if isinstance(value, Mapping) and isinstance(inner, Mapping):
        return {name: _value(items, [inner.get(name)]) for name, items in value.items()}
    if isinstance(value, Mapping):
        return {name: _value(item, feature.get(name)) for name, item in value.items()}
    if isinstance(value, int) and feature.get("_type") == "ClassLabel":
        return _name(value, feature.get("names") or ())
    return value


def _name(number: int, names: Sequence[str]) -> str:
    if not 0 <= number < len(names):
        raise _NumberError(f"class label {number} has no name; there are {len(names)}, from 0")
    return names[number]


def _are_tags(feature: Any) -> bool:  # what JSON says of a feature
    inner = feature[0] if isinstance(feature, list) else (feature or {}).get("feature")
    names: list[str] = (inner.get("names") if isinstance(inner, Mapping) else None) or []
    return tags.OUTSIDE in names and all(map(tags.is_tag, names))


def _labels(feature: Any) -> list[str]:  # what JSON says of a feature
    """The labels of a column of tags: what annotators could choose from."""
    names = (feature[0] if isinstance(feature, list) else feature["feature"])["names"]
    return list(dict.fromkeys(name.partition("-")[2] for name in names if name != tags.OUTSIDE))


def _features(schema: pa.Schema) -> Mapping[str, Any]:
    """What the metadata says about the columns; empty where it says nothing."""
    told = (schema.metadata or {}).get(_METADATA)
    features = (json.loads(told).get("info") or {}).get("features") if told else None
    return features or {}


def _parquet_features(source: Source) -> bool:
    try:
        with source.open_random() as file:
            return bool(_features(pq.read_schema(file)))
    except (pa.ArrowException, OSError):
        return False
