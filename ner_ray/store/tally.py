"""Counts of an output file, taken at its commit: a run's figures are sums over the files that readers see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

_MOST_LABELS = 1_000  # per file: an open label set can have any number
_LEAVES = ("status", "errors.list.element.code", "entities.list.element.label", "unaligned.list.element.label")


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of committed documents; adds and subtracts.

    Attributes:
        documents: number of documents.
        entities: number of entities.
        unaligned: number of mentions that were not found in the text.
        statuses: number of documents by status.
        errors: number of documents by error code; a document may have several codes.
        labels: number of entities by label, for the thousand most frequent labels of each file.
    """

    documents: int = 0
    entities: int = 0
    unaligned: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, count.name) + getattr(other, count.name) for count in fields(Tally)))

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """The sum of many."""
        documents = entities = unaligned = 0
        statuses, errors, labels = Counter[str](), Counter[str](), Counter[str]()
        for tally in tallies:
            documents += tally.documents
            entities += tally.entities
            unaligned += tally.unaligned
            statuses.update(tally.statuses)
            errors.update(tally.errors)
            labels.update(tally.labels)
        return cls(documents, entities, unaligned, statuses, errors, labels)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, count.name) - getattr(other, count.name) for count in fields(Tally)))

    def share(self, status: str) -> float:
        """The share of documents with a status; 0 without documents."""
        return self.statuses[status] / max(1, self.documents)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, the most frequent first."""
        counts = ((count.name, getattr(self, count.name)) for count in fields(Tally))
        return {name: dict(value.most_common()) if isinstance(value, Counter) else value for name, value in counts}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Tally:
        counters = (Counter(plain[name]) for name in ("statuses", "errors", "labels"))
        return cls(plain["documents"], plain["entities"], plain["unaligned"], *counters)


def tally(store: fs.FileSystem, path: str) -> Tally:
    """The tally of an output file; reads only the columns that are counted."""
    documents = entities = unaligned = 0
    statuses, errors, labels = Counter[str](), Counter[str](), Counter[str]()
    with pq.ParquetFile(path, filesystem=store) as file:
        for batch in file.iter_batches(columns=_LEAVES):
            entity_labels = _of_lists(batch, "entities", "label")
            documents += batch.num_rows
            entities += len(entity_labels)
            unaligned += len(_of_lists(batch, "unaligned", "label"))
            statuses += _counted(batch["status"])
            errors += _codes(batch["errors"])
            labels += _counted(entity_labels)
    return Tally(documents, entities, unaligned, statuses, errors, Counter(dict(labels.most_common(_MOST_LABELS))))


def _of_lists(batch: pa.RecordBatch, column: str, name: str) -> pa.Array:
    """One field of all structs in a column of lists of structs, as a flat array."""
    return pc.struct_field(batch[column].flatten(), name)


def _counted(values: pa.Array) -> Counter[str]:
    return Counter({pair["values"]: pair["counts"] for pair in pc.value_counts(values).to_pylist()})


def _codes(column: pa.Array) -> Counter[str]:
    """The number of documents with each error code."""
    nonempty = column.filter(pc.greater(pc.list_value_length(column), 0))
    return Counter(code for errors in nonempty.to_pylist() for code in {error["code"] for error in errors})
