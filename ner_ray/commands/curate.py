"""Merge several annotated sources into one data set: find conflicting types, unify names, balance and select rows.

Run it first without a taxonomy and read report.md; write down the names to use, then run it again.

For example:

    ner-ray curate synth/curate 'sources={news: news.parquet, web: web.jsonl}' output=curated/

    ner-ray curate synth/curate 'sources={news: news.parquet, web: web.jsonl}' taxonomy=names.yaml output=curated/
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.errors import EXIT_DONE
from ner_ray.synth.curation_files import CurateConfig

if TYPE_CHECKING:
    from ner_ray.synth.curation_files import CuratedFiles

Config = CurateConfig


@dataclass(frozen=True, slots=True)
class Result:
    """What was written."""

    files: CuratedFiles
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return asdict(self.files)


def run(config: CurateConfig) -> Result:
    """Writes the data set and its report; raises what `ner_ray.synth.curation_files.curate_files` raises."""
    from ner_ray.synth.curation_files import curate_files

    return Result(curate_files(config))


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())
