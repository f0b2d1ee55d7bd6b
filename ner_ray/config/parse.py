"""YAML as configurations need it: labels stay as they are written, and nothing is silently dropped.

YAML 1.1 turns `NO` and `ON` into booleans, `1_000` and `12:30` into numbers, and `2024-01-01` into a date. For a switch
or a number that is what people mean; for a label it is not. So within a label set every plain scalar is a string, spelt
as in the file. Only `null`, `~` and nothing at all remain what they are where a value is expected: `place: null` is a
label without children. Dates are strings everywhere, and a key given twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

LABEL_SECTIONS = frozenset({"labels", "label_map", "taxonomy"})
"""Settings whose value holds labels, wherever they occur in a configuration."""

_STRING = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_DATE = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but `1e-5` is a number, as in YAML 1.2."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+"), list("-+0123456789")
)


def parse_yaml(text: str, *, labels: bool = False) -> Any:  # whatever YAML holds
    """The data in a YAML document.

    Args:
        text: the document.
        labels: whether all of it is a label set, rather than a configuration that may hold some.

    Raises:
        yaml.YAMLError: it is not YAML, or gives a key of a mapping twice.

    >>> parse_yaml("{labels: [PER, NO, 1_000], samples: 1_000}")
    {'labels': ['PER', 'NO', '1_000'], 'samples': 1000}
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _keep_as_written(node, labels=labels)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def parse_override(path: Sequence[str], text: str) -> Any:  # whatever YAML holds
    """The value of an override `path=text`; `#` is an ordinary character, since there is nothing to comment on.

    Raises:
        yaml.YAMLError: it is not YAML.

    >>> parse_override(["labels"], "[C#, #tag, ON]")
    ['C#', '#tag', 'ON']
    """
    stand_in = next(sign for sign in map(chr, range(0xE000, 0xF900)) if sign not in text)
    return _replaced(parse_yaml(text.replace("#", stand_in), labels=not LABEL_SECTIONS.isdisjoint(path)), stand_in, "#")


def label_lines(text: str) -> list[str]:
    """The labels of a text file: one per line, as they are written; `- ` before them is ignored.

    >>> label_lines(chr(10).join(["person", "", "C# developer", "- NO"]))
    ['person', 'C# developer', 'NO']
    """
    lines = (line.strip().removeprefix("- ").strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in lines if line]


def _keep_as_written(node: yaml.Node, *, labels: bool) -> None:
    """Makes strings of the plain scalars that must not be interpreted, and looks for keys that occur twice."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag == _DATE or (labels and node.tag != _NULL):
            node.tag = _STRING
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _keep_as_written(item, labels=labels)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if labels and isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = _STRING
            _keep_as_written(value, labels=labels or key.value in LABEL_SECTIONS)
        _refuse_repeated(list(_plain_keys(node)))


def _plain_keys(node: yaml.MappingNode) -> Iterator[yaml.ScalarNode]:
    return (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE)


def _refuse_repeated(keys: Sequence[yaml.ScalarNode]) -> None:
    seen: set[tuple[str, str]] = set()
    for key in keys:
        if (key.tag, key.value) in seen:
            raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
        seen.add((key.tag, key.value))


def _replaced(data: Any, old: str, new: str) -> Any:  # plain data, before and after
    """The same data with one character replaced in all strings, keys included."""
    if isinstance(data, str):
        return data.replace(old, new)
    if isinstance(data, list):
        return [_replaced(item, old, new) for item in data]
    if isinstance(data, dict):
        return {_replaced(key, old, new): _replaced(value, old, new) for key, value in data.items()}
    return data
