"""Show how far a run is, from its directory alone: rows done and open, rate, time left, errors and entities.

Each error code is explained. Lines that begin with `drift` name labels that the last wave found at least twice, or at
most half, as often as the waves before it.

For example:

    ner-ray status s3://runs/news

    ner-ray status runs/news --json
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import argument
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ner_ray.store.health import Status

_LABELS = 12


class Config(Section):
    """Which run."""

    run: str = argument(description="The run directory, on any store.")


@dataclass(frozen=True, slots=True)
class Result:
    """How far the run is."""

    status: Status
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return self.status.to_dict()


def run(config: Config) -> Result:
    """Reads the run directory; no cluster is needed.

    Raises:
        RunError: there is no run.
    """
    from ner_ray.store.health import status

    return Result(status(config.run))


def show(result: Result) -> str:
    """One fact per line."""
    return status_table(result.status)


def status_table(status: Status) -> str:
    """How far a run is, as text."""
    from rich.markup import escape

    from ner_ray.commands import _tables

    table = _tables.grid()
    for name, value in _lines(status):
        table.add_row(name, escape(value))
    return _tables.text(table)


def _lines(status: Status) -> Iterator[tuple[str, str]]:
    from ner_ray.commands._figures import figures

    yield "run", status.run
    yield "rows", f"{status.done:,} of {status.rows:,} ({status.done / max(1, status.rows):.1%})"
    yield "waves", f"{status.committed} of {status.waves} committed"
    yield "last commit", status.last_commit or "-"
    yield "driver", status.driver or "none at work"
    if status.rate:
        yield "rows/s", f"{status.rate:.1f}"
    if status.eta:
        yield "time left", str(timedelta(seconds=round(status.eta)))
    yield from figures(status.tally).items()
    for code, documents in status.tally.errors.most_common():
        yield "error", f"{code}: {documents:,} documents{_explained(code)}"
    yield from _labels(status)
    for uri, problem in status.quarantined.items():
        yield "not readable", f"{uri}: {problem}"
    for uri, documents in status.missing.items():
        yield "missing", f"{uri}: {documents:,} documents"


def _explained(code: str) -> str:
    """What a code means and what to do; nothing for a code of a third-party family."""
    known = next((member for member in ErrorCode if member == code), None)
    return f". {known.meaning} {known.remedy}" if known else ""


def _labels(status: Status) -> Iterator[tuple[str, str]]:
    for label, entities in status.tally.labels.most_common(_LABELS):
        yield "label", f"{label}: {entities:,} entities"
    if len(status.tally.labels) > _LABELS:
        yield "label", f"… and {len(status.tally.labels) - _LABELS:,} more"
    for label, change in islice(status.drift.items(), _LABELS):
        rates = f"{change.last:,.1f} per 1,000 documents in the last wave, {change.before:,.1f} before"
        yield "drift", f"{label}: {rates}"
