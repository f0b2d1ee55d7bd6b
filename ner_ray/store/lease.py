"""One driver a run: a lease that beats, told alive or dead without trusting anybody's clock.

`lease.json` names its holder and a number that grows with each beat. Whoever finds one watches it by a clock of its
own: a number that does not change for three periods belongs to a driver that is gone. On the machine of the holder,
a process that is no longer there is proof at once.

Two that take over at the same moment both write; after a pause both read, and the one that was overwritten leaves.
Should a holder be so slow that it is taken for dead, it finds another's name at its next beat, or at the latest
before it commits, and stops.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from pyarrow import fs

from ner_ray.errors import LeaseError
from ner_ray.storage import get_json, is_local, join, put_json

_LOG = logging.getLogger(__name__)

_PERIOD_SECONDS = 10.0
_PATIENCE = 3  # periods without a beat
_REMOTE_PAUSE_SECONDS = 2.0  # longer than a put takes to be seen
_LOCAL_PAUSE_SECONDS = 0.05
_LAST_BEAT_SECONDS = 60.0  # for a beat that is being written while the run ends


class Lease:
    """The right to write to a run directory; a context manager.

    Args:
        store: the run's.
        folder: the run directory, on the store.
        period: seconds between beats.
    """

    def __init__(self, store: fs.FileSystem, folder: str, period: float = _PERIOD_SECONDS) -> None:
        self._store = store
        self._path = join(folder, "lease.json")
        self._period = period
        self._beats = 0
        self._me = {"holder": uuid.uuid4().hex, **_this_process()}
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        """Takes the lease, waiting to see whether one that is there still beats.

        Raises:
            LeaseError: another driver holds it.
        """
        found = self._read()
        if found and not _is_gone(found):
            self._watch(found)
        self._beat()
        time.sleep(_LOCAL_PAUSE_SECONDS if is_local(self._store) else _REMOTE_PAUSE_SECONDS)
        self._check()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_LAST_BEAT_SECONDS)
        if self._thread.is_alive():  # deleted now, the lease would come back with the beat
            _LOG.warning("lease.left_behind path=%s; its store does not answer", self._path)
        elif not self._lost.is_set() and self._is_mine(self._read()):
            self._store.delete_file(self._path)

    def check(self) -> None:
        """Makes sure that the lease is still held; to be asked before anything is made visible.

        Raises:
            LeaseError: another driver has taken it.
        """
        if self._lost.is_set():
            raise _lost(None)
        self._check()

    def _check(self) -> None:
        found = self._read()
        if not self._is_mine(found):
            self._lost.set()
            raise _lost(found)

    def _watch(self, found: dict[str, Any]) -> None:
        until = time.monotonic() + _PATIENCE * found.get("period", self._period)
        _LOG.info(
            "lease.found holder=%s; waiting up to %.0f s for a sign of life", _name(found), until - time.monotonic()
        )
        while time.monotonic() < until:
            time.sleep(min(1.0, self._period / 2))
            now = self._read()
            if now is None:
                return
            if (now["holder"], now["beat"]) != (found["holder"], found["beat"]):
                raise LeaseError(
                    f"the run is being written by {_name(now)}", hint="let it finish, or stop it and try again"
                )
        _LOG.warning("lease.taken_over from=%s", _name(found))

    def _run(self) -> None:
        while not self._stop.wait(self._period):
            try:
                self._check()
                self._beat()
            except LeaseError:
                _LOG.error("lease.lost path=%s", self._path)
                return
            except OSError as error:
                _LOG.warning("lease.beat_failed error=%s", type(error).__name__)

    def _beat(self) -> None:
        self._beats += 1
        put_json(self._store, self._path, {**self._me, "beat": self._beats, "period": self._period})

    def _read(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = get_json(self._store, self._path)
        return found

    def _is_mine(self, found: dict[str, Any] | None) -> bool:
        return found is not None and found["holder"] == self._me["holder"]


def holder_of(store: fs.FileSystem, folder: str) -> str | None:
    """Who holds a run's lease, for people to read; None if nobody does, or one that is known to be gone."""
    found = get_json(store, join(folder, "lease.json"))
    return None if found is None or _is_gone(found) else _name(found)


def _this_process() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": _boot(), "pid": pid, "started": psutil.Process(pid).create_time()}


def _boot() -> str:
    """Tells machines of one name apart, and a machine before a restart from after it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex


def _is_gone(found: dict[str, Any]) -> bool:
    """Whether the holder is known to be dead: a process of this machine that is not there any more."""
    if (found.get("host"), found.get("boot")) != (socket.gethostname(), _boot()):
        return False
    try:
        process = psutil.Process(found["pid"])
        return bool(process.create_time() != found["started"] or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _name(found: dict[str, Any]) -> str:
    return f"{found['host']}, process {found['pid']}"


def _lost(found: dict[str, Any] | None) -> LeaseError:
    by = f" by {_name(found)}" if found else ""
    return LeaseError(f"the run was taken over{by}", hint="what this driver had not committed, the other one does")
