"""Files, local or by URI: rows out of Parquet and JSONL of any size, streamed and joined by id."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any, TypeVar

from ner_ray.errors import InputError
from ner_ray.storage import open_store

BATCH_ROWS = 1024
_JSON_LINES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz")

Fields = dict[str, Any]
Joined = tuple[Fields | None, Fields | None]
T = TypeVar("T")


def rows(path: str, columns: Collection[str] | None = None) -> Iterator[Fields]:
    """The rows of a JSONL file (gzip too), a Parquet file or a folder of Parquet files, local or by URI.

    Args:
        path: the file or folder.
        columns: those to read, where they exist; all if None. JSONL is read whole.

    Raises:
        InputError: there is no such file, or a line is not a JSON object.
    """
    if path.endswith(_JSON_LINES):
        yield from _json_rows(path)
    else:
        yield from _parquet_rows(path, columns)


def batches(source: Iterable[T], size: int = BATCH_ROWS) -> Iterator[list[T]]:
    """The items in lists of `size`; the last may be shorter."""
    iterator = iter(source)
    while batch := list(islice(iterator, size)):
        yield batch


def join(gold: Iterable[Fields], predicted: Iterable[Fields], key: str) -> Iterator[Joined]:
    """Rows of gold with the predictions of the same id; a side that has no partner comes last, with None.

    Both are read in step, and a row waits only until its partner comes: memory grows with how far the orders
    differ, not with the files.

    Raises:
        InputError: a row has no id, or two rows of one side that wait have the same.
    """
    wanted: dict[str, Fields] = {}
    named: dict[str, Fields] = {}
    for left, right in zip_longest(gold, predicted):
        met = [_wait(left, key, wanted, "gold"), _wait(right, key, named, "predictions")]
        for identity in met:
            if identity in wanted and identity in named:
                yield wanted.pop(identity), named.pop(identity)
    yield from ((left, None) for left in wanted.values())
    yield from ((None, right) for right in named.values())


def _wait(row: Fields | None, key: str, side: dict[str, Fields], name: str) -> str:
    if row is None:
        return ""
    if row.get(key) is None:
        raise InputError(f"a row of the {name} has no {key!r}", hint="two files are joined by this column")
    identity = str(row[key])
    if identity in side:
        raise InputError(f"two rows of the {name} have the {key} {identity!r}")
    side[identity] = row
    return identity


def _json_rows(path: str) -> Iterator[Fields]:
    from pyarrow import fs

    filesystem, inner = open_store(path)
    if filesystem.get_file_info(inner).type == fs.FileType.NotFound:
        raise InputError(f"no file {path}")
    with filesystem.open_input_stream(inner) as stream:
        for number, line in enumerate(_lines(stream), 1):
            if line.strip():
                yield _object(line, path, number)


def _lines(stream: Any) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    yield rest


def _object(line: bytes, path: str, number: int) -> Fields:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(row, Mapping):
        raise InputError(f"{path}, line {number}: expected an object, found {type(row).__name__}")
    return dict(row)


def _parquet_rows(path: str, columns: Collection[str] | None) -> Iterator[Fields]:
    import pyarrow as pa
    from pyarrow import dataset

    filesystem, inner = open_store(path)
    try:
        source = dataset.dataset(inner, format="parquet", filesystem=filesystem)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: no Parquet there: {error}", hint="JSONL files end in .jsonl") from error
    names = [name for name in source.schema.names if columns is None or name in columns]
    for batch in source.to_batches(columns=names, batch_size=BATCH_ROWS):
        yield from batch.to_pylist()
