"""What a night without anything new, `status` and `open_run` cost in an old run: CPU seconds, memory, store requests.

    python tests/benchmarks/nights.py [--waves 1000] [--shards 1000] [--files 100] [--labels 50]
    python tests/benchmarks/nights.py --requests

The plans and manifests are written as the job writes them, but no data files; the listing of the input is made up: what
it costs is the store's affair. Each figure is taken in a process of its own. With `--requests`, the run lies on an
S3 server, which counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pyarrow as pa

from ner_ray.storage import join, open_store, put_atomically
from ner_ray.store import history as history_module
from ner_ray.store.comparison import Listing
from ner_ray.store.health import status
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard
from ner_ray.store.waves import NumberedShard, Wave

ROWS = 1_000
COUNT = "/-/requests"  # of `tests.counting_s3`, which is not imported here: the memory counts


def shard(ordinal: int) -> Shard:
    name = f"crawl=2026-01/part-{ordinal:08}-of-a-corpus"
    return Shard(f"/corpus/news/{name}.parquet", 10**6 + ordinal, 10**18 + ordinal, ROWS, "", f"{ordinal:032x}", name)


def tally(labels: int, documents: int) -> dict[str, object]:
    counts = {f"label number {number}": documents * 3 + number for number in range(labels)}
    return {
        "documents": documents,
        "entities": sum(counts.values()),
        "unaligned": 7,
        "statuses": {"ok": documents},
        "errors": {},
        "labels": counts,
    }


def write_wave(run: RunDirectory, number: int, shards: int, files: int, labels: int) -> None:
    """A committed wave, by its documents alone."""
    numbered = tuple(NumberedShard(at, shard(at)) for at in range(number * shards, (number + 1) * shards))
    names = [f"data/wave={number:05}/part-{number * files + at:032x}.parquet" for at in range(files)]
    rows = ROWS * shards // files
    manifest = {
        "wave": number,
        "files": [{"path": name, "size": 10**6, "rows": rows, "tally": tally(labels, rows)} for name in names],
        "supersedes": [],
        "rows": ROWS * shards,
        "shards": [{"ordinal": one.ordinal, "rows": ROWS} for one in numbered],
        "counts": {"documents": ROWS * shards, "seconds": 60.0},
        "committed": f"2026-01-01T{number // 60 % 24:02}:{number % 60:02}:00+00:00",
    }
    for folder, document in (("plan", Wave(number, numbered).to_dict()), ("manifest", manifest)):
        put_atomically(run.store, join(run.path, folder, f"{number:05}.json"), json.dumps(document).encode())


def listing(shards: int) -> Listing:
    """The input as it was annotated, without an object per file."""
    parts = [range(at, min(at + 50_000, shards)) for at in range(0, shards, 50_000)]

    def column(value: Callable[[int], object], kind: pa.DataType) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array([value(at) for at in part], kind) for part in parts]).combine_chunks()

    columns = {
        "uri": column(lambda at: shard(at).uri, pa.string()),
        "size": column(lambda at: 10**6 + at, pa.int64()),
        "modified": column(lambda at: 10**18 + at, pa.int64()),
    }
    return Listing(pa.table(columns), [])


def night(run: RunDirectory, shards: int) -> Callable[[], object]:
    listed = listing(shards)

    def work() -> None:
        assert run.plan_waves(listed, 10**9) == []

    return work


WORK = {
    "night": night,
    "status": lambda run, _: lambda: status(run.uri),
    "open_run": lambda run, _: run.files,
    "snapshot": lambda run, _: lambda: run.history().snapshot(at_least=1),
}


def measure(what: str, uri: str, shards: int) -> None:
    """Prints what one of these costs in this process."""
    history_module._TICK_NS = 0
    work = WORK[what](RunDirectory(uri), shards)
    before, requested, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, requests(), time.process_time()
    work()
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{what:>9}: {spent:6.2f} s of CPU, peak {peak >> 10:5,} MiB ({before >> 10:,} before)", end="")
    print(f", {requests() - requested} requests" if "AWS_ENDPOINT_URL" in os.environ else "", flush=True)


def requests() -> int:
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return int(urlopen(f"{endpoint}{COUNT}").read()) if endpoint else 0


def in_a_process(what: str, uri: str, shards: int) -> None:
    subprocess.run([sys.executable, __file__, "--measure", what, uri, str(shards)], check=True)


def on_disk(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as uri:
        for number in range(arguments.waves):
            write_wave(RunDirectory(uri), number, arguments.shards, arguments.files, arguments.labels)
        total = arguments.waves * arguments.shards
        documents = sum(path.stat().st_size for path in Path(uri).rglob("*.json"))
        print(f"{total:,} shards in {arguments.waves:,} waves, {documents >> 20:,} MiB of plans and manifests")
        for what in ("snapshot", "night", "status", "open_run"):
            in_a_process(what, uri, total)
        size = max(Path(uri, "snapshot").iterdir()).stat().st_size
        print(f" the snapshot has {size >> 20:,} MiB")


def on_s3() -> None:
    port = "5765"
    server = subprocess.Popen([sys.executable, "-m", "tests.counting_s3", port], stderr=subprocess.DEVNULL)
    os.environ |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": "secret"}
    time.sleep(5)
    store, _ = open_store("s3://runs/x")
    try:
        for waves in (10, 100, 500):
            uri = f"s3://runs-{waves}/run"
            type(store)(endpoint_override=f"127.0.0.1:{port}", scheme="http", allow_bucket_creation=True).create_dir(
                uri.removeprefix("s3://").split("/")[0]
            )
            for number in range(waves):
                write_wave(RunDirectory(uri), number, 3, 2, 5)
            print(f"{waves} waves")
            for what in ("snapshot", "night", "status", "open_run"):
                in_a_process(what, uri, 3 * waves)
    finally:
        server.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waves", type=int, default=1_000)
    parser.add_argument("--shards", type=int, default=1_000, help="of a wave")
    parser.add_argument("--files", type=int, default=100, help="output files of a wave")
    parser.add_argument("--labels", type=int, default=50)
    parser.add_argument("--requests", action="store_true", help="count requests to an S3 server instead")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, uri, shards = arguments.measure
        measure(what, uri, int(shards))
    elif arguments.requests:
        on_s3()
    else:
        on_disk(arguments)


if __name__ == "__main__":
    main()
