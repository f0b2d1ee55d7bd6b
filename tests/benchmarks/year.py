"""A year of nights on an S3 server: what does a night cost when the run is old?

    python tests/benchmarks/year.py [--nights 365] [--shards 300] [--whole]

Each night brings new files. The nights that are measured are real ones, but for the cluster: the driver lists, plans,
reads, commits and repairs, and the answers are recorded ones. Besides, a few older files change, the driver is killed
once and started again, and documents that failed are retried. Of the nights between the 12th and the last but 5, the
files are uploaded and the documents of the run are written as a driver writes them, but no output files; with
`--whole`, all nights are real ones, which takes long.

Printed are the driver's CPU seconds and its requests to the store, by night, and the last nights' share of the early
ones'.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.request import urlopen

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray import schema
from ner_ray.annotator.rows import columns_of
from ner_ray.config import AnnotateConfig
from ner_ray.errors import RunError
from ner_ray.pipeline import annotate as driver
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.stages import ReadStage
from ner_ray.pipeline.write import ROWS, WAVE, WriteStage
from ner_ray.storage import join, put_json
from ner_ray.store.documents import read_rows
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.store.tally import Tally
from ner_ray.store.waves import NumberedShard, Wave, WaveNumbers
from tests.counting_s3 import COUNT

PORT = 5766
EARLY, LATE = 12, 5
CHANGED = 3
FAILING = 2
GOOD, BAD = "Ada(B-person) ran(O)", "no answer at all"
TOGETHER = 50  # shards per output file


class Killed(BaseException):
    """The driver's process has died."""


class Runner:
    """Runs waves in this process, with an output file for some shards."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.files_left: int | None = None

    def run_waves(self, spec: Any, run: RunDirectory, waves: list[Wave], kept: pa.Schema, *_: Any) -> Iterator[Any]:
        stage = ReadStage(spec, spec.steps, Counts(None), spec.config.input.keep)
        write = WriteStage(run, WaveNumbers(waves), group_rows=5_000)
        shards = [numbered for wave in waves for numbered in wave.shards]
        for at in range(0, len(shards), TOGETHER):
            tables = [
                self._answered(table)
                for numbered in shards[at : at + TOGETHER]
                for table in read_rows(numbered, 0, numbered.shard.rows, columns_of(spec), kept)
            ]
            if self.files_left is not None:
                self.files_left -= 1
                if self.files_left < 0:
                    raise Killed
            written = write(stage(pa.concat_tables(tables)))
            yield from zip(written[WAVE].to_pylist(), written[ROWS].to_pylist(), strict=True)

    def _answered(self, table: pa.Table) -> pa.Table:
        answers = [[exchange(BAD if row in self.bad else GOOD)] for row in table[schema.DOC_ID].to_pylist()]
        return schema.with_column(table, schema.EXCHANGES, pa.list_(schema.EXCHANGE), answers)

    def driving(self) -> Any:  # a patch
        lease = nullcontext(SimpleNamespace(check=lambda: None))
        return mock.patch.multiple(
            driver,
            run_waves=self.run_waves,
            connect=lambda: None,
            check_resources=lambda *_: None,
            start_scoreboard=lambda *_: None,
            Progress=lambda *_: nullcontext(),
            Lease=lambda *_: lease,
            _settled=lambda _: {},
            _totals=lambda _: {},
            _left_open=lambda _: {},
        )


def exchange(answer: str) -> dict[str, Any]:
    completion = {"text": answer, "finish_reason": "stop", "token_ends": [], "logprobs": [], "output_tokens": 9}
    completion |= {"prompt_tokens": 5, "cached_tokens": 0}
    return {"chunk": 0, "role": "tagger", "subject": "", "prompt": None, "completions": [completion]}


def table_of(rows: tuple[str, ...]) -> pa.Table:
    chunk = {"start": 0, "end": 7, "core_start": 0, "core_end": 7}
    columns = {
        "id": list(rows),
        "text": ["Ada ran"] * len(rows),
        "mark": list(rows),
        "chunks": pa.array([[chunk]] * len(rows), pa.list_(schema.CHUNK)),
        "exchanges": pa.array([[exchange(GOOD)]] * len(rows), pa.list_(schema.EXCHANGE)),
    }
    return pa.table(columns)


class Year:
    """The input of a year, and a run."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self.rng = random.Random(7)
        self.store = fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{PORT}", scheme="http", region="us-east-1", allow_bucket_creation=True
        )
        self.store.create_dir("corpus")
        self.store.create_dir("runs")
        self.cluster = Runner()
        self.uris: list[str] = []
        self.config = AnnotateConfig.model_validate(
            {
                "input": {"path": "s3://corpus/in", "id": "id", "keep": ["mark"], "on_change": "reprocess"},
                "labels": ["person"],
                "family": "gner",
                "replay": True,
                "output": {"path": "s3://runs/news", "min_rows_per_file": 100},
            }
        )

    def upload(self, name: str, ids: tuple[str, ...]) -> None:
        buffer = io.BytesIO()
        pq.write_table(table_of(ids), buffer)
        with self.store.open_output_stream(f"corpus/in/{name}") as stream:
            stream.write(buffer.getvalue())

    def bring(self, night: int) -> list[str]:
        names = [f"night={night:03}/{number:04}.parquet" for number in range(self.shards)]
        for name in names:
            self.upload(name, (f"{name} 0", f"{name} 1"))
        self.uris += names
        return names

    def night(self, number: int) -> tuple[float, int]:
        """A night with all that happens; its CPU seconds and requests."""
        old = self.rng.sample(self.uris[: self.shards * min(EARLY, number)], CHANGED) if self.uris else []
        names = self.bring(number)
        for name in old:
            self.upload(name, (f"{name} again {number}",))
        self.cluster.bad = {f"{name} 0" for name in names[:FAILING]}
        requested, began = requests(), time.process_time()
        self.drive(0)  # killed before the first file
        self.drive(None)
        self.cluster.bad = set()
        with self.cluster.driving():
            try:
                driver.retry(self.config.output.path, [])
            except RunError:
                assert not number
        return time.process_time() - began, requests() - requested

    def drive(self, files: int | None) -> None:
        self.cluster.files_left = files
        with self.cluster.driving():
            try:
                driver.annotate(self.config)
            except Killed:
                assert files is not None

    def pass_by(self, first: int, last: int) -> None:
        """Nights of which only the input files and the run's documents are written."""
        for night in range(first, last):
            self.bring(night)
        run = RunDirectory(self.config.output.path)
        known = [numbered.shard for wave in run.waves() for numbered in wave.shards]
        before = {shard.uri for shard in known}
        fresh = [shard for shard in list_shards("s3://corpus/in", known) if shard.uri not in before]
        wave, ordinal = 1 + max(run.history().planned), 1 + max(n.ordinal for w in run.waves() for n in w.shards)
        for at in range(0, len(fresh), self.shards):
            shards = [
                NumberedShard(ordinal + at + one, shard) for one, shard in enumerate(fresh[at : at + self.shards])
            ]
            self._commit(run, Wave(wave + at // self.shards, tuple(shards)))

    def _commit(self, run: RunDirectory, wave: Wave) -> None:
        tally = Tally(wave.rows, wave.rows, 0).to_dict() | {"statuses": {"ok": wave.rows}}
        names = [f"data/wave={wave.number:05}/part-{at}.parquet" for at in range(6)]
        manifest = {
            "wave": wave.number,
            "files": [{"path": name, "size": 1, "rows": wave.rows // 6, "tally": tally} for name in names],
            "supersedes": [],
            "rows": wave.rows,
            "shards": [{"ordinal": numbered.ordinal, "rows": numbered.rows} for numbered in wave.shards],
            "counts": {},
            "committed": "2026-01-01T00:00:00+00:00",
        }
        put_json(run.store, join(run.path, "plan", f"{wave.number:05}.json"), wave.to_dict())
        put_json(run.store, join(run.path, "manifest", f"{wave.number:05}.json"), json.loads(json.dumps(manifest)))


def requests() -> int:
    return int(urlopen(f"http://127.0.0.1:{PORT}{COUNT}").read())


def show(night: int, cost: tuple[float, int]) -> tuple[float, int]:
    print(f"night {night:3}: {cost[0]:6.2f} s of CPU, {cost[1]:6,} requests", flush=True)
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--shards", type=int, default=300)
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-m", "tests.counting_s3", str(PORT)], stderr=subprocess.DEVNULL)
    os.environ |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}", "AWS_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": "secret"}
    time.sleep(5)
    try:
        with mock.patch("ner_ray.store.history._TICK_NS", 0):
            compare(Year(arguments.shards), arguments.nights, whole=arguments.whole)
    finally:
        server.kill()


def compare(year: Year, nights: int, *, whole: bool) -> None:
    late = nights if whole else nights - LATE
    costs = {night: show(night, year.night(night)) for night in range(late if whole else EARLY)}
    if not whole:
        year.pass_by(EARLY, late)
    show(late, year.night(late))  # which reads the documents of the nights that passed by, and writes a snapshot
    costs |= {night: show(night, year.night(night)) for night in range(late + 1, nights + 1)}
    early = [costs[night] for night in range(EARLY - LATE, EARLY)]
    last = [costs[night] for night in sorted(costs)[1 - LATE :]]
    for at, what in enumerate(("CPU", "requests")):
        ratio = statistics.median(cost[at] for cost in last) / statistics.median(cost[at] for cost in early)
        print(f"{what}: a night at the end costs {ratio:.2f} of an early one")


if __name__ == "__main__":
    main()
