"""Plain tables and lines for the terminal; paths and texts are shown as they are, never as markup."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

_UNBROKEN = 10_000  # characters: a path stays on one line, so that it can be copied


def fields(values: Mapping[str, Any]) -> str:
    """A result as text, one field per line."""
    table = grid()
    for name, value in values.items():
        table.add_row(escape(name.replace("_", " ")), escape(_value(value)))
    return text(table)


def grid(*headings: str) -> Table:
    """A table without lines; without headings, too, where none are given."""
    return Table(*headings, show_header=bool(headings), box=None)


def text(table: RenderableType, width: int = _UNBROKEN) -> str:
    """A rich table as plain text, without trailing spaces."""
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(table)
    return "".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {_value(inner)}" for name, inner in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value)) or "-"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
