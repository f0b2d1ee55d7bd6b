"""Write a run's committed documents in another format, and count the entities that the format cannot hold.

`html` is a page to look at. `conll` (four columns), `bio` (two columns), `spacy`, `huggingface` and `label_studio`
write texts and entities; `parquet` and `jsonl` write all columns as they are. Every format goes to any store. Texts
that the run has not kept (`input.keep`) are read from its input, which must not have changed.

For example:

    ner-ray export runs/news page.html

    ner-ray export runs/news news.spacy --format spacy
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import argument, option
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

    from ner_ray.export.base import Exported
    from ner_ray.types import Annotation, Document

_BATCH_ROWS = 256
_SORTED_ROWS = 10_000


class Config(Section):
    """Which run, to which file, in which format."""

    run: str = argument(description="The run directory, on any store.")
    out: str = argument(description="The file to write.")
    format: str = option(
        "html",
        description="html, conll, bio, spacy, huggingface or label_studio; parquet or jsonl for all columns; or the "
        "name of an exporter of your own.",
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What was written: counts, and the file."""

    counts: Mapping[str, Any]
    file: str
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {**self.counts, "file": self.file}


def run(config: Config) -> Result:
    """Writes the file.

    Raises:
        ConfigError: there is no such format.
        RunError: there is no run, or nothing is committed.
        InputError: the run has not kept its texts, and its input has changed.
    """
    return Result(asdict(export_run(config.run, config.format, config.out)), config.out)


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())


def export_run(run: str, format_name: str, out: str) -> Exported:
    """Writes a run's committed documents by an exporter of `ner_ray/export`, such as `html` or `conll`.

    Raises:
        ConfigError: there is no such format.
        RunError: there is no run, or nothing is committed.
        InputError: the run has not kept its texts, and its input has changed.
    """
    from ner_ray.commands._figures import figures
    from ner_ray.export.base import ExportContext, label_names, load
    from ner_ray.store.run import RunDirectory

    exporter = load(format_name)
    directory = RunDirectory(run)
    record = directory.record()
    context = ExportContext(
        title=run.rstrip("/").rsplit("/", 1)[-1],
        labels=label_names(record.get("settings", {})),
        summary=figures(directory.tally()),
        rows=documents_in_order(run),
    )
    return exporter.write(_documents(run), out, context)


def documents_in_order(run: str) -> Dataset:
    """A run's documents, in the order of the input where they are few enough to sort."""
    from ner_ray.store.run import RunDirectory

    dataset = RunDirectory(run).dataset()
    return dataset.sort_by("row_id") if dataset.count_rows() <= _SORTED_ROWS else dataset


def _documents(run: str) -> Iterator[tuple[Document, Annotation]]:
    from ner_ray import schema
    from ner_ray.types import Document

    for text, row in _rows(run):
        yield Document(row[schema.DOC_ID], text or "", ()), schema.annotation_from_row(row)


def _rows(run: str) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Texts and rows; where the run has not kept the texts, they are read from its input, in the input's order."""
    from ner_ray import schema
    from ner_ray.data.formats.run import kept_text, text_of
    from ner_ray.data.read import records
    from ner_ray.store.run import RunDirectory

    kept = kept_text(RunDirectory(run))
    columns = [schema.DOC_ID, *schema.OUTPUT.names]
    if kept is None:
        for _, _, row in records(run, {schema.KEPT_TEXT, *columns}):
            assert isinstance(row, dict)  # as all rows of a run are
            yield row[schema.KEPT_TEXT], row
        return
    dataset = documents_in_order(run)
    for batch in dataset.to_batches(columns=list(dict.fromkeys([kept, *columns])), batch_size=_BATCH_ROWS):
        yield from ((text_of(row[kept]), row) for row in batch.to_pylist())
