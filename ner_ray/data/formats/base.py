"""The contract of a format.

A format is a module of this package, or an entry point in the group `ner_ray.data.formats`, that defines what
`FormatModule` lists.

Rows come one by one, in the order of the file, in the shape that `ner_ray.data.annotated` describes. A row that cannot
be read is an `Unreadable` with the reason; the others go on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from ner_ray import plugins

if TYPE_CHECKING:
    from ner_ray.data.source import Source


class Match(IntEnum):
    """How well a format recognises a source; the best one reads it."""

    NO = 0
    GENERAL = 1  # the container is right: any JSON, any Parquet
    SPECIFIC = 2  # so is what is in it


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be read, and why."""

    reason: str
    example_id: str = ""


class FormatModule(Protocol):
    """Recognises and reads files or folders."""

    def recognizes(self, source: Source) -> Match:
        """Whether the source is in this format, by its name and its first bytes."""
        ...

    def rows(self, source: Source, columns: Collection[str] | None) -> Iterator[object]:
        """The rows of the source, with at least those of the named columns that exist; all columns if None.

        Raises:
            InputError: the source as a whole cannot be read.
            OSError, pyarrow.ArrowException: likewise; the caller names the file.
        """
        ...


CONTRACT: plugins.Contract[FormatModule] = plugins.Contract("data.formats", "format of annotated texts", FormatModule)


def load(name: str) -> FormatModule:
    """The module of a format.

    Raises:
        ConfigError: there is no such format, or its module does not define what `FormatModule` lists.
    """
    return CONTRACT.load(name)
