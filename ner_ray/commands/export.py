"""Write a run's committed documents in another format, and count the entities that the format cannot hold.

`html` is a page to look at: one file with the first 1,000 documents or, where the path ends with a slash, a folder with
all of them, to be opened by its `index.html`. `conll` (four columns), `bio` (two columns), `spacy` and `huggingface`
are for training, `label_studio`, `argilla` and `brat` (a zip archive) for people to correct; `parquet` and `jsonl`
write all columns as they are. Every format goes to any store. Texts that the run has not kept (`input.keep`) are read
from its input, which must not have changed.

Which documents are written can be chosen by status, label, error code and text; of these, some at random, or the first.

For example:

    ner-ray export runs/news page.html

    ner-ray export runs/news page/

    ner-ray export runs/news failed.html --status failed --sample 200

    ner-ray export runs/news news.spacy --format spacy --min-score 0.5
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import argument, option
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE
from ner_ray.types import DocumentStatus

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

    from ner_ray.commands._chosen import Choice
    from ner_ray.export.base import Exported
    from ner_ray.store.waves import Ids
    from ner_ray.types import Annotation, Document

_BATCH_ROWS = 256
_SORTED_ROWS = 10_000


class Config(Section):
    """Which run, to which file, in which format."""

    run: str = argument(description="The run directory, on any store.")
    out: str = argument(description="The file to write; with a slash at its end, a folder, for html.")
    format: str = option(
        "html",
        description="html; conll, bio, spacy or huggingface; label_studio, argilla or brat; parquet or jsonl for all "
        "columns; or the name of an exporter of your own.",
    )
    status: DocumentStatus | None = option(None, description="Only documents with this status: ok, partial or failed.")
    label: str | None = option(None, description="Only documents with an entity of this label.")
    code: str | None = option(None, description="Only documents with an error of this code, as in `ner-ray status`.")
    query: str | None = option(None, description="Only documents whose text contains this, in upper or lower case.")
    sample: int | None = option(None, ge=1, description="Draw this many of these documents at random.")
    seed: int = option(0, description="Seed of the draw; another seed draws others.")
    limit: int | None = option(
        None, ge=1, description="Write at most this many documents; a page in one file has 1,000 unless told otherwise."
    )
    min_score: float | None = option(
        None, ge=0, le=1, description="Leave out entities with a lower score, and those without one."
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
        ConfigError: there is no such format, or it cannot do what is asked.
        RunError: there is no run, or nothing is committed.
        InputError: the run has not kept its texts, and its input has changed.
    """
    from ner_ray.commands._chosen import Choice

    choice = Choice(config.status, config.label, config.code, config.query, config.sample, config.limit, config.seed)
    counts = export_run(config.run, config.format, config.out, choice, config.min_score)
    return Result(asdict(counts), config.out)


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())


def export_run(
    run: str, format_name: str, out: str, choice: Choice | None = None, min_score: float | None = None
) -> Exported:
    """Writes a run's committed documents by an exporter of `ner_ray/export`, such as `html` or `conll`.

    Args:
        run: the run directory.
        format_name: the exporter's name.
        out: the file.
        choice: which documents; by default, all.
        min_score: entities with a lower score, or without one, are left out.

    Raises:
        ConfigError: there is no such format, or it cannot do what is asked.
        RunError: there is no run, or nothing is committed.
        InputError: the run has not kept its texts, and its input has changed.
    """
    from ner_ray.commands._chosen import chosen_ids
    from ner_ray.commands._figures import figures
    from ner_ray.data.formats.run import kept_text
    from ner_ray.export.base import ExportContext, label_names, load
    from ner_ray.store.run import RunDirectory

    exporter = load(format_name)
    directory = RunDirectory(run)
    record = directory.record()
    ids = None
    if choice and not choice.is_everything:
        ids = chosen_ids(directory.dataset(), choice, kept_text(directory))
    summary = figures(directory.tally()) | ({} if ids is None else {"chosen": f"{len(ids):,}"})
    context = ExportContext(
        title=run.rstrip("/").rsplit("/", 1)[-1],
        labels=label_names(record.get("settings", {})),
        summary=summary,
        rows=documents_in_order(run, ids),
        min_score=min_score,
        limit=choice.limit if choice else None,
    )
    return exporter.write(_documents(run, ids, min_score), out, context)


def documents_in_order(run: str, ids: Ids | None = None) -> Dataset:
    """A run's documents, in the order of the input where they are few enough to sort.

    Args:
        run: the run directory.
        ids: the row ids of those wanted; None for all.
    """
    import pyarrow.dataset as pads

    from ner_ray import schema
    from ner_ray.store.run import RunDirectory

    dataset = RunDirectory(run).dataset()
    if ids is not None:
        dataset = dataset.filter(pads.field(schema.ROW_ID).isin(ids))
    return dataset.sort_by(schema.ROW_ID) if dataset.count_rows() <= _SORTED_ROWS else dataset


def _documents(run: str, ids: Ids | None, min_score: float | None) -> Iterator[tuple[Document, Annotation]]:
    from ner_ray import schema
    from ner_ray.types import Document

    for text, row in _rows(run, ids):
        annotation = schema.annotation_from_row(row)
        if min_score is not None:
            sure = (entity for entity in annotation.entities if (entity.score or 0.0) >= min_score)
            annotation = replace(annotation, entities=tuple(sure))
        yield Document(row[schema.DOC_ID], text or "", ()), annotation


def _rows(run: str, ids: Ids | None) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Texts and rows; where the run has not kept the texts, they are read from its input, in the input's order."""
    from ner_ray import schema
    from ner_ray.data.formats.run import kept_text, text_of
    from ner_ray.data.read import records
    from ner_ray.store.run import RunDirectory

    kept = kept_text(RunDirectory(run))
    columns = [schema.ROW_ID, schema.DOC_ID, *schema.OUTPUT.names]
    if kept is None:
        wanted = None if ids is None else set(ids.tolist())
        for _, _, row in records(run, {schema.KEPT_TEXT, *columns}):
            assert isinstance(row, dict)  # as all rows of a run are
            if wanted is None or row[schema.ROW_ID] in wanted:
                yield row[schema.KEPT_TEXT], row
        return
    dataset = documents_in_order(run, ids)
    for batch in dataset.to_batches(columns=list(dict.fromkeys([kept, *columns])), batch_size=_BATCH_ROWS):
        yield from ((text_of(row[kept]), row) for row in batch.to_pylist())
