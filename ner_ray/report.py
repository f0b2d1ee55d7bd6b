"""What a run looks like to people: tables on the terminal, a page in the browser."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ner_ray import schema
from ner_ray.errors import RunError
from ner_ray.export.base import ExportContext, Exported, label_names, load
from ner_ray.store.run import RunDirectory
from ner_ray.store.tally import Tally
from ner_ray.types import Annotation, Document

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

    from ner_ray.pipeline.annotate import Summary
    from ner_ray.store.health import Status

_WIDTH = 110
_UNBROKEN = 10_000  # characters: a path stays on its line, to be copied
_SHOWN = 2  # exchanges of a role
_CHARACTERS = 600  # of a text
_ENTITIES = 30  # of a document
_LABELS = 12
_BATCH_ROWS = 256
_SORTED_ROWS = 10_000


def summary_table(summary: Summary) -> str:
    """Documents, entities, rates and the time of each stage, as text."""
    counts, rates, seconds = summary.counts, summary.rates, summary.seconds
    if not summary.waves:
        return f"nothing new: {summary.run} is complete\n"
    table = Table(show_header=False, box=None)
    for name in ("documents", "failed", "partial", "entities", "unaligned", "requests"):
        table.add_row(name, f"{counts.get(name, 0):,}")
    prompt = counts.get("prompt_tokens", 0)
    table.add_row("prompt tokens", f"{prompt:,} ({counts.get('cached_tokens', 0) / max(1, prompt):.0%} from the cache)")
    table.add_row("output tokens", f"{counts.get('output_tokens', 0):,}")
    table.add_row("documents/s", f"{rates['documents']:.1f}")
    table.add_row("output tokens/s", f"{rates['output_tokens']:.0f}")
    for stage, name in _STAGES.items():
        if stage in seconds:
            table.add_row(name, f"{seconds[stage]:.1f} s")
    for uri, problem in summary.quarantined.items():
        table.add_row("not readable", escape(f"{uri}: {problem}"))
    table.add_row("run", escape(summary.run))
    return _text(table)


def status_table(status: Status) -> str:
    """How far a run is, as text."""
    table = Table(show_header=False, box=None)
    table.add_row("run", escape(status.run))
    table.add_row("rows", f"{status.done:,} of {status.rows:,} ({status.done / max(1, status.rows):.1%})")
    table.add_row("waves", f"{status.committed} of {status.waves} committed")
    table.add_row("last commit", status.last_commit or "-")
    table.add_row("driver", escape(status.driver or "none at work"))
    if status.rate:
        table.add_row("rows/s", f"{status.rate:.1f}")
    if status.eta:
        table.add_row("time left", str(timedelta(seconds=round(status.eta))))
    for name, count in _figures(status.tally).items():
        table.add_row(name, count)
    for code, documents in status.tally.errors.most_common():
        table.add_row("error", f"{escape(code)}: {documents:,} documents")
    for label, entities in status.tally.labels.most_common(_LABELS):
        table.add_row("label", f"{escape(label)}: {entities:,} entities")
    if len(status.tally.labels) > _LABELS:
        table.add_row("label", f"… and {len(status.tally.labels) - _LABELS:,} more")
    for label, one in islice(status.drift.items(), _LABELS):
        rates = f"{one.last:,.1f} in 1,000 documents of the last wave, {one.before:,.1f} before"
        table.add_row("drift", f"{escape(label)}: {rates}")
    for uri, problem in status.quarantined.items():
        table.add_row("not readable", escape(f"{uri}: {problem}"))
    return _text(table)


def fields_table(fields: Mapping[str, Any]) -> str:
    """What a command found, a field a line, as text."""
    table = Table(show_header=False, box=None)
    for name, value in fields.items():
        table.add_row(escape(name.replace("_", " ")), escape(_said(value)))
    return _text(table)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {_said(one)}" for name, one in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value)) or "-"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def preview_text(row: Mapping[str, Any]) -> str:
    """A document of a run that kept its prompts: its text, what was asked and answered, and what was found."""
    text = row["text"] or ""
    lines = [f"━━ {row['doc_id']}: {row['status']}, entities: {len(row['entities'])}", *_indented(_cut(text))]
    by_role: dict[str, list[Mapping[str, Any]]] = {}
    for exchange in row["exchanges"]:
        by_role.setdefault(exchange["role"], []).append(exchange)
    for role, exchanges in by_role.items():
        for exchange in exchanges[:_SHOWN]:
            lines += [f"── {role} is asked", *_indented(_prompt(exchange["prompt"]))]
            for one in exchange["completions"]:
                cut = "" if one["finish_reason"] == "stop" else f" (cut: {one['finish_reason']})"
                lines += [f"── {role} answers{cut}", *_indented(one["text"])]
        if len(exchanges) > _SHOWN:
            lines.append(f"── … and {len(exchanges) - _SHOWN} more of {role}")
    lines += [_found(entity) for entity in row["entities"][:_ENTITIES]]
    if len(row["entities"]) > _ENTITIES:
        lines.append(f"   … and {len(row['entities']) - _ENTITIES} more")
    for name in ("unaligned", "dropped"):
        lines += [f"   {name}: {one['text']} ({one['label']})" for one in row[name]]
    lines += [f"   error {one['code']} in {one['stage']}: {one['message']}" for one in row["errors"]]
    return "\n".join(lines) + "\n"


def _prompt(prompt: str) -> str:
    """As text; chat turns, which are kept as JSON, one below the other."""
    try:
        turns = json.loads(prompt)
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
    except (ValueError, TypeError, KeyError):
        return prompt


def _found(entity: Mapping[str, Any]) -> str:
    score = "" if entity["score"] is None else f"  {entity['score']:.2f}"
    return f"   {entity['start']}:{entity['end']}  {entity['text']}  {entity['label']}{score}  {entity['status']}"


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}… ({len(text):,} characters)"


def _indented(text: str) -> list[str]:
    """Lines of a text that nobody here wrote: what could steer a terminal is shown as a box."""
    return ["   " + "".join(char if char.isprintable() else "\ufffd" for char in line) for line in text.splitlines()]


def entity_table(run: str, rows: int = 48, per_document: int = 3) -> str:
    """The first entities of a run's documents, with their place in the text, as text."""
    table = Table("document", "place", "entity", "label", "score", "status", box=None)
    total = 0
    for doc_id, entities in _entities(run):
        total += len(entities)
        for entity in entities[: min(per_document, rows - table.row_count)]:
            _add_entity(table, doc_id, entity)
    more = total - table.row_count
    return _text(table, _WIDTH) + (f"… and {more} more\n" if more else "")


def _entities(run: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for batch in _in_order(run).to_batches(columns=["doc_id", "entities"], batch_size=_BATCH_ROWS):
        for row in batch.to_pylist():
            yield row["doc_id"], row["entities"]


def _add_entity(table: Table, doc_id: str, entity: Mapping[str, Any]) -> None:
    score = "" if entity["score"] is None else f"{entity['score']:.2f}"
    place = f"{entity['start']}:{entity['end']}"
    table.add_row(escape(doc_id), place, escape(entity["text"]), escape(entity["label"]), score, entity["status"])


def export_run(run: str, format_name: str, out: str) -> Exported:
    """Writes a run's committed documents in another form.

    Args:
        run: the run directory.
        format_name: a module of `ner_ray/export`, such as `html` or `conll`.
        out: the file to write.

    Raises:
        ConfigError: no such format.
        RunError: the run has nothing committed, or does not carry its texts.
    """
    exporter = load(format_name)
    directory = RunDirectory(run)
    record = directory.record()
    context = ExportContext(
        title=run.rstrip("/").rsplit("/", 1)[-1],
        labels=label_names(record.get("settings", {})),
        summary=_figures(directory.tally()),
    )
    return exporter.write(_documents(run, record), out, context)


def _figures(tally: Tally) -> dict[str, str]:
    """Of all committed documents, for people."""
    counts = {
        "documents": tally.documents,
        "entities": tally.entities,
        "failed": tally.statuses["failed"],
        "partial": tally.statuses["partial"],
        "unaligned": tally.unaligned,
    }
    return {name: f"{number:,}" for name, number in counts.items()}


def _in_order(run: str) -> Dataset:
    """A run's documents, in the order of the input where they are few enough to sort."""
    dataset = RunDirectory(run).dataset()
    return dataset.sort_by("row_id") if dataset.count_rows() <= _SORTED_ROWS else dataset


def _documents(run: str, record: Mapping[str, Any]) -> Iterator[tuple[Document, Annotation]]:
    dataset = _in_order(run)
    column = record.get("settings", {}).get("input", {}).get("text", "text")
    column = column if column in dataset.schema.names else "text"
    if column not in dataset.schema.names:
        raise RunError(
            f"{run} does not carry its texts", hint=f"annotate with input.keep=[{column}], or output.completions=true"
        )
    columns = ["doc_id", column, *schema.OUTPUT.names]
    for batch in dataset.to_batches(columns=columns, batch_size=_BATCH_ROWS):
        for row in batch.to_pylist():
            yield Document(row["doc_id"], row[column] or "", ()), schema.annotation_from_row(row)


def _text(table: Table, width: int = _UNBROKEN) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(table)
    return "".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines())


_STAGES = {
    "start": "engine start",
    "chunk": "chunking",
    "demonstrations": "retrieval",
    "generate": "generation",
    "read": "reading and aligning",
    "total": "total",
}
