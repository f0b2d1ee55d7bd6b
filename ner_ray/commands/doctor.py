"""Check whether this machine can run jobs: packages, engine, memory, disk and cluster, each problem with its remedy.

For example:

    ner-ray doctor

Exit status: 0 jobs can run, 1 something must be fixed first.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import Requirement

from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE, EXIT_STOPPED

_LOG = logging.getLogger(__name__)

_PACKAGE = "ner-ray"
_PROBE_SECONDS = 120
_GIB = 1024**3
_MIN_SHARED_MEMORY = 1.1 * _GIB  # the object store of a local cluster, and some room
_MAX_DISK_PERCENT = 95.0  # Ray stops writing to a disk that is fuller
_BUILT_FOR_CUDA = ("torchvision", "torchaudio", "torchcodec")

_ENGINE = "from ner_ray.engines.vllm import describe; print(describe())"
_CLUSTER = """
import sys, ray
from ner_ray.errors import NerRayError
from ner_ray.pipeline.cluster import connect
try:
    connect()
except NerRayError as error:
    sys.exit(error.message)
found = ray.cluster_resources()
print(f"{len(ray.nodes())} nodes, {found.get('CPU', 0):g} CPUs, {found.get('GPU', 0):g} GPUs")
"""


class Config(Section):
    """No settings."""


class State(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `remedy` says what to do about a problem."""

    name: str
    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that was checked."""

    findings: Sequence[Finding]

    @property
    def exit_status(self) -> int:
        return EXIT_STOPPED if any(finding.state is State.ERROR for finding in self.findings) else EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {"findings": [asdict(finding) for finding in self.findings]}


def run(config: Config) -> Result:  # noqa: ARG001  # every command's `run` takes its configuration
    """Checks everything; the engine and a cluster take seconds each."""
    return Result(tuple(_findings()))


def show(result: Result) -> str:
    """A line per check, and one below it per remedy."""
    lines = []
    for finding in result.findings:
        lines.append(f"{finding.state.value:8} {finding.name}: {finding.found}")
        if finding.remedy:
            lines.append(f"{'':8} {finding.remedy}")
    return "\n".join([*lines, ""])


def _findings() -> Iterator[Finding]:
    checks: Sequence[Callable[[], Finding]] = (
        _python, _packages, _extras, _engine, _shared_memory, _disk, _cluster,
    )  # fmt: skip
    for check in checks:
        _LOG.info("checking %s", check.__name__.strip("_").replace("_", " "))
        yield check()


def _python() -> Finding:
    return Finding("python", State.OK, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Finding:
    """Whether the required packages are installed, in versions that fit."""
    required = [requirement for requirement in map(Requirement, requires(_PACKAGE) or ()) if _is_for(requirement, "")]
    if wrong := {requirement: problem for requirement in required if (problem := _misfit(requirement))}:
        remedy = " ".join(["pip install", *(f"'{str(requirement).partition(';')[0]}'" for requirement in wrong)])
        return Finding("packages", State.ERROR, "; ".join(wrong.values()), remedy)
    return Finding("packages", State.OK, f"{_PACKAGE} {version(_PACKAGE)}, ray {version('ray')}")


def _extras() -> Finding:
    every = [Requirement(line) for line in requires(_PACKAGE) or ()]
    extras = metadata(_PACKAGE).get_all("Provides-Extra") or []
    complete = [
        name for name in extras if not any(_misfit(requirement) for requirement in every if _is_for(requirement, name))
    ]
    rest = ", ".join(name for name in extras if name not in complete)
    found = f"installed: {', '.join(complete) or 'none'}" + (f"; not installed: {rest}" if rest else "")
    return Finding("extras", State.OK, found)


def _is_for(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement belongs to an extra, or to the package itself where `extra` is empty."""
    if requirement.marker is None:
        return not extra
    return requirement.marker.evaluate({"extra": extra}) and bool(extra) >= ("extra" in str(requirement.marker))


def _misfit(requirement: Requirement) -> str:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    fits = requirement.specifier.contains(found, prereleases=True)
    return "" if fits else f"{requirement.name} is {found}, not {requirement.specifier}"


def _engine() -> Finding:
    status, output = _probe(_ENGINE)
    if status == 0:
        return Finding("engine", State.OK, output)
    if "No module named 'vllm'" in output:
        remedy = "pip install 'ner-ray[gpu]', or 'ner-ray[cpu]' on a machine without a GPU"
        return Finding("engine", State.WARNING, "vLLM is not installed", remedy)
    present = [name for name in _BUILT_FOR_CUDA if not _misfit(Requirement(name))]
    breaks = present and not _misfit(Requirement("torch")) and "+cpu" in version("torch")
    return Finding("engine", State.ERROR, output, f"pip uninstall -y {' '.join(present)}" if breaks else "")


def _shared_memory() -> Finding:
    memory = f"{psutil.virtual_memory().total / _GIB:.0f} GiB"
    shared = Path("/dev/shm")  # noqa: S108  # where Ray keeps its objects
    if not shared.is_dir():
        return Finding("memory", State.OK, memory)
    size = shutil.disk_usage(shared).total
    found = f"{memory}, {size / _GIB:.1f} GiB of it shared"
    if size < _MIN_SHARED_MEMORY:
        return Finding("memory", State.WARNING, f"{found}: Ray keeps objects on disk", "docker run --shm-size=2g ...")
    return Finding("memory", State.OK, found)


def _disk() -> Finding:
    folder = os.environ.get("RAY_TMPDIR", tempfile.gettempdir())
    usage = psutil.disk_usage(folder)
    found = f"{usage.free / _GIB:.0f} GiB free at {folder}"
    if usage.percent > _MAX_DISK_PERCENT:
        return Finding(
            "disk", State.ERROR, f"{found}, {usage.percent:.0f}% full: Ray does not write there", "free some space"
        )
    return Finding("disk", State.OK, found)


def _cluster() -> Finding:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return Finding("cluster", State.OK, "RAY_ADDRESS is not set; jobs start a cluster on this machine")
    status, output = _probe(_CLUSTER)
    if status == 0:
        return Finding("cluster", State.OK, f"{address}: {output}")
    return Finding("cluster", State.ERROR, output, "start the cluster, or unset RAY_ADDRESS to use a local one")


def _probe(code: str) -> tuple[int, str]:
    """Exit status and last line of a separate Python process: what breaks there breaks nothing here."""
    try:
        done = subprocess.run(  # noqa: S603  # our own code
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer in {_PROBE_SECONDS} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode, lines[-1] if lines else f"ended with status {done.returncode}"
