"""Estimates what a run will do and cost, from the input's footers and a sample of its documents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ner_ray.annotator.annotator import Annotator
from ner_ray.annotator.budget import token_counter
from ner_ray.annotator.rows import labels_of
from ner_ray.annotator.spec import Spec
from ner_ray.config import AnnotateConfig
from ner_ray.engines import base as engines
from ner_ray.pipeline.preflight import prepare
from ner_ray.pipeline.sample import ask, draw
from ner_ray.schema import TEXT, Row
from ner_ray.text.chunks import split
from ner_ray.types import StepInput


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is left to do, and what it will cost.

    Attributes:
        run: the run directory.
        waves: number of waves to be run.
        shards: number of input files in them.
        rows: number of documents in them.
        quarantined: input files that cannot be read, with the reason.
        sampled: number of documents from which the figures below are estimated.
        chunks: estimated number for all rows.
        prompt_tokens: estimated for all rows, of the first role; None if the model's tokenizer is not available here.
        output_tokens: estimated for all rows and roles; None unless measured.
        engine_seconds: estimated time of one engine for all rows, without its start; None unless measured.
        gpu_seconds: the same, times the GPUs per engine; None unless measured, or without GPUs.
    """

    run: str
    waves: int
    shards: int
    rows: int
    quarantined: dict[str, str]
    sampled: int
    chunks: int
    prompt_tokens: int | None
    output_tokens: int | None = None
    engine_seconds: float | None = None
    gpu_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def forecast(config: AnnotateConfig, sample: int = 256, *, measure: bool = False, seed: int = 0) -> Forecast:
    """Estimates what `annotate` would do now; writes nothing.

    Args:
        config: as for `annotate`.
        sample: number of documents to look at.
        measure: also annotate the sample with the configured engine, in this process, to estimate output tokens and
            seconds.
        seed: of the random sample.

    Raises:
        NerRayError: as `annotate` does.
    """
    job = prepare(config)
    waves = job.run.plan_waves(job.listing, config.output.rows_per_wave, config.input.on_change, freeze=False)
    total = sum(wave.rows for wave in waves)
    rows = draw(job, waves, sample, seed).to_pylist()
    scale = total / max(1, len(rows))
    chunks, prompt_tokens = _count(job.spec, rows)
    counted = Forecast(
        run=job.run.uri,
        waves=len(waves),
        shards=sum(len(wave.shards) for wave in waves),
        rows=total,
        quarantined=job.listing.quarantined,
        sampled=len(rows),
        chunks=round(chunks * scale),
        prompt_tokens=None if prompt_tokens is None else round(prompt_tokens * scale),
    )
    return _measured(counted, config, rows, scale) if measure and rows and job.spec.pools else counted


def _count(spec: Spec, rows: Sequence[Row]) -> tuple[int, int | None]:
    """The numbers of chunks and of tokens in the first role's prompts; None without a tokenizer."""
    if not spec.pools:
        return 0, 0
    engine = spec.pools[0].engine
    count = engines.load(engine.name).prompt_counter(engine)
    chunks = tokens = 0
    for row in rows:
        for chunk in split(row[TEXT], token_counter(spec), spec.budget, spec.config.chunk.shared):
            chunks += 1
            prompts = spec.steps[0].ask(StepInput(row[TEXT][chunk.start : chunk.end], labels_of(spec, row)), ())
            tokens += sum(map(count, prompts)) if count else 0
    return chunks, tokens if count else None


def _measured(counted: Forecast, config: AnnotateConfig, rows: Sequence[Row], scale: float) -> Forecast:
    with Annotator(config) as annotator:
        began = time.perf_counter()
        asked = [ask(annotator, row) for row in rows]
        tokens = sum(annotation.result().usage.output_tokens for annotation in asked)
        seconds = time.perf_counter() - began
    each = 0.0 if config.resources.gpus == "auto" else config.resources.gpus
    gpus = each * config.resources.tensor_parallel
    return replace(
        counted,
        output_tokens=round(tokens * scale),
        engine_seconds=seconds * scale,
        gpu_seconds=seconds * scale * gpus if gpus else None,
    )
