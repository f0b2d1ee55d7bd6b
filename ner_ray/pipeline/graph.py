"""The Ray Data graph of a run: read -> chunk -> retrieve -> (generate -> read answers) for each pool -> write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset, TaskPoolStrategy

from ner_ray.annotator.rows import columns_of
from ner_ray.annotator.spec import Spec
from ner_ray.config.engine import SEATS, SEATS_ON_GPUS
from ner_ray.pipeline.cluster import engine_bundles
from ner_ray.pipeline.generate import GenerateStage
from ner_ray.pipeline.journals import Journals
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.retrieve import RetrieveStage
from ner_ray.pipeline.reuse import ReuseStage, known_annotations
from ner_ray.pipeline.run_ahead import limit_run_ahead
from ner_ray.pipeline.source import ShardSource
from ner_ray.pipeline.stages import ChunkStage, ReadStage
from ner_ray.pipeline.write import ROWS, WAVE, WriteStage
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import Wave, WaveNumbers

_LEAST_READERS = 2
_CPUS_PER_READER = 4
_LEAST_BLOCKS = 4  # in an engine, so that some are full of requests while others are read
_REQUESTS_PER_SEAT = 2
_BYTES_PER_REQUEST = 2048  # of a block, for a chunk of usual length; documents that are shorter make more requests
_LEAST_ROWS = 16  # of a block, where few rows are spread over the engines
_LEAST_ROWS_PER_FILE = 32  # so that rows of the smallest setting do not become files of their own
# Memory of a CPU task. Because it differs from that of engines, Ray does not fuse CPU stages into their actors.
_TASK_MEMORY = 512 * 1024**2


def run_waves(
    spec: Spec, run: RunDirectory, waves: Sequence[Wave], schema: pa.Schema, scoreboard: Any, suspects: Any = None
) -> Iterator[tuple[int, int]]:
    """Annotates waves in one execution, whose engines serve all of them, until all rows are written.

    Args:
        spec: the job's.
        run: the run directory.
        waves: what is left to do of open waves; see `RunDirectory.resume`.
        schema: of the kept columns.
        scoreboard: handle of the `Scoreboard` actor.
        suspects: handle of the `Suspects` actor; None when answers are replayed.

    Yields:
        For each file, as soon as it is written, the number of its wave and the number of its rows.
    """
    _set_context(spec)
    output = spec.config.output
    numbers = WaveNumbers(waves)
    books = {"suspects": suspects, "journals": Journals(run, numbers)}
    written = _build(spec, run, waves, schema, Counts(scoreboard), books).map_batches(
        WriteStage(run, numbers, output.row_group_rows),
        batch_size=max(_LEAST_ROWS_PER_FILE, min(output.min_rows_per_file, output.rows_per_wave)),
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=_tasks(spec),
        memory=_TASK_MEMORY,
    )
    batches = iter(written.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    with closing(batches):  # which ends the execution, if it has not ended
        for table in batches:
            yield from zip(table[WAVE].to_pylist(), table[ROWS].to_pylist(), strict=True)


def _build(
    spec: Spec, run: RunDirectory, waves: Sequence[Wave], schema: pa.Schema, counts: Counts, books: Mapping[str, Any]
) -> Dataset:
    """The lazy graph up to the output rows. For the arguments, see `run_waves` and `annotated`."""
    rows = _read(spec, waves, schema, counts)
    keep = spec.config.input.keep
    if not spec.pools:
        return _on_cpus(rows, ReadStage(spec, spec.steps, counts, keep), _tasks(spec))
    if spec.config.reuse:
        known = known_annotations(run, waves, columns_of(spec), schema)
        rows = _on_cpus(rows, ReuseStage(known, counts), _tasks(spec))
    return annotated(rows, spec, counts, keep, books)


def annotated(
    rows: Dataset, spec: Spec, counts: Counts, keep: Sequence[str] | None, books: Mapping[str, Any]
) -> Dataset:
    """Annotates rows of documents: chunk -> retrieve -> (generate -> read answers) for each pool.

    Args:
        rows: with the columns of `store.documents.read_rows`.
        spec: the job's.
        counts: receives the counts of the stages.
        keep: the columns to carry into the output, or None for all; see `ReadStage`.
        books: further arguments of `GenerateStage`: `suspects` and `journals`.
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


def _read(spec: Spec, waves: Sequence[Wave], schema: pa.Schema, counts: Counts) -> Dataset:
    cpus = int(ray.cluster_resources().get("CPU", 1))
    blocks = 2 * _blocks_in_engines(spec)
    shards = [numbered for wave in waves for numbered in wave.shards]
    source = ShardSource(shards, columns_of(spec), schema, blocks, counts)
    rows = ray.data.read_datasource(
        source,
        override_num_blocks=len(source),
        concurrency=min(len(source), max(_LEAST_READERS, cpus // _CPUS_PER_READER)),
        num_cpus=0,  # a paused reader must not hold a CPU that the stages it waits for need
    )
    if source.estimate_inmemory_data_size() >= blocks * spec.config.resources.block_kib * 1024:
        return rows
    return rows.repartition(
        target_num_rows_per_block=max(_LEAST_ROWS, -(-sum(numbered.rows for numbered in shards) // blocks))
    )


def _blocks_in_engines(spec: Spec) -> int:
    """The number of blocks in the engines of the largest pool, at its maximum size."""
    sizes = [resources.max_replicas or resources.replicas for resources in map(spec.resources, spec.pools)]
    return max(sizes, default=1) * blocks_in_flight(spec)


def blocks_in_flight(spec: Spec) -> int:
    """The number of blocks in an engine: as configured, or as many as hold twice the requests that it works on."""
    resources = spec.config.resources
    if resources.blocks_in_flight:
        return resources.blocks_in_flight
    default = SEATS_ON_GPUS if any(bundle.gpus for bundle in engine_bundles(spec)) else SEATS
    seats = max((pool.engine.max_num_seqs or default for pool in spec.pools), default=0)
    return max(_LEAST_BLOCKS, -(-_REQUESTS_PER_SEAT * seats * _BYTES_PER_REQUEST // (resources.block_kib * 1024)))


def _on_cpus(rows: Dataset, stage: Any, tasks: TaskPoolStrategy) -> Dataset:
    return rows.map_batches(
        stage, batch_size=None, batch_format="pyarrow", zero_copy_batch=True, compute=tasks, memory=_TASK_MEMORY
    )


def _generate(rows: Dataset, spec: Spec, pool: int, counts: Counts, books: Mapping[str, Any]) -> Dataset:
    resources, bundle = spec.resources(spec.pools[pool]), engine_bundles(spec)[pool]
    blocks = blocks_in_flight(spec)
    return rows.map_batches(
        GenerateStage,
        fn_constructor_kwargs={"spec": spec, "pool": pool, "counts": counts, **books},
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            min_size=resources.replicas,
            max_size=resources.max_replicas or resources.replicas,
            max_concurrent_calls_per_actor=blocks,
            max_tasks_in_flight_per_actor=2 * blocks,
            enable_true_multi_threading=True,
        ),
        num_gpus=bundle.gpus,
        num_cpus=bundle.cpus,
        **({"accelerator_type": bundle.accelerator} if bundle.accelerator else {}),
    )


def _set_context(spec: Spec) -> None:
    resources = spec.config.resources
    context = DataContext.get_current()
    limit_run_ahead(context, _blocks_in_engines(spec))
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []  # they give advice on Ray's settings, which users do not make
    context.target_max_block_size = resources.block_kib * 1024
    context.target_min_block_size = min(context.target_min_block_size, context.target_max_block_size)
