"""What a job counts, as metrics that Ray offers to Prometheus at every node; OPERATIONS lists them.

The scoreboard exports its totals whenever the driver looks at them, every other second. Nothing is exported where the
work is done, so metrics cost the same few microseconds however many engines there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CODE = "code_"
"""The beginning of names in a scoreboard's totals that count failures by their error code."""

STAGE = "seconds_"
"""The beginning of names in a scoreboard's totals that add up how long a stage was busy."""


@dataclass(frozen=True, slots=True)
class Series:
    """One value of a metric.

    Attributes:
        name: of the metric, without the `ray_` that Ray puts before it.
        value: now.
        tags: what distinguishes it from the other series of the metric.
    """

    name: str
    value: float
    tags: tuple[tuple[str, str], ...] = ()


_COUNTED = {
    "ner_ray_documents": "Documents, by the status of their annotation.",
    "ner_ray_failures": "Errors of documents, by code.",
    "ner_ray_entities": "Entities found.",
    "ner_ray_requests": "Prompts sent to engines.",
    "ner_ray_tokens": "Tokens of prompts, of these in the prefix cache; generated; speculated, of these accepted.",
    "ner_ray_engine_starts": "Engines that have started, replacements included.",
    "ner_ray_engine_deaths": "Engines that have died or were replaced because they gave no answer.",
    "ner_ray_busy_seconds": "Busy time of each stage, summed over its workers.",
}
_SHOWN = {
    "ner_ray_documents_planned": "Documents that this call annotates.",
    "ner_ray_requests_in_flight": "Prompts that engines work on or have waiting.",
}
_KINDS = {
    "prompt": "prompt_tokens",
    "cached": "cached_tokens",
    "output": "output_tokens",
    "speculated": "speculated_tokens",
    "accepted": "accepted_tokens",
}
_PLAIN = {
    "ner_ray_entities": "entities",
    "ner_ray_requests": "requests",
    "ner_ray_engine_starts": "engines",
    "ner_ray_engine_deaths": "engine_deaths",
    "ner_ray_documents_planned": "planned",
    "ner_ray_requests_in_flight": "in_flight",
}


def series_of(totals: Mapping[str, float]) -> list[Series]:
    """A scoreboard's totals as values of metrics.

    >>> [(one.tags[0][1], one.value) for one in series_of({"documents": 5, "failed": 2}) if "documents" in one.name][:3]
    [('ok', 3), ('partial', 0), ('failed', 2)]
    """
    bad = {status: totals.get(status, 0) for status in ("partial", "failed")}
    statuses = {"ok": totals.get("documents", 0) - sum(bad.values()), **bad}
    found = [_tagged("ner_ray_documents", "status", status, value) for status, value in statuses.items()]
    found += [_tagged("ner_ray_tokens", "kind", kind, totals[name]) for kind, name in _KINDS.items() if name in totals]
    found += [Series(metric, totals[name]) for metric, name in _PLAIN.items() if name in totals]
    for prefix, metric, tag in ((CODE, "ner_ray_failures", "code"), (STAGE, "ner_ray_busy_seconds", "stage")):
        named = {name.removeprefix(prefix): value for name, value in totals.items() if name.startswith(prefix)}
        found += [_tagged(metric, tag, name, value) for name, value in named.items()]
    return found


def _tagged(metric: str, tag: str, name: str, value: float) -> Series:
    return Series(metric, value, ((tag, name),))


class Metrics:
    """The metrics of one run; to be used in a process of Ray's.

    Args:
        run: what tells its series from those of other runs.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._metrics: dict[str, Any] = {}
        self._exported: dict[tuple[object, ...], float] = {}

    def export(self, totals: Mapping[str, float]) -> None:
        """Makes Ray's endpoints show these totals."""
        for series in series_of(totals):
            tags = {"run": self._run, **dict(series.tags)}
            metric = self._metrics.get(series.name) or self._metric(series)
            if series.name in _SHOWN:
                metric.set(series.value, tags)
                continue
            key = (series.name, series.tags)
            if (more := series.value - self._exported.get(key, 0)) > 0:
                metric.inc(more, tags)
                self._exported[key] = series.value

    def _metric(self, series: Series) -> Any:  # Ray's metrics have no types
        from ray.util.metrics import Counter, Gauge

        kind = Gauge if series.name in _SHOWN else Counter
        description = {**_COUNTED, **_SHOWN}[series.name]
        self._metrics[series.name] = kind(series.name, description, ("run", *dict(series.tags)))
        return self._metrics[series.name]
