"""Estimates what a run will do and cost, from the input's footers and a sample of its documents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from typing import Any

from ner_ray.annotator.annotator import Annotator
from ner_ray.annotator.budget import token_counter
from ner_ray.annotator.rows import labels_of
from ner_ray.annotator.spec import Spec
from ner_ray.config import AnnotateConfig
from ner_ray.engines import base as engine_modules
from ner_ray.pipeline.cluster import this_machine
from ner_ray.pipeline.placement import bundles
from ner_ray.pipeline.preflight import prepare
from ner_ray.pipeline.sample import ask, draw
from ner_ray.schema import TEXT, Row
from ner_ray.text.chunks import split
from ner_ray.types import StepInput

_STEADY = 0.9  # of the output tokens of a sample; the engine is full until about then
_WORK_PER_START = 9  # seconds of answering that are worth a second of starting


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
        start_seconds: time that the engines take to start; None unless measured.
        engine_seconds: estimated time of one engine per role for all rows, without its start; None unless measured.
        wall_seconds: the same with the configured number of engines, and with their start; None unless measured.
            Where roles differ in it, the smallest number counts. Commits need no time of their own, except for the last
            one.
        gpu_seconds: `engine_seconds`, times the GPUs of these engines, of which `resources.gpus=auto` takes what this
            machine has; None unless measured, or without GPUs.
        most_replicas: with more engines per role, each would spend more than a tenth of its time on starting; None
            unless measured.
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
    start_seconds: float | None = None
    engine_seconds: float | None = None
    wall_seconds: float | None = None
    gpu_seconds: float | None = None
    most_replicas: int | None = None

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
    return _measured(counted, job.spec, config, rows, scale) if measure and rows and job.spec.pools else counted


def _count(spec: Spec, rows: Sequence[Row]) -> tuple[int, int | None]:
    """The numbers of chunks and of tokens in the first role's prompts; None without a tokenizer."""
    if not spec.pools:
        return 0, 0
    engine = spec.pools[0].engine
    count = engine_modules.load(engine.name).prompt_counter(engine)
    chunks = tokens = 0
    for row in rows:
        for chunk in split(row[TEXT], token_counter(spec), spec.budget, spec.config.chunk.shared):
            chunks += 1
            prompts = spec.steps[0].ask(StepInput(row[TEXT][chunk.start : chunk.end], labels_of(spec, row)), ())
            tokens += sum(map(count, prompts)) if count else 0
    return chunks, tokens if count else None


def _measured(counted: Forecast, spec: Spec, config: AnnotateConfig, rows: Sequence[Row], scale: float) -> Forecast:
    began = time.perf_counter()
    with Annotator(config) as annotator:
        started = time.perf_counter() - began
        done = list(_answered(annotator, rows))
    seconds = lasting(done) * scale
    engines = bundles(spec, [this_machine()])  # which is where they were measured
    gpus = sum(engine.gpus for engine in engines)
    return replace(
        counted,
        output_tokens=round(sum(tokens for _, tokens in done) * scale),
        start_seconds=round(started, 3),
        engine_seconds=round(seconds, 3),
        wall_seconds=round(started + seconds / min(engine.count for engine in engines), 3),
        gpu_seconds=round(seconds * gpus, 3) if gpus else None,
        most_replicas=max(1, int(seconds / (_WORK_PER_START * started))),
    )


def _answered(annotator: Annotator, rows: Sequence[Row]) -> Iterator[tuple[float, int]]:
    """For each row as it is answered, the seconds since the beginning and its output tokens."""
    began = time.perf_counter()
    for annotation in as_completed([ask(annotator, row) for row in rows]):
        yield time.perf_counter() - began, annotation.result().usage.output_tokens


def lasting(done: Sequence[tuple[float, int]]) -> float:
    """The seconds that documents would take if many more came after them.

    While the last few answers of a sample are written, most of the engine is idle, as it is not in a long run. So the
    time is that of the first nine tenths of all tokens, and a ninth of it.

    Args:
        done: for each document, in the order in which they were answered, the seconds until then and its output tokens.

    >>> lasting([(1.0, 50), (2.0, 50), (9.0, 10)])
    2.2
    """
    total, so_far = sum(tokens for _, tokens in done), 0
    for seconds, tokens in done:
        so_far += tokens
        if so_far >= _STEADY * total and so_far:
            return seconds * total / so_far
    return max((seconds for seconds, _ in done), default=0.0)
