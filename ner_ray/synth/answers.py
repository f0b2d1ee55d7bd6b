"""The teacher's answers, as the annotation job writes them, and the annotated passages made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from ner_ray import schema
from ner_ray.config import AlignConfig
from ner_ray.families import instruct
from ner_ray.schema import Row
from ner_ray.synth import statistics, teacher
from ner_ray.synth.annotated import Annotated, settle
from ner_ray.synth.config import FilterOptions
from ner_ray.synth.filters import FilterCounts, Removed
from ner_ray.synth.statistics import Statistics
from ner_ray.synth.teacher import Answer
from ner_ray.types import Mention, Verdict

PASSAGE = pa.schema(
    [
        ("id", pa.string()),
        ("document", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("source", pa.string()),
        ("text", pa.string()),
    ]
)
"""Columns of a passage: its id, its document, its place in the document, and its text."""

KEPT = ("document", "start", "end", "source")
"""Columns of a passage that are passed through the annotation job."""

COLUMNS = (
    *(schema.ROW_ID, "doc_id", "text", *KEPT, "chunks", "exchanges"),
    *("entities", "unaligned", "verdicts", "usage"),
)
"""Columns that are read from the output of the annotation job."""

Status = Literal["ok", "unanswered", "cut", "unreadable"]

_REMOVED = pa.struct([("text", pa.string()), ("label", pa.string()), ("by", pa.string())])
SCHEMA = pa.schema(
    [
        *PASSAGE,
        ("status", pa.string()),
        ("entities", pa.list_(schema.ENTITY)),
        ("mentions", pa.list_(schema.MENTION)),
        ("removed", pa.list_(_REMOVED)),
        ("verdicts", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over several passages; see `add_up`.

    Attributes:
        statuses: how many passages were `ok`, had no answer (`unanswered`), did not fit the teacher in one piece
            (`cut`), or had only answers that could not be read (`unreadable`).
        usage: requests and tokens, as the teacher's engine counted them.
        filters: what the filters saw, removed and changed.
        statistics: statistics of the remaining mentions.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    usage: Counter[str] = field(default_factory=Counter)
    filters: FilterCounts = field(default_factory=FilterCounts)
    statistics: Statistics = field(default_factory=Statistics)


def add_up(tallies: Iterable[Tally]) -> Tally:
    """The sum; adds in place, since there may be many types and surfaces."""
    statuses, usage, pairs = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    filters = {name: Counter[str]() for name in ("seen", "removed", "changed")}
    passages = empty = 0
    for tally in tallies:
        statuses.update(tally.statuses)
        usage.update(tally.usage)
        for name, counter in filters.items():
            counter.update(getattr(tally.filters, name))
        passages += tally.statistics.passages
        empty += tally.statistics.empty
        pairs.update(tally.statistics.pairs)
    return Tally(statuses, usage, FilterCounts(**filters), Statistics(passages, empty, pairs))


def type_frequencies(rows: Iterable[Row], question: instruct.Options | None) -> Counter[str]:
    """How often each type is named, as spelt by the teacher; `question` as for `read`."""
    return Counter(mention.label for row in rows for mention in _answer(row, question)[1].mentions)


def read(
    rows: Iterable[Row], question: instruct.Options | None, filters: FilterOptions, align: AlignConfig
) -> tuple[pa.Table, Tally]:
    """The annotated passages, in the order of the rows, and their sums.

    A passage without a usable answer becomes a row without entities whose `status` gives the reason; training rows are
    made from those that are `ok`.

    Args:
        rows: the output rows of the annotation job.
        question: the open question that was asked; None if a family asked for its labels and has read the answers.
        filters: the filters and their limits.
        align: how mentions are placed.
    """
    lines, tallies = [], []
    for row in rows:
        status, answer = _answer(row, question)
        found = settle(row["text"], answer, filters, align)
        lines.append(_line(row, status, found))
        tallies.append(_tally(row["usage"], status, found))
    return pa.Table.from_pylist(lines, SCHEMA), add_up(tallies)


def _answer(row: Row, question: instruct.Options | None) -> tuple[Status, Answer]:
    """What the teacher said about the whole passage, and whether it can be used."""
    transcript = [schema.exchange_from_row(exchange) for exchange in row["exchanges"]]
    answered = [exchange for exchange in transcript if exchange.completions]
    if question and len(row["chunks"]) > 1:
        return "cut", Answer(())
    if not answered:
        return "unanswered", Answer(())
    answer = teacher.read(row["text"], answered, question) if question else _found(row)
    unreadable = all(verdict is Verdict.UNPARSABLE for verdict in answer.verdicts)
    return ("unreadable" if unreadable else "ok"), answer


def _found(row: Row) -> Answer:
    """What the annotation job found: each pair of surface and type once, without mentions that received no type."""
    listed = [mention for mention in [*row["unaligned"], *row["entities"]] if mention["label"]]
    pairs = {(mention["text"], mention["label"]): mention["score"] for mention in listed}
    mentions = tuple(Mention(text, label, score) for (text, label), score in pairs.items())
    return Answer(mentions, tuple(verdict for verdict in Verdict for _ in range(row["verdicts"][verdict.value])))


def _line(row: Row, status: Status, found: Annotated) -> Row:
    return {
        "id": row["doc_id"],
        **{name: row[name] for name in KEPT},
        "text": row["text"],
        "status": status,
        "entities": [schema.entity_to_row(entity) for entity in found.entities],
        "mentions": [schema.mention_to_row(mention) for mention in found.mentions],
        "removed": [_removed_to_row(removed) for removed in found.removed],
        "verdicts": [verdict.value for verdict in found.verdicts],
    }


def _removed_to_row(removed: Removed) -> Row:
    return {"text": removed.mention.text, "label": removed.mention.label, "by": removed.by}


def _tally(usage: Mapping[str, int], status: Status, found: Annotated) -> Tally:
    counted = statistics.count(found.mentions) if status == "ok" else Statistics()
    return Tally(Counter([status]), Counter(usage), found.counts, counted)
