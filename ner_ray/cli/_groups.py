"""Groups of commands that find their members by looking, and import one only when it is called or asked for help."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from ner_ray import commands
from ner_ray.errors import ConfigError

_MISSPELT = 0.75  # least similarity of a misspelt subcommand, which might also be the name of a configuration
_RUN = "run"  # the name of what a folder's own module does, among its subcommands


def group_of(package: str) -> type[TyperGroup]:
    """The group whose members are the commands of a package."""
    return type("Commands", (_Commands,), {"package": package})


class _Commands(TyperGroup):
    """A command per module; in a list of commands each shows its docstring, for which nothing is imported."""

    package: ClassVar[str]
    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # click's context and signature
        return [*([] if self._is_root() else [_RUN]), *commands.modules(self.package)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # click's context and command
        module = self._modules().get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        if self._listing:
            return _command(cmd_name, module, _nothing)
        if self._is_root() and cmd_name in commands.groups():
            return _group(cmd_name, module)
        from ner_ray.cli._command import function_of  # brings pydantic

        return _command(cmd_name, module, function_of(module))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # click's context and command
        """Words that name no subcommand are for the folder's own module: `train CONFIG` is `train run CONFIG`.

        Raises:
            ConfigError: there is no such command, and if there are subcommands, no such configuration.
        """
        if args[0] in self._modules() or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if self._is_root():
            raise ConfigError(f"there is no command {args[0]!r}", hint=_nearest(args[0], list(self._modules())))
        if meant := _meant(args[0], list(self._modules())):
            group = self.package.rpartition(".")[2]
            raise ConfigError(f"there is no command {group} {args[0]!r}", hint=f"did you mean {meant!r}?")
        return super().resolve_command(ctx, [_RUN, *args])

    def format_help(self, ctx: Any, formatter: Any) -> None:  # click's
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def _modules(self) -> dict[str, str]:
        own = {} if self._is_root() else {_RUN: self.package}
        return own | commands.modules(self.package)

    def _is_root(self) -> bool:
        return self.package == commands.__name__


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the commands are: {', '.join(known)}"


def _meant(word: str, known: list[str]) -> str:
    """The subcommand that a word which names no configuration is a misspelling of; empty if it is not one."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=_MISSPELT)
    if not near:
        return ""
    from ner_ray.config.load import find  # brings pydantic

    try:
        find(word, Path.cwd())
    except ConfigError:
        return near[0]
    return ""


def _command(name: str, module: str, work: Any) -> Any:  # a function, click's command
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.command(name, help=commands.described(module))(work)
    return typer.main.get_command(app)


def _group(name: str, package: str) -> Any:  # click's group
    app = typer.Typer(
        name=name,
        cls=group_of(package),
        help=commands.described(package),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(_nothing)
    return typer.main.get_command(app)


def _nothing() -> None:
    """Stands for a command that is only listed."""
