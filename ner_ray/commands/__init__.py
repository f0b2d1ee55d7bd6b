"""The commands: one module each, which the command line, `jobs/` and `ner-ray schema` find by its name.

From Python, a command is its configuration and a call:

    from ner_ray.commands import status

    result = status.run(status.Config(run="runs/news"))
    print(status.show(result))

`base.Command` describes what such a module has. The module `try_` is the command `try`, a word that Python keeps for
itself. A folder such as `train/` is a command with subcommands; the folder's
own module is the command that runs when no subcommand is named.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ner_ray.errors import ConfigError

if TYPE_CHECKING:
    from ner_ray.commands.base import Command

_ROOT = __name__


def modules(package: str = _ROOT) -> dict[str, str]:
    """The commands of a package, without those of its folders: name -> module. Nothing is imported."""
    return {name: module for name, module, _ in _scan(package)}


def groups() -> dict[str, str]:
    """The commands that have subcommands: name -> package."""
    return {name: module for name, module, is_folder in _scan(_ROOT) if is_folder}


def names() -> dict[str, str]:
    """Every command, subcommands under their own name: name -> module."""
    found = modules()
    for package in groups().values():
        found |= modules(package)
    return found


def load(name: str) -> Command:
    """The command's module.

    Raises:
        ConfigError: there is no such command.
    """
    known = names()
    if name not in known:
        raise ConfigError(f"no command named {name!r}; known: {', '.join(known)}")
    return cast("Command", importlib.import_module(known[name]))


def words(name: str) -> str:
    """What a command is called by: `status`, and `train prepare`.

    >>> words("prepare")
    'train prepare'
    """
    return names()[name].removeprefix(f"{_ROOT}.").replace(".", " ").rstrip("_")


def described(module: str) -> str:
    """A command's help text, its module's docstring, read without importing the module."""
    return ast.get_docstring(ast.parse(_file(module).read_text(encoding="utf-8"))) or ""


def _scan(package: str) -> Iterator[tuple[str, str, bool]]:
    for found in pkgutil.iter_modules([str(_file(package).parent)]):
        if found.name != "base" and not found.name.startswith("_"):
            yield found.name.rstrip("_"), f"{package}.{found.name}", found.ispkg


def _file(module: str) -> Path:
    """The source file of a module of this package."""
    if module == _ROOT:
        return Path(__file__)
    base = Path(__file__).parent.joinpath(*module.removeprefix(f"{_ROOT}.").split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
