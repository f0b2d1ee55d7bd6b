"""Everything that can be found wrong before an engine is started, in seconds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator.spec import Spec
from ner_ray.engines import base as engines
from ner_ray.errors import ConfigError, InputError, MissingExtraError, ModelError
from ner_ray.pipeline.graph import columns_of
from ner_ray.pipeline.stages import prompt_tokens
from ner_ray.schema import DOC_ID
from ner_ray.store.shards import Shard, schemas_of

_LOG = logging.getLogger(__name__)

_LEAST_TEXT = 8  # tokens


def check_engines(spec: Spec) -> None:
    """Raises `ModelError` or `ConfigError` where an engine, a model or an adapter is not there."""
    for pool in spec.pools:
        for role in pool.roles:
            if role.sampling.n > 1 and not role.sampling.temperature:
                raise ConfigError(
                    f"{role.sampling.n} samples for the {role.step.role} at temperature 0 would all be the same",
                    hint="engine.sampling.temperature=0.7, or engine.sampling.n=1",
                )
            _check_engine(spec, role.step.role)


def _check_engine(spec: Spec, role: str) -> None:
    config = spec.config.engine_for(role)
    try:
        engines.load(config.name).check(config)
    except (ConfigError, ModelError, MissingExtraError) as error:
        if isinstance(spec.config.engine, dict):
            raise type(error)(f"engine.{role}: {error.message}", hint=error.hint) from error
        raise


def check_input(spec: Spec, shards: Sequence[Shard], checked: Iterable[Shard] = ()) -> pa.Schema:
    """The schema of the columns to keep; all good shards have the columns that the plan reads, of usable types.

    Args:
        plan: says which columns.
        shards: of the input, at least one.
        checked: those that are not looked into again, in an earlier life of the run.

    Raises:
        InputError: a column is missing or of a type that cannot be read; no shard is good.
        ConfigError: a kept column would collide with one of the output's.
    """
    good = [shard for shard in shards if not shard.problem]
    if not good:
        raise InputError(
            f"none of the {len(shards)} files at {spec.config.input.path} can be read; "
            f"the first says: {shards[0].problem}"
        )
    good = [shard for shard in good if shard.rows] or good[:1]  # writers give columns without rows any type
    columns = columns_of(spec)
    taken = {*schema.OUTPUT.names, schema.ROW_ID, DOC_ID} & set(spec.config.input.keep)
    if taken - {spec.config.input.id}:
        raise ConfigError(f"input.keep names {', '.join(sorted(taken))}, which the output has of its own")
    (first,) = schemas_of(good[:1])
    known = set(checked)
    fresh = [shard for shard in good if shard not in known]
    for shard, found in zip(fresh, schemas_of(fresh), strict=True):
        _check_columns(spec, shard, found)
    return pa.schema([first.field(name) for name in columns.keep])


def fit_budget(spec: Spec) -> Spec:
    """The plan with chunks, and a bound for their examples, so small that prompt and answer fit the model together.

    Raises:
        ConfigError: the instructions and labels alone leave no room for text.
    """
    engine = spec.pools[0].engine
    if not engine.max_model_len or not spec.labels:
        return spec
    overhead = prompt_tokens(spec)
    room = engine.max_model_len - overhead - (spec.demonstration_tokens or 0)
    # An answer that copies its text is at least as long as it; a third of the room is left for the text. Examples of
    # any length get a share like the text's, and what text and answer leave.
    shares = 3 if spec.config.engine_for(spec.steps[0].role).sampling.max_tokens > room // 2 else 2
    unbounded = spec.config.demonstrations is not None and spec.demonstration_tokens is None
    fitting = room // (shares + unbounded)
    if fitting < _LEAST_TEXT:
        raise ConfigError(
            f"the prompt without text has {overhead} tokens, the model takes {engine.max_model_len}",
            hint="fewer labels, shorter descriptions, fewer tokens for examples, or a larger engine.max_model_len",
        )
    if fitting < spec.budget:
        _LOG.warning("chunks are cut at %d tokens, so that prompt and answer fit the model", fitting)
    budget = min(fitting, spec.budget)
    return replace(
        spec, budget=budget, demonstration_tokens=room - shares * budget if unbounded else spec.demonstration_tokens
    )


def _check_columns(spec: Spec, shard: Shard, found: pa.Schema) -> None:
    section = spec.config.input
    for name in columns_of(spec).wanted():
        if name not in found.names:
            raise InputError(
                f"{shard.uri} has no column {name!r}; it has: {', '.join(found.names)}",
                hint="set input.text, input.id and input.keep to columns that are there",
            )
    text = found.field(section.text).type
    if not _is_text(text):
        raise InputError(f"{shard.uri}: column {section.text!r} must hold text, it is {text}")
    if spec.labels_column and not _is_list_of_text(found.field(spec.labels_column).type):
        raise InputError(
            f"{shard.uri}: column {spec.labels_column!r} must hold lists of label names, "
            f"it is {found.field(spec.labels_column).type}"
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))
    )


def _is_list_of_text(kind: pa.DataType) -> bool:
    return bool((pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_text(kind.value_type))
