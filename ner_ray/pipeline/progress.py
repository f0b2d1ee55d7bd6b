"""Shows the progress of a run: stages count, one actor adds up, the driver displays.

A terminal gets a live progress bar, a log one line per minute.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import ray
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ner_ray.pipeline.books import ask_book, start_book
from ner_ray.pipeline.metrics import Metrics

_LOG = logging.getLogger(__name__)

_POST_SECONDS = 0.5
_LOG_SECONDS = 60.0
_LOOK_SECONDS = 2.0  # between looks at the totals, logged or not: rates count from the first request
_SHOW_SECONDS = 0.5
_MIN_SECONDS = 1.0  # before a rate is meaningful


class Scoreboard:
    """Adds up what the stages report. Lost counts make the display inaccurate, never the run.

    Args:
        run: the run's name among Ray's metrics; without one, nothing is exported.
    """

    def __init__(self, run: str = "") -> None:
        self._metrics = Metrics(run) if run else None
        self._totals: dict[str, float] = {}
        self._messages: list[str] = []
        self._left_open: dict[int, str] = {}

    def add(self, counts: Mapping[str, float]) -> None:
        for name, value in counts.items():
            self._totals[name] = self._totals.get(name, 0) + value

    def say(self, message: str) -> None:
        self._messages.append(message)

    def leave_open(self, ordinal: int, reason: str) -> None:
        self._left_open[ordinal] = reason

    def left_open(self) -> dict[int, str]:
        return dict(self._left_open)

    def totals(self) -> dict[str, float]:
        if self._metrics:
            self._metrics.export(self._totals)
        return dict(self._totals)

    def messages(self, after: int) -> list[str]:
        return self._messages[after:]


def start_scoreboard(run: str = "") -> Any:  # Ray's handle of an actor has no type
    """Starts a scoreboard in an actor of its own; see `Scoreboard`."""
    return start_book(Scoreboard, run)


class Counts:
    """A stage's connection to the scoreboard: collects counts and posts them twice a second. Can be sent to workers.

    Args:
        scoreboard: handle of the actor; if None, nothing is counted.
    """

    def __init__(self, scoreboard: Any) -> None:  # Ray's handle of the actor has no type
        self._scoreboard = scoreboard
        self._pending: dict[str, float] = {}
        self._posted = 0.0

    def __reduce__(self) -> tuple[type[Counts], tuple[Any]]:
        return Counts, (self._scoreboard,)

    def add(self, **counts: float) -> None:
        """Adds to the totals at once."""
        if self._scoreboard is not None:
            self._scoreboard.add.remote(counts)

    def gather(self, **counts: float) -> None:
        """Adds to the totals later: within half a second if more is gathered, otherwise at the next `post`."""
        for name, value in counts.items():
            self._pending[name] = self._pending.get(name, 0) + value
        if time.monotonic() - self._posted > _POST_SECONDS:
            self.post()

    def post(self) -> None:
        """Sends what has been gathered."""
        if self._pending:
            self.add(**self._pending)
            self._pending.clear()
        self._posted = time.monotonic()

    def leave_open(self, ordinal: int, reason: str) -> None:
        """Records why a shard, given by its ordinal, cannot be read, and so why its wave stays open."""
        if self._scoreboard is not None:
            ask_book(self._scoreboard.leave_open.remote(ordinal, reason))

    def say(self, message: str) -> None:
        """Has the driver log a message."""
        if self._scoreboard is not None:
            self._scoreboard.say.remote(message)


class Progress:
    """Displays a scoreboard while waves run; a context manager.

    Args:
        scoreboard: handle of the actor.
        total: number of documents in these waves.
        done: number of these that earlier starts of the run have written.
    """

    def __init__(self, scoreboard: Any, total: int, done: int = 0) -> None:  # Ray's handle has no type
        self._scoreboard = scoreboard
        self._total = total
        self._done_before = done
        self._stop = threading.Event()
        self._first: float | None = None
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._console = Console(stderr=True)
        self._heard = 0

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        if self._console.is_terminal and sys.stderr.isatty():
            self._run_live()
        else:
            self._run_log()

    def _run_live(self) -> None:
        with Live(console=self._console, transient=True, refresh_per_second=4) as live:
            while not self._stop.wait(_SHOW_SECONDS):
                if (totals := self._totals()) is not None:
                    live.update(_bar(self.figures(totals)))

    def _run_log(self) -> None:
        last_logged = time.monotonic()
        while not self._stop.wait(_LOOK_SECONDS):
            totals = self._totals()
            if totals is not None and time.monotonic() - last_logged >= _LOG_SECONDS:
                last_logged = time.monotonic()
                _LOG.info("progress %s", " ".join(f"{name}={value}" for name, value in self.figures(totals).items()))

    def _totals(self) -> dict[str, float] | None:
        try:
            totals: dict[str, float] = ray.get(self._scoreboard.totals.remote(), timeout=5)
            messages = ray.get(self._scoreboard.messages.remote(self._heard), timeout=5)
        except ray.exceptions.RayError:
            return None
        self._heard += len(messages)
        for message in messages:
            _LOG.warning("%s", message)
        if self._first is None and totals.get("requests"):
            self._first = time.monotonic()
        return totals

    def figures(self, totals: Mapping[str, float]) -> dict[str, str]:
        """The figures to display, in order, formatted."""
        # Answers are read once there are enough for a file, which may be long after the last one arrived.
        now = min(max(totals.get("documents", 0), totals.get("answered", 0)), self._total - self._done_before)
        done = self._done_before + int(now)
        seconds = time.monotonic() - self._first if self._first else 0.0
        rate, tokens = (
            (count / seconds if seconds > _MIN_SECONDS else 0.0) for count in (now, totals.get("output_tokens", 0))
        )
        prompt, cached = totals.get("prompt_tokens", 0), totals.get("cached_tokens", 0)
        return {
            "documents": f"{done}/{self._total}",
            "entities": f"{int(totals.get('entities', 0))}",
            "failed": f"{int(totals.get('failed', 0))}",
            "documents_per_s": f"{rate:.1f}",
            "tokens_per_s": f"{tokens:.0f}",
            "cache_hits": f"{cached / prompt:.0%}" if prompt else "-",
            "in_flight": f"{int(totals.get('in_flight', 0))}",
            "eta": _clock((self._total - done) / rate) if rate else ("-" if totals else "starting"),
        }


def _bar(figures: Mapping[str, str]) -> Table:
    done, total = (int(part) for part in figures["documents"].split("/"))
    width = 24
    full = width * done // total if total else width
    grid = Table.grid(padding=(0, 2))
    rest = [f"{name.replace('_per_s', '/s').replace('_', ' ')} {value}" for name, value in figures.items()]
    grid.add_row(f"[green]{'━' * full}[/][dim]{'━' * (width - full)}[/]", *rest)
    return grid


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
