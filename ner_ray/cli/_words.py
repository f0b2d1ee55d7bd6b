"""From the words of a command line to the command's configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ner_ray import commands
from ner_ray.commands.base import ARGUMENT, words_of
from ner_ray.errors import ConfigError

if TYPE_CHECKING:
    from ner_ray.commands.base import Command
    from ner_ray.config import Section

_SETTING = re.compile(r"(?P<root>[A-Za-z_]\w*)[^=]*=")
_DATA = (".parquet", ".jsonl", ".csv")


def configuration(command: Command, words: Sequence[str], options: dict[str, Any]) -> Section:
    """The command's configuration: a file, `key=value` on top of it, and options on top of that.

    Words without `=` are, in their order, the configuration's arguments; where it has none, the first is the file.

    Raises:
        ConfigError: a word cannot be understood, or the configuration is not valid.
    """
    from ner_ray.config.load import compose, validate

    _refuse_split(words)
    name = _name(command)
    arguments = words_of(command.Config, ARGUMENT)
    is_setting = [_is_setting(command.Config, word, arguments) for word in words]
    overrides = [word for word, setting in zip(words, is_setting, strict=True) if setting]
    rest = [word for word, setting in zip(words, is_setting, strict=True) if not setting]
    source = None if arguments else _source(command, name, rest)
    named = compose(source or {}, overrides)
    left = [argument for argument in arguments if argument not in named]
    plain = named | (_assigned(command.Config, left, rest) if arguments else {}) | options
    _refuse_missing(command.Config, name, arguments, plain)
    return validate(command.Config, plain, source or "the command line", command=name)


def _name(command: Command) -> str:
    return next(name for name, module in commands.names().items() if module == command.__name__)


def _refuse_split(words: Sequence[str]) -> None:
    """A value in brackets that the shell has split at its spaces arrives as several words."""
    for number, word in enumerate(words[:-1]):
        if _SETTING.match(word) and any(word.count(left) > word.count(right) for left, right in ("[]", "{}")):
            whole = " ".join(words[number:])
            raise ConfigError(f"{word!r} ends inside a bracket", hint=f"quote a value with spaces: '{whole}'")


def _is_setting(config: type[Section], word: str, arguments: Sequence[str]) -> bool:
    """Whether a word is `key=value`; a path such as `day=1/run` is not, where arguments are expected."""
    if not (found := _SETTING.match(word)):
        return False
    return not arguments or found["root"] in config.model_fields


def _source(command: Command, name: str, rest: Sequence[str]) -> str | None:
    if rest and rest[0].endswith(_DATA):
        raise ConfigError(
            f"{rest[0]!r} is data, not a configuration file",
            hint=f"say which setting it is, as key=value; `ner-ray {commands.words(name)} --help` has examples",
        )
    if len(rest) > 1:
        raise ConfigError(
            f"{rest[1]!r} is not of the form key=value; the configuration is {rest[0]!r}",
            hint=f"usage: ner-ray {commands.words(name)} [CONFIG] [KEY=VALUE]...",
        )
    return rest[0] if rest else getattr(command, "SOURCE", None)


def _assigned(config: type[Section], arguments: Sequence[str], rest: Sequence[str]) -> dict[str, Any]:
    """Words by the arguments that they are for; a list takes all that are left."""
    given: dict[str, Any] = {}
    words = list(rest)
    for argument in arguments:
        if getattr(config.model_fields[argument].annotation, "__origin__", None) is list:
            given[argument], words = words, []
        elif words:
            given[argument] = words.pop(0)
    if words:
        raise ConfigError(f"{words[0]!r} is one word too many", hint="see --help")
    return given


def _refuse_missing(config: type[Section], name: str, arguments: Sequence[str], plain: dict[str, Any]) -> None:
    for argument in arguments:
        field = config.model_fields[argument]
        if field.is_required() and argument not in plain:
            usage = " ".join(argument.upper() for argument in arguments)
            raise ConfigError(
                f"{argument.upper()} is missing: {field.description}",
                hint=f"usage: ner-ray {commands.words(name)} {usage}",
            )
