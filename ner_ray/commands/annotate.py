"""Annotate a corpus: Parquet files in, a run directory with one row per document out.

Run the same command again to resume after a stop, or to annotate files that have been added; finished documents are
not annotated again.

For example:

    ner-ray annotate annotate/tagger input.path=corpus/ 'input.keep=[text]' output.path=runs/news

    ner-ray annotate annotate/tagger 'input.path=s3://corpus/*.parquet' output.path=s3://runs/news

    ray job submit --working-dir . -- python jobs/annotate.py my.yaml

Exit status: 0 done, 1 stopped on the way (run it again), 2 wrong configuration or input, 3 more failed or partial
documents than `max_error_rate` and `max_partial_rate` allow, 4 another driver is at work in the run directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.config import AnnotateConfig

if TYPE_CHECKING:
    from ner_ray.pipeline.summary import Summary

Config = AnnotateConfig
RESUMES = True


@dataclass(frozen=True, slots=True)
class Result:
    """What the run did."""

    summary: Summary

    @property
    def exit_status(self) -> int:
        return self.summary.exit_status

    def to_dict(self) -> dict[str, Any]:
        return self.summary.to_dict()


def run(config: AnnotateConfig) -> Result:
    """Annotates what is new in the input; raises what `ner_ray.pipeline.annotate.annotate` raises."""
    from ner_ray.pipeline.annotate import annotate

    return Result(annotate(config))


def show(result: Result) -> str:
    """Documents, entities, rates and the time of each stage."""
    from ner_ray.commands._summary import summary_table

    return summary_table(result.summary)
