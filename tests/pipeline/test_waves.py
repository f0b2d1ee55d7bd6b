"""Several waves in one run: they share its engines, which never wait for a commit."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.annotator.spec import resolve
from ner_ray.config import AnnotateConfig
from ner_ray.errors import StoppedError
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.graph import blocks_in_flight
from ner_ray.store.health import verify
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import Wave
from tests.answering import AnsweringServer, Raw, answering

pytestmark = [pytest.mark.engine, pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

WAVES, ROWS, IN_FLIGHT = 6, 40, 8
WAVE = re.compile(r"wave (\d) ")


def write_corpus(folder: Path) -> None:
    folder.mkdir()
    for wave in range(WAVES):
        texts = [f"Ada {row} was in wave {wave} ." for row in range(ROWS)]
        pq.write_table(pa.table({"text": texts}), folder / f"{wave}.parquet", row_group_size=10)


def config_of(folder: Path, server: AnsweringServer, **engine: object) -> AnnotateConfig:
    return AnnotateConfig.model_validate(
        {
            "input": {"path": str(folder / "in")},
            "labels": ["person"],
            "family": "gner",
            "engine": server.engine(**engine),
            "output": {"path": str(folder / "run"), "rows_per_wave": ROWS},
            "resources": {"block_kib": 16},
            "max_partial_rate": 1,
        }
    )


def test_one_set_of_engines_serves_all_waves_and_does_not_wait_for_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "in")
    began: set[int] = set()
    all_began = threading.Event()

    def answer(prompt: str) -> str:
        began.add(int(WAVE.search(prompt)[1]))
        if len(began) == WAVES:
            all_began.set()
        return "Ada(B-person) was(O)"

    def commit_late(run: RunDirectory, wave: Wave, *arguments: Any) -> None:
        assert all_began.wait(60), "the engines wait for a commit"
        commit(run, wave, *arguments)

    commit = RunDirectory.commit
    monkeypatch.setattr(RunDirectory, "commit", commit_late)
    with answering(answer) as server:
        summary = annotate(config_of(tmp_path, server))

    assert RunDirectory(summary.run).committed() == set(range(WAVES))
    assert verify(summary.run) == (WAVES * ROWS, [])
    assert (summary.counts["engines"], len(server.asked)) == (1, WAVES * ROWS)


def test_a_run_that_stops_keeps_what_is_complete_and_asks_for_the_rest_only(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    quota = 3 * ROWS + ROWS // 2

    def answer(prompt: str) -> str | Raw:
        return "Ada(B-person)" if len(server.asked) <= quota else Raw({"error": {"message": "no credit is left"}}, 402)

    with answering(answer) as server:
        config = config_of(tmp_path, server, max_num_seqs=IN_FLIGHT // 4)
        with pytest.raises(StoppedError, match="no credit is left"):
            annotate(config)
        run = RunDirectory(config.output.path)
        assert 1 <= len(run.committed()) < WAVES
        answered, quota = min(quota, len(server.asked)), 10**9
        before = len(server.asked)
        annotate(config)

    assert verify(config.output.path) == (WAVES * ROWS, [])
    again = len(server.asked) - before - (WAVES * ROWS - answered)
    assert 0 <= again <= IN_FLIGHT, "the journals of several waves know all answers but those that were under way"
    assert not list((tmp_path / "run" / "journal").glob("*"))


@pytest.mark.parametrize(("gpus", "wanted"), [(0, 128), (1, 1024)])
def test_more_requests_than_an_engine_has_seats_are_in_its_blocks(gpus: int, wanted: int) -> None:
    changes = {"engine": {"model": "m"}, "resources": {"gpus": gpus, "block_kib": 64}}
    plain = {"input": {"path": "none"}, "labels": ["person"], "family": "gner", "output": {"path": "none"}}
    spec = resolve(AnnotateConfig.model_validate(plain | changes))

    chunk = 2048  # bytes
    assert blocks_in_flight(spec) * 64 * 1024 // chunk >= 2 * wanted
