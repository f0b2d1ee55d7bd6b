r"""The contract of an exporter.

An exporter is a module of this package, or one that another distribution registers as an entry point in the group
`ner_ray.export`. Its name is what `--format` takes. `ExporterModule` lists what the module defines: one function.

A complete exporter, which writes one entity per line:

    def write(
        documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
    ) -> Exported:
        count = entities = 0
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("w", encoding="utf-8", errors="replace") as file:
            for document, annotation in documents:
                for entity in annotation.entities:
                    file.write(f"{document.doc_id} {entity.label} {entity.text!r}\n")
                count, entities = count + 1, entities + len(annotation.entities)
        return Exported(count, entities)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ner_ray import plugins
from ner_ray.config import labels
from ner_ray.families.toolkit.labels import leaves
from ner_ray.types import Annotation, Document


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What an exporter is told about the run as a whole.

    Attributes:
        title: a heading, for people.
        labels: the labels that the run's entities may bear, in the order of its label set; empty where the run has no
            label set of its own, so that only its entities tell.
        summary: figures of the run, for people, in the order to show them.
    """

    title: str = "Annotated documents"
    labels: tuple[str, ...] = ()
    summary: Mapping[str, str] = field(default_factory=dict)

    def label_set(self, found: Iterable[str]) -> list[str]:
        """The run's own labels, then those that were found beside them, sorted.

        So files of runs with one label set number their labels alike, whatever was found.
        """
        return [*self.labels, *sorted(set(found) - set(self.labels))]


NO_CONTEXT = ExportContext()
"""For documents that come from no run."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `left_out` counts the entities that the format cannot hold."""

    documents: int
    entities: int
    left_out: int = 0


class ExporterModule(Protocol):
    """What the module of an exporter defines."""

    def write(
        self, documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext
    ) -> Exported:
        """Writes documents in a form that others read.

        Args:
            documents: each with its annotation. They come one by one and must not be kept all at once.
            path: a local file; its folder is created.
            context: what is known about the run.

        Raises:
            MissingExtraError: a package is not installed (see `ner_ray.extras.require`).
        """
        ...


CONTRACT: plugins.Contract[ExporterModule] = plugins.Contract(
    "export", "export format", ExporterModule, others=("jsonl", "parquet")
)


def load(name: str) -> ExporterModule:
    """The module of an exporter.

    Raises:
        ConfigError: there is no such format, or its module does not define what `ExporterModule` lists.
    """
    return CONTRACT.load(name)


def label_names(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels that entities may bear under the settings of a run; empty where each row brings its own.

    >>> label_names({"labels": {"being": ["person", "dog"], "place": None}})
    ('person', 'dog', 'place')
    """
    source = settings.get("labels")
    return tuple(leaves(labels.parse(source)).values()) if isinstance(source, (list, dict)) and source else ()
