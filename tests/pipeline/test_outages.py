"""The whole job on servers that fail: the run stops or goes on, convicts nobody wrongly, and is completed later."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.config import AnnotateConfig
from ner_ray.errors import EXIT_DONE, EXIT_STOPPED
from ner_ray.pipeline.annotate import annotate
from ner_ray.store.health import status, verify
from ner_ray.store.run import RunDirectory, open_run
from tests.answering import AnsweringServer, Raw, answering

pytestmark = pytest.mark.cluster

ANSWER = '[{"Ada": "person"}]'
QUOTA = Raw({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, 429)
DEAD = Raw({"error": {"message": "EngineCore encountered an issue"}}, 500)
PAGE = Raw("<html><body>Welcome to nginx!</body></html>", kind="text/html")


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering(lambda asked: ANSWER) as running:
        yield running


def settings(folder: Path, server: AnsweringServer, documents: int, bad: tuple[int, ...] = ()) -> AnnotateConfig:
    texts = [f"Ada wrote {number}{' BAD' if number in bad else ''}." for number in range(documents)]
    (folder / "in").mkdir()
    pq.write_table(pa.table({"text": texts}), folder / "in" / "a.parquet")
    return AnnotateConfig.model_validate(
        {
            "input": {"path": str(folder / "in")},
            "labels": ["person"],
            "family": "instruct",
            "engine": server.engine(retries=0, max_num_seqs=2),
            "output": {"path": str(folder / "run")},
        }
    )


def answers_until(count: int, then: Raw) -> Callable[[str], str | Raw]:
    lock, asked = threading.Lock(), [0]

    def answer(_: str) -> str | Raw:
        with lock:
            asked[0] += 1
            return ANSWER if asked[0] <= count else then

    return answer


def codes(run: Path) -> dict[int, str]:
    rows = open_run(str(run)).to_table().to_pylist()
    assert all((row["status"] == "ok") == (not row["errors"]) for row in rows)
    return {row["row_id"]: row["errors"][0]["code"] for row in rows if row["errors"]}


def command(folder: Path, config: AnnotateConfig) -> tuple[int, str]:
    """The exit status of the command, in a process of its own, and what it says."""
    (folder / "job.json").write_text(json.dumps(config.model_dump(mode="json")))
    line = [sys.executable, "-m", "ner_ray.cli", "annotate", str(folder / "job.json")]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    ("documents", "answered", "then", "said"),
    [
        pytest.param(24, 3, QUOTA, "status 429: You exceeded your current quota", id="quota"),
        pytest.param(8, 0, DEAD, "status 500: EngineCore encountered", id="dead", marks=pytest.mark.faults),
        pytest.param(8, 2, PAGE, "Welcome to nginx!", id="page", marks=pytest.mark.faults),
    ],
)
def test_an_outage_stops_the_run_convicts_nobody_and_the_same_command_completes_it(
    tmp_path: Path, server: AnsweringServer, documents: int, answered: int, then: Raw, said: str
) -> None:
    config = settings(tmp_path, server, documents)
    server.answer = answers_until(answered, then)

    status, words = command(tmp_path, config)

    assert (status, said in words) == (EXIT_STOPPED, True), words
    assert not RunDirectory(str(tmp_path / "run")).committed()
    server.answer = lambda asked: ANSWER
    assert command(tmp_path, config)[0] == EXIT_DONE
    assert codes(tmp_path / "run") == {}
    assert verify(str(tmp_path / "run")) == (documents, [])


@pytest.mark.usefixtures("cluster")
def test_a_document_that_the_server_fails_at_is_convicted_and_its_neighbours_are_not(
    tmp_path: Path, server: AnsweringServer
) -> None:
    config = settings(tmp_path, server, 8, bad=(3,))
    server.answer = lambda asked: DEAD if "BAD" in asked else ANSWER
    config = config.model_copy(update={"engine": config.engine.model_copy(update={"max_num_seqs": 1})})

    summary = annotate(config)

    assert set(codes(tmp_path / "run")) == {3}
    assert codes(tmp_path / "run")[3] in ("poison", "request")
    assert summary.counts["failed"] == 1
    assert sum(status(str(tmp_path / "run")).tally.errors.values()) == 1
