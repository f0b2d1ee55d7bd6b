"""Several waves in one run: they share its engines, which never wait for a commit."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.config import AnnotateConfig
from ner_ray.errors import StoppedError
from ner_ray.pipeline.annotate import annotate
from ner_ray.store.health import verify
from ner_ray.store.run import RunDirectory
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


def committed_at(run: RunDirectory, wave: int) -> float:
    return (Path(run.path) / "manifest" / f"{wave:05}.json").stat().st_mtime


def test_one_set_of_engines_serves_all_waves_and_does_not_wait_for_commits(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    began: dict[int, float] = {}

    def answer(prompt: str) -> str:
        began.setdefault(int(WAVE.search(prompt)[1]), time.time())
        return "Ada(B-person) was(O)"

    with answering(answer) as server:
        server.seconds = 0.05
        config = config_of(tmp_path, server, max_num_seqs=8)
        summary = annotate(config)

    run = RunDirectory(config.output.path)
    assert run.committed() == set(range(WAVES))
    assert verify(run.uri) == (WAVES * ROWS, [])
    assert (summary.counts["engines"], len(server.asked)) == (1, WAVES * ROWS)
    assert all(began[wave + 1] < committed_at(run, wave) for wave in range(WAVES - 1))
    assert committed_at(run, 0) < max(began.values()), "a wave is visible before the last one has begun"


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
