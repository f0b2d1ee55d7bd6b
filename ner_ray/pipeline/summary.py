"""What a call of the job has done, and the exit status that says whether all is there that was asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ner_ray.config import AnnotateConfig
from ner_ray.errors import EXIT_DONE, EXIT_TOO_MANY_ERRORS
from ner_ray.pipeline.preflight import Job
from ner_ray.store.tally import Tally
from ner_ray.store.waves import Wave, left_out

_LOG = logging.getLogger(__name__)


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


def summarize(job: Job, totals: Mapping[str, float], waves: Sequence[Wave]) -> Summary:
    """What a call has done, and whether what was asked for is there.

    Args:
        job: the job.
        totals: the counts and busy times of its stages.
        waves: those that it has committed.
    """
    counts = {name: int(value) for name, value in totals.items() if not name.startswith("seconds_")}
    seconds = {
        name.removeprefix("seconds_"): round(value, 3) for name, value in totals.items() if name.startswith("seconds_")
    }
    if "start" in seconds:
        seconds["start"] = round(seconds["start"] / counts.get("engines", 1), 3)
    tallies = (job.run.tally(), job.run.tally({wave.number for wave in waves}))
    too_many = any(_too_many(tally, job.spec.config) for tally in tallies)
    quarantined = job.listing.quarantined
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
