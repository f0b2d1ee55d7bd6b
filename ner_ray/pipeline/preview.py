"""Shows for a few documents what the model is asked, what it answers, and what is read from that."""

from __future__ import annotations

import tempfile
from typing import Any

from ner_ray import schema
from ner_ray.annotator.annotator import Annotator
from ner_ray.annotator.result import AnnotatedDocument
from ner_ray.config import AnnotateConfig
from ner_ray.errors import ConfigError, InputError
from ner_ray.pipeline.preflight import prepare
from ner_ray.pipeline.sample import ask, draw
from ner_ray.schema import DOC_ID, KEPT_CHUNKS, KEPT_EXCHANGES, KEPT_TEXT, ROW_ID, Row
from ner_ray.storage import join


def preview(config: AnnotateConfig, documents: int = 3, seed: int = 0, characters: int = 2000) -> list[dict[str, Any]]:
    """Annotates documents from all over the input, in this process; keeps nothing.

    Args:
        config: as for the job; the contents of its run directory make no difference.
        documents: maximum number of documents.
        seed: of the random sample.
        characters: maximum length of a text; the rest is cut off.

    Returns:
        Rows of the job's output with `text`, `chunks` and `exchanges`, including prompts, in the order of the input.

    Raises:
        NerRayError: as `annotate` does.
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = config.output.model_copy(update={"path": join(folder, "nothing-yet")})
        job = prepare(config.model_copy(update={"output": fresh}))
        waves = job.run.plan_waves(job.listing, config.output.rows_per_wave, freeze=False)
    if not job.spec.pools:
        raise ConfigError("replay asks no model", hint="set replay=false for the preview")
    rows = draw(job, waves, documents, seed).to_pylist()
    if not rows:
        raise InputError("the input has no documents")
    with Annotator(config) as annotator:
        asked = [ask(annotator, row, characters) for row in rows]
        return [_output(row, annotation.result()) for row, annotation in zip(rows, asked, strict=True)]


def _output(row: Row, annotated: AnnotatedDocument) -> Row:
    return {
        ROW_ID: row[ROW_ID],
        DOC_ID: row[DOC_ID],
        KEPT_TEXT: annotated.text,
        **schema.annotation_to_row(annotated),
        KEPT_CHUNKS: [schema.chunk_to_row(chunk) for chunk in annotated.chunks],
        KEPT_EXCHANGES: annotated.exchanges(),
    }
