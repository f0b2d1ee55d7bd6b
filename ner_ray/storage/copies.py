"""Copies of remote files that all processes of a node share."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache(kind: str) -> Path:
    """The node's folder for copies of one kind: below `NER_RAY_CACHE`, by default `~/.cache/ner_ray`."""
    return Path(os.environ.get("NER_RAY_CACHE", "~/.cache/ner_ray")).expanduser() / kind


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """A folder that the first process to ask for it makes, while the others wait.

    Args:
        target: where the folder shall be.
        make: fills a new folder, which becomes `target` when it is complete.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                partial = Path(scratch) / "partial"
                partial.mkdir()
                make(partial)
                shutil.move(partial, target)
    return target
