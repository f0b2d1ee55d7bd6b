"""The files of other trainers: LLaMA-Factory's ShareGPT with its `dataset_info.json`, ms-swift's messages.

LLaMA-Factory (`data/README.md`): a list of `{"conversations": [{"from", "value"}]}`; users and assistants must take
turns, and a system turn may only be the first. ms-swift (`Customization/Custom-dataset`): a JSON object a line,
`{"messages": [{"role", "content"}]}`. Both are checked here, so that a row that they would drop is an error. The
checks of LLaMA-Factory 0.9.5 (`SharegptDatasetConverter`) and of ms-swift 4.6.0 (`_check_messages`) take our rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ner_ray.errors import InputError
from ner_ray.synth.instances import Instance
from ner_ray.types import Message

_SHAREGPT = {"user": "human", "assistant": "gpt", "system": "system"}


def sharegpt(rows: Iterable[Instance]) -> str:
    """The JSON file of LLaMA-Factory; also the form in which UniversalNER's and Sky-NER's data are released.

    Raises:
        InputError: a row whose turns do not alternate.
    """
    return json.dumps([_conversation(row) for row in rows], ensure_ascii=False, indent=1) + "\n"


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
                "user_tag": _SHAREGPT["user"],
                "assistant_tag": _SHAREGPT["assistant"],
                "system_tag": _SHAREGPT["system"],
            },
        }
    }


def swift(rows: Iterable[Instance]) -> str:
    """The JSONL file of ms-swift.

    Raises:
        InputError: a row whose turns do not alternate.
    """
    return "".join(
        json.dumps(
            {"messages": [{"role": turn.role, "content": turn.content} for turn in _checked(row)]}, ensure_ascii=False
        )
        + "\n"
        for row in rows
    )


def _conversation(row: Instance) -> dict[str, Any]:
    turns = [{"from": _SHAREGPT[turn.role], "value": turn.content} for turn in _checked(row)]
    return {"id": row.instance_id, "conversations": turns}


def _checked(row: Instance) -> Sequence[Message]:
    roles = [turn.role for turn in row.turns]
    body = roles[1:] if roles[:1] == ["system"] else roles
    if not body or body != ["user", "assistant"] * (len(body) // 2):
        raise InputError(
            f"row {row.instance_id!r} has the turns {roles}", hint="user and assistant must take turns, the user first"
        )
    return row.turns
