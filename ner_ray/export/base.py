r"""The contract of an exporter.

An exporter is a module of this package, or one that another distribution registers as an entry point in the group
`ner_ray.export`. Its name is what `--format` takes. `ExporterModule` lists what the module defines: one function.

A complete exporter, which writes one entity per line:

    def write(
        documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
    ) -> Exported:
        written = Exported()
        with open_output(path) as file:
            for document, annotation in documents:
                for entity in annotation.entities:
                    file.write(f"{document.doc_id} {entity.label} {entity.text!r}\n".encode(errors="replace"))
                written += exported(annotation)
        return written
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from ner_ray import plugins
from ner_ray.config import labels
from ner_ray.families.toolkit.labels import leaves
from ner_ray.storage import is_local, open_store
from ner_ray.types import Annotation, Document, DocumentStatus

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What an exporter is told about the run as a whole.

    Attributes:
        title: a heading, for people.
        labels: the labels that the run's entities may have, in the order of its label set; empty where the run has no
            label set of its own, so that only its entities tell.
        summary: figures of the run, for people, in the order to show them.
        rows: the run's committed rows with all their columns, for formats that keep them, whatever `min_score` says;
            None for documents that are not from a run.
        min_score: the documents come without entities that have a lower score, or none; None if they have them all.
        limit: the number of documents that were asked for; None if none was.
    """

    title: str = "Annotated documents"
    labels: tuple[str, ...] = ()
    summary: Mapping[str, str] = field(default_factory=dict)
    rows: Dataset | None = None
    min_score: float | None = None
    limit: int | None = None

    def label_set(self, found: Iterable[str]) -> list[str]:
        """The run's own labels, then any others that were found, sorted.

        So runs with the same label set number their labels alike, whatever was found.
        """
        return [*self.labels, *sorted(set(found) - set(self.labels))]


NO_CONTEXT = ExportContext()
"""For documents that are not from a run."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; instances can be added.

    Attributes:
        documents: all documents of the run, failed ones included.
        entities: those in the file.
        left_out: entities that the format cannot hold.
        failed: documents that were not annotated; nothing is known about their entities. Each exporter says whether it
            marks them or leaves them out.
    """

    documents: int = 0
    entities: int = 0
    left_out: int = 0
    failed: int = field(default=0, compare=False)

    def __add__(self, other: Exported) -> Exported:
        return Exported(
            self.documents + other.documents,
            self.entities + other.entities,
            self.left_out + other.left_out,
            self.failed + other.failed,
        )


def exported(annotation: Annotation, told: int | None = None) -> Exported:
    """The counts of one document, of whose entities the format can hold `told`; all if None."""
    total = len(annotation.entities)
    kept = total if told is None else told
    return Exported(1, kept, total - kept, int(annotation.status is DocumentStatus.FAILED))


@contextmanager
def open_output(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write, on any store; its folder is created on those that have folders.

    Raises:
        InputError: no installed library opens the store of a URI.
    """
    store, inner = open_store(str(path))
    if "/" in inner and is_local(store):
        store.create_dir(inner.rsplit("/", 1)[0], recursive=True)
    with store.open_output_stream(inner) as stream:
        yield stream


class ExporterModule(Protocol):
    """What the module of an exporter defines."""

    def write(
        self, documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext
    ) -> Exported:
        """Writes documents in a form that others read.

        Args:
            documents: each with its annotation. They come one by one and must not be kept all at once.
            path: a file, local or a URI on any store (see `open_output`); its folder is created.
            context: what is known about the run.

        Raises:
            ConfigError: the format cannot do what is asked.
            MissingExtraError: a package is not installed (see `ner_ray.extras.require`).
        """
        ...


CONTRACT: plugins.Contract[ExporterModule] = plugins.Contract("export", "export format", ExporterModule)


def load(name: str) -> ExporterModule:
    """The module of an exporter.

    Raises:
        ConfigError: there is no such format, or its module does not define what `ExporterModule` lists.
    """
    return CONTRACT.load(name)


def label_names(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels that entities may have under the settings of a run; empty where each row has its own.

    >>> label_names({"labels": {"being": ["person", "dog"], "place": None}})
    ('person', 'dog', 'place')
    """
    source = settings.get("labels")
    return tuple(leaves(labels.parse(source)).values()) if isinstance(source, (list, dict)) and source else ()
