"""The Ray Data graph of a wave: read -> chunk -> retrieve -> (generate -> read answers) for each pool -> write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset, TaskPoolStrategy
from ray.data.checkpoint import CheckpointConfig

from ner_ray.annotator.rows import columns_of
from ner_ray.annotator.spec import Spec
from ner_ray.pipeline.cluster import engine_cpus
from ner_ray.pipeline.generate import GenerateStage
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.retrieve import RetrieveStage
from ner_ray.pipeline.reuse import ReuseStage, known_annotations
from ner_ray.pipeline.run_ahead import limit_run_ahead
from ner_ray.pipeline.source import ShardSource
from ner_ray.pipeline.stages import ChunkStage, ReadStage
from ner_ray.schema import ROW_ID
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import Wave

_LEAST_READERS = 2
_CPUS_PER_READER = 4
_LEAST_ROWS = 16  # of a block, where few rows are spread over the engines
_CHECKPOINT_MEMORY = 256 * 1024**2
# Memory of a CPU task. Because it differs from that of engines, Ray does not fuse CPU stages into their actors.
_TASK_MEMORY = 512 * 1024**2


def run_wave(
    spec: Spec, run: RunDirectory, wave: Wave, schema: pa.Schema, scoreboard: Any, suspects: Any = None
) -> None:
    """Runs one wave until all its files are written; rows that an earlier attempt has written are skipped.

    Args:
        spec: the job's.
        run: the run directory.
        wave: an open wave, after `RunDirectory.resume`.
        schema: of the kept columns.
        scoreboard: handle of the `Scoreboard` actor.
        suspects: handle of the `Suspects` actor; None when answers are replayed.
    """
    output = spec.config.output
    _set_context(spec, run, wave)
    try:
        known = known_annotations(run, wave, columns_of(spec), schema) if spec.config.reuse else None
        journal = run.journal_uri(wave)
        build(spec, wave, schema, scoreboard, suspects, known, journal).write_parquet(
            run.data_path(wave),
            filesystem=run.store,
            min_rows_per_file=output.min_rows_per_file,
            max_rows_per_file=max(output.max_rows_per_file, output.min_rows_per_file),
            write_page_checksum=True,
            compression="zstd",
            row_group_size=output.row_group_rows,
            concurrency=spec.config.resources.cpu_tasks,
            ray_remote_args={"memory": _TASK_MEMORY},
        )
    finally:
        DataContext.get_current().checkpoint_config = None


def build(
    spec: Spec,
    wave: Wave,
    schema: pa.Schema,
    scoreboard: Any,
    suspects: Any = None,
    known: Any = None,
    journal: str | None = None,
) -> Dataset:
    """The lazy graph up to the output rows. For the arguments, see `run_wave`, `ReuseStage` and `Journal`."""
    counts = Counts(scoreboard)
    rows = _read(spec, wave, schema)
    keep = spec.config.input.keep
    if not spec.pools:
        return _on_cpus(rows, ReadStage(spec, spec.steps, counts, keep), _tasks(spec))
    if spec.config.reuse:
        rows = _on_cpus(rows, ReuseStage(known, counts), _tasks(spec))
    return annotated(rows, spec, counts, keep, {"suspects": suspects, "journal": journal})


def annotated(
    rows: Dataset, spec: Spec, counts: Counts, keep: Sequence[str] | None, books: Mapping[str, Any]
) -> Dataset:
    """Annotates rows of documents: chunk -> retrieve -> (generate -> read answers) for each pool.

    Args:
        rows: with the columns of `store.documents.read_rows`.
        spec: the job's.
        counts: receives the counts of the stages.
        keep: the columns to carry into the output, or None for all; see `ReadStage`.
        books: further arguments of `GenerateStage`: `suspects` and `journal`.
    """
    tasks = _tasks(spec)
    rows = _on_cpus(rows, ChunkStage(spec, counts), tasks)
    if spec.config.demonstrations:
        rows = _on_cpus(rows, RetrieveStage(spec, spec.config.demonstrations, counts), tasks)
    for number, pool in enumerate(spec.pools):
        rows = _generate(rows, spec, number, counts, books)
        rows = _on_cpus(rows, ReadStage(spec, pool.steps[-1:], counts, keep), tasks)
    return rows


def _tasks(spec: Spec) -> TaskPoolStrategy:
    return TaskPoolStrategy(spec.config.resources.cpu_tasks)


def _read(spec: Spec, wave: Wave, schema: pa.Schema) -> Dataset:
    cpus = int(ray.cluster_resources().get("CPU", 1))
    blocks = 2 * _blocks_in_engines(spec)
    source = ShardSource(wave.shards, columns_of(spec), schema, tasks=blocks)
    rows = ray.data.read_datasource(
        source,
        override_num_blocks=len(source),
        concurrency=min(len(source), max(_LEAST_READERS, cpus // _CPUS_PER_READER)),
        num_cpus=0,  # a paused reader must not hold a CPU that the stages it waits for need
    )
    if source.estimate_inmemory_data_size() >= blocks * spec.config.resources.block_kib * 1024:
        return rows
    return rows.repartition(target_num_rows_per_block=max(_LEAST_ROWS, -(-wave.rows // blocks)))


def _blocks_in_engines(spec: Spec) -> int:
    """The number of blocks in the engines of a pool at its maximum size."""
    resources = spec.config.resources
    return (resources.max_replicas or resources.replicas) * resources.blocks_in_flight


def _on_cpus(rows: Dataset, stage: Any, tasks: TaskPoolStrategy) -> Dataset:
    return rows.map_batches(
        stage, batch_size=None, batch_format="pyarrow", zero_copy_batch=True, compute=tasks, memory=_TASK_MEMORY
    )


def _generate(rows: Dataset, spec: Spec, pool: int, counts: Counts, books: Mapping[str, Any]) -> Dataset:
    resources = spec.config.resources
    return rows.map_batches(
        GenerateStage,
        fn_constructor_kwargs={"spec": spec, "pool": pool, "counts": counts, **books},
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            min_size=resources.replicas,
            max_size=resources.max_replicas or resources.replicas,
            max_concurrent_calls_per_actor=resources.blocks_in_flight,
            max_tasks_in_flight_per_actor=2 * resources.blocks_in_flight,
            enable_true_multi_threading=True,
        ),
        num_gpus=resources.gpus * resources.tensor_parallel,
        num_cpus=engine_cpus(resources, len(spec.pools)),
    )


def _set_context(spec: Spec, run: RunDirectory, wave: Wave) -> None:
    resources = spec.config.resources
    context = DataContext.get_current()
    limit_run_ahead(context, _blocks_in_engines(spec))
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []  # they give advice on Ray's settings, which users do not make
    context.target_max_block_size = resources.block_kib * 1024
    context.target_min_block_size = min(context.target_min_block_size, context.target_max_block_size)
    checkpoint = CheckpointConfig(
        id_column=ROW_ID,
        checkpoint_path=run.checkpoint_path(wave),
        override_filesystem=run.store,
        delete_checkpoint_on_success=False,
    )
    checkpoint.checkpoint_actor_memory_bytes = _CHECKPOINT_MEMORY
    context.checkpoint_config = checkpoint
