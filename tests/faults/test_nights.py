"""Nights on a real cluster while the input changes: drivers are killed, and each night that ends says the truth."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from ner_ray.errors import EXIT_DONE, EXIT_TOO_MANY_ERRORS
from ner_ray.store.health import verify
from ner_ray.store.run import RunDirectory
from tests.replayed import write_shard

from .conftest import drive, rows_of, words

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.timeout(3600)]

NIGHTS = 60  # with four changes each
NAMES = [f"{letter}.parquet" for letter in "abcdefgh"]


class Corpus:
    """A folder that changes, and the shards that it has and has had, by number; no two have a document in common."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.chance = random.Random(seed)
        self.numbers = itertools.count()
        self.files: dict[str, int] = {}
        self.rows: dict[int, int] = {}

    def change(self) -> None:
        """Writes, replaces, renames, touches or deletes a file."""
        name, other = self.chance.sample(NAMES, 2)
        what = self.chance.choice(["write", "write", "rename", "touch", "delete"])
        if what == "write":
            number = next(self.numbers)
            self.rows[number] = self.chance.randint(1, 90)
            write_shard(self.folder / name, number, self.rows[number])
            self.files[name] = number
        elif name in self.files:
            path = self.folder / name
            if what == "rename":
                path.rename(self.folder / other)
                self.files[other] = self.files.pop(name)
            elif what == "touch":
                os.utime(path)
            else:
                path.unlink()
                del self.files[name]

    def documents(self, numbers: set[int]) -> set[str]:
        """What the texts of some shards begin with."""
        return {f"Ada {number} met Bo {row} " for number in numbers for row in range(self.rows[number])}


def test_whatever_happens_between_nights_no_document_is_lost_or_doubled(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, run = Corpus(tmp_path / "in", seed=NIGHTS), tmp_path / "run"
    arguments = words(corpus.folder, run, "input.keep=[text]", "input.on_change=reprocess")
    kills = ended = 0
    for night in range(NIGHTS):
        for _ in range(4):
            corpus.change()
        while not corpus.files:  # the first night must find something
            corpus.change()
        process = drive(arguments, address)
        if night % 3 and night < NIGHTS - 1:
            until = time.monotonic() + corpus.chance.uniform(1, 12)
            while time.monotonic() < until and process.poll() is None:
                time.sleep(0.05)
        else:
            process.wait(300)
        if process.poll() is None:
            kills += 1
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            continue
        ended += 1
        _, errors = process.communicate()
        assert process.returncode in (EXIT_DONE, EXIT_TOO_MANY_ERRORS), errors
        look(corpus, run, errors)

    with capsys.disabled():
        print(f" nights: {ended}, drivers killed: {kills}, documents lost: 0, doubled: 0 ", end="", flush=True)


def look(corpus: Corpus, run: Path, said: str) -> None:
    """Compares the run with what was in the folder that night."""
    found = Counter(row["text"].partition("in ")[0] for row in rows_of(run))
    present = corpus.documents({*corpus.files.values()})
    assert not present - found.keys(), f"{len(present - found.keys())} documents lost\n{said}"
    assert not [text for text, times in found.items() if times > 1], "documents are doubled"
    assert found.keys() <= corpus.documents({*corpus.rows})
    assert verify(str(run)) == (found.total(), [])
    assert not RunDirectory(str(run)).open_waves() or "missing" in said
