"""Annotate a run's documents with errors again; the new rows replace the old ones in one step.

Files that could not be read need no such command: every `ner-ray annotate` tries them again.

For example:

    ner-ray retry runs/news --code poison --code unparsable

    ner-ray retry runs/news
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_ray.commands.annotate import Result, show
from ner_ray.commands.base import argument, option
from ner_ray.config import Section
from ner_ray.errors import ConfigError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Config", "Result", "run", "show"]

RESUMES = True


class Config(Section):
    """Which documents of which run."""

    run: str = argument(description="The run directory, on any store.")
    code: list[str] = option(
        (), description="An error code, as `ner-ray status` shows them; may be repeated. Default: every code."
    )
    input: list[str] = option(
        (),
        description="Where the input is now, as in `input.path`, if it was moved or its URLs were signed; may be "
        "repeated. Default: where it was.",
    )


def run(config: Config) -> Result:
    """Annotates the documents again; raises what `ner_ray.pipeline.annotate.retry` raises.

    Raises:
        ConfigError: a code is unknown.
    """
    from ner_ray.pipeline.annotate import retry

    check_codes(config.run, config.code)
    return Result(retry(config.run, config.code, config.input))


def check_codes(uri: str, codes: Sequence[str]) -> None:
    """Refuses a code that is neither one of ner_ray's own nor in the run (a third-party family may have its own).

    Raises:
        ConfigError: says which codes there are.
    """
    from ner_ray.store.run import RunDirectory

    if not (unknown := [code for code in codes if code not in set(ErrorCode)]):
        return
    known = RunDirectory(uri).tally().errors
    for code in unknown:
        if code not in known:
            raise ConfigError(
                f"there is no error code {code!r}; the codes are: {', '.join(ErrorCode)}",
                hint=f"`ner-ray status {uri}` shows which of them this run has",
            )
