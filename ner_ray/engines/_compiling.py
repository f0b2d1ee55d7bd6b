"""The first engine of its kind on a node starts alone; those after it start together, with what it has compiled.

vLLM compiles a model's graphs when it starts and keeps them on disk (`VLLM_CACHE_ROOT`). Engines that start together on
an empty cache would all compile the same graphs, each with a process per CPU. So one of them takes a lock. A crash
releases it, and nobody waits for ever: an engine that has waited too long goes ahead.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_WAIT = 900.0  # seconds; large models compile for minutes
_LOOK_SECONDS = 0.2


@contextmanager
def first_alone(kind: str, longest: float = _LONGEST_WAIT) -> Iterator[None]:
    """Runs the body alone on this node until it has ended well once; after that, no one waits.

    Args:
        kind: what the body compiles; bodies of other kinds do not matter.
        longest: seconds to wait for another process that is at it.
    """
    folder = Path(tempfile.gettempdir()) / f"ner_ray-compiled-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(kind.encode()).hexdigest()[:24]
    done = folder / f"{name}.done"
    with (folder / f"{name}.lock").open("a") as lock:
        if done.exists() or not _locked(lock.fileno(), done, longest):
            yield
            return
        try:
            yield
            done.touch()
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # for child processes as well, which may have inherited it


def _locked(lock: int, done: Path, longest: float) -> bool:
    """Waits for the lock; False if it is no longer needed, or not to be had."""
    ends = time.monotonic() + longest
    while not done.exists() and time.monotonic() < ends:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_SECONDS)
        else:
            return True
    return False
