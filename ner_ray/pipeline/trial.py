"""Some documents of the input, and what the configured engine makes of them; the run directory is left alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.annotator.spec import Spec, resolve
from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.annotate import Summary, annotate
from ner_ray.pipeline.graph import columns_of
from ner_ray.pipeline.preflight import check_engines, check_input, fit_budget
from ner_ray.pipeline.source import read_rows
from ner_ray.schema import DOC_ID, LABELS, TEXT
from ner_ray.store.run import NumberedShard, RunDirectory, Wave
from ner_ray.store.shards import Shard, list_shards

_SPOTS = 16  # places of the input that documents are drawn from


@dataclass(frozen=True, slots=True)
class Work:
    """What is left to do in a run directory.

    Attributes:
        shards: of the whole input.
        schema: of the kept columns.
    """

    spec: Spec
    run: RunDirectory
    shards: Sequence[Shard]
    waves: Sequence[Wave]
    schema: pa.Schema


def what_is_left(config: AnnotateConfig) -> Work:
    """Nothing is written to the run directory.

    Raises:
        NerRayError: as `annotate` does.
    """
    spec = resolve(config)
    check_engines(spec)
    run = RunDirectory(config.output.path)
    known = [one.shard for wave in run.waves() for one in wave.shards]
    shards = list_shards(config.input.path, known)
    schema = check_input(spec, shards, known)
    waves = run.plan_waves(shards, config.output.rows_per_wave, config.input.on_change, freeze=False)
    return Work(fit_budget(spec), run, shards, waves, schema)


def draw(work: Work, size: int, seed: int) -> pa.Table:
    """Documents from some places of the input, each a few in a row: cheap to read, and spread.

    Returns:
        At most `size` rows, with what `source.read_rows` gives of each.
    """
    shards = [shard for wave in work.waves for shard in wave.shards]
    rng = random.Random(seed)  # noqa: S311  # a sample, no secret
    spots = rng.choices(shards, weights=[shard.rows for shard in shards], k=_SPOTS) if shards else []
    each = -(-size // _SPOTS)
    begins: dict[int, set[int]] = {}
    tables: list[pa.Table] = []
    for shard in spots:
        if sum(table.num_rows for table in tables) >= size:
            break
        begin = rng.randrange(max(1, shard.shard.rows - each + 1))
        if begin not in begins.setdefault(shard.ordinal, set()):
            begins[shard.ordinal].add(begin)
            tables += _read(work, shard, begin, begin + each)
    return pa.concat_tables(tables).slice(0, size) if tables else pa.table({TEXT: pa.array([], pa.large_string())})


def _read(work: Work, shard: NumberedShard, first: int, stop: int) -> list[pa.Table]:
    whole = NumberedShard(shard.ordinal, shard.shard)
    return list(read_rows(whole, first, min(stop, shard.shard.rows), columns_of(work.spec), work.schema))


def annotate_apart(config: AnnotateConfig, documents: pa.Table, folder: Path, *, keep_all: bool = False) -> Summary:
    """Annotates documents by one engine, into the run directory `folder/run`.

    Args:
        config: the job's.
        documents: what `draw` gave.
        folder: an empty one.
        keep_all: also keep texts, prompts and answers.
    """
    columns = {config.input.text: documents[TEXT], DOC_ID: documents[DOC_ID]}
    if LABELS in documents.column_names:
        columns[str(config.labels).removeprefix("column:")] = documents[LABELS]
    pq.write_table(pa.table(columns), folder / "sample.parquet")
    output = {"path": str(folder / "run")} | ({"completions": True, "prompts": True} if keep_all else {})
    changes = {
        "input": config.input.model_copy(update={"path": str(folder / "sample.parquet"), "id": DOC_ID, "keep": []}),
        "output": config.output.model_copy(update=output),
        "resources": config.resources.model_copy(update={"replicas": 1, "max_replicas": 1}),
    }
    return annotate(config.model_copy(update=changes))
