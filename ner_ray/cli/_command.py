"""A command's function for typer: its parameters come from the command's configuration."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ner_ray.cli._stop import stoppable
from ner_ray.cli._words import configuration
from ner_ray.commands.base import ARGUMENT, OPTION, words_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from ner_ray.commands.base import Command

_CONFIG = "A YAML file, or the name of one that ships with the package; may be left out."
_SETTINGS = "Settings as `key.path=value`, such as `resources.replicas=4`; they override the file."
_JSON = "as_json"
_REST = "key_values"


def function_of(module: str) -> Callable[..., None]:
    """A function with the command's arguments and options, which runs it and ends with its exit status."""
    command = cast("Command", importlib.import_module(module))
    parameters = list(_parameters(command))
    arguments = [name for name, kind, _ in parameters if kind == ARGUMENT]

    def work(**values: Any) -> None:  # whatever typer has read
        as_json = values.pop(_JSON)
        words = [word for name in arguments for word in _words(values.pop(name))]
        given = {
            name: value for name, value in values.items() if value is not None and value is not False and value != []
        }
        _work(command, words, given, as_json=as_json)

    work.__annotations__ = {name: annotation for name, _, annotation in parameters}
    work.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default(annotation), annotation=annotation)
            for name, _, annotation in parameters
        ]
    )
    return work


def _work(command: Command, words: list[str], options: dict[str, Any], *, as_json: bool) -> None:
    with stoppable(resumes=getattr(command, "RESUMES", False)):
        with redirect_stdout(sys.stderr):  # what libraries print, such as Ray of failed tasks, is no part of the result
            result = command.run(configuration(command, words, options))
        plain = result.to_dict() if as_json else None
        shown = json.dumps(plain, ensure_ascii=False, default=str) + "\n" if as_json else command.show(result)
    typer.echo(shown, nl=False)
    raise typer.Exit(result.exit_status)


def _parameters(command: Command) -> Iterator[tuple[str, str, Any]]:
    """Name, kind and annotation of each parameter."""
    fields = command.Config.model_fields
    arguments = words_of(command.Config, ARGUMENT)
    for name in arguments:
        yield name, ARGUMENT, _argument(name, fields[name])
    if fields and not arguments:
        file = typer.Argument(help=_CONFIG, show_default=False, metavar="CONFIG", autocompletion=_configurations)
        yield "config", ARGUMENT, Annotated[str | None, file]
    if fields and not any(_is_list(fields[name]) for name in arguments):
        # Fields with a place of their own can be given by name, too, but the help need not say so.
        rest = typer.Argument(help=_SETTINGS, show_default=False, metavar="KEY=VALUE", hidden=bool(arguments))
        yield _REST, ARGUMENT, Annotated[list[str] | None, rest]
    for name in words_of(command.Config, OPTION):
        yield name, OPTION, _option(name, fields[name])
    yield _JSON, OPTION, Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def _configurations(incomplete: str) -> list[str]:
    """What completes the name of a configuration; a shell adds the files beside."""
    from ner_ray.config.load import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


def _argument(name: str, field: FieldInfo) -> Any:  # a type with what typer is to know
    kind: Any = list[str] if _is_list(field) else str
    return Annotated[kind | None, typer.Argument(help=_help(field), show_default=False, metavar=name.upper())]


def _option(name: str, field: FieldInfo) -> Any:  # a type with what typer is to know
    flag = f"--{name.replace('_', '-')}"
    if field.annotation is bool:
        return Annotated[bool, typer.Option(flag, help=_help(field))]
    kind: Any = list[str] if _is_list(field) else int if field.annotation is int else str
    return Annotated[kind | None, typer.Option(flag, help=_help(field), show_default=False)]


def _is_list(field: FieldInfo) -> bool:
    return getattr(field.annotation, "__origin__", None) is list


def _help(field: FieldInfo) -> str:
    default = "" if field.is_required() or not field.default else f" Default: {field.default}."
    return f"{field.description}{default}"


def _default(annotation: Any) -> Any:
    return False if annotation.__origin__ is bool else None


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
