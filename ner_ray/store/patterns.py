"""Globs as people know them, matched part by part while folders are walked.

`*`, `?` and `[...]` stay within one folder, `**` is any number of folders, none included, and `{a,b}` is either. A
folder that matches a whole glob stands for all files below it, except where the glob ends with a bare `*`, which means
the files of one folder. Wildcards do not match hidden names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from ner_ray.errors import InputError

_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_SIGNS = re.compile(rf"[*?\[]|{_BRACES.pattern}")
_ANY_DEPTH = "**"

State = frozenset[tuple[str, ...]]  # what is left of each alternative of a glob
EVERYTHING: State = frozenset({(_ANY_DEPTH, "*")})


def has_signs(path: str) -> bool:
    """Whether a path is a glob, unless there is a file of that very name."""
    return bool(_SIGNS.search(path))


def begins_with_signs(parts: Sequence[str]) -> bool:
    """Whether the first part of a path is one of a glob."""
    found = _SIGNS.search("/".join(parts))
    return bool(found and found.start() <= len(parts[0]))


def is_hidden(name: str) -> bool:
    """Whether a name is one that writers give to files that are no data.

    A folder `_year=2024` holds data all the same.
    """
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def parse(pattern: str) -> State:
    """The state in which the walk of a glob begins, at the folder that it is relative to.

    Raises:
        InputError: `**` stands beside other characters.
    """
    alternatives = [tuple(part for part in way.split("/") if part) for way in _without_braces(pattern)]
    for part in (part for way in alternatives for part in way):
        if _ANY_DEPTH in part and part != _ANY_DEPTH:
            raise InputError(
                f"{pattern!r}: ** means any number of folders, and cannot be a part of the name {part!r}",
                hint="for example **/*.parquet",
            )
    ends_with_folder = pattern.endswith(("/", f"/{_ANY_DEPTH}")) or pattern == _ANY_DEPTH
    return frozenset((*way, _ANY_DEPTH, "*") if ends_with_folder else way for way in alternatives)


def enter(state: State, folder: str) -> State:
    """The state inside a folder; empty if nothing there can match."""
    return frozenset(left for way in state for left in _enter(way, folder))


def accepts(state: State, file: str) -> bool:
    """Whether a file of this name, in the folder with this state, is meant."""
    return any(_accepts(way, file) for way in state)


def _enter(way: tuple[str, ...], folder: str) -> Iterator[tuple[str, ...]]:
    if not way:
        return
    first, rest = way[0], way[1:]
    if first == _ANY_DEPTH:
        if not is_hidden(folder):
            yield way
        yield from _enter(rest, folder)
    elif _matches(first, folder):
        if rest:
            yield rest
        elif first != "*":
            yield _ANY_DEPTH, "*"


def _accepts(way: tuple[str, ...], file: str) -> bool:
    while way and way[0] == _ANY_DEPTH:
        way = way[1:]
    return len(way) == 1 and _matches(way[0], file)


def _matches(part: str, name: str) -> bool:
    if part == name:
        return True
    if is_hidden(name) and not part.startswith(name[0]):
        return False
    return has_signs(part) and fnmatchcase(name, part.replace("[^", "[!"))


def _without_braces(pattern: str) -> Iterator[str]:
    """The alternatives of `{a,b}`, written out."""
    if not (found := _BRACES.search(pattern)):
        yield pattern
        return
    for choice in found[1].split(","):
        yield from _without_braces(f"{pattern[: found.start()]}{choice}{pattern[found.end() :]}")
