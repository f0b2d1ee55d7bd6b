"""Label sets from what a configuration, a file or a row says.

    [person, place]                                       a flat set
    [{name: person, description: a named human being}]    with descriptions
    {person: [politician, artist], place: null}           a tree, of any depth
    labels/coarse.yaml                                    a YAML or JSON file with one of these
    labels.txt                                            a text file with one label per line
    column:NAME                                           a set per row, see `column_of`

Labels stay as they are written: `NO` is a label, not a boolean, and labels that differ only by case or by `_` are two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ner_ray.errors import ConfigError
from ner_ray.types import Label, LabelSet

_COLUMN = "column:"


def column_of(source: object) -> str | None:
    """The column that holds each row's label set, if `source` names one.

    >>> column_of("column:types")
    'types'
    """
    if isinstance(source, str) and source.startswith(_COLUMN):
        return source.removeprefix(_COLUMN)
    return None


def parse(source: Any) -> LabelSet:  # whatever YAML or a row holds
    """The label set that plain data describes.

    Raises:
        ConfigError: it does not describe one, it is empty, or a name occurs twice among siblings.

    >>> [label.name for label in parse(["person", {"place": ["city", "river"]}])]
    ['person', 'place']
    """
    labels = tuple(_parse_items(source))
    if not labels:
        raise ConfigError("the label set is empty", hint="give at least one label, such as `labels: [person, place]`")
    _refuse_duplicates(labels)
    return labels


def names(labels: Iterable[Label]) -> list[str]:
    """The names at every level, parents before their children."""
    return [label.name for label in walk(labels)]


def walk(labels: Iterable[Label]) -> Iterator[Label]:
    """Every label of a tree, parents before their children."""
    for label in labels:
        yield label
        yield from walk(label.children)


def _parse_items(source: Any) -> Iterator[Label]:
    if isinstance(source, dict):
        for name, inner in source.items():
            yield _parse_branch(name, inner)
    elif isinstance(source, (list, tuple)):
        for item in source:
            yield from _parse_item(item)
    else:
        raise ConfigError(
            f"labels must be a list or a tree of names, not {source!r}",
            hint="for example [person, place]; in a file ending in .txt, one label per line",
        )


def _parse_item(item: Any) -> Iterator[Label]:
    if isinstance(item, dict) and "name" in item:
        children = tuple(_parse_items(item.get("children") or []))
        yield Label(_checked(item["name"]), str(item.get("description") or ""), children)
    elif isinstance(item, dict):
        yield from _parse_items(item)
    else:
        yield Label(_checked(item))


def _parse_branch(name: Any, inner: Any) -> Label:
    if isinstance(inner, str):
        return Label(_checked(name), description=inner)
    return Label(_checked(name), children=tuple(_parse_items(inner or [])))


def _checked(name: Any) -> str:
    if isinstance(name, bool) or not isinstance(name, (str, int, float)) or not str(name).strip():
        raise ConfigError(f"a label must be a name, not {name!r}", hint="put it in quotes, such as 'NO' or 'null'")
    return str(name).strip()


def _refuse_duplicates(labels: LabelSet) -> None:
    seen: set[str] = set()
    for label in labels:
        if label.name in seen:
            raise ConfigError(f"the label {label.name!r} is listed twice")
        seen.add(label.name)
        _refuse_duplicates(label.children)
