"""Training rows as files: Parquet, JSON Lines, and what LLaMA-Factory and ms-swift read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from ner_ray.data.training.read import INFO
from ner_ray.data.training.row import SHAREGPT, TrainingRow, Turns, answers_of
from ner_ray.errors import InputError
from ner_ray.storage import Location, join, put_text

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("role", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("learnt", pa.list_(pa.int32())),
        ("rendered", pa.bool_()),
        ("weight", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("document", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("teacher", pa.string()),
        ("prompt_hash", pa.string()),
        ("filters", pa.list_(pa.string())),
        ("seed", pa.int64()),
    ]
)
"""The columns of a Parquet file of rows; the last seven are null where a row has no lineage."""


def to_table(rows: Iterable[TrainingRow]) -> pa.Table:
    """The rows in their order; `messages` are the turns, as trainers that take a chat read them."""
    return pa.Table.from_pylist([_record(row) for row in rows], SCHEMA)


def json_line(row: TrainingRow) -> str:
    """The row as a line of JSON Lines, without the line break: prompt and answer, or messages."""
    *before, last = row.turns
    content: dict[str, Any]
    if row.rendered:
        content = {"prompt": before[0].content, "answer": last.content}
    elif row.learnt == (len(before),):
        content = {"prompt": [asdict(turn) for turn in before], "answer": last.content}
    else:
        content = {"messages": [asdict(turn) for turn in row.turns]}
    extras = {key: value for key, value in _extras(row).items() if "prompt" not in content or key not in _IMPLIED}
    named = {"id": row.row_id} if row.row_id else {}
    return json.dumps(content | named | extras, ensure_ascii=False)


_IMPLIED = ("learnt", "rendered")  # by a prompt with its answer


def _record(row: TrainingRow) -> dict[str, Any]:
    return {
        "id": row.row_id,
        "role": row.role,
        "messages": [asdict(turn) for turn in row.turns],
        "learnt": list(row.learnt),
        "rendered": row.rendered,
        "weight": row.weight,
        "labels": list(row.labels),
        **(asdict(row.lineage) if row.lineage else {}),
    }


def _extras(row: TrainingRow) -> dict[str, Any]:
    """What a JSON row says in addition to its id and turns; defaults are left out."""
    learnt = None if row.learnt == answers_of(row.turns) else list(row.learnt)
    said = {
        "learnt": learnt,
        "rendered": row.rendered or None,
        "weight": None if row.weight == 1.0 else row.weight,
        "role": row.role or None,
        "labels": list(row.labels) or None,
        **(asdict(row.lineage) if row.lineage else {}),
    }
    return {key: value for key, value in said.items() if value is not None}


def dataset_info(name: str, file_name: str) -> dict[str, Any]:
    """The entry of `dataset_info.json` that tells LLaMA-Factory how to read the file of `sharegpt`."""
    return {
        name: {
            "file_name": file_name,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations"},
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": SHAREGPT["user"],
                "assistant_tag": SHAREGPT["assistant"],
                "system_tag": SHAREGPT["system"],
            },
        }
    }


def sharegpt(rows: Iterable[TrainingRow]) -> str:
    """The JSON file of LLaMA-Factory; also the form in which UniversalNER's and Sky-NER's data are released.

    LLaMA-Factory 0.9.5 (`SharegptDatasetConverter`) takes such rows. It learns every turn of the assistant, or with
    `mask_history` the last one; which are meant is in our own key `learnt`.

    Raises:
        InputError: a row whose turns do not alternate; LLaMA-Factory would drop it.
    """
    conversations = [
        {
            **({"id": row.row_id} if row.row_id else {}),
            "conversations": [{"from": SHAREGPT[turn.role], "value": turn.content} for turn in _alternating(row)],
            **_extras(row),
        }
        for row in rows
    ]
    return json.dumps(conversations, ensure_ascii=False, indent=1) + "\n"


def write_llama_factory(folder: str, name: str, rows: Iterable[TrainingRow]) -> None:
    """Writes `FOLDER/NAME.json`, and its entry into `FOLDER/dataset_info.json`."""
    location = Location(folder)
    known = json.loads(location.read(INFO)) if location.exists(INFO) else {}
    put_text(join(folder, f"{name}.json"), sharegpt(rows))
    info = known | dataset_info(name, f"{name}.json")
    put_text(join(folder, INFO), json.dumps(info, ensure_ascii=False, indent=1))


def ms_swift(rows: Iterable[TrainingRow]) -> str:
    """The JSON Lines of ms-swift 4.6, whose `_check_messages` takes such rows.

    Raises:
        InputError: a row whose turns do not alternate; ms-swift would drop it.
    """
    return "".join(json.dumps(_swift_record(row), ensure_ascii=False) + "\n" for row in rows)


def write_ms_swift(folder: str, name: str, rows: Iterable[TrainingRow]) -> None:
    """Writes `FOLDER/NAME.jsonl`."""
    put_text(join(folder, f"{name}.jsonl"), ms_swift(rows))


def _swift_record(row: TrainingRow) -> dict[str, Any]:
    unlearnt = set(answers_of(row.turns)) - set(row.learnt)
    messages = [
        {"role": turn.role, "content": turn.content, **({"loss": False} if number in unlearnt else {})}
        for number, turn in enumerate(_alternating(row))
    ]
    return {"messages": messages, **({"id": row.row_id} if row.row_id else {}), **_extras(row)}


def _alternating(row: TrainingRow) -> Turns:
    """The row's turns, checked as other trainers do, which drop a row without saying so."""
    roles = [turn.role for turn in row.turns]
    body = roles[1:] if roles[:1] == ["system"] else roles
    if not body or body != ["user", "assistant"] * (len(body) // 2):
        raise InputError(
            f"row {row.row_id!r} has the turns {roles}", hint="user and assistant must take turns, the user first"
        )
    return row.turns
