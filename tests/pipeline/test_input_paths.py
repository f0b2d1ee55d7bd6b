"""Nights over the same files, reached in different ways: each document is annotated once, with an id of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ner_ray.config import AnnotateConfig
from ner_ray.errors import RunError
from ner_ray.pipeline.annotate import annotate, retry
from ner_ray.store.health import verify
from ner_ray.store.run import open_run
from tests.replayed import write_shard

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def config_of(path: str, run: str, keep: list[str]) -> AnnotateConfig:
    plain = {
        "input": {"path": path, "keep": keep},
        "labels": ["person", "place"],
        "family": "gner",
        "replay": True,
        "output": {"path": run},
    }
    return AnnotateConfig.model_validate(plain)


def test_one_file_is_annotated_once_whatever_path_leads_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, day in enumerate(("2024-01-01", "2024-01-02")):
        (tmp_path / f"in/date={day}").mkdir(parents=True)
        write_shard(tmp_path / f"in/date={day}/part-0.parquet", number, 2)
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "in" / "latest").symlink_to("date=2024-01-02")
    monkeypatch.chdir(tmp_path)
    run = str(tmp_path / "in" / "run")

    first = annotate(config_of("in", "in/run", ["date"]))
    rows = open_run(run).to_table(columns=["doc_id", "date"]).sort_by("doc_id").to_pylist()

    assert (first.counts["documents"], first.exit_status) == (4, 0)
    assert rows == [
        {"doc_id": f"date={day}/part-0:{row}", "date": day} for day in ("2024-01-01", "2024-01-02") for row in (0, 1)
    ]
    monkeypatch.chdir(tmp_path / "in")
    for path in ("../in", f"{tmp_path}/link", f"file://{tmp_path}/in/./", "**/*.parquet"):
        assert annotate(config_of(path, run, ["date"])).waves == 0
    (tmp_path / "in/date=2024-01-03").mkdir()
    tonight = annotate(config_of("date=2024-01-03", run, ["date"]))
    assert (tonight.waves, tonight.exit_status) == (0, 0)
    with pytest.raises(RunError, match="no committed document"):
        retry(run, [])
    (tmp_path / "in" / "run").rename(tmp_path / "moved")
    with pytest.raises(RunError, match="no committed document"):
        retry(str(tmp_path / "moved"), [])
    assert not (tmp_path / "in" / "in").exists()
    assert not (tmp_path / "in" / "run").exists()
    assert verify(str(tmp_path / "moved")) == (4, [])


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path / "web"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_file_on_a_web_server_is_annotated(tmp_path: Path, web: str) -> None:
    write_shard(tmp_path / "web" / "a b.parquet", 0, 3)
    config = config_of(f"{web}/a%20b.parquet", str(tmp_path / "run"), ["text"])

    first, again = annotate(config), annotate(config)

    assert (first.counts["documents"], first.counts.get("failed", 0), again.waves) == (3, 0, 0)
    assert sorted(open_run(str(tmp_path / "run")).to_table()["doc_id"].to_pylist()) == ["a b:0", "a b:1", "a b:2"]
