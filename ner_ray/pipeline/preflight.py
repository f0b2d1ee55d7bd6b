"""Checks everything that can be checked in seconds, before a cluster is joined or an engine started."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator import pools
from ner_ray.annotator.budget import fit
from ner_ray.annotator.rows import columns_of
from ner_ray.annotator.spec import Spec, resolve
from ner_ray.config import AnnotateConfig, fingerprint, semantic
from ner_ray.config.load import label_source
from ner_ray.errors import ConfigError, InputError
from ner_ray.retrieval import index_digest
from ner_ray.schema import DOC_ID
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard, list_shards, schemas_of


@dataclass(frozen=True, slots=True)
class Job:
    """A job whose configuration and input have been checked.

    Attributes:
        began: when preparation started, on the monotonic clock.
        run: the run directory.
        settings: everything that changes results.
        spec: the resolved configuration.
        shards: of the whole input.
        schema: of the kept columns.
    """

    began: float
    run: RunDirectory
    settings: dict[str, Any]
    spec: Spec
    shards: list[Shard]
    schema: pa.Schema


def prepare(config: AnnotateConfig) -> Job:
    """Checks everything that can be checked without a cluster; writes nothing.

    Raises:
        NerRayError: names what is wrong, where, and what to do.
    """
    began = time.monotonic()
    run = RunDirectory(config.output.path)
    settings = _settings(config)
    run.claim(fingerprint(settings), settings)
    spec = resolve(config)
    pools.check(spec)
    known = [numbered.shard for wave in run.waves() for numbered in wave.shards]
    shards = list_shards(config.input.path, known)
    return Job(began, run, settings, fit(spec), shards, check_input(spec, shards, known))


def check_input(spec: Spec, shards: Sequence[Shard], checked: Iterable[Shard] = ()) -> pa.Schema:
    """Makes sure that every readable shard has the columns that the job reads, with usable types.

    Args:
        spec: the job's.
        shards: of the input, at least one.
        checked: shards that an earlier start of the run has checked, and that are skipped now.

    Returns:
        The schema of the columns to keep.

    Raises:
        InputError: a column is missing or has a type that cannot be read, or no shard is readable.
        ConfigError: a kept column has the name of an output column.
    """
    good = [shard for shard in shards if not shard.problem]
    if not good:
        raise InputError(
            f"none of the {len(shards)} files at {spec.config.input.path} can be read; "
            f"the first says: {shards[0].problem}",
            hint="only Parquet is read: pandas.read_csv('corpus.csv').to_parquet('corpus.parquet') converts CSV",
        )
    good = [shard for shard in good if shard.rows] or good[
        :1
    ]  # in files without rows, writers may give columns any type
    columns = columns_of(spec)
    taken = {*schema.OUTPUT.names, schema.ROW_ID, DOC_ID} & set(spec.config.input.keep)
    if taken - {spec.config.input.id}:
        raise ConfigError(f"input.keep names {', '.join(sorted(taken))}, which are columns that the output adds")
    (first,) = schemas_of(good[:1])
    known = set(checked)
    fresh = [shard for shard in good if shard not in known]
    for shard, actual in [(good[0], first), *zip(fresh, schemas_of(fresh), strict=True)]:
        _check_columns(spec, shard, actual)
    return pa.schema([first.field(name) for name in columns.keep])


def _check_columns(spec: Spec, shard: Shard, actual: pa.Schema) -> None:
    section = spec.config.input
    for name in columns_of(spec).wanted():
        if name not in actual.names:
            raise InputError(
                f"{shard.uri} has no column {name!r}; it has: {', '.join(actual.names)}",
                hint="set input.text, input.id and input.keep to existing columns",
            )
    text = actual.field(section.text).type
    if not _is_text(text):
        raise InputError(f"{shard.uri}: column {section.text!r} must hold text, but is {text}")
    if spec.labels_column and not _is_list_of_text(actual.field(spec.labels_column).type):
        raise InputError(
            f"{shard.uri}: column {spec.labels_column!r} must hold lists of label names, "
            f"but is {actual.field(spec.labels_column).type}"
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


def _settings(config: AnnotateConfig) -> dict[str, Any]:
    """Everything that changes results: the semantic settings, with what is in the files that they refer to."""
    settings = semantic(config)
    settings["labels"] = label_source(config.labels)
    if config.demonstrations:
        settings["demonstrations"]["digest"] = index_digest(config.demonstrations.index)
    return settings
