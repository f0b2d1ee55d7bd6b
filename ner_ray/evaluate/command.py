"""What `ner-ray evaluate` does: score files, write the reports."""

from __future__ import annotations

import json

from ner_ray.errors import InputError
from ner_ray.evaluate import reliability, report
from ner_ray.evaluate.config import EvaluateConfig
from ner_ray.evaluate.run import Evaluation, evaluate
from ner_ray.storage import put_text


def evaluate_files(config: EvaluateConfig) -> Evaluation:
    """Scores predictions against gold in this process, and writes the reports that the configuration names.

    Raises:
        InputError: the files are not what the configuration says.
        ConfigError: no such scorer or family.
    """
    evaluation = evaluate(config.gold, config, config.predictions)
    write_reports(evaluation, config)
    return evaluation


def write_reports(evaluation: Evaluation, config: EvaluateConfig) -> None:
    """Writes the figures, the page and the calibration, each where the configuration names a file for it.

    Raises:
        InputError: a calibration is asked for, and no predicted entity has a score.
    """
    if config.json_out:
        figures = json.dumps(report.to_dict(evaluation), ensure_ascii=False, indent=1)
        put_text(config.json_out, figures + "\n")
    if config.html_out:
        put_text(config.html_out, report.html(evaluation, config.title))
    if config.calibration_out:
        fitted = reliability.fit(evaluation.reliability)
        if fitted is None:
            raise InputError("no predicted entity has a score, so there is nothing to calibrate")
        fitted.save(config.calibration_out)
