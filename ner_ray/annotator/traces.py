"""Exceptions for the log, which never holds texts."""

from __future__ import annotations

import traceback

_FRAMES = 3


def traced(error: BaseException) -> str:
    """An exception's type and the last places of its traceback; not its message, which may quote a document.

    >>> traced(ValueError("Ada met Bo"))
    'ValueError'
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at={places}" if places else type(error).__name__
