"""Checks everything that can be checked in seconds, before a cluster is joined or an engine started."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator import calibration, pools
from ner_ray.annotator.budget import fit
from ner_ray.annotator.rows import columns_of
from ner_ray.annotator.spec import Spec, resolve
from ner_ray.config import AnnotateConfig, fingerprint, semantic
from ner_ray.config.load import label_source
from ner_ray.errors import ConfigError, InputError
from ner_ray.retrieval import index_digest
from ner_ray.storage import require_writable
from ner_ray.store.comparison import Listing, list_input
from ner_ray.store.input_types import check_columns
from ner_ray.store.run import RunDirectory
from ner_ray.store.run_schema import merged, settle
from ner_ray.store.shards import Shard, schemas_of, typed_shard


@dataclass(frozen=True, slots=True)
class Job:
    """A job whose configuration and input have been checked.

    Attributes:
        began: when preparation started, on the monotonic clock.
        run: the run directory.
        settings: everything that changes results.
        spec: the resolved configuration.
        listing: the whole input.
        schema: of the kept columns.
    """

    began: float
    run: RunDirectory
    settings: dict[str, Any]
    spec: Spec
    listing: Listing
    schema: pa.Schema

    def output_schema(self) -> pa.Schema:
        """The columns of the run's rows, as they are once this job's waves are committed."""
        config = self.spec.config
        written = schema.output_schema(self.schema, hashes=config.reuse, completions=config.output.completions)
        return merged(self.run.schema(), written)


def prepare(config: AnnotateConfig) -> Job:
    """Checks everything that can be checked without a cluster; writes nothing.

    Raises:
        NerRayError: names what is wrong, where, and what to do.
    """
    began = time.monotonic()
    require_writable(config.output.path)
    run = RunDirectory(config.output.path)
    settings = _settings(config)
    run.claim(fingerprint(settings), settings)
    spec = resolve(config)
    pools.check(spec)
    spec = pools.pin(spec, run.record().get("models", {}))
    listing = list_input(config.input.path, run.history(), left_out=[config.output.path])
    annotated = [listing.annotated] if listing.annotated else []
    kept = check_input(spec, [*listing.shards, *annotated], annotated, run)
    return Job(began, run, settings, fit(spec), listing, kept)


def check_input(
    spec: Spec, shards: Sequence[Shard], checked: Iterable[Shard] = (), run: RunDirectory | None = None
) -> pa.Schema:
    """Makes sure that every readable shard has the columns that the job reads, with usable types.

    Args:
        spec: the job's.
        shards: of the input; none where a run finds nothing any more.
        checked: shards that the run has checked and annotated, and that are skipped now.
        run: the run, whose types the kept columns have; None for a new one.

    Returns:
        The schema of the columns to keep.

    Raises:
        InputError: a column is missing or has a type that cannot be read or kept, or no shard is readable.
        ConfigError: a kept column has the name of an output column.
    """
    recorded = run.schema() if run else pa.schema([])
    if all(shard.problem for shard in shards) and (not shards or (run and run.committed())):
        return recorded
    good = readable(shards, spec.config.input.path)
    _check_names(spec)
    good = [shard for shard in good if shard.rows] or good[:1]  # without rows, writers may give columns any type
    known = set(checked)
    fresh = [shard for shard in good if shard not in known] or good[:1]
    columns = columns_of(spec)
    files = [typed_shard(*pair) for pair in zip(fresh, schemas_of(fresh), strict=True)]
    for file in files:
        check_columns(file.place, columns, file.schema)
    return settle(columns.keep, files, recorded, run.typed_files if run else list)


def readable(shards: Sequence[Shard], path: str | Sequence[str]) -> list[Shard]:
    """The shards that can be read.

    Raises:
        InputError: none can; `path` is named as the input.
    """
    if not (good := [shard for shard in shards if not shard.problem]):
        raise InputError(
            f"none of the {len(shards)} files at {path} can be read; the first says: {shards[0].problem}",
            hint="only Parquet is read: pandas.read_csv('corpus.csv').to_parquet('corpus.parquet') converts CSV",
        )
    return good


def _check_names(spec: Spec) -> None:
    """Refuses to keep columns whose names the output or the stages need for something else."""
    section, output = spec.config.input, spec.config.output
    added = set(schema.output_schema(pa.schema([]), hashes=spec.config.reuse, completions=output.completions).names)
    if section.id == schema.DOC_ID:
        added.discard(schema.DOC_ID)
    if section.text == schema.KEPT_TEXT:
        added.discard(schema.KEPT_TEXT)
    if taken := sorted(added & set(section.keep)):
        raise ConfigError(
            f"input.keep names {', '.join(taken)}, which are columns that the output adds",
            hint="rename these columns of the input, or leave them out of input.keep",
        )
    if internal := sorted(name for name in section.keep if name.startswith(schema.RESERVED)):
        raise ConfigError(
            f"input.keep names {', '.join(internal)}; names that begin with {schema.RESERVED} are for internal columns",
            hint="rename these columns of the input, or leave them out of input.keep",
        )


def _settings(config: AnnotateConfig) -> dict[str, Any]:
    """Everything that changes results: the semantic settings, with what is in the files that they refer to."""
    settings = semantic(config)
    settings["labels"] = label_source(config.labels)
    if config.calibration:
        settings["calibration"] = calibration.load(config.calibration).to_dict()
    if config.demonstrations:
        settings["demonstrations"]["digest"] = index_digest(config.demonstrations.index)
    return settings
