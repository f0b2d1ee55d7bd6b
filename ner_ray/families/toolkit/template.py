"""Prompt templates: data next to the code, rendered by one function.

A template file is YAML with `checkpoint`, `source` and `licence`, and under `texts` the templates, byte for byte as
published except for the placeholders: `{labels}` where the original has `%s` or `{labels_str}`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import yaml

from ner_ray.types import Message

PACKAGE = "ner_ray.families"
"""The package whose folder `templates` has our own families' files; a family in another package names that one."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@functools.cache
def template(family: str, *path: str, package: str = PACKAGE) -> str:
    """The text at `path` under `texts` of a family's template file, `templates/<family>.yaml` in its package."""
    node = _load(family, package)["texts"]
    for key in path:
        node = node[key]
    return str(node)


def render(text: str, /, **values: str) -> str:
    """`text` with every `{name}` of `values` replaced, in one pass.

    Inserted text is never scanned again, so braces and placeholders in a user's text are just text. A `{name}` that is
    not among `values` remains as it is.

    >>> render("{labels}: {text}", labels="person", text="a {labels} b")
    'person: a {labels} b'
    """
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def wrap(family: str, name: str, turns: Sequence[Message], *, package: str = PACKAGE) -> str:
    """Turns in one of a family's own wrappers, up to the point where the answer begins.

    A wrapper has a template for each role, the text before all turns (`begin`), the text before the answer (`answer`),
    and whether white space around each turn is stripped (`strip`).
    """
    wrapper = _load(family, package)["texts"]["wrapper"][name]
    parts = [wrapper.get("begin", "")]
    for turn in turns:
        content = turn.content.strip() if wrapper.get("strip") else turn.content
        parts.append(render(wrapper[turn.role], content=content))
    return "".join([*parts, wrapper["answer"]])


def placeholders(text: str) -> frozenset[str]:
    """The names of all placeholders in `text`."""
    return frozenset(_PLACEHOLDER.findall(text))


@functools.cache
def _load(family: str, package: str) -> Mapping[str, Any]:  # YAML: the content is checked by the tests of the templates
    file = resources.files(package) / "templates" / f"{family}.yaml"
    content: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content
