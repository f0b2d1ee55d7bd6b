"""What a run would do and cost, before it does: from the input's footers, and from a sample of its documents."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ner_ray.annotator.spec import Spec
from ner_ray.config import AnnotateConfig
from ner_ray.engines import base as engines
from ner_ray.pipeline.stages import labels_of, token_counter
from ner_ray.pipeline.trial import annotate_apart, draw, what_is_left
from ner_ray.schema import TEXT
from ner_ray.text.chunks import split
from ner_ray.types import StepInput


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is left to do.

    Attributes:
        shards: input files in waves to be run.
        rows: documents in them.
        quarantined: input files that cannot be read, with the reason.
        sampled: documents that the figures below are made from.
        chunks: expected for all rows, from the sample.
        prompt_tokens: of the first role, expected for all rows; None where the model's tokenizer is elsewhere.
        output_tokens: expected for all rows and roles; None unless measured.
        engine_seconds: that one engine would work on all rows, its start left out; None unless measured.
        gpu_seconds: the same times the GPUs of an engine; None on machines without.
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
    """What `annotate` would do now. Nothing is written to the run directory.

    Args:
        sample: documents to look at.
        measure: also annotate the sample, on the configured engine, in a folder that goes afterwards: tells output
            tokens and seconds.
        seed: of the sample.

    Raises:
        NerRayError: as `annotate` does.
    """
    work = what_is_left(config)
    rows = sum(wave.rows for wave in work.waves)
    table = draw(work, sample, seed)
    scale = rows / max(1, table.num_rows)
    chunks, prompt_tokens = _ask(work.spec, table.to_pylist())
    found = Forecast(
        run=work.run.uri,
        waves=len(work.waves),
        shards=sum(len(wave.shards) for wave in work.waves),
        rows=rows,
        quarantined={shard.uri: shard.problem for shard in work.shards if shard.problem},
        sampled=table.num_rows,
        chunks=round(chunks * scale),
        prompt_tokens=None if prompt_tokens is None else round(prompt_tokens * scale),
    )
    return _measured(found, config, table, scale) if measure and table.num_rows else found


def _ask(spec: Spec, rows: Sequence[dict[str, Any]]) -> tuple[int, int | None]:
    """Chunks, and tokens of the first role's prompts."""
    if spec.replays:
        return 0, 0
    engine = spec.pools[0].engine
    counter = token_counter(engine)
    length = engines.load(engine.name).prompt_counter(engine)
    chunks = tokens = 0
    for row in rows:
        for chunk in split(row[TEXT], counter, spec.budget, spec.config.chunk.shared):
            chunks += 1
            prompts = spec.steps[0].ask(StepInput(row[TEXT][chunk.start : chunk.end], labels_of(spec, row)), ())
            tokens += sum(map(length, prompts)) if length else 0
    return chunks, tokens if length else None


def _measured(found: Forecast, config: AnnotateConfig, table: pa.Table, scale: float) -> Forecast:
    with tempfile.TemporaryDirectory() as name:
        summary = annotate_apart(config, table, Path(name))
    seconds = summary.counts.get("documents", 0) / max(1e-9, summary.rates["documents"])
    gpus = config.resources.gpus * config.resources.tensor_parallel
    return replace(
        found,
        output_tokens=round(summary.counts.get("output_tokens", 0) * scale),
        engine_seconds=seconds * scale,
        gpu_seconds=seconds * scale * gpus if gpus else None,
    )
