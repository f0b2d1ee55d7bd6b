"""What `ner-ray evaluate` does: evaluate files, write the reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ner_ray.evaluate import report
from ner_ray.evaluate.config import EvaluateConfig
from ner_ray.evaluate.run import Evaluation, evaluate
from ner_ray.storage import put_text


def evaluate_files(
    gold: str,
    *,
    predictions: str | None = None,
    config: EvaluateConfig | None = None,
    json_path: str | None = None,
    html_path: str | None = None,
    title: str = "Evaluation",
) -> Evaluation:
    """The figures of predictions against gold, written to the files that are named.

    Args:
        gold: JSONL (gzip too), Parquet or a folder of Parquet, a path or a URI: text and annotated entities.
        predictions: where the predictions or raw answers are, joined by id; None if they stand beside the
            gold.
        config: what to compare, and how; the default compares column `entities` with column `gold`.
        json_path: where to put the figures for programs.
        html_path: where to put the report for people.
        title: of the report.

    Raises:
        InputError: the files are not what the config says.
        ConfigError: the config names no such scorer or family.
    """
    evaluation = evaluate(gold, config or EvaluateConfig(), predictions)
    write(evaluation, json_path=json_path, html_path=html_path, title=title)
    return evaluation


def write(evaluation: Evaluation, *, json_path: str | None, html_path: str | None, title: str = "Evaluation") -> None:
    """Writes the reports that have a path; for an evaluation whose sums came from a cluster."""
    if json_path:
        put_text(json_path, _json(report.to_dict(evaluation)))
    if html_path:
        put_text(html_path, report.html(evaluation, title))


def _json(figures: Mapping[str, Any]) -> str:
    return json.dumps(figures, ensure_ascii=False, indent=1) + "\n"
