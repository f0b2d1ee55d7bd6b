"""Label sets as people type them."""

from __future__ import annotations

from typing import Any

import yaml

from ner_ray.config.parse import parse_yaml
from ner_ray.errors import ConfigError

_STRUCTURED = ("[", "{", "-", " ", "\t")  # with which a line of YAML may begin, and a name in plain lines may not


def labels_of(typed: str) -> Any:  # what `ner_ray.config.labels` takes
    r"""The label set that was typed.

    Names are separated by commas or stand one per line, where `name: description` describes one. A tree is YAML, as in
    a configuration.

    Raises:
        ConfigError: it is neither.

    >>> labels_of("person, place")
    ['person', 'place']
    >>> labels_of("person\nplace: towns, rivers and countries")
    ['person', {'name': 'place', 'description': 'towns, rivers and countries'}]
    >>> labels_of("place:\n  - city\n  - river")
    {'place': ['city', 'river']}
    """
    lines = [line for line in typed.splitlines() if line.strip()]
    if any(line.startswith(_STRUCTURED) for line in lines):
        try:
            return parse_yaml(typed, labels=True)
        except yaml.YAMLError as error:
            raise ConfigError(f"the labels are not YAML: {str(error).splitlines()[0]}") from error
    return [label for line in lines for label in _of_line(line)]


def _of_line(line: str) -> list[Any]:
    name, colon, description = line.partition(":")
    if colon and "," not in name:
        return [{"name": name.strip(), "description": description.strip()}]
    return [part.strip() for part in line.split(",") if part.strip()]
