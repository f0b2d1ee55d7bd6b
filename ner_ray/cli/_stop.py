"""What Ctrl-C and SIGTERM do: end the command, and say how to continue."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

_SIGNAL_BASE = 128  # shells report 128 + the signal's number


@contextmanager
def stoppable(*, resumes: bool) -> Iterator[None]:
    """Ends the process with 130 at Ctrl-C and with 143 at SIGTERM.

    Args:
        resumes: whether the same command continues where this one stopped.
    """
    former = _hear_sigterm()
    try:
        yield
    except KeyboardInterrupt:
        _say(resumes)
        raise typer.Exit(_SIGNAL_BASE + signal.SIGINT) from None
    except SystemExit as ended:
        if ended.code != signal.SIGTERM:
            raise
        _say(resumes)
        raise typer.Exit(_SIGNAL_BASE + signal.SIGTERM) from None
    finally:
        if former is not None:
            signal.signal(signal.SIGTERM, former)


def _hear_sigterm() -> Any:  # what handled it before; None outside the main thread
    """Has SIGTERM raise what Ray, once it runs, has it raise as well."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))


def _say(resumes: bool) -> None:
    command = shlex.join(["ner-ray", *sys.argv[1:]])
    how = f"; everything written so far is kept. To continue: {command}" if resumes else ""
    typer.secho(f"\nstopped{how}", fg=typer.colors.YELLOW, err=True)
