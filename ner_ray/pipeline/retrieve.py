"""The retrieval stage: selects the demonstrations of each chunk, before generation."""

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
    """Looks up all chunks of a table at once. The index is opened once per worker process; a node keeps one copy."""

    def __init__(self, spec: Spec, config: DemonstrationsConfig, counts: Counts) -> None:
        self._spec = spec
        self._config = config.model_copy(update={"token_budget": spec.demonstration_tokens}).model_dump_json()
        self._counts = counts

    def __call__(self, table: pa.Table) -> pa.Table:
        began = time.perf_counter()
        rows = table.select([TEXT, CHUNKS]).to_pylist()
        texts = [row[TEXT][chunk["start"] : chunk["end"]] for row in rows for chunk in row[CHUNKS]]
        demonstrations, counts = select(selector_of(self._config), texts, measure(self._spec))
        selected = iter([[schema.demonstration_to_row(shown) for shown in per_chunk] for per_chunk in demonstrations])
        self._counts.add(
            seconds_demonstrations=time.perf_counter() - began,
            demonstrations=counts.demonstrations,
            demonstrations_held_back=counts.held_back,
            demonstrations_over_budget=counts.over_budget,
        )
        column = [list(islice(selected, len(row[CHUNKS]))) for row in rows]  # rows x chunks x demonstrations
        return schema.with_column(table, DEMONSTRATIONS, pa.list_(pa.list_(schema.DEMONSTRATION)), column)


@lru_cache(maxsize=2)
def selector_of(config: str) -> Selector:
    """The selector of a `DemonstrationsConfig`, given as JSON; opened once per worker process."""
    return open_selector(DemonstrationsConfig.model_validate_json(config))
