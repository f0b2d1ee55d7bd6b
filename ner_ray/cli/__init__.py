"""The command line `ner-ray`: every module of `ner_ray.commands` is a command, and nothing here lists them."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from ner_ray import __version__, commands
from ner_ray.cli._failures import explained, kinds
from ner_ray.cli._groups import group_of
from ner_ray.signatures import masked

app = typer.Typer(
    name="ner-ray",
    cls=group_of(commands.__name__),
    help="Open named entity recognition over very large corpora: Parquet in, exact character spans out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

_QUIET = dict.fromkeys(
    ("urllib3", "asyncio", "filelock", "httpx", "httpx2", "httpcore", "httpcore2", "jieba"), logging.WARNING
) | {"vllm": logging.ERROR}


class _Lines(logging.Formatter):
    """Log lines of all libraries, without the signatures of URLs."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command line, and ends the process with the command's exit status.

    An error that a user can act on ends it with a sentence and the documented status, without a traceback (`--verbose`
    logs it).

    Args:
        words: what follows `ner-ray`; by default, the words of the command line.
    """
    try:
        app(list(sys.argv[1:] if words is None else words), prog_name="ner-ray")
    except kinds() as error:
        logging.getLogger(__name__).debug("the error in full", exc_info=error)
        message, status = explained(error)
        typer.secho(f"ner-ray: {message}", fg=typer.colors.RED, err=True)
        sys.exit(status)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for library, level in _QUIET.items():
        logging.getLogger(library).setLevel(level)
    if not verbose:
        warnings.simplefilter("ignore", FutureWarning)  # of libraries about each other; tests show them
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
