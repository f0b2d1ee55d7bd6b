"""The third stage of synthesis: the teacher's answers are read, filtered and placed in their passages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow.dataset as pads

from ner_ray import schema
from ner_ray.pipeline.synth.ask import answers_uri
from ner_ray.pipeline.tasks import map_tasks
from ner_ray.storage import clear, join, open_store, put_json, put_table
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import NumberedShard
from ner_ray.synth import answers
from ner_ray.synth.answers import Tally
from ner_ray.synth.config import FilterOptions, SynthConfig
from ner_ray.synth.types import unify


def read_answers(config: SynthConfig) -> Tally:
    """Writes the annotated passages, a file for each file of passages."""
    store, path = open_store(config.output)
    shards = _answered(config)
    filters = _with_types(config, shards)
    put_json(store, join(path, "types.json"), dict(filters.type_map))
    clear(store, join(path, "annotated"))
    return answers.add_up(map_tasks(_annotate_shard, shards, config, filters))


def _with_types(config: SynthConfig, shards: Sequence[NumberedShard]) -> FilterOptions:
    """The filters, with one name for each type of the whole data set."""
    filters = config.filters
    if "normalize" not in filters.steps or not (config.types.unify or config.types.synonyms):
        return filters
    frequencies: Counter[str] = Counter()
    for counted in map_tasks(_count_types, shards, config):
        frequencies.update(counted)
    found = unify(frequencies, config.types.synonyms) if config.types.unify else config.types.synonyms
    return filters.model_copy(update={"type_map": {**found, **filters.type_map}})


def _answered(config: SynthConfig) -> list[NumberedShard]:
    """The files of passages that the teacher has answered, in order."""
    run = RunDirectory(answers_uri(config))
    done = run.committed()
    shards = {numbered.ordinal: numbered for wave in run.waves() if wave.number in done for numbered in wave.shards}
    return [shards[ordinal] for ordinal in sorted(shards)]


def _count_types(numbered: NumberedShard, config: SynthConfig) -> Counter[str]:
    """How often the answers to a file of passages name each type; a Ray task."""
    return answers.type_frequencies(_answer_rows(numbered, config), config.teacher.asks)


def _annotate_shard(numbered: NumberedShard, config: SynthConfig, filters: FilterOptions) -> Tally:
    """Writes the annotated passages of a file of passages; a Ray task."""
    rows = _answer_rows(numbered, config)
    table, tally = answers.read(rows, config.teacher.asks, filters, config.align)
    store, path = open_store(config.output)
    put_table(store, join(path, "annotated", numbered.shard.uri.rsplit("/", 1)[-1]), table)
    return tally


def _answer_rows(numbered: NumberedShard, config: SynthConfig) -> list[schema.Row]:
    """The answers to one file of passages in its order, whichever files they were written to."""
    first = numbered.first_row_id()
    row_id = pads.field(schema.ROW_ID)
    own = (row_id >= first) & (row_id < first + numbered.shard.rows)
    found = RunDirectory(answers_uri(config)).dataset().to_table(columns=list(answers.COLUMNS), filter=own)
    rows: list[schema.Row] = found.sort_by(schema.ROW_ID).to_pylist()
    return rows
