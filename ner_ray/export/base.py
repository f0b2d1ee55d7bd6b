"""The contract of an exporter.

An exporter is a module of this package (or an entry point in the group `ner_ray.export`) with

    write(documents, path, ...) -> Exported

Documents come one by one, each with its annotation, and are not kept. What more `write` takes has defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ner_ray.types import Annotation, Document


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `left_out` counts the entities that the format cannot hold."""

    documents: int
    entities: int
    left_out: int = 0


class Write(Protocol):
    """Writes documents in a form that others read."""

    def __call__(self, documents: Iterable[tuple[Document, Annotation]], path: str | Path) -> Exported:
        """What was written to `path`, a local file whose folder is made."""
        ...
