"""The retrieval stage: every chunk gets its demonstrations, in the stream, before generation."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache
from itertools import islice

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator.spec import Spec
from ner_ray.config import DemonstrationsConfig
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.stages import prompt_tokens
from ner_ray.retrieval import Measure, Selector, estimate_tokens, open_selector, select
from ner_ray.schema import CHUNKS, DEMONSTRATIONS, TEXT
from ner_ray.types import Demonstration

_MEASURED = 100_000  # examples whose lengths a worker keeps


class RetrieveStage:
    """Looks up all chunks of a table at once; the index is opened once a worker process, and shared by a node."""

    def __init__(self, spec: Spec, config: DemonstrationsConfig, counts: Counts) -> None:
        self._spec = spec
        self._config = config.model_copy(update={"token_budget": spec.demonstration_tokens}).model_dump_json()
        self._counts = counts

    def __call__(self, table: pa.Table) -> pa.Table:
        began = time.perf_counter()
        rows = table.select([TEXT, CHUNKS]).to_pylist()
        texts = [row[TEXT][chunk["start"] : chunk["end"]] for row in rows for chunk in row[CHUNKS]]
        chosen, counted = select(_selector(self._config), texts, _measure(self._spec))
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
    return open_selector(DemonstrationsConfig.model_validate_json(config))


_measures: dict[str, Measure] = {}  # of this worker process, by configuration


def _measure(spec: Spec) -> Measure:
    """By how many tokens an example makes the family's prompt longer; about, where labels come with the rows."""
    if not spec.labels:
        return estimate_tokens
    key = spec.config.model_dump_json()
    if key not in _measures:
        _measures[key] = _exact_measure(spec)
    return _measures[key]


def _exact_measure(spec: Spec) -> Measure:
    bare = prompt_tokens(spec)

    @lru_cache(_MEASURED)
    def longer(one: Demonstration) -> int:
        return prompt_tokens(spec, (one,)) - bare

    return lambda one: longer(replace(one, score=0.0))
