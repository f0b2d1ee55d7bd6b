"""Nights of a run without Ray: documents are read, given empty annotations by the job's own stage, and committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray import schema
from ner_ray.annotator.rows import columns_of
from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.preflight import prepare
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.record import record_of
from ner_ray.pipeline.stages import ReadStage
from ner_ray.store.documents import read_rows
from ner_ray.store.run import RunDirectory
from ner_ray.store.wave_files import Layout, write_rows


def write_shard(path: Path, columns: dict[str, Any], rows: int) -> None:
    """Writes a file of documents with recorded answers, of which there are none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {"text": pa.array([f"text {row}" for row in range(rows)])}
    answers = {name: pa.array([[]] * rows, kind) for name, kind in schema.ANSWERS.items()}
    pq.write_table(pa.table(texts | answers | columns), path)


def config_of(folder: Path, input_: dict[str, Any] | None = None, **changes: Any) -> AnnotateConfig:
    """A job over `folder/in` into `folder/run`, with settings of its input and others."""
    plain = {
        "input": {"path": str(folder / "in")} | (input_ or {}),
        "labels": ["person"],
        "family": "gner",
        "replay": True,
        "output": {"path": str(folder / "run")} | changes.pop("output", {}),
    }
    return AnnotateConfig.model_validate(plain | changes)


def night(config: AnnotateConfig, layout: Layout | None = None) -> RunDirectory:
    """Runs the waves that are to be run."""
    layout = layout or Layout()
    job = prepare(config)
    waves = job.run.plan_waves(job.listing, config.output.rows_per_wave)
    job.run.write_record(record_of(job))
    stage = ReadStage(job.spec, job.spec.steps, Counts(None), config.input.keep)
    for wave in waves:
        for numbered in wave.shards:
            rows = read_rows(numbered, 0, numbered.shard.rows, columns_of(job.spec), job.schema)
            write_rows(job.run.store, job.run.data_path(wave), map(stage, rows), layout.group_rows)
        job.run.commit(wave, {}, layout)
    return job.run
