"""The pool: annotated examples, each one checked before it can go into a prompt.

Parquet or JSON Lines (compressed or not), one example a row:

    id         optional; else the file's name and the row's number. Also `doc_id`, `example_id`
    text
    entities   of each: `text` and `label` (or `type`), `start` and `end` where known; also RA-IT's
               `entity`, a list of objects {surface: label}. Other fields are of no interest

An example with an entity that is not in its text, or whose text was there before, is rejected, with the
reason.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ner_ray.errors import InputError
from ner_ray.storage import Location
from ner_ray.types import Demonstration, Mention

_IDS = ("id", "doc_id", "example_id")
_ENTITIES = ("entities", "entity")
_LABELS = ("label", "type")
_SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.bz2")


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no example, and why."""

    source: str
    row: int
    example_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pool:
    """What was read, in order; each entity of an example has its place: `text[m.start:m.end] == m.text`."""

    examples: tuple[Demonstration, ...]
    rejects: tuple[Reject, ...] = ()


def read_pool(uris: Sequence[str]) -> Pool:
    """The examples of files and folders, in the order of the URIs and of the names in a folder.

    Raises:
        InputError: no such file, or a file that cannot be read as what its name says.
    """
    return make_pool(row for uri in uris for row in _rows(uri))


def make_pool(rows: Iterable[tuple[str, int, object]]) -> Pool:
    """The examples among rows, each given with its source and number; a row may be anything."""
    examples: list[Demonstration] = []
    rejects: list[Reject] = []
    seen: dict[str, str] = {}
    for source, number, row in rows:
        made = _example(row, f"{source}:{number}")
        if isinstance(made, Demonstration) and made.text in seen:
            made = (made.example_id, f"its text is that of {seen[made.text]!r}")
        if isinstance(made, Demonstration):
            seen[made.text] = made.example_id
            examples.append(made)
        else:
            rejects.append(Reject(source, number, *made))
    return Pool(tuple(examples), tuple(rejects))


def _example(row: object, default_id: str) -> Demonstration | tuple[str, str]:
    """The example, or an id and the reason why there is none."""
    if not isinstance(row, Mapping):
        return default_id, "not a JSON object"
    given = _first(row, _IDS)
    example_id = default_id if given is None else str(given)
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        return example_id, "no text"
    entities = _first(row, _ENTITIES)
    if not isinstance(entities, Sequence) or isinstance(entities, str):
        return example_id, "no list of entities"
    mentions: list[Mention] = []
    for entity in entities:
        placed = _mention(entity, text, mentions[-1].end or 0 if mentions else 0)
        if isinstance(placed, str):
            return example_id, placed
        mentions.append(placed)
    if not all(map(_is_writable, (example_id, text, *(mention.label for mention in mentions)))):
        return ascii(example_id), "not Unicode: half of a surrogate pair"
    return Demonstration(text, tuple(mentions), example_id=example_id)


def _mention(entity: object, text: str, after: int) -> Mention | str:
    """An entity with its place in the text, or what is wrong with it."""
    if not isinstance(entity, Mapping):
        return f"an entity is not an object: {entity!r}"
    surface, label = _surface_and_label(entity)
    if not isinstance(surface, str) or not surface.strip():
        return f"an entity without a text: {dict(entity)!r}"
    if not isinstance(label, str) or not label.strip():
        return f"an entity without a label: {surface!r}"
    start, end = entity.get("start"), entity.get("end")
    if start is None or end is None:
        start, end = _find(surface, text, after)
    if not _is_offset(start) or not _is_offset(end) or text[start:end] != surface:
        where = "in the text" if entity.get("start") is None else f"at {start}:{end}"
        return f"entity {surface!r} is not {where}"
    return Mention(surface, label, start=start, end=end)


def _find(surface: str, text: str, after: int) -> tuple[int, int]:
    """The next place after the entity before, else the first; -1 if there is none."""
    place = text.find(surface, after)
    if place < 0:
        place = text.find(surface)
    return place, place + len(surface)


def _is_writable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _surface_and_label(entity: Mapping[str, Any]) -> tuple[object, object]:
    if "text" in entity:
        return entity["text"], _first(entity, _LABELS)
    if len(entity) == 1:
        return next(iter(entity.items()))
    return None, None


def _first(row: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _rows(uri: str) -> Iterator[tuple[str, int, object]]:
    place = Location(uri)
    if not place.exists():
        raise InputError(f"there is no pool at {uri}")
    names = [name for name in place.files() if (name or place.path).endswith(_SUFFIXES)]
    if not names:
        raise InputError(f"no pool in {uri}: expected files named {', '.join('*' + s for s in _SUFFIXES)}")
    for name in names:
        read = _parquet_rows if (name or place.path).endswith(".parquet") else _json_rows
        source = name or place.path.rpartition("/")[2]
        try:
            yield from ((source, number, row) for number, row in enumerate(read(place, name)))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {source} of {uri}: {error}") from error


def _parquet_rows(place: Location, name: str) -> Iterator[object]:
    import pyarrow.parquet as pq

    wanted = {*_IDS, "text", *_ENTITIES}
    with place.open_random(name) as file:
        table = pq.ParquetFile(file)
        columns = [column for column in table.schema_arrow.names if column in wanted]
        for batch in table.iter_batches(columns=columns):
            yield from batch.to_pylist()


def _json_rows(place: Location, name: str) -> Iterator[object]:
    with place.open(name, compression="detect") as stream:
        for line in io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8"):
            if line.strip():
                yield _parsed(line)


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return line
