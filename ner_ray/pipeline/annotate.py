"""The main job: a configuration in, an annotated corpus out."""

from __future__ import annotations

import gc
import logging
import re
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pyarrow.compute as pc
import ray

from ner_ray.config import AnnotateConfig
from ner_ray.errors import ErrorCode, RunError, StoppedError
from ner_ray.pipeline.books import ask_book
from ner_ray.pipeline.cluster import check_resources, connect
from ner_ray.pipeline.commits import Commits
from ner_ray.pipeline.graph import run_waves
from ner_ray.pipeline.metrics import CODE
from ner_ray.pipeline.preflight import Job, prepare
from ner_ray.pipeline.progress import Counts, Progress, start_scoreboard
from ner_ray.pipeline.record import now, record_of
from ner_ray.pipeline.summary import Summary, summarize
from ner_ray.pipeline.suspects import start_suspects
from ner_ray.schema import ROW_ID
from ner_ray.signatures import masked
from ner_ray.store.lease import Lease
from ner_ray.store.run import RunDirectory
from ner_ray.store.wave_files import Layout
from ner_ray.store.waves import Ids, Wave

_LOG = logging.getLogger(__name__)

_RESUMED_TOGETHER = 16
_SETTLE_SECONDS = 0.2
_SETTLE_ROUNDS = 25
_ASK_SECONDS = 60.0
_RAISED = re.compile(r"(?!ray\.|UserCodeException)[A-Za-z_][\w.]*(?:Error|Exception): \S")
_PASSING = ("answered", "in_flight", "planned")  # counts that show progress, not results


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
    return job.run.plan_waves(job.listing, config.output.rows_per_wave, config.input.on_change)


def retry(uri: str, codes: Sequence[str], paths: Sequence[str] = ()) -> Summary:
    """Annotates a run's committed documents with certain error codes again; if waves are open, resumes those instead.

    The new rows replace the earlier ones in one step, once all of them are written. The configuration is the run's own.

    Args:
        uri: the run directory.
        codes: such as `poison`, `unparsable`; empty for all codes.
        paths: where the input is now, as in `input.path`; empty if it is where it was.

    Raises:
        RunError: there is no run, or no committed document has such an error.
    """
    run = RunDirectory(uri)
    record = run.record()
    if not record:
        raise RunError(f"there is no run in {uri}")
    config = AnnotateConfig.model_validate(record["config"])
    output = config.output.model_copy(update={"path": uri})  # the run may have been moved
    input_ = config.input.model_copy(update={"path": list(paths)} if paths else {})
    job = prepare(config.model_copy(update={"input": input_, "output": output}))
    with Lease(run.store, run.path) as lease:
        waves = _plan(job) if run.open_waves() else [run.plan_retry(_to_retry(run, codes), job.listing)]
        return _run(job, lease, waves)


def _run(job: Job, lease: Lease, waves: list[Wave]) -> Summary:
    config, run = job.spec.config, job.run
    if not waves:
        _LOG.info("nothing new at %s; nothing is left to annotate in %s", masked(str(config.input.path)), run.uri)
        return summarize(job, {}, waves)
    connect()
    check_resources(job.spec)
    run.write_record({**run.record(), **record_of(job), "inputs": job.listing.size})
    totals = _run_waves(job, lease, waves)
    summary = summarize(job, totals, waves)
    run.write_record({**run.record(), "finished": now(), "last": summary.to_dict()})
    return summary


def _run_waves(job: Job, lease: Lease, waves: list[Wave]) -> dict[str, float]:
    """Annotates and commits waves; returns what was counted meanwhile.

    Raises:
        StoppedError: a wave cannot be completed.
    """
    scoreboard = start_scoreboard(masked(job.run.uri))
    output = job.spec.config.output
    layout = Layout(output.min_rows_per_file, output.max_rows_per_file, output.row_group_rows)
    with ThreadPoolExecutor(_RESUMED_TOGETHER) as threads:
        left = list(threads.map(job.run.resume, waves))
    total, to_do = (sum(wave.rows for wave in some) for some in (waves, left))
    Counts(scoreboard).add(planned=to_do)
    with Progress(scoreboard, total, total - to_do), Commits(job.run, lease, waves, left, layout) as commits:
        commits.begin()
        suspects = start_suspects(_convicts(job.run, waves)) if job.spec.pools and to_do else None
        for wave, rows in _annotated(job, [wave for wave in left if wave.rows], scoreboard, suspects):
            is_last = rows == to_do
            to_do -= rows
            commits.written(wave, rows, partial(_settled if is_last else _totals, scoreboard))
        commits.finish()
        if commits.open:
            raise _incomplete(commits.open.values(), _left_open(scoreboard))
    return _settled(scoreboard)


def _incomplete(waves: Iterable[Wave], left_open: Mapping[int, str]) -> StoppedError:
    """The error for waves that are not complete, although the execution has ended."""
    reasons: list[str] = []
    for wave in waves:
        known = (left_open[numbered.ordinal] for numbered in wave.shards if numbered.ordinal in left_open)
        reasons.append(next(known, f"rows of wave {wave.number} have been lost on the way"))
        _LOG.warning("wave.left_open wave=%d reason=%s", wave.number, reasons[-1])
    return StoppedError(
        f"{reasons[0]} ({len(reasons)} open waves)",
        hint="everything else is committed: run the same command again, and it goes on without files that are gone",
    )


def _annotated(
    job: Job,
    left: list[Wave],
    scoreboard: Any,
    suspects: Any,  # Ray's handles of actors
) -> Iterator[tuple[int, int]]:
    """Annotates the rows that are left; for each file written, the number of its wave and of its rows.

    Raises:
        StoppedError: the execution has failed.
    """
    if not left:
        return
    try:
        yield from run_waves(job.spec, job.run, left, job.schema, scoreboard, suspects)
    except ray.exceptions.RayError as error:
        reason = _reason(error, suspects)
        traceback.clear_frames(error.__traceback__)
    else:
        return
    gc.collect()  # Ray ends the engines of a failed execution once nothing refers to them; its frames did, in cycles
    raise StoppedError(
        f"the run stopped: {reason}",
        hint="everything written so far is kept: fix the cause, then run the same command again",
    )


def _reason(error: Exception, suspects: Any) -> str:  # Ray's handle of the actor
    """Why a wave stopped: the engine's own words, or the last line of what Ray says."""
    with suppress(ray.exceptions.RayError):
        if suspects is not None and (reason := ray.get(suspects.reason.remote(), timeout=_ASK_SECONDS)):
            return str(reason)
    cause = getattr(error, "cause", None) or error
    lines = f"{error}\n{cause}".strip().splitlines()
    if raised := next((line for line in reversed(lines) if _RAISED.match(line)), None):  # Ray's advice comes after it
        return raised
    last = lines[-1:] or [type(cause).__name__]
    return f"{type(cause).__name__}: {last[0]}"


def _to_retry(run: RunDirectory, codes: Sequence[str]) -> Ids:
    """The ids of committed rows with an error of one of the codes, or with any error if there are no codes.

    Raises:
        RunError: there are none.
    """
    if not (ids := _failed(run, codes)).size:
        raise RunError(
            f"no committed document of {run.uri} has such an error",
            hint="`ner-ray status` lists the codes that occur",
        )
    return ids


def _convicts(run: RunDirectory, waves: Sequence[Wave]) -> list[int]:
    """The ids of documents at each of which an engine has died, if the waves, as planned, retry some."""
    is_retry = any(numbered.chosen is not None for wave in waves for numbered in wave.shards)
    return _failed(run, [ErrorCode.POISON]).tolist() if is_retry else []


def _failed(run: RunDirectory, codes: Sequence[str]) -> Ids:
    """As `_to_retry`, but there may be none."""
    chosen = set(codes)
    ids: list[int] = []
    for batch in run.dataset_with_errors(chosen).to_batches(columns=[ROW_ID, "errors"]):
        with_errors = batch.filter(pc.greater(pc.list_value_length(batch["errors"]), 0))
        ids += [
            row_id
            for row_id, errors in zip(with_errors[ROW_ID].to_pylist(), with_errors["errors"].to_pylist(), strict=True)
            if any(not chosen or error["code"] in chosen for error in errors)
        ]
    return np.array(ids, np.int64)


def _left_open(scoreboard: Any) -> dict[int, str]:  # Ray's handle of the actor
    reasons: dict[int, str] = ask_book(scoreboard.left_open.remote()) or {}
    return reasons


def _totals(scoreboard: Any) -> dict[str, float]:  # Ray's handle of the actor
    totals: dict[str, float] = ask_book(scoreboard.totals.remote()) or {}
    return {name: value for name, value in totals.items() if name not in _PASSING and not name.startswith(CODE)}


def _settled(scoreboard: Any) -> dict[str, float]:  # Ray's handle of the actor
    """The totals once they no longer change: the counts of stages arrive shortly after the stages have ended."""
    totals: dict[str, float] = {}
    for _ in range(_SETTLE_ROUNDS):
        before, totals = totals, _totals(scoreboard)
        if totals.get("documents") and totals == before:
            break
        time.sleep(_SETTLE_SECONDS)
    return totals
