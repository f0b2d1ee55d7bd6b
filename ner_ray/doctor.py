"""Can this machine run jobs: what is installed, what would fail, what would be slow; each with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement

_PACKAGE = "ner-ray"
_PROBE_SECONDS = 120
_GIB = 1024**3
_LEAST_SHARED_MEMORY = 1.1 * _GIB  # a local cluster's object store, and some
_MOST_DISK_PERCENT = 95.0  # Ray writes no more to a disk that is fuller
_NOT_OF_TORCH_FOR_CPUS = ("torchvision", "torchaudio", "torchcodec")

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


class State(StrEnum):
    """How good a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` says what to do where it is not well."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """All findings, one by one: those that load a library or join a cluster take seconds."""
    yield Finding("python", State.OK, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield _packages()
    yield _extras()
    yield _engine()
    yield _shared_memory()
    yield _disk()
    yield _cluster()


def _packages() -> Finding:
    """Whether what the project needs at least is there, in versions that fit."""
    needed = [one for one in map(Requirement, requires(_PACKAGE) or ()) if _is_for(one, "")]
    if wrong := {one: problem for one in needed if (problem := _misfit(one))}:
        remedy = " ".join(["pip install", *(f"'{str(one).partition(';')[0]}'" for one in wrong)])
        return Finding("packages", State.ERROR, "; ".join(wrong.values()), remedy)
    return Finding("packages", State.OK, f"{_PACKAGE} {version(_PACKAGE)}, ray {version('ray')}")


def _extras() -> Finding:
    every = [Requirement(line) for line in requires(_PACKAGE) or ()]
    extras = metadata(_PACKAGE).get_all("Provides-Extra") or []
    whole = [name for name in extras if not any(_misfit(one) for one in every if _is_for(one, name))]
    rest = ", ".join(name for name in extras if name not in whole)
    return Finding("extras", State.OK, f"there: {', '.join(whole) or 'none'}" + (f"; not: {rest}" if rest else ""))


def _is_for(requirement: Requirement, extra: str) -> bool:
    """Whether an extra asks for it, or the project itself where `extra` is empty."""
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
    code, told = _probe(_ENGINE)
    if code == 0:
        return Finding("engine", State.OK, told)
    if "No module named 'vllm'" in told:
        remedy = "pip install 'ner-ray[gpu]', or 'ner-ray[cpu]' where there is no GPU"
        return Finding("engine", State.WARNING, "vLLM is not installed", remedy)
    present = [name for name in _NOT_OF_TORCH_FOR_CPUS if not _misfit(Requirement(name))]
    breaks = "+cpu" in version("torch") and present
    return Finding("engine", State.ERROR, told, f"pip uninstall {' '.join(present)}" if breaks else "")


def _shared_memory() -> Finding:
    memory = f"{psutil.virtual_memory().total / _GIB:.0f} GiB"
    shared = Path("/dev/shm")  # noqa: S108  # where Ray keeps its objects
    if not shared.is_dir():
        return Finding("memory", State.OK, memory)
    size = shutil.disk_usage(shared).total
    found = f"{memory}, {size / _GIB:.1f} GiB of it shared"
    if size < _LEAST_SHARED_MEMORY:
        return Finding("memory", State.WARNING, f"{found}: Ray keeps objects on disk", "docker run --shm-size=2g ...")
    return Finding("memory", State.OK, found)


def _disk() -> Finding:
    folder = os.environ.get("RAY_TMPDIR", tempfile.gettempdir())
    usage = psutil.disk_usage(folder)
    found = f"{usage.free / _GIB:.0f} GiB free at {folder}"
    if usage.percent > _MOST_DISK_PERCENT:
        return Finding(
            "disk", State.ERROR, f"{found}, {usage.percent:.0f}% full: Ray writes nothing there", "make room"
        )
    return Finding("disk", State.OK, found)


def _cluster() -> Finding:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return Finding("cluster", State.OK, "none named; jobs start one on this machine")
    code, told = _probe(_CLUSTER)
    if code == 0:
        return Finding("cluster", State.OK, f"{address}: {told}")
    return Finding("cluster", State.ERROR, told, "start it, or unset RAY_ADDRESS for a local one")


def _probe(code: str) -> tuple[int, str]:
    """Exit status and last line of a Python process of its own: what breaks there breaks nothing here."""
    try:
        done = subprocess.run(  # noqa: S603  # our own code
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer in {_PROBE_SECONDS} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode, lines[-1] if lines else f"ended with status {done.returncode}"
