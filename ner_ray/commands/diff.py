"""Show where two annotations of the same documents differ: two runs, or a run and gold.

Documents are joined by id. Each entity is agreed, only in A, only in B, or has another label or other boundaries.
`--out` writes a page that shows both sides of each document, with filters: a folder with all documents where the path
ends with a slash, else one file with the first 1,000 that differ.

For example:

    ner-ray diff runs/small runs/large --out page/

    ner-ray diff gold.jsonl runs/news --out page.html label_map.PER=person
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from ner_ray.commands.base import argument, option
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE


class Config(Section):
    """What is compared, and where the page goes."""

    a: str = argument(
        description="The first annotation: a run directory, or annotated text in any format that is read."
    )
    b: str = argument(description="The second one.")
    out: str | None = option(None, description="The page to write; with a slash at its end, a folder.")
    id: str | None = option(
        None, description="The column that joins the documents; by default id, doc_id or example_id."
    )
    label_map: dict[str, str | None] = Field(
        default_factory=dict,
        description="Label -> the name under which it is compared, on both sides; null leaves its entities out.",
    )


@dataclass(frozen=True, slots=True)
class Result:
    """How many documents and entities are of each kind, and the page."""

    documents: Mapping[str, int]
    entities: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]]
    page: str | None
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        named = {name: dict(getattr(self, name)) for name in ("documents", "entities", "labels")}
        return named | ({"page": self.page} if self.page else {})


def run(config: Config) -> Result:
    """Compares, and writes the page if there is to be one.

    Raises:
        InputError: a side cannot be read, a row has no id or the id of another, or neither side has texts.
        ConfigError: both sides are the same, the label map names a label that neither has, or the page's folder holds
            something else.
    """
    from ner_ray.evaluate.diff import KINDS, STATES, Page, Sides, compared, figures
    from ner_ray.viewer.pages import Counts

    sides = Sides(config.a, config.b, config.id, config.label_map)
    counts = Counts()
    page = Page(sides, config.out, counts) if config.out else None
    for shown in compared(sides):
        counts.add(shown)
        if page:
            page.add(shown)
    if page:
        page.finish()
    labels = figures(counts.labels)
    return Result(
        documents={name: counts.states[number] for number, name in enumerate(STATES)},
        entities={kind: counts.kinds[1 << bit] for bit, kind in enumerate(KINDS)},
        labels=labels,
        page=config.out,
    )


def show(result: Result) -> str:
    """Documents by state, and entities by label and kind; a pair with two labels counts under both, once in all."""
    from ner_ray.commands import _tables

    table = _tables.grid("label", *result.entities)
    for label, kinds in (*result.labels.items(), ("all", result.entities)):
        table.add_row(label, *(f"{times:,}" for times in kinds.values()))
    fields: dict[str, Any] = {"documents": result.documents} | ({"page": result.page} if result.page else {})
    return f"{_tables.text(table)}\n{_tables.fields(fields)}"
