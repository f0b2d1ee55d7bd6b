"""Which errors end a command with a sentence, and with which exit status."""

from __future__ import annotations

import errno
import sys

from ner_ray.errors import EXIT_BAD_CONFIG_OR_INPUT, EXIT_STOPPED, NerRayError
from ner_ray.signatures import masked

_PASSING = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE,
    errno.EMFILE, errno.ENETUNREACH, errno.EHOSTUNREACH,
}  # fmt: skip
_REFUSED = (
    "ACCESS_DENIED",
    "NO_SUCH_BUCKET",
    "RESOURCE_NOT_FOUND",
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
)


def kinds() -> tuple[type[Exception], ...]:
    """The errors that a user can act on; all others are bugs, and show their traceback."""
    arrow = sys.modules.get("pyarrow")  # nothing of a library that was not imported can have been raised
    return (NerRayError, OSError, *([arrow.ArrowException] if arrow else []))


def explained(error: Exception) -> tuple[str, int]:
    """The sentence and the exit status for one of these errors.

    A path that cannot be read or written is wrong input (2), unless the trouble may pass: a full disk, a store that
    does not answer (1).
    """
    if isinstance(error, NerRayError):
        return str(error), error.exit_status
    if isinstance(error, OSError):
        return _of_the_system(error)
    hint = "`ner-ray verify RUN` names the broken files of a run"
    return f"a file cannot be read: {_first_line(error)}\n  hint: {hint}", EXIT_BAD_CONFIG_OR_INPUT


def _of_the_system(error: OSError) -> tuple[str, int]:
    message = masked(f"{error.filename}: {error.strerror}") if error.filename else _first_line(error)
    passing = error.errno in _PASSING or (error.errno is None and not any(word in str(error) for word in _REFUSED))
    if passing:
        hint = "everything written so far is kept: remove the cause and run the same command again"
        return f"{message}\n  hint: {hint}", EXIT_STOPPED
    hint = "use a path that exists and that you may read and write"
    return f"{message}\n  hint: {hint}", EXIT_BAD_CONFIG_OR_INPUT


def _first_line(error: Exception) -> str:
    return masked((str(error).strip().splitlines() or [type(error).__name__])[0])
