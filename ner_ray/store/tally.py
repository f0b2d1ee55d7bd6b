"""What is in an output file, counted when it is committed: a run's figures are sums over the files that readers see."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

_MOST_LABELS = 1_000  # of a file: open label sets have no end
_LEAVES = ("status", "errors.list.element.code", "entities.list.element.label", "unaligned.list.element.label")


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of committed documents; adds.

    Attributes:
        statuses: documents by status.
        errors: documents by error code; a document may have several.
        labels: entities by label, of each file the thousand commonest.
    """

    documents: int = 0
    entities: int = 0
    unaligned: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Tally)))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, the commonest first."""
        found = ((one.name, getattr(self, one.name)) for one in fields(Tally))
        return {name: dict(value.most_common()) if isinstance(value, Counter) else value for name, value in found}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Tally:
        counters = (Counter(plain[name]) for name in ("statuses", "errors", "labels"))
        return cls(plain["documents"], plain["entities"], plain["unaligned"], *counters)


def tally(store: fs.FileSystem, path: str) -> Tally:
    """The tally of an output file; of its columns only what is counted is read."""
    documents = entities = unaligned = 0
    statuses, errors, labels = Counter[str](), Counter[str](), Counter[str]()
    with pq.ParquetFile(path, filesystem=store) as file:
        for batch in file.iter_batches(columns=_LEAVES):
            found = _of_lists(batch, "entities", "label")
            documents += batch.num_rows
            entities += len(found)
            unaligned += len(_of_lists(batch, "unaligned", "label"))
            statuses += _counted(batch["status"])
            errors += _codes(batch["errors"])
            labels += _counted(found)
    return Tally(documents, entities, unaligned, statuses, errors, Counter(dict(labels.most_common(_MOST_LABELS))))


def _of_lists(batch: pa.RecordBatch, column: str, name: str) -> pa.Array:
    """A field of all that stands in a column of lists."""
    return pc.struct_field(batch[column].flatten(), name)


def _counted(values: pa.Array) -> Counter[str]:
    return Counter({one["values"]: one["counts"] for one in pc.value_counts(values).to_pylist()})


def _codes(column: pa.Array) -> Counter[str]:
    """How many documents have each error code."""
    found = column.filter(pc.greater(pc.list_value_length(column), 0))
    return Counter(code for errors in found.to_pylist() for code in {error["code"] for error in errors})
