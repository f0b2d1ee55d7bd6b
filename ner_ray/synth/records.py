"""Training rows in Parquet, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow as pa

from ner_ray.synth.instances import Instance
from ner_ray.types import Message


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a row was made of.

    Attributes:
        document: id of the source document.
        start: where the passage begins in it.
        end: where it ends there, exclusive.
        teacher: the model that annotated it.
        prompt_hash: of the question that it was asked (`teacher.prompt_hash`).
        filters: those that its mentions have passed, in order.
        seed: of the draws that made the row.
    """

    document: str
    start: int
    end: int
    teacher: str
    prompt_hash: str
    filters: tuple[str, ...]
    seed: int


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("role", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
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


def to_table(rows: Iterable[tuple[Instance, Lineage]]) -> pa.Table:
    """The rows in their order; `messages` are the turns, as trainers that take a chat read them."""
    return pa.Table.from_pylist(
        [
            {
                "id": instance.instance_id,
                "role": instance.role,
                "messages": [{"role": turn.role, "content": turn.content} for turn in instance.turns],
                "labels": list(instance.labels),
                **asdict(lineage),
            }
            for instance, lineage in rows
        ],
        SCHEMA,
    )


def from_table(table: pa.Table) -> list[tuple[Instance, Lineage]]:
    """What `to_table` was given."""
    return [
        (
            Instance(
                row["id"],
                tuple(Message(**turn) for turn in row["messages"]),
                row["role"],
                tuple(row["labels"]),
            ),
            Lineage(
                row["document"],
                row["start"],
                row["end"],
                row["teacher"],
                row["prompt_hash"],
                tuple(row["filters"]),
                row["seed"],
            ),
        )
        for row in table.to_pylist()
    ]
