"""One driver per run: a heartbeat lease that does not rely on synchronised clocks.

`lease.json` names its holder, and has a number that grows with each heartbeat. A driver that finds one watches it by
its own clock: if the number does not change for three periods, the holder is dead. On the holder's own machine, a
process that no longer exists is immediate proof.

Where the store can write an object only if it is as expected (`ner_ray.storage.conditional`), of two drivers that take
over at the same moment one is refused. Elsewhere both write; after a pause both read, and the one that was overwritten
gives up. A holder so slow that it is taken for dead finds another driver's name at its next heartbeat, or at the latest
before it commits, and stops.
"""

from __future__ import annotations

import json
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
from ner_ray.storage import get_json, is_local, join, put_atomically
from ner_ray.storage.conditional import ConditionalObject, ConditionFailedError, conditional_object

_LOG = logging.getLogger(__name__)

_PERIOD_SECONDS = 10.0
_PATIENCE = 3  # periods without a heartbeat
_REMOTE_PAUSE_SECONDS = 2.0  # longer than it takes until a written object is seen
_LOCAL_PAUSE_SECONDS = 0.05
_LAST_BEAT_SECONDS = 60.0  # for a heartbeat that is being written while the run ends


class Lease:
    """The right to write to a run directory; a context manager.

    Args:
        store: the filesystem that holds the run directory.
        folder: the path of the run directory there.
        period: seconds between heartbeats.
    """

    def __init__(self, store: fs.FileSystem, folder: str, period: float = _PERIOD_SECONDS) -> None:
        self._store = store
        self._path = join(folder, "lease.json")
        self._period = period
        self._beats = 0
        self._me = {"holder": uuid.uuid4().hex, **_this_process()}
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._object: ConditionalObject | None = None
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        """Takes the lease; waits first to see whether the holder of an existing one is alive.

        Raises:
            LeaseError: another driver holds it.
        """
        self._object = self._seen_object()
        lease = self._read()
        if lease and not _is_gone(lease):
            self._watch(lease)
        self._take()
        self._check()
        self._thread.start()
        return self

    def _seen_object(self) -> ConditionalObject | None:
        """The lease as an object that is written only if nobody else writes it from now on, where there is such."""
        seen = conditional_object(self._store, self._path)
        try:
            if seen:
                seen.see()
        except OSError as error:
            _LOG.info("lease.unconditional path=%s error=%s", self._path, error)
            return None
        return seen

    def _take(self) -> None:
        if self._object:
            try:
                self._beat()
                if self._object.is_honoured(self._content()):
                    return
                _LOG.info("lease.unconditional path=%s; the store ignores conditions of writes", self._path)
            except OSError as error:
                _LOG.info("lease.unconditional path=%s error=%s", self._path, error)
            self._object = None
        self._beat()
        time.sleep(_LOCAL_PAUSE_SECONDS if is_local(self._store) else _REMOTE_PAUSE_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_LAST_BEAT_SECONDS)
        if self._thread.is_alive():  # if it were deleted now, the pending heartbeat would write it again
            _LOG.warning("lease.left_behind path=%s; the store does not respond", self._path)
        elif not self._lost.is_set() and self._is_mine(self._read()):
            self._store.delete_file(self._path)

    def check(self) -> None:
        """Makes sure that the lease is still held; to be called before anything is made visible.

        Raises:
            LeaseError: another driver has taken it.
        """
        if self._lost.is_set():
            raise _lost(None)
        self._check()

    def _check(self) -> None:
        lease = self._read()
        if not self._is_mine(lease):
            self._lost.set()
            raise _lost(lease)

    def _watch(self, lease: dict[str, Any]) -> None:
        until = time.monotonic() + _PATIENCE * lease.get("period", self._period)
        _LOG.info("lease.found holder=%s; waiting up to %.0f s for a heartbeat", _name(lease), until - time.monotonic())
        while time.monotonic() < until:
            time.sleep(min(1.0, self._period / 2))
            now = self._read()
            if now is None:
                return
            if (now["holder"], now["beat"]) != (lease["holder"], lease["beat"]):
                raise LeaseError(
                    f"another driver is writing to the run: {_name(now)}",
                    hint="let it finish, or stop it and try again",
                )
        _LOG.warning("lease.taken_over from=%s", _name(lease))

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
        if not self._object:
            put_atomically(self._store, self._path, self._content())
            return
        try:
            self._object.put(self._content())
        except ConditionFailedError:
            self._object.see()
            self._check()  # an attempt whose reply was lost may have succeeded: then the lease is still this driver's

    def _content(self) -> bytes:
        return json.dumps({**self._me, "beat": self._beats, "period": self._period}, indent=1).encode()

    def _read(self) -> dict[str, Any] | None:
        lease: dict[str, Any] | None = get_json(self._store, self._path)
        return lease

    def _is_mine(self, lease: dict[str, Any] | None) -> bool:
        return lease is not None and lease["holder"] == self._me["holder"]


def holder_of(store: fs.FileSystem, folder: str) -> str | None:
    """The holder of a run's lease, for display; None if there is none, or if it is known to be dead."""
    lease = get_json(store, join(folder, "lease.json"))
    return None if lease is None or _is_gone(lease) else _name(lease)


def _this_process() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": _boot(), "pid": pid, "started": psutil.Process(pid).create_time()}


def _boot() -> str:
    """An id of this boot: tells machines with the same name apart, and a machine from itself before a restart."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex


def _is_gone(lease: dict[str, Any]) -> bool:
    """Whether the holder is known to be dead: a process of this machine that no longer exists."""
    if (lease.get("host"), lease.get("boot")) != (socket.gethostname(), _boot()):
        return False
    try:
        process = psutil.Process(lease["pid"])
        return bool(process.create_time() != lease["started"] or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _name(lease: dict[str, Any]) -> str:
    return f"{lease['host']}, process {lease['pid']}"


def _lost(lease: dict[str, Any] | None) -> LeaseError:
    by = f" by {_name(lease)}" if lease else ""
    return LeaseError(f"the run was taken over{by}", hint="the other driver finishes what this one had not committed")
