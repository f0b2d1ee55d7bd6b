"""How the summary of an annotation run is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from ner_ray.commands import _tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ner_ray.pipeline.summary import Summary

_STAGES = {
    "start": "engine start",
    "chunk": "chunking",
    "demonstrations": "retrieval",
    "generate": "generation",
    "read": "reading and aligning",
    "total": "total",
}


def summary_table(summary: Summary) -> str:
    """Documents, entities, rates and the time of each stage, as text."""
    if not summary.waves:
        return f"nothing new for {summary.run}\n" + "".join(f"{name}: {what}\n" for name, what in _not_done(summary))
    counts, rates, seconds = summary.counts, summary.rates, summary.seconds
    table = _tables.grid()
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
    for name, what in _not_done(summary):
        table.add_row(name, escape(what))
    table.add_row("run", escape(summary.run))
    return _tables.text(table)


def _not_done(summary: Summary) -> Iterator[tuple[str, str]]:
    for uri, problem in summary.quarantined.items():
        yield "not readable", f"{uri}: {problem}"
    for uri, documents in summary.missing.items():
        yield "missing", f"{uri}: {documents:,} documents; `ner-ray forget {summary.run}` gives them up"
