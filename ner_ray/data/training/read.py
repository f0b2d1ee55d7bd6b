"""Training rows from files: which of the known forms a file has, and what is wrong with it if it has none."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.data.training.row import SHAREGPT, Lineage, TrainingRow, Turns, answers_of
from ner_ray.errors import InputError
from ner_ray.storage import Location, join
from ner_ray.types import Message

INFO = "dataset_info.json"
"""LLaMA-Factory's description of the data sets in a folder."""

_SPEAKERS = {name: role for role, name in SHAREGPT.items()} | {name: name for name in SHAREGPT}
_SUFFIXES = tuple(
    name + packed for name in (".parquet", ".jsonl", ".ndjson", ".json") for packed in ("", ".gz", ".zst", ".bz2")
)
_REJECTS = ".rejects.jsonl"  # what `ner-ray train prepare` could not use
_PARQUET = b"PAR1"
_HINT = "a row is {prompt, answer}, {messages: [{role, content}]} or {conversations: [{from, value}]}"
_NO_FILES = "give a Parquet, JSON Lines, LLaMA-Factory or ms-swift file, or a folder of them"


def read_rows(uris: Iterable[str | Path]) -> Iterator[TrainingRow]:
    """The rows of files and folders on any store, in the order given and by name within a folder.

    Raises:
        InputError: nothing is there, or something in it is not a training row; names the file, the line or row, and
            what was expected.
    """
    for uri in map(str, uris):
        yield from _read_uri(uri)


def parse_row(record: object) -> TrainingRow:
    """The row that a JSON object, or a row of a Parquet file, describes.

    Raises:
        ValueError: says what is wrong with it.
    """
    if isinstance(record, _NotJson):
        raise ValueError(record.reason)  # noqa: TRY004 - a value that was read
    if not isinstance(record, Mapping):
        raise ValueError(f"expected an object, found {_shown(record)}")  # noqa: TRY004 - a value that was read
    if record.get("prompt") is not None:
        return _question(record)
    turns = next((record[name] for name in ("messages", "conversations") if record.get(name) is not None), None)
    if turns is None:
        found = ", ".join(map(str, record)) or "nothing"
        raise ValueError(f"it has neither `prompt`, `messages` nor `conversations`; it has: {found}")
    return _chat(record, turns)


def _question(record: Mapping[str, Any]) -> TrainingRow:
    prompt, answer = record["prompt"], record.get("answer")
    if not isinstance(answer, str):
        raise ValueError(f"`answer` must be text, not {_shown(answer)}")  # noqa: TRY004 - a value that was read
    if not isinstance(prompt, str):
        prompt = _turns(prompt, "prompt")
    return TrainingRow.question(prompt, answer, **_more(record))


def _chat(record: Mapping[str, Any], given: object) -> TrainingRow:
    turns = _turns(given, "messages")
    learnt = {
        number
        for number, turn in enumerate(_objects(given, "messages"))
        if number in answers_of(turns) and turn.get("loss") not in (False, 0)
    }
    system = record.get("system")
    if isinstance(system, str) and system and turns[:1] and turns[0].role != "system":
        turns, learnt = (Message("system", system), *turns), {number + 1 for number in learnt}
    if (listed := record.get("learnt")) is not None:
        learnt = _listed_turns(listed, turns)
    if not learnt:
        raise ValueError("no turn of the assistant is to be learnt")
    rendered = bool(record.get("rendered"))
    if rendered and [turn.role for turn in turns] != ["user", "assistant"]:
        raise ValueError("`rendered` is for one prompt and its answer alone")
    return TrainingRow(turns, tuple(sorted(learnt)), rendered=rendered, **_more(record))


def _listed_turns(listed: object, turns: Turns) -> set[int]:
    """The turns that a row's `learnt` names."""
    answers = answers_of(turns)
    if not isinstance(listed, list) or not all(isinstance(number, int) and number in answers for number in listed):
        raise ValueError(f"`learnt` is {_shown(listed)}; the assistant's turns are {list(answers)}")
    return set(listed)


def _turns(given: object, key: str) -> Turns:
    return tuple(_turn(turn) for turn in _objects(given, key))


def _objects(given: object, key: str) -> list[Mapping[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(turn, Mapping) for turn in given):
        raise ValueError(f"`{key}` must be text or a list of turns, not {_shown(given)}")
    return given


def _turn(turn: Mapping[str, Any]) -> Message:
    speaker = turn.get("role", turn.get("from"))
    content = turn.get("content", turn.get("value"))
    if not isinstance(speaker, str) or speaker not in _SPEAKERS:
        raise ValueError(f"a turn is spoken by {_shown(speaker)}; known: {', '.join(sorted(_SPEAKERS))}")
    if not isinstance(content, str):
        raise ValueError(f"a turn must say text, not {_shown(content)}")  # noqa: TRY004 - a value that was read
    return Message(_SPEAKERS[speaker], content)


def _more(record: Mapping[str, Any]) -> dict[str, Any]:
    labels = record.get("labels")
    return {
        "row_id": str(record.get("id") or ""),
        "role": str(record.get("role") or ""),
        "labels": tuple(map(str, labels)) if isinstance(labels, list) else (),
        "weight": _weight(record.get("weight")),
        "lineage": _lineage(record),
    }


def _weight(given: object) -> float:
    if given is None:
        return 1.0
    if not isinstance(given, int | float) or not 0 < given < math.inf:
        raise ValueError(f"`weight` must be a number above 0, not {_shown(given)}")
    return float(given)


def _lineage(record: Mapping[str, Any]) -> Lineage | None:
    names = [field.name for field in fields(Lineage)]
    if any(record.get(name) is None for name in names) or not isinstance(record["filters"], list):
        return None
    return Lineage(**{name: record[name] for name in names} | {"filters": tuple(record["filters"])})


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read_uri(uri: str) -> Iterator[TrainingRow]:
    location = Location(uri)
    if not location.exists():
        raise InputError(f"no such training file: {uri}", hint=_NO_FILES)
    files = location.files()
    if "" in files and location.path.rpartition("/")[2] == INFO:
        yield from _read_uri(uri.removesuffix(INFO).rstrip("/") or ".")
    elif "" in files:
        yield from _read_file(location, "", uri, parse_row)
    elif INFO in files:
        yield from _read_llama_factory(location, uri)
    else:
        for name in _training_files(uri, files):
            yield from _read_file(location, name, join(uri, name), parse_row)


def _training_files(uri: str, files: Sequence[str]) -> list[str]:
    """The files of a folder that may hold training rows."""
    forms = sorted({name.split("/")[1] for name in files if name.startswith("train/") and name.count("/") > 1})
    if "synth.json" in files and forms:
        raise InputError(
            f"{uri} is the output of `ner-ray synth`, of which only some files are training rows",
            hint=f"give the rows of one form: {', '.join(join(uri, 'train', form) for form in forms)}",
        )
    found = [name for name in files if name.endswith(_SUFFIXES) and not name.endswith(_REJECTS)]
    if not found:
        raise InputError(f"no training file in {uri}: it holds {', '.join(files[:5]) or 'nothing'}", hint=_NO_FILES)
    return found


def _read_file(
    location: Location, name: str, shown: str, parse: Callable[[object], TrainingRow]
) -> Iterator[TrainingRow]:
    try:
        for place, record in _records(location, name):
            try:
                yield parse(record)
            except ValueError as error:
                raise InputError(f"{shown}:{place}: not a training row: {error}", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{shown}: neither Parquet nor UTF-8 text: {error}", hint=_NO_FILES) from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot read {shown}: {error}") from error


def _records(location: Location, name: str) -> Iterator[tuple[str, object]]:
    """The objects of a file, each with its place, counted from 1: a line of JSON Lines, else a row."""
    with location.open(name) as stream:
        head = stream.read(len(_PARQUET))
    if head == _PARQUET:
        yield from _parquet_records(location, name)
        return
    with location.open(name, compression="detect") as stream:
        lines = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig")
        first = next((line for line in lines if line.strip()), "")
    with location.open(name, compression="detect") as stream:
        lines = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig")
        yield from _listed(lines.read()) if first.lstrip().startswith("[") else _by_line(lines)


def _parquet_records(location: Location, name: str) -> Iterator[tuple[str, object]]:
    with location.open_random(name) as file:
        number = 0
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1024):
            for record in batch.to_pylist():
                number += 1
                yield f"row {number}", record


def _by_line(lines: Iterable[str]) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield str(number), _json(line)


def _listed(text: str) -> Iterator[tuple[str, object]]:
    found = _json(text)
    if not isinstance(found, list):
        yield "1", found
        return
    yield from ((f"row {number}", record) for number, record in enumerate(found, start=1))


@dataclass(frozen=True, slots=True)
class _NotJson:
    """Something that is not JSON, and why: handed on like a record, so that its place is reported with it."""

    reason: str


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        return _NotJson(f"not JSON: {error}")
    except RecursionError:
        return _NotJson("not JSON: nested too deeply")


def _read_llama_factory(location: Location, uri: str) -> Iterator[TrainingRow]:
    """The data sets that `dataset_info.json` lists, in its order."""
    info = _json(location.read(INFO).decode(errors="replace"))
    shown = join(uri, INFO)
    if not isinstance(info, dict):
        raise InputError(f"{shown} is not a JSON object", hint="LLaMA-Factory's data/README.md describes it")
    for name, entry in info.items():
        file = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(file, str) or entry.get("formatting") != "sharegpt":
            raise InputError(
                f"{shown}: data set {name!r} cannot be read: it needs `file_name`, and `formatting` must be `sharegpt`",
                hint="give the data files themselves",
            )
        yield from _read_file(location, file, join(uri, file), _sharegpt_reader(entry))


def _sharegpt_reader(entry: Mapping[str, Any]) -> Callable[[object], TrainingRow]:
    """Reads rows whose keys and speakers have the names that an entry of `dataset_info.json` gives them.

    Speakers may also have their usual names: that an entry contradicts its data is a common mistake.
    """
    columns, tags = _mapping(entry.get("columns")), _mapping(entry.get("tags"))
    key = str(columns.get("messages", "conversations"))
    speakers = {str(tags.get(f"{role}_tag", name)): role for role, name in SHAREGPT.items()}
    speaker, content = tags.get("role_tag", "from"), tags.get("content_tag", "value")

    def named(turn: Mapping[str, Any]) -> dict[str, Any]:
        spoken_by = turn.get(speaker)
        role = speakers.get(spoken_by, spoken_by) if isinstance(spoken_by, str) else spoken_by
        return {"role": role, "content": turn.get(content)}

    def read(record: object) -> TrainingRow:
        if not isinstance(record, Mapping):
            return parse_row(record)
        turns = [named(turn) for turn in _objects(record.get(key), key)]
        system = record.get(str(columns.get("system", "system")))
        return parse_row({**record, "prompt": None, "messages": turns, "system": system})

    return read


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def from_table(table: pa.Table) -> list[TrainingRow]:
    """What `to_table` was given."""
    return [parse_row(record) for record in table.to_pylist()]
