"""Show what `ner-ray annotate` would do now: files, documents and waves, with tokens and GPU-seconds from a sample.

Nothing is written to the run directory.

For example:

    ner-ray plan annotate/tagger input.path=s3://corpus/ output.path=s3://runs/news

    ner-ray plan my.yaml --measure --sample 500
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import base_of, option
from ner_ray.config import AnnotateConfig
from ner_ray.errors import EXIT_DONE

if TYPE_CHECKING:
    from ner_ray.pipeline.forecast import Forecast


class Config(AnnotateConfig):
    """A job's configuration, and how closely to look."""

    sample: int = option(256, ge=1, description="Number of documents to sample.")
    measure: bool = option(False, description="Also annotate the sample, to estimate output tokens and engine seconds.")


@dataclass(frozen=True, slots=True)
class Result:
    """What is left to do."""

    forecast: Forecast
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        """The figures that are known."""
        return {name: value for name, value in self.forecast.to_dict().items() if value is not None}


def run(config: Config) -> Result:
    """Looks at the input and at a sample of it; raises what `ner_ray.pipeline.forecast.forecast` raises."""
    from ner_ray.pipeline.forecast import forecast

    return Result(forecast(base_of(config, AnnotateConfig), config.sample, measure=config.measure))


def show(result: Result) -> str:
    """The figures, one per line."""
    from ner_ray.commands import _tables

    figures = result.to_dict()
    if not (unreadable := figures.pop("quarantined")):
        return _tables.fields(figures)
    return _tables.fields({**figures, "not_readable": unreadable})
