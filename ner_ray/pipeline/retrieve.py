"""The retrieval stage: every chunk gets its demonstrations, in the stream, before generation."""

from __future__ import annotations

import time
from functools import lru_cache
from itertools import islice

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator.budget import measure
from ner_ray.annotator.spec import Spec
from ner_ray.config import DemonstrationsConfig
from ner_ray.pipeline.progress import Counts
from ner_ray.retrieval import Selector, open_selector, select
from ner_ray.schema import CHUNKS, DEMONSTRATIONS, TEXT


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
        chosen, counted = select(selector_of(self._config), texts, measure(self._spec))
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
def selector_of(config: str) -> Selector:
    """The selector of a `DemonstrationsConfig`, given as JSON; opened once per worker process."""
    return open_selector(DemonstrationsConfig.model_validate_json(config))
