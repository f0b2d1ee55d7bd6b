"""A page about a set of training data, in HTML without scripts: totals, filters, frequent types, the long tail."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from ner_ray.synth.filters import FilterCounts
from ner_ray.synth.statistics import Statistics

_TYPES = 40
_WIDTH, _HEIGHT, _MARGIN = 640, 320, 40
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "body{color:#222;background:#fff}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}"
    "svg{max-width:100%;height:auto}.bar{fill:#3b6ea5}.dot{fill:#3b6ea5}text{font-size:12px;fill:#222}"
    "line{stroke:#999}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}text{fill:#ddd}"
    ".bar,.dot{fill:#7fb0e6}}"
)


def render(
    title: str,
    statistics: Statistics,
    counts: FilterCounts,
    steps: Sequence[str],
    left_out: Mapping[str, Mapping[str, int]] | None = None,
) -> str:
    """The page as HTML.

    Args:
        title: the title of the page.
        statistics: statistics of the data as written.
        counts: what the filters did.
        steps: the filters, in order.
        left_out: form of training data -> reason -> the number of entities that its answers do not mention.
    """
    frequencies = statistics.frequencies()
    shares = [(name, f"{share:.1%}") for name, share in statistics.tail().items()]
    totals = [
        (name, f"{value:,.4g}" if isinstance(value, float) else f"{value:,}") for name, value in _totals(statistics)
    ]
    filters = [(step, counts.seen[step], counts.removed[step], counts.changed[step]) for step in steps]
    most = list(frequencies.items())[:_TYPES]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>",
        _table(("", ""), totals),
        "<h2>Filters</h2>",
        _table(("filter", "seen", "removed", "changed"), filters),
        *_left_out(left_out or {}),
        f"<h2>The {len(most)} most frequent types</h2>",
        _bars(most),
        "<h2>The long tail</h2>",
        _table(("types by frequency", "share of all mentions"), shares),
        _curve(list(frequencies.values())),
    ]
    return "\n".join(parts) + "\n"


def _left_out(left_out: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What each form could not express; empty if all of them could express everything."""
    rows = [(form, reason, f"{count:,}") for form, reasons in left_out.items() for reason, count in reasons.items()]
    heads = ("form", "reason", "entities")
    return ["<h2>Entities that answers leave out</h2>", _table(heads, rows)] if rows else []


def _totals(statistics: Statistics) -> list[tuple[str, int | float]]:
    summary = statistics.summary()
    return [
        ("passages", statistics.passages),
        ("passages without entities", statistics.empty),
        ("mentions", summary["total_entity_num"]),
        ("types", summary["total_type_num"]),
        ("distinct pairs of type and surface", summary["total_ent_type_pair_num"]),
        ("distinct pairs per passage", summary["avg_pair_per_sample"]),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{heads}</tr>{body}</table>"


def _bars(frequencies: Sequence[tuple[str, int]]) -> str:
    """One bar per type, as long as its share of the mentions."""
    longest = max((count for _, count in frequencies), default=1)
    bars = [
        f"<text x=190 y={20 * row + 14} text-anchor=end>{escape(name[:28])}</text>"
        f"<rect class=bar x=200 y={20 * row + 4} height=12 width={380 * count / longest:.1f} />"
        f"<text x={206 + 380 * count / longest:.1f} y={20 * row + 14}>{count:,}</text>"
        for row, (name, count) in enumerate(frequencies)
    ]
    height = 20 * len(frequencies) + 8
    return f"<svg viewBox='0 0 {_WIDTH} {height}' role=img aria-label='Mentions by type'>{''.join(bars)}</svg>"


def _curve(counts: Sequence[int]) -> str:
    """Mentions over the type's rank, both on a logarithmic scale."""
    if not counts:
        return ""
    right, top = math.log(max(len(counts), 2)), math.log(max(counts[0], 2))
    # If there are thousands of types, only some are drawn, evenly spaced on the logarithmic axis.
    ranks = sorted({round(len(counts) ** (step / 800)) for step in range(801)})
    dots = [
        f"<circle class=dot r=2.5 cx={_MARGIN + (_WIDTH - 2 * _MARGIN) * math.log(rank) / right:.1f} "
        f"cy={_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * math.log(counts[rank - 1]) / top:.1f} />"
        for rank in ranks
    ]
    low, far = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    axes = (
        f"<line x1={_MARGIN} y1={low} x2={far} y2={low} /><line x1={_MARGIN} y1={_MARGIN} x2={_MARGIN} y2={low} />"
        f"<text x={far} y={low + 18} text-anchor=end>rank, 1 to {len(counts):,}</text>"
        f"<text x={_MARGIN} y={_MARGIN - 10}>mentions, 1 to {counts[0]:,}</text>"
    )
    label = "Mentions of a type over its rank, both logarithmic"
    return f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role=img aria-label='{label}'>{axes}{''.join(dots)}</svg>"
