"""One driver per run, whatever the clocks say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import fs

from ner_ray.errors import EXIT_LEASED, LeaseError
from ner_ray.storage import open_store, put_json
from ner_ray.storage.conditional import ConditionalObject
from ner_ray.store.lease import Lease, holder_of

STORE = fs.LocalFileSystem()
PERIOD = 0.1
PATIENT = 2.0  # seconds; a disk that stalls for one of them is not a death


def lease(folder: Path, period: float = PERIOD) -> Lease:
    return Lease(STORE, str(folder), period=period)


def write_lease(folder: Path, **changes: object) -> None:
    """Writes the lease of a driver on another machine."""
    content = {"holder": "x", "host": "elsewhere", "boot": "?", "pid": 1, "started": 0.0, "beat": 7, "period": PERIOD}
    put_json(STORE, str(folder / "lease.json"), content | changes)


def beat(folder: Path) -> int:
    return json.loads((folder / "lease.json").read_text())["beat"]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "waited a minute in vain"
        time.sleep(PERIOD / 2)


def test_a_lease_is_there_while_it_is_held_and_gone_afterwards(tmp_path: Path) -> None:
    with lease(tmp_path) as held:
        held.check()
        assert str(os.getpid()) in holder_of(STORE, str(tmp_path))
        first = beat(tmp_path)
        wait_for(lambda: beat(tmp_path) > first)

    assert list(tmp_path.iterdir()) == []
    assert holder_of(STORE, str(tmp_path)) is None


def test_a_beat_that_is_being_written_when_the_run_ends_does_not_bring_the_lease_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = threading.Event()

    def slow_disk(_: int) -> None:
        writing.set()
        time.sleep(5 * PERIOD)

    with lease(tmp_path):
        monkeypatch.setattr(os, "fsync", slow_disk)
        writing.wait()

    assert list(tmp_path.iterdir()) == []
    time.sleep(6 * PERIOD)
    assert list(tmp_path.iterdir()) == []


def test_a_second_driver_is_kept_out_while_the_first_beats(tmp_path: Path) -> None:
    with lease(tmp_path, PATIENT) as first:
        with pytest.raises(LeaseError, match=f"process {os.getpid()}") as refused, lease(tmp_path, PATIENT):
            pass
        first.check()

    assert refused.value.exit_status == EXIT_LEASED


def test_a_lease_without_heartbeats_is_taken_over_after_some_periods(tmp_path: Path) -> None:
    write_lease(tmp_path)
    began = time.monotonic()

    with lease(tmp_path) as taken:
        assert time.monotonic() - began >= 3 * PERIOD
        taken.check()


@pytest.mark.parametrize("hours", [-1000, 1000])
def test_a_clock_that_is_wrong_changes_nothing(tmp_path: Path, hours: int) -> None:
    write_lease(tmp_path, period=PATIENT)
    off = time.time() + 3600 * hours
    os.utime(tmp_path / "lease.json", (off, off))
    stop = threading.Event()

    def beat() -> None:
        number = 8
        while not stop.wait(PERIOD):
            write_lease(tmp_path, beat=number, period=PATIENT)
            os.utime(tmp_path / "lease.json", (off, off))
            number += 1

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(LeaseError, match="elsewhere"), lease(tmp_path):
            pass
    finally:
        stop.set()
        thread.join()


def test_a_killed_driver_of_this_machine_is_known_to_be_gone_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pyarrow import fs\nfrom ner_ray.store.lease import Lease\n"
        "with Lease(fs.LocalFileSystem(), sys.argv[1], period=60):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    assert (tmp_path / "lease.json").exists()
    began = time.monotonic()

    with lease(tmp_path) as taken:
        taken.check()

    assert time.monotonic() - began < 90  # waiting for a heartbeat would take three periods


def test_a_holder_that_was_taken_over_notices_and_leaves_the_new_lease_alone(tmp_path: Path) -> None:
    with lease(tmp_path, PATIENT) as slow:
        write_lease(tmp_path)
        with pytest.raises(LeaseError, match="taken over by elsewhere"):
            slow.check()
        time.sleep(1.5 * PATIENT)

    assert json.loads((tmp_path / "lease.json").read_text())["holder"] == "x"


def test_of_many_drivers_that_start_at_once_at_most_one_gets_the_lease(tmp_path: Path) -> None:
    held, refused = [], []

    def drive() -> None:
        try:
            with lease(tmp_path, PATIENT) as mine:
                time.sleep(2 * PATIENT)
                mine.check()
                held.append(mine)
        except LeaseError:
            refused.append(1)

    threads = [threading.Thread(target=drive) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(held), len(refused)) == (1, 5)


def test_the_lease_works_on_an_object_store(bucket: str) -> None:
    store, path = open_store(f"s3://{bucket}/run")
    with Lease(store, path, period=PATIENT) as mine:
        mine.check()
        with pytest.raises(LeaseError), Lease(store, path, period=PATIENT):
            pass

    assert holder_of(store, path) is None


def test_of_drivers_that_find_no_lease_at_the_same_moment_a_store_with_conditions_refuses_all_but_one(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, path = open_store(f"s3://{bucket}/run")
    all_have_looked = threading.Barrier(4)
    read = Lease._read
    outcomes: list[str] = []

    def read_together(self: Lease) -> object:
        found = read(self)
        if threading.current_thread() not in waited:
            waited.add(threading.current_thread())
            all_have_looked.wait()
        return found

    waited: set[threading.Thread] = set()
    monkeypatch.setattr(Lease, "_read", read_together)

    def drive() -> None:
        try:
            with Lease(store, path, period=60):
                outcomes.append("held")
                time.sleep(PATIENT)
        except LeaseError:
            outcomes.append("refused")

    threads = [threading.Thread(target=drive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["held", "refused", "refused", "refused"]


def test_a_holder_whose_object_was_overwritten_loses_the_lease_at_its_next_beat(bucket: str) -> None:
    store, path = open_store(f"s3://{bucket}/run")
    with Lease(store, path, period=60) as mine:
        put_json(store, f"{path}/lease.json", {"holder": "x", "beat": 1, "host": "elsewhere", "pid": 1})
        with pytest.raises(LeaseError):
            mine._beat()

    assert json.loads(store.open_input_stream(f"{path}/lease.json").read())["holder"] == "x"


@pytest.mark.parametrize("answer", ["ignored", "refused", "reply lost"])
def test_stores_that_ignore_or_refuse_conditions_or_lose_replies_have_leases_too(
    bucket: str, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    put = ConditionalObject._put

    def put_as_such_a_store(self: ConditionalObject, content: bytes, condition: dict[str, str]) -> str:
        if answer == "refused":
            raise OSError("NotImplemented: a header you provided implies functionality that is not implemented")
        if answer == "ignored":
            return self._client.put_object(**self._where, Body=content)["ETag"]
        put(self, content, condition)
        return put(self, content, condition)  # tried again because the reply to the first was lost

    monkeypatch.setattr(ConditionalObject, "_put", put_as_such_a_store)
    store, path = open_store(f"s3://{bucket}/run")
    with Lease(store, path, period=PATIENT) as mine:
        mine._beat()
        mine.check()
        with pytest.raises(LeaseError), Lease(store, path, period=PATIENT):
            pass

    assert holder_of(store, path) is None
