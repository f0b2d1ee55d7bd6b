"""Errors a user can act on, and the codes of what goes wrong with a single document.

    NerRayError
    ├── ConfigError        the configuration is wrong (also a ValueError)
    ├── InputError         the input is not what the configuration says it is (also a ValueError)
    │   └── ChangedInputError   a file is gone, or is another one, since it was planned
    ├── ModelError         a model, tokenizer or adapter cannot be loaded (also a RuntimeError)
    ├── MissingExtraError  an optional package is not installed (also an ImportError)
    ├── ResourceError      the cluster cannot hold what the configuration asks for (also a RuntimeError)
    ├── EngineError        an engine died or refuses to work (also a RuntimeError)
    │   ├── UnansweredError    it gave no answer to a request, and only other requests can tell whose fault that is
    │   │   └── EngineBugError   its own code raised an exception
    │   └── UnavailableError   it answers nobody, and waiting does not help: no quota, no such model, a refused key
    ├── RequestError       an engine refuses one request and goes on with the others (also a ValueError)
    │   ├── PromptTooLongError  the prompt does not fit the model's context
    │   └── NoTextError         the answer holds no text
    │       ├── FilteredError     because a filter or the model itself withholds it
    │       └── CutOffError       because its token limit came first
    └── RunError           a run directory is in a state that does not allow the operation (also a RuntimeError)
        ├── LeaseError     another driver is writing to it
        └── StoppedError   the run could not continue; everything written so far is kept

A problem with one document is never an exception: it is data, a `types.ErrorRecord` on the document's row, whose
`code` is one of `ErrorCode`.
"""

from __future__ import annotations

from enum import StrEnum

from ner_ray.signatures import masked

EXIT_DONE = 0
EXIT_STOPPED = 1
EXIT_BAD_CONFIG_OR_INPUT = 2
EXIT_TOO_MANY_ERRORS = 3
EXIT_LEASED = 4


class ErrorCode(StrEnum):
    """Every code that ner_ray itself writes into a row's `errors`; a third-party model family may add its own.

    `ner-ray status` counts documents by code and `ner-ray retry RUN --code CODE` annotates them again.

    >>> ErrorCode("poison").remedy
    'Fix the engine, then retry.'

    Attributes:
        meaning: what happened to the document.
        remedy: what to do about it.
    """

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str, remedy: str) -> ErrorCode:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.remedy = remedy
        return member

    NULL_TEXT = (
        "null_text",
        "The text is null.",
        "Nothing, or correct the file and set `input.on_change=reprocess`.",
    )
    INVALID_UTF8 = (
        "invalid_utf8",
        "The text is not valid UTF-8.",
        "Correct the file and set `input.on_change=reprocess`.",
    )
    TOO_LONG = (
        "too_long",
        "The text has more characters than `input.max_characters`.",
        "Split the document, or use a new run directory with a larger `input.max_characters`.",
    )
    CORRUPT_SHARD = (
        "corrupt_shard",
        "The row is in a part of its Parquet file that cannot be decoded.",
        "Replace the file and set `input.on_change=reprocess`.",
    )
    NO_LABELS = (
        "no_labels",
        "The row's own label set is empty or is not a list of names.",
        "Correct the label column and set `input.on_change=reprocess`.",
    )
    PROMPT_TOO_LONG = (
        "prompt_too_long",
        "A prompt does not fit the model's context.",
        "Use a new run directory with fewer labels or a smaller `chunk.tokens`.",
    )
    REQUEST = (
        "request",
        "The engine refused a request; the message says why.",
        "Remove the cause, then retry.",
    )
    UNPARSABLE = (
        "unparsable",
        "No entities could be read from an answer; the message holds the answer.",
        "Retry, if the engine samples; otherwise look at `ner-ray preview`.",
    )
    TRUNCATED = (
        "truncated",
        "An answer was cut off at its token limit.",
        "Use a new run directory with a larger `engine.sampling.max_tokens` or a smaller `chunk.tokens`.",
    )
    FILTERED = (
        "filtered",
        "A filter of the server, or the model itself, withheld an answer; the message says which.",
        "Nothing, or another model; retry, if the engine samples.",
    )
    UNANSWERED = (
        "unanswered",
        "The classifier got no answer for an entity, which is in `dropped`.",
        "Retry.",
    )
    UNKNOWN_LABEL = (
        "unknown_label",
        "The classifier answered with a label outside the label set; the entity is in `dropped`.",
        "Constrain the classifier's answers, or retry if the engine samples.",
    )
    POISON = (
        "poison",
        "Engines died, or a server failed, at this document alone and answered others before and after.",
        "Fix the engine, then retry.",
    )
    INTERNAL = (
        "internal",
        "An error in ner_ray itself; the log has the traceback.",
        "Report it, and retry with the corrected version.",
    )


class NerRayError(Exception):
    """Says what was found, where, and what to do about it.

    Args:
        message: what was expected and what was found, with the value and the place.
        hint: what the user can do.

    Attributes:
        code: a short, stable word for programs.
        exit_status: the status with which the command line ends.

    >>> import ner_ray
    >>> try:
    ...     annotator = ner_ray.Annotator("annotate/dmeo")
    ... except NerRayError as error:
    ...     print(error.code, error.exit_status, error.hint, sep="; ")
    config; 2; shipped with the package: annotate/demo, annotate/cascade, annotate/tagger
    """

    code = "error"
    exit_status = EXIT_BAD_CONFIG_OR_INPUT

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = masked(message)
        self.hint = masked(hint)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        """Keeps the hint when the error is pickled between processes."""
        return _rebuild, (type(self), self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


def _rebuild(kind: type[NerRayError], message: str, hint: str) -> NerRayError:
    return kind(message, hint=hint)


class ConfigError(NerRayError, ValueError):
    """The configuration is wrong; the message names every wrong field.

    >>> import ner_ray
    >>> ner_ray.Annotator("annotate/demo", ["chunk.tokns=900"], labels=["person"])
    Traceback (most recent call last):
    ner_ray.errors.ConfigError: the configuration is not valid:
      chunk.tokns: no such setting; do you mean 'tokens'?
    """

    code = "config"


class InputError(NerRayError, ValueError):
    """The input is not what the configuration says it is.

    >>> import ner_ray, pyarrow
    >>> ner_ray.annotate(pyarrow.table({"body": ["Ann met Rex."]}), "annotate/demo", labels=["person"])
    Traceback (most recent call last):
    ner_ray.errors.InputError: the data has no column 'text'; it has: body
      hint: overrides=['input.text=COLUMN'] names the column with the text
    """

    code = "input"


class ChangedInputError(InputError):
    """A file is gone, or is another one, since it was planned: what has been read of it may not go with the rest."""


class ModelError(NerRayError, RuntimeError):
    """A model, tokenizer or adapter cannot be loaded.

    >>> import ner_ray
    >>> ner_ray.Annotator("annotate/demo", ["engine.model=./models/mine"], labels=["person"])
    Traceback (most recent call last):
    ner_ray.errors.ModelError: no such model folder: ./models/mine
    """

    code = "model"


class MissingExtraError(NerRayError, ImportError):
    """An optional package is not installed; the hint has the command that installs it.

    >>> from ner_ray.extras import require
    >>> require("no_such_module", extra="train", purpose="the trainer")
    Traceback (most recent call last):
    ner_ray.errors.MissingExtraError: the trainer needs no_such_module, which is not installed
      hint: pip install 'ner-ray[train]'
    """

    code = "missing_extra"


class ResourceError(NerRayError, RuntimeError):
    """The cluster cannot hold what the configuration asks for.

    >>> try:
    ...     raise ResourceError("8 engines need 8 GPUs, the cluster has 4", hint="lower resources.replicas")
    ... except RuntimeError as error:
    ...     print(error)
    8 engines need 8 GPUs, the cluster has 4
      hint: lower resources.replicas
    """

    code = "resources"


class EngineError(NerRayError, RuntimeError):
    """An engine died or refuses to work.

    >>> try:
    ...     raise EngineError("the server refuses the API key (status 401)")
    ... except EngineError as error:  # an `Annotator` does not recover from it: create another one
    ...     print(error.message)
    the server refuses the API key (status 401)
    """

    code = "engine"


class UnansweredError(EngineError):
    """An engine gave no answer to a request; whether it would have answered others is not known."""


class EngineBugError(UnansweredError):
    """An engine's own code raised an exception while it worked on a request; the exception is the cause."""


class UnavailableError(EngineError):
    """An engine answers nobody, and waiting does not help: no quota, no such model, a refused key."""


class RequestError(NerRayError, ValueError):
    """An engine refuses one request and goes on with the others."""

    code: str = ErrorCode.REQUEST


class PromptTooLongError(RequestError):
    """The prompt does not fit the model's context."""

    code = ErrorCode.PROMPT_TOO_LONG


class NoTextError(RequestError):
    """The engine has answered, but without a text."""

    code = ErrorCode.UNPARSABLE


class FilteredError(NoTextError):
    """A filter of the server, or the model itself, withholds the answer."""

    code = ErrorCode.FILTERED


class CutOffError(NoTextError):
    """The token limit came before the answer's first word, perhaps while the model was reasoning."""

    code = ErrorCode.TRUNCATED


class RunError(NerRayError, RuntimeError):
    """A run directory is in a state that does not allow the operation.

    >>> import ner_ray
    >>> ner_ray.open_run("runs/none")
    Traceback (most recent call last):
    ner_ray.errors.RunError: there is no run in runs/none
    """

    code = "run"


class LeaseError(RunError):
    """Another driver is writing to the run directory."""

    code = "leased"
    exit_status = EXIT_LEASED


class StoppedError(RunError):
    """The run could not continue; everything written so far is kept."""

    code = "stopped"
    exit_status = EXIT_STOPPED
