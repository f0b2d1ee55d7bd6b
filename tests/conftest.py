"""Fixtures that several test folders share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# OpenMP threads wait for each other in busy loops: with several threads per process, parallel processes keep the cores
# busy with waiting and take up to four times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines: the duration of an example says more about the machine than about the code.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("brief", settings.get_profile("suite"), max_examples=25)
settings.load_profile("suite")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs files that start clusters and engines first, so that they do not keep one process busy at the end."""
    slow = {item.path for item in items if item.get_closest_marker("cluster") or item.get_closest_marker("engine")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of reference data, which is not part of the project; tests that need it are skipped without it."""
    folder = Path(os.environ.get("NER_RAY_REFERENCE_DATA", REPOSITORY.parent / "shared"))
    if not (folder / "golden" / "golden.jsonl").is_file():
        pytest.skip("there is no reference data: set NER_RAY_REFERENCE_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 server on the loopback interface; all clients of this process and its children use it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not _listens(port):
        assert server.poll() is None, "the S3 server did not start"
        time.sleep(0.05)
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "access-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield settings["AWS_ENDPOINT_URL"]
    server.kill()
    server.wait()


@pytest.fixture
def bucket(s3_server: str) -> str:
    """The name of an empty bucket."""
    import boto3

    name = f"bucket-{uuid.uuid4().hex}"
    boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1").create_bucket(Bucket=name)
    return name


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
