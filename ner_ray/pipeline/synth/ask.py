"""The second stage of synthesis: the teacher is asked about every passage, by the annotation job."""

from __future__ import annotations

from ner_ray.annotator import pools
from ner_ray.annotator.spec import resolve
from ner_ray.config import AnnotateConfig, fingerprint
from ner_ray.storage import join
from ner_ray.store.run import RunDirectory
from ner_ray.synth import answers
from ner_ray.synth.config import SynthConfig

_WHOLE = 10_000_000  # tokens per chunk: a passage is never split
_ANY_LABEL = "entity"  # the annotation job wants a label set, which an open question does not show


def questions_of(config: SynthConfig) -> AnnotateConfig:
    """The annotation job that asks the teacher."""
    teacher = config.teacher
    return AnnotateConfig.model_validate(
        {
            "input": {"path": join(config.output, "passages"), "id": "id", "keep": list(answers.KEPT)},
            "labels": teacher.labels if teacher.family else [_ANY_LABEL],
            "family": teacher.family or {"name": "instruct", **teacher.question, "outside_labels": "keep"},
            "engine": teacher.engine,
            "chunk": {"tokens": _WHOLE, "overlap": 0},
            "align": config.align.model_copy(update={"fuzzy": False}),
            "output": {
                "path": answers_uri(config),
                "completions": True,
                "rows_per_wave": teacher.rows_per_wave,
                "min_rows_per_file": teacher.rows_per_file,
            },
            "resources": teacher.resources,
            "max_error_rate": teacher.max_error_rate,
            "max_partial_rate": 1.0,  # what is there of an answer is used
        }
    )


def check_teacher(questions: AnnotateConfig) -> None:
    """Raises `ConfigError`, `ModelError` or `MissingExtraError` where the teacher cannot be asked."""
    pools.check(resolve(questions))


def is_answered(questions: AnnotateConfig) -> bool:
    """Whether this teacher has answered every question; it need not be reachable any more then."""
    run = RunDirectory(questions.output.path)
    record = run.record()
    if record.get("fingerprint") != fingerprint(questions) or "last" not in record:
        return False
    return bool(run.waves()) and not run.open_waves()


def answers_uri(config: SynthConfig) -> str:
    """The run directory with the teacher's answers."""
    return join(config.output, "answers")
