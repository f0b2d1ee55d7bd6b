"""The contract of a command.

A command is a module of this package with

    Config   its configuration, a `Section`; fields made by `argument` and `option` are words and options of the
             command line, and all fields can be given as `key=value` or in a YAML file
    run      the work: a function from the configuration to a result
    show     the result as text for people
    SOURCE   optional: the configuration to start from where none is named
    RESUMES  optional: True where the same command continues a run that was stopped

and a docstring, which is its help text. Heavy imports belong inside `run`, so that `--help` is quick.
"""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import Field

from ner_ray.config import Section

ARGUMENT, OPTION = "argument", "option"


class Result(Protocol):
    """What a command has done or found: a frozen dataclass."""

    @property
    def exit_status(self) -> int:
        """The status with which the command line ends; see `ner_ray.errors`."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, for `--json`."""
        ...


class Command(Protocol):
    """A module of this package."""

    __doc__: str | None
    __name__: str
    Config: type[Section]

    def run(self, config: Any) -> Result:  # its own `Config`
        """Does the work."""
        ...

    def show(self, result: Any) -> str:  # its own `Result`
        """The result as people read it."""
        ...


def argument(default: Any = ..., **field: Any) -> Any:  # what pydantic.Field takes and returns
    """A field that the command line takes as a word by its position. A list takes all words that are left."""
    return Field(default, json_schema_extra={"operational": True, "word": ARGUMENT}, **field)


def option(default: Any, **field: Any) -> Any:  # what pydantic.Field takes and returns
    """A field that is also an option of the command line, named like the field: `on_ray` is `--on-ray`."""
    return Field(default, json_schema_extra={"operational": True, "word": OPTION}, **field)


def words_of(config: type[Section], kind: str) -> list[str]:
    """The names of a configuration's fields that are arguments or options, in their order."""
    return [
        name
        for name, field in config.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("word") == kind
    ]


def base_of(config: Section, base: type[Section]) -> Any:  # of type `base`
    """A command's configuration without the fields that it adds to `base`."""
    names = base.model_fields.keys()
    return base.model_construct(
        _fields_set=config.model_fields_set & names, **{name: getattr(config, name) for name in names}
    )
