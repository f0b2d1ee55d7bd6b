"""Prompt templates: data beside the code, rendered by one function.

A template file is YAML with `checkpoint`, `source` and `licence`, and under `texts` the template texts, byte
for byte as published, but for the placeholders: `{labels}` where the original has `%s` or `{labels_str}`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import yaml

from ner_ray.types import Message

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@functools.cache
def template(family: str, *path: str) -> str:
    """The text at `path` under `texts` of a family's template file."""
    node = _load(family)["texts"]
    for key in path:
        node = node[key]
    return str(node)


def render(text: str, /, **values: str) -> str:
    """`text` with every `{name}` of `values` replaced, in one pass.

    What is put in is never looked at again, so braces and placeholders in a user's text are just text; a
    `{name}` that is not among `values` stays as it is.
    """
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def wrap(family: str, name: str, turns: Sequence[Message]) -> str:
    """Turns in one of a family's own wrappers, ready for the answer.

    A wrapper is a template for each role, what stands before all turns (`begin`), what the answer follows
    (`answer`), and whether the wrapper strips the white space around each turn (`strip`).
    """
    wrapper = _load(family)["texts"]["wrapper"][name]
    parts = [wrapper.get("begin", "")]
    for turn in turns:
        content = turn.content.strip() if wrapper.get("strip") else turn.content
        parts.append(render(wrapper[turn.role], content=content))
    return "".join([*parts, wrapper["answer"]])


def placeholders(text: str) -> frozenset[str]:
    """The names of all `{name}` in `text`."""
    return frozenset(_PLACEHOLDER.findall(text))


@functools.cache
def _load(family: str) -> Mapping[str, Any]:  # YAML: what a template file holds is checked by its tests
    file = resources.files("ner_ray.families") / "templates" / f"{family}.yaml"
    content: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content
