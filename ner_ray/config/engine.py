"""The model that answers prompts: the settings that every engine understands, and how answers are sampled.

An engine's own settings are fields of the class `Options` in its module (`ner_ray.engines`), a subclass of
`EngineConfig`. In a configuration all of them are keys of one section, whose `name` says which class applies:

    engine: {name: openai, model: some-model, url: "http://localhost:8000/v1", retries: 3}
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Self, TypeAlias, Union

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, SerializeAsAny, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from ner_ray import plugins
from ner_ray.config.section import Section, operational

_DEFAULT = "vllm"
_BASE_ANSWER_TOKENS = 16
SEATS, SEATS_ON_GPUS = 128, 1024  # the defaults of max_num_seqs; on GPUs, vLLM decides, and takes no more


class SamplingConfig(Section):
    """How answers are sampled."""

    temperature: float = Field(default=0.0, ge=0, description="0: greedy decoding.")
    top_p: float = Field(default=1.0, gt=0, le=1, description="Sample from the smallest set of tokens this likely.")
    n: int = Field(default=1, ge=1, description="Samples per prompt, combined by `vote`.")
    max_tokens: int = Field(default=640, ge=1, description="Maximum length of an answer, in tokens.")
    tokens_per_prompt_token: float | None = Field(
        default=None,
        gt=0,
        description="Further cap: 16 tokens plus this many per prompt token. Stops repetition loops.",
    )
    stop: list[str] = Field(default_factory=list, description="Strings or special tokens that end an answer.")
    seed: int | None = Field(default=None, description="Makes sampling repeatable where the engine supports it.")
    logprobs: bool = Field(default=True, description="Request log-probabilities, from which scores are computed.")

    def longest_answer(self, prompt_tokens: int, wanted: int | None, room: int) -> int:
        """The maximum length of an answer, in tokens.

        Args:
            prompt_tokens: the length of the prompt.
            wanted: the prompt's own limit, which replaces `max_tokens`.
            room: what the model's context leaves for the answer.

        >>> SamplingConfig(max_tokens=100, tokens_per_prompt_token=1.5).longest_answer(20, None, 1000)
        46
        """
        bounds = [wanted or self.max_tokens, room]
        if self.tokens_per_prompt_token:
            bounds.append(_BASE_ANSWER_TOKENS + round(self.tokens_per_prompt_token * prompt_tokens))
        return min(bounds)


class EngineConfig(Section):
    """The settings that every engine understands; each engine's `Options` adds its own."""

    name: str = Field(default=_DEFAULT, description="The engine: vllm, transformers, openai, or an entry point's name.")
    model: str = Field(
        default="", description="A folder, its URI, or hub:ORGANIZATION/NAME; or the name on the server."
    )
    adapter: str | None = Field(
        default=None, description="A LoRA adapter: a folder, its URI, hub:ORGANIZATION/NAME, or its name on the server."
    )
    max_model_len: int | None = Field(
        default=None, gt=0, description="Maximum length of prompt and answer, in tokens; default: the model's own."
    )
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    max_num_seqs: int | None = operational(
        None,
        ge=1,
        description="Maximum number of requests the engine works on at once; default: 128, or vLLM's own on GPUs "
        "(1,024 on the largest, 256 on others).",
    )
    stall_seconds: float = operational(
        600, gt=0, description="An engine that finishes no request for this long, though it has some, is replaced."
    )
    journal: bool = operational(
        False,
        description="Write each answer to disk as it arrives, until its wave is committed, so that an interrupted run "
        "never asks for it again.",
    )

    @property
    def seats(self) -> int:
        """The number of requests that the engine works on at once, or more where only the engine itself knows."""
        return self.max_num_seqs or SEATS

    def default_gpus(self, available: float) -> float:  # noqa: ARG002  # most engines need none
        """How many GPUs an engine uses by default, in a cluster that has so many."""
        return 0.0

    def on_share(self, gpus: float) -> Self:  # noqa: ARG002  # most engines share none
        """These settings for an engine that has only that fraction of a GPU to itself."""
        return self

    def base(self) -> Self:
        """These settings without those that may differ between roles sharing one engine."""
        return self.model_copy(update={"adapter": None, "sampling": SamplingConfig()})


def resolve(section: object) -> EngineConfig:
    """An engine section as the `Options` of the engine that it names.

    A setting that the engine does not know is refused, unless it is null and belongs to another engine: so
    `engine.dtype=null` removes what a preset for another engine has set.

    Args:
        section: a mapping, or an `EngineConfig`; without `name`, it is about vLLM.

    Raises:
        ValidationError: of pydantic; names each wrong field.
        ConfigError: the named engine has no `Options`.

    >>> resolve({"name": "openai", "model": "m", "url": "http://localhost:8000/v1"}).retries
    8
    """
    if isinstance(section, EngineConfig):
        if type(section) is not EngineConfig:
            return section
        section = section.model_dump(exclude_unset=True)
    if not isinstance(section, Mapping):
        return EngineConfig.model_validate(section)  # raises
    options = _named(section.get("name", _DEFAULT))
    known, refused = _sort_out(section, options)
    try:
        settings = options.model_validate(known)
    except ValidationError as error:
        refused += [_problem(at["type"], at["msg"], at["loc"], at["input"]) for at in error.errors()]
    if refused:
        raise ValidationError.from_exception_data(options.__name__, refused)
    return settings


def _named(name: object) -> type[EngineConfig]:
    """The `Options` of an engine; an unknown name is an error of the field `name`."""
    known = plugins.names("engines")
    if not isinstance(name, str) or name not in known:
        problem = _problem("no_such_engine", f"no engine named {name!r}; known: {', '.join(known)}", ("name",), name)
        raise ValidationError.from_exception_data("engine", [problem])
    return options_of(name)


@lru_cache
def options_of(name: str) -> type[EngineConfig]:
    """The class of an engine's settings.

    Raises:
        ConfigError: there is no such engine, or its module has no `Options`.
    """
    options: type[EngineConfig] = plugins.load("engines", name).Options
    return options


def _sort_out(section: Mapping[str, Any], options: type[EngineConfig]) -> tuple[dict[str, Any], list[InitErrorDetails]]:
    """The settings that an engine knows, and an error for each of the others."""
    known = {key: value for key, value in section.items() if key in options.model_fields}
    unknown = {key: value for key, value in section.items() if key not in options.model_fields}
    errors = []
    for key, value in unknown.items():
        others = [name for name in plugins.names("engines") if key in options_of(name).model_fields]
        if value is not None or not others:
            errors.append(_problem("no_such_setting", _refusal(key, options, others), (key,), value))
    return known, errors


def _refusal(key: str, options: type[EngineConfig], others: Sequence[str]) -> str:
    fields = sorted(options.model_fields)
    near = difflib.get_close_matches(key, fields, n=1)
    engine = options.model_fields["name"].default
    text = f"no such setting of the engine {engine}"
    if others:
        text += f", but of {', '.join(others)} (null removes it)"
    return text + (f"; do you mean {near[0]!r}?" if near else f"; known: {', '.join(fields)}")


def _problem(kind: str, text: str, place: tuple[int | str, ...], value: object) -> InitErrorDetails:
    """An error for `ValidationError.from_exception_data`."""
    error = PydanticCustomError(kind, "{text}", {"text": text})
    return InitErrorDetails(type=error, loc=place, input=value)


def _one_or_per_role(value: object) -> object:
    """Decides between the two by the shape, so that errors are about one of them only."""
    return _ROLES.validate_python(value) if _is_per_role(value) else resolve(value)


def _is_per_role(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and not value.keys() & EngineConfig.model_fields.keys()
        and all(isinstance(section, Mapping | EngineConfig) for section in value.values())
    )


class _AllOptions:
    """Shows the options of every known engine in the JSON Schema."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        any_engine: Any = Union[tuple(options_of(name) for name in plugins.names("engines"))]  # noqa: UP007  # known late
        return handler(TypeAdapter(any_engine | dict[str, any_engine]).core_schema)


_ROLES = TypeAdapter(dict[str, Annotated[EngineConfig, BeforeValidator(resolve)]])

Engines: TypeAlias = Annotated[
    EngineConfig | dict[str, EngineConfig], BeforeValidator(_one_or_per_role), SerializeAsAny(), _AllOptions()
]
"""One engine for all roles of a family, or one per role; for fields of a configuration."""
