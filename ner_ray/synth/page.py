"""A page about a set of training data, in HTML without scripts: totals, filters, frequent types, the long tail."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ner_ray.pages import page
from ner_ray.synth.filters import FilterCounts
from ner_ray.synth.statistics import Statistics

_TYPES = 40
_WIDTH, _HEIGHT, _MARGIN = 640, 320, 40


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
    most = list(frequencies.items())[:_TYPES]
    return page(
        "ner_ray.synth",
        title=title,
        totals=_totals(statistics),
        filters_done=[(step, counts.seen[step], counts.removed[step], counts.changed[step]) for step in steps],
        left_out=[
            (form, reason, count) for form, reasons in (left_out or {}).items() for reason, count in reasons.items()
        ],
        types=[(name, count, count / most[0][1]) for name, count in most],
        tail=statistics.tail(),
        curve=_curve(list(frequencies.values())),
    )


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


def _curve(counts: Sequence[int]) -> dict[str, Any] | None:
    """Mentions over the type's rank, both on a logarithmic scale, as coordinates; None without types."""
    if not counts:
        return None
    right, top = math.log(max(len(counts), 2)), math.log(max(counts[0], 2))
    # If there are thousands of types, only some are drawn, evenly spaced on the logarithmic axis.
    ranks = sorted({round(len(counts) ** (step / 800)) for step in range(801)})
    dots = [
        (
            round(_MARGIN + (_WIDTH - 2 * _MARGIN) * math.log(rank) / right, 1),
            round(_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * math.log(counts[rank - 1]) / top, 1),
        )
        for rank in ranks
    ]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "margin": _MARGIN,
        "dots": dots,
        "types": len(counts),
        "most": counts[0],
    }
