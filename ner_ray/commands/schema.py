"""Print the JSON Schema of a command's configuration, for editors: every field with its meaning and default.

For example:

    ner-ray schema annotate

    ner-ray schema train > train.schema.json

An editor checks a YAML file that begins with `# yaml-language-server: $schema=train.schema.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ner_ray import commands
from ner_ray.commands.base import argument
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE


class Config(Section):
    """Which command."""

    command: str = argument("annotate", description="The command whose configuration to describe.")


@dataclass(frozen=True, slots=True)
class Result:
    """The schema."""

    schema: dict[str, Any]
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return self.schema


def run(config: Config) -> Result:
    """Describes the configuration.

    Raises:
        ConfigError: there is no such command.
    """
    model = commands.load(config.command).Config
    summary, _, _ = (model.__doc__ or "").partition("\n\n")  # what follows is examples for callers from Python
    return Result({**model.model_json_schema(), "description": summary})


def show(result: Result) -> str:
    """The schema as JSON."""
    return json.dumps(result.schema, indent=1, ensure_ascii=False) + "\n"
