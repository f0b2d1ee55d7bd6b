"""Runs on an S3 store: through both clients, with a thousand shards, and while the store refuses requests."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.annotate import annotate, retry
from ner_ray.pipeline.forecast import forecast
from ner_ray.storage import open_store
from ner_ray.store.health import status, verify
from ner_ray.store.shards import list_shards
from tests.answering import OUTPUT_TOKENS, answering
from tests.replayed import write_corpus

from .conftest import rows_of

pytestmark = pytest.mark.cluster

REFUSED = (500, 503)


class Flaky(BaseHTTPRequestHandler):
    """A proxy of a healthy store that refuses some requests."""

    protocol_version = "HTTP/1.1"
    behind = ""
    every = 9  # it refuses every ninth request
    numbers = itertools.count(1)
    refused = 0

    def answer(self) -> None:
        body = self._body()
        number = next(type(self).numbers)
        if number % self.every == 0:
            type(self).refused += 1
            self._send(REFUSED[type(self).refused % 2], {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        store = HTTPConnection(type(self).behind, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        store.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
        response = store.getresponse()
        self._send(response.status, dict(response.getheaders()), response.read())
        store.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _send(self, code: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(code)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815  # the names that the server calls

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def flaky(s3_server: str) -> Iterator[None]:
    """Puts the proxy between the store and all clients in this module, including the workers of the cluster."""
    Flaky.behind = urlsplit(s3_server).netloc
    server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield
    server.shutdown()


@pytest.fixture(scope="module")
def cluster(flaky: None) -> Iterator[None]:  # its workers inherit the environment
    import ray

    from ner_ray.pipeline.cluster import connect

    ray.shutdown()
    connect()
    yield
    ray.shutdown()


def upload(folder: Path, bucket: str, server: str) -> None:
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
    for file in sorted(folder.iterdir()):
        client.upload_file(str(file), bucket, f"in/{file.name}")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("scheme", ["s3", pytest.param("s3a", marks=pytest.mark.faults)])
def test_a_run_on_a_store_that_refuses_some_requests(tmp_path: Path, bucket: str, s3_server: str, scheme: str) -> None:
    write_corpus(tmp_path / "in", shards=2, rows=50)
    upload(tmp_path / "in", bucket, s3_server)
    before = Flaky.refused
    settings = {
        "input": {"path": f"{scheme}://{bucket}/in/*.parquet"},
        "labels": ["person", "place"],
        "family": "gner",
        "replay": True,
        "output": {"path": f"{scheme}://{bucket}/runs/one", "rows_per_wave": 50},
    }

    annotate(AnnotateConfig.model_validate(settings))

    run = settings["output"]["path"]
    assert Flaky.refused > before + 5
    assert [row["row_id"] & 0xFFFF for row in rows_of(run)] == list(range(50)) * 2
    assert verify(run) == (100, [])
    assert (status(run).committed, status(run).driver) == (2, None)
    assert annotate(AnnotateConfig.model_validate(settings)).waves == 0
    store, path = open_store(run)
    with store.open_input_stream(f"{path}/run.json") as file:
        record = file.read().decode()
    assert json.loads(record)["finished"]
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in record
    assert os.environ["AWS_ACCESS_KEY_ID"] not in record


@pytest.mark.usefixtures("cluster")
def test_a_run_on_an_object_store_is_forecast_and_its_failed_documents_are_retried(
    tmp_path: Path, bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flaky, "every", sys.maxsize)  # no request is refused
    repaired = threading.Event()

    def answer(asked: str) -> str:
        return "I am afraid I cannot." if "Bo 7 " in asked and not repaired.is_set() else "Ada(B-person) 0(O) met(O)"

    write_corpus(tmp_path / "in", shards=2, rows=20)
    upload(tmp_path / "in", bucket, s3_server)
    with answering(answer) as server:
        settings = {
            "input": {"path": f"s3://{bucket}/in"},
            "labels": ["person", "place"],
            "family": "gner",
            "engine": server.engine(),
            "output": {"path": f"s3://{bucket}/runs/two"},
            "max_error_rate": 1.0,
        }
        config, run = AnnotateConfig.model_validate(settings), settings["output"]["path"]

        estimate = forecast(config, measure=True)
        annotate(config)
        first = rows_of(run)
        repaired.set()
        again = retry(run, [])

    assert (estimate.shards, estimate.rows, estimate.waves) == (2, 40, 1)
    assert estimate.output_tokens == 40 * OUTPUT_TOKENS
    failed = [row["row_id"] for row in first if row["errors"]]
    assert [row_id & 0xFFFF for row_id in failed] == [7, 7]
    assert again.counts["documents"] == 2
    rows = rows_of(run)
    assert [row for row in rows if row["row_id"] not in failed] == [row for row in first if not row["errors"]]
    assert [row["row_id"] for row in rows if row["status"] == "ok"] == [row["row_id"] for row in first]
    assert verify(run) == (40, [])


def test_a_thousand_shards_are_listed(bucket: str, s3_server: str, tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=1, rows=3)
    content = (tmp_path / "in" / "000.parquet").read_bytes()
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1")
    for number in range(1001):
        client.put_object(Bucket=bucket, Key=f"in/{number:04}.parquet", Body=content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", s3_server)
        shards = list_shards(f"s3://{bucket}/in")

    assert len(shards) == 1001
    assert {shard.rows for shard in shards} == {3}


def test_a_large_object_is_written_in_parts_and_read_back(bucket: str, s3_server: str) -> None:
    content = os.urandom(1 << 20) * 12
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", s3_server)
        for scheme in ("s3", "s3a"):
            store, path = open_store(f"{scheme}://{bucket}/large-{scheme}")
            with store.open_output_stream(path) as stream:
                stream.write(content)
            with store.open_input_stream(path) as stream:
                assert stream.read() == content
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1")
    assert "-" in client.head_object(Bucket=bucket, Key="large-s3")["ETag"], "an object of several parts"
