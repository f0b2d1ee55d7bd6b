"""Score predictions against gold annotations: span scores with confidence intervals, and the papers' own scorers.

The predictions are a file, a run directory, or a column beside the gold. Raw answers of a model are parsed by their
model family first, without a GPU. Each score names the scorer that computed it.

For example:

    ner-ray evaluate gold=gold.parquet predictions=runs/news

    ner-ray evaluate gold=answers.jsonl columns.answers=raw family.name=gner 'scorers=[gner]'
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.errors import EXIT_DONE
from ner_ray.evaluate.config import EvaluateConfig

if TYPE_CHECKING:
    from ner_ray.evaluate.run import Evaluation

_WIDTH = 120  # columns, where the output is not a terminal

Config = EvaluateConfig


@dataclass(frozen=True, slots=True)
class Result:
    """The figures."""

    evaluation: Evaluation
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        from ner_ray.evaluate import report

        return report.to_dict(self.evaluation)


def run(config: EvaluateConfig) -> Result:
    """Scores, and writes the reports that are asked for.

    Raises:
        InputError: the files are not what the configuration says.
        ConfigError: there is no such scorer or family.
    """
    from ner_ray.pipeline.evaluate import evaluate

    return Result(evaluate(config))


def show(result: Result) -> str:
    """Tables of scores, labels and counts."""
    from ner_ray.commands import _tables
    from ner_ray.evaluate import report

    width = shutil.get_terminal_size((_WIDTH, 0)).columns
    return "\n".join(_tables.text(table, width) for table in report.tables(result.evaluation))
