"""Annotate the English documents of the sample corpus with a small model that needs no download; show the result.

The model is SmolLM2 with the adapter that ships with the package: 135 million weights that find any types in English.

For example:

    ner-ray demo

    ner-ray demo --out runs/other engine.max_num_seqs=8
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import argument, option
from ner_ray.config import AnnotateConfig, Section

if TYPE_CHECKING:
    from rich.table import Table

    from ner_ray.pipeline.summary import Summary

RESUMES = True

_WIDTH = 110
_ROWS = 48
_PER_DOCUMENT = 3
_BATCH_ROWS = 256
_NEXT = """The model is small (135 million weights, English); ner_ray/adapters/b2ner/README.md says how good it is.
With your own text:

    ner-ray try                                                      type it into a page
    ner-ray init corpus/                                             write a configuration for a folder of files
    ner-ray annotate annotate/tagger input.path=corpus/ 'labels=[person, ship]' output.path=runs/corpus
"""


class Config(Section):
    """Where the demonstration run goes, and what to change in it."""

    out: str = option("runs/demo", description="The run directory.")
    settings: list[str] = argument((), description="Settings on top of annotate/demo, as `key=value`.")


@dataclass(frozen=True, slots=True)
class Result:
    """What the run did, and the page that shows it."""

    summary: Summary
    page: str

    @property
    def exit_status(self) -> int:
        return self.summary.exit_status

    def to_dict(self) -> dict[str, Any]:
        return self.summary.to_dict() | {"page": self.page}


def run(config: Config) -> Result:
    """Annotates the documents and writes a page; raises what `ner_ray.pipeline.annotate.annotate` raises."""
    from ner_ray.commands import export
    from ner_ray.config.load import load
    from ner_ray.pipeline.annotate import annotate
    from ner_ray.storage import join

    settings = [f"output.path={config.out}", *config.settings]
    summary = annotate(load(AnnotateConfig, "annotate/demo", settings, command="annotate"))
    page = join(config.out, "page.html")
    export.run(export.Config(run=config.out, out=page))
    return Result(summary, page)


def show(result: Result) -> str:
    """Some entities, the summary, and where the page is."""
    from ner_ray.commands._summary import summary_table

    table, summary = entity_table(result.summary.run), summary_table(result.summary)
    return f"{table}{summary} page  {result.page}\n\n{_NEXT}"


def entity_table(run: str) -> str:
    """The first entities of documents from all over a run, with their places in the texts."""
    from ner_ray.commands import _tables

    table = _tables.grid("document", "place", "entity", "label", "score", "status")
    documents = [found for found in _entities(run) if found[1]]
    step = max(1, len(documents) * _PER_DOCUMENT // _ROWS)
    for doc_id, entities in documents[::step]:
        for entity in entities[: min(_PER_DOCUMENT, _ROWS - table.row_count)]:
            _add_entity(table, doc_id, entity)
    more = sum(len(entities) for _, entities in documents) - table.row_count
    return _tables.text(table, _WIDTH) + (f"… and {more} more\n" if more else "")


def _entities(run: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    from ner_ray.commands.export import documents_in_order

    for batch in documents_in_order(run).to_batches(columns=["doc_id", "entities"], batch_size=_BATCH_ROWS):
        for row in batch.to_pylist():
            yield row["doc_id"], row["entities"]


def _add_entity(table: Table, doc_id: str, entity: Mapping[str, Any]) -> None:
    from rich.markup import escape

    score = "" if entity["score"] is None else f"{entity['score']:.2f}"
    place = f"{entity['start']}:{entity['end']}"
    table.add_row(escape(doc_id), place, escape(entity["text"]), escape(entity["label"]), score, entity["status"])
