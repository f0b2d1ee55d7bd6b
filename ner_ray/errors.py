"""Errors a user can act on.

    NerRayError
    ├── ConfigError    the configuration is wrong (also a ValueError)
    ├── InputError     the data to be read is not what the configuration says (also a ValueError)
    ├── ModelError     a model, tokenizer or adapter cannot be loaded (also a RuntimeError)
    ├── ResourceError  the cluster cannot hold what the configuration asks for (also a RuntimeError)
    ├── EngineError    an engine died or refuses to work (also a RuntimeError)
    ├── RequestError   an engine refuses one request; the others go on (also a ValueError)
    └── RunError       a run directory is in a state that forbids going on (also a RuntimeError)
        ├── LeaseError     another driver is writing to it
        └── StoppedError   the run could not go on; what is written is kept

What goes wrong with one document is never an exception: it is data, a `types.ErrorRecord` on its row.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_STOPPED = 1
EXIT_BAD_CONFIG_OR_INPUT = 2
EXIT_TOO_MANY_ERRORS = 3
EXIT_LEASED = 4


class NerRayError(Exception):
    """Says what was found, where, and what to do about it.

    Args:
        message: what was expected and what was found, with the value and the place.
        hint: what the user can do.
    """

    code = "error"
    exit_status = EXIT_BAD_CONFIG_OR_INPUT
    retryable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Travels between processes with its hint."""
        return _rebuild, (type(self), self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


def _rebuild(kind: type[NerRayError], message: str, hint: str) -> NerRayError:
    return kind(message, hint=hint)


class ConfigError(NerRayError, ValueError):
    code = "config"


class InputError(NerRayError, ValueError):
    code = "input"


class ModelError(NerRayError, RuntimeError):
    code = "model"


class ResourceError(NerRayError, RuntimeError):
    code = "resources"


class EngineError(NerRayError, RuntimeError):
    code = "engine"
    retryable = True


class RequestError(NerRayError, ValueError):
    code = "request"


class RunError(NerRayError, RuntimeError):
    code = "run"


class LeaseError(RunError):
    code = "leased"
    exit_status = EXIT_LEASED


class StoppedError(RunError):
    code = "stopped"
    exit_status = EXIT_STOPPED
    retryable = True
