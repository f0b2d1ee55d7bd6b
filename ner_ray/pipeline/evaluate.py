"""The evaluation job: in this process, or on a cluster, where workers score shards and only the sums are sent."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq

from ner_ray.errors import InputError
from ner_ray.evaluate.command import evaluate_files, write_reports
from ner_ray.evaluate.config import EvaluateConfig, ScoringConfig
from ner_ray.evaluate.read import BATCH_ROWS, side_by_side
from ner_ray.evaluate.rows import check_columns, id_columns
from ner_ray.evaluate.run import Evaluation, score_rows, summarize, zero
from ner_ray.pipeline.tasks import map_tasks
from ner_ray.storage import open_store
from ner_ray.store.shards import list_shards

_SHARDS_IN_FLIGHT = 1000


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Scores predictions against gold and writes the reports that the configuration names.

    Raises:
        InputError: the files are not as the configuration describes them.
        ConfigError: there is no such scorer or family.
    """
    if not config.on_ray:
        return evaluate_files(config)
    evaluation = score_shards(config.gold, config)
    write_reports(evaluation, config)
    return evaluation


def score_shards(paths: str | list[str], config: ScoringConfig) -> Evaluation:
    """Scores Parquet shards that hold gold and predictions side by side, on the cluster.

    Args:
        paths: files, folders, globs or run directories.
        config: the role of each column, and how entities are compared.

    Raises:
        InputError: a shard cannot be read, or its rows are not as the configuration describes them.
    """
    from ner_ray.pipeline.cluster import connect

    shards = list_shards(paths)
    if broken := [shard for shard in shards if shard.problem]:
        raise InputError(f"{broken[0].uri} cannot be read: {broken[0].problem}")
    connect()
    uris = [shard.uri for shard in shards]
    scored = map_tasks(_score_shard, uris, config, in_flight=_SHARDS_IN_FLIGHT, ordered=False)
    return summarize(sum(scored, zero(config)), config)


def _score_shard(uri: str, config: ScoringConfig) -> Any:  # `ner_ray.evaluate.run.Sums`
    store, path = open_store(uri)
    name = uri.rpartition("/")[2]
    with store.open_input_file(path) as stream:
        file = pq.ParquetFile(stream)
        columns = file.schema_arrow.names
        check_columns(dict.fromkeys(columns), config, columns)
        rows = (row for batch in file.iter_batches(batch_size=BATCH_ROWS) for row in batch.to_pylist())
        numbered = ((name, number, row) for number, row in enumerate(rows))
        return score_rows(side_by_side(numbered, id_columns(config)), config)
