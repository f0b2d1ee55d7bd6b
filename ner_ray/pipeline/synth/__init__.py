"""The synthesis job: a raw corpus in, training data for open NER out.

    passages/      the passages that were drawn, and passages.json, written once all of them are there   `draw`
    answers/       a run directory of the annotation job, which asks the teacher                         `ask`
    types.json     which types were renamed                                                              `read`
    annotated/     passages with their entities, and what each filter removed                            `read`
    train/FORM/    training rows with their lineage, as `ner-ray train` reads them                       `form`
    llama_factory/ and ms_swift/, on request: the same rows for these trainers                           `form`
    statistics.json, filters.md, page.html, synth.json                                                   `report`

`annotate` asks the teacher, so its answers survive a kill. Everything after that is made anew by every call, from the
answers alone and in a fixed order: filters and forms can be changed without asking again.
"""

from __future__ import annotations

import time

from ner_ray.extras import require
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.cluster import connect
from ner_ray.pipeline.synth.ask import check_teacher, is_answered, questions_of
from ner_ray.pipeline.synth.draw import draw_passages
from ner_ray.pipeline.synth.form import make_forms, resolve_forms
from ner_ray.pipeline.synth.read import read_answers
from ner_ray.pipeline.synth.report import Result, make_result, write_report
from ner_ray.storage import normalized
from ner_ray.synth import corpus
from ner_ray.synth.config import SynthConfig

__all__ = ["Result", "synthesize"]


def synthesize(config: SynthConfig) -> Result:
    """Makes the training data; call it again to go on after a stop, or after a change of filters, types or forms.

    Raises:
        NerRayError: the configuration, the corpus or the teacher does not work; before the teacher is asked.
    """
    clock = _Clock()
    config = config.model_copy(update={"output": normalized(config.output)})  # tasks have other working directories
    questions = questions_of(config)
    forms = resolve_forms(config)
    _check_extras(config)
    if not is_answered(questions):
        check_teacher(questions)
    corpus.token_counter(config.passages.tokenizer)
    connect()
    drawn = draw_passages(config)
    clock.lap("passages")
    asked = None if is_answered(questions) else annotate(questions)
    clock.lap("teacher")
    tally = read_answers(config)
    clock.lap("read")
    made = make_forms(config, forms, tally.statistics.frequencies())
    clock.lap("forms")
    result = make_result(config, drawn, asked, tally, made, clock.seconds)
    write_report(config, tally, result)
    return result


def _check_extras(config: SynthConfig) -> None:
    """The optional packages that the draw of passages needs, before anything is read or written."""
    if config.passages.duplicates == "near":
        require("datasketch", extra="synth", purpose="passages.duplicates=near")
    if config.passages.languages:
        require("lingua", extra="synth", purpose="passages.languages")


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now
