"""Index a pool of annotated examples, for retrieval into prompts.

The pool is Parquet or JSON Lines with the columns `text` and `entities` (text, label, and start and end where known).
Entities that are not found in their text are listed in the index's reject file, each with the reason.

For example:

    ner-ray index index/bm25 'pool=[pool.parquet]' output=indexes/pool

    ner-ray annotate annotate/ra_it demonstrations.index=indexes/pool input.path=corpus/ output.path=runs/news
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.config import IndexConfig
from ner_ray.errors import EXIT_DONE

if TYPE_CHECKING:
    from ner_ray.retrieval import IndexReport

Config = IndexConfig


@dataclass(frozen=True, slots=True)
class Result:
    """What was indexed."""

    report: IndexReport
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return asdict(self.report)


def run(config: IndexConfig) -> Result:
    """Builds the index; raises what `ner_ray.retrieval.build_index` raises."""
    from ner_ray.pipeline.index import index

    return Result(index(config))


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())
