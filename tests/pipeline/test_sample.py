"""`plan` and `preview`: a sample that holds no document twice, asked without a cluster, a run directory, or a trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ray._private.accelerators.nvidia_gpu import NvidiaGPUAcceleratorManager

from ner_ray.config import AnnotateConfig
from ner_ray.engines import transformers
from ner_ray.errors import RunError
from ner_ray.pipeline.forecast import forecast, lasting
from ner_ray.pipeline.preflight import Job, prepare
from ner_ray.pipeline.preview import preview
from ner_ray.pipeline.sample import draw
from ner_ray.schema import ROW_ID
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import Wave
from tests.annotator.test_annotator import tagged
from tests.answering import AnsweringServer, answering


@pytest.fixture(scope="module")
def server() -> Iterator[AnsweringServer]:
    with answering(tagged) as running:
        yield running


def config_of(folder: Path, server: AnsweringServer | None, **changes: object) -> AnnotateConfig:
    plain = {
        "input": {"path": str(folder / "in")},
        "labels": ["person", "place"],
        "family": "gner",
        "engine": server.engine() if server else {},
        "output": {"path": str(folder / "run")},
    }
    return AnnotateConfig.model_validate(plain | changes)


def write(folder: Path, sizes: list[int]) -> None:
    (folder / "in").mkdir(exist_ok=True)
    for old in (folder / "in").iterdir():
        old.unlink()
    for shard, size in enumerate(sizes):
        texts = [f"Ann {shard} met Rex {row} in Ghent ." for row in range(size)]
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), folder / "in" / f"{shard}.parquet")


def waves_of(job: Job) -> list[Wave]:
    return job.run.plan_waves(job.listing, 1000, freeze=False)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 90), min_size=1, max_size=6), st.integers(1, 300), st.integers(0, 9))
def test_a_sample_holds_no_document_twice_and_all_where_there_are_few(
    tmp_path: Path, server: AnsweringServer, sizes: list[int], size: int, seed: int
) -> None:
    write(tmp_path, sizes)
    job = prepare(config_of(tmp_path, server))

    ids = draw(job, waves_of(job), size, seed)[ROW_ID].to_pylist()

    assert len(ids) == len(set(ids))
    assert len(ids) <= size
    if size >= 16 * sum(sizes):
        assert len(ids) == sum(sizes)


def test_a_plan_that_measures_counts_each_sampled_document_once(tmp_path: Path, server: AnsweringServer) -> None:
    write(tmp_path, [60])
    server.asked.clear()

    planned = forecast(config_of(tmp_path, server), measure=True)

    assert (planned.rows, planned.sampled, planned.chunks) == (60, 60, 60)
    assert len(server.asked) == 60
    assert planned.output_tokens == 60 * 5
    assert planned.engine_seconds > 0
    assert planned.wall_seconds >= planned.start_seconds > 0
    assert planned.most_replicas >= 1
    assert not (tmp_path / "run").exists(), "nothing is written"


def test_a_plan_counts_the_gpu_that_an_engine_takes_by_default(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine with a GPU, where the engine transformers has one."""
    write(tmp_path, [4])
    engine = {"name": "transformers", "model": str(tiny_model), "sampling": {"max_tokens": 2}}
    config = config_of(tmp_path, None, engine=engine)
    monkeypatch.setattr(transformers, "version", lambda _: "2.13.0")

    on_cpus = forecast(config, measure=True)
    monkeypatch.setattr(NvidiaGPUAcceleratorManager, "get_current_node_num_accelerators", lambda: 2)
    on_gpus = forecast(config, measure=True)

    assert on_cpus.gpu_seconds is None
    assert on_gpus.gpu_seconds == on_gpus.engine_seconds


@given(rate=st.floats(0.1, 1000), count=st.integers(10, 300), late=st.floats(0, 100))
def test_the_last_answers_of_a_sample_do_not_count_for_a_long_run(rate: float, count: int, late: float) -> None:
    evenly = [(number / rate, 7) for number in range(1, count + 1)]
    stragglers = [(count / rate + late, 1)] * (count // 20)

    assert lasting(evenly) == pytest.approx(count / rate)
    assert lasting(evenly + stragglers) == pytest.approx((count + count // 20 / 7) / rate)
    assert lasting([]) == 0


def test_a_plan_is_refused_where_annotate_would_be(tmp_path: Path, server: AnsweringServer) -> None:
    write(tmp_path, [3])
    config = config_of(tmp_path, server)
    run = RunDirectory(config.output.path)
    run.write_record({"fingerprint": "another", "settings": {"labels": ["ship"]}})

    with pytest.raises(RunError, match=r'labels: \["ship"\] -> \["person", "place"\]'):
        forecast(config)


def test_a_preview_shows_prompt_answer_and_entities_and_needs_no_cluster(
    tmp_path: Path, server: AnsweringServer
) -> None:
    write(tmp_path, [20, 20])

    rows = preview(config_of(tmp_path, server), documents=4, characters=11)

    assert len(rows) == 4
    assert [row["doc_id"] for row in rows] == [row["doc_id"] for row in sorted(rows, key=lambda row: row["row_id"])]
    for row in rows:
        assert row["text"].startswith("Ann ")
        assert len(row["text"]) <= 11
        assert row["entities"][0]["text"] == "Ann"
        assert "Sentence: Ann" in row["exchanges"][0]["prompt"]
        assert row["exchanges"][0]["completions"][0]["text"].startswith("Ann(B-person)")


def test_neither_starts_ray(tmp_path: Path, server: AnsweringServer) -> None:
    write(tmp_path, [3])
    config = config_of(tmp_path, server).model_dump_json()
    program = (
        "import sys; from ner_ray.config import AnnotateConfig; from ner_ray.pipeline.preview import preview;"
        f"preview(AnnotateConfig.model_validate_json({config!r})); print('ray' in sys.modules)"
    )

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"
