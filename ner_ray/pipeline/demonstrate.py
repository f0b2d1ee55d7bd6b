"""The retrieval stage: every chunk gets its demonstrations, in the stream, before generation."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache
from itertools import islice

import pyarrow as pa

from ner_ray import schema
from ner_ray.config import DemosConfig
from ner_ray.demos import Measure, Selector, estimate_tokens, open_selector, select
from ner_ray.pipeline.plan import Plan
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.source import TEXT
from ner_ray.pipeline.stages import CHUNKS, DEMONSTRATIONS, prompt_tokens
from ner_ray.types import Demonstration

_MEASURED = 100_000  # examples whose lengths a worker keeps


class DemonstrateStage:
    """Looks up all chunks of a table at once; the index is opened once a worker process, and shared by a node."""

    def __init__(self, plan: Plan, config: DemosConfig, counts: Counts) -> None:
        self._plan = plan
        self._config = config.model_copy(update={"token_budget": plan.demonstration_tokens}).model_dump_json()
        self._counts = counts

    def __call__(self, table: pa.Table) -> pa.Table:
        began = time.perf_counter()
        rows = table.select([TEXT, CHUNKS]).to_pylist()
        texts = [row[TEXT][chunk["start"] : chunk["end"]] for row in rows for chunk in row[CHUNKS]]
        chosen, counted = select(_selector(self._config), texts, _measure(self._plan))
        given = iter([[schema.demonstration_to_row(one) for one in some] for some in chosen])
        self._counts.add(
            seconds_demonstrations=time.perf_counter() - began,
            demonstrations=counted.demonstrations,
            demonstrations_held_back=counted.held_back,
            demonstrations_over_budget=counted.over_budget,
        )
        column = [list(islice(given, len(row[CHUNKS]))) for row in rows]
        return schema.with_column(table, DEMONSTRATIONS, pa.list_(pa.list_(schema.DEMONSTRATION)), column)


@lru_cache(maxsize=2)
def _selector(config: str) -> Selector:
    return open_selector(DemosConfig.model_validate_json(config))


_measures: dict[str, Measure] = {}  # of this worker process, by configuration


def _measure(plan: Plan) -> Measure:
    """By how many tokens an example makes the family's prompt longer; about, where labels come with the rows."""
    if not plan.labels:
        return estimate_tokens
    key = plan.config.model_dump_json()
    if key not in _measures:
        _measures[key] = _exact_measure(plan)
    return _measures[key]


def _exact_measure(plan: Plan) -> Measure:
    bare = prompt_tokens(plan)

    @lru_cache(_MEASURED)
    def longer(one: Demonstration) -> int:
        return prompt_tokens(plan, (one,)) - bare

    return lambda one: longer(replace(one, score=0.0))
