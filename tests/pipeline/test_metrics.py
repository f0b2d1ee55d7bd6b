"""A job's metrics, as Prometheus reads them from a node of a real cluster, and the dashboard that shows them."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.config import AnnotateConfig
from ner_ray.pipeline import annotate as job
from ner_ray.pipeline import metrics
from ner_ray.pipeline.metrics import Metrics, series_of
from tests.annotator.test_annotator import tagged
from tests.answering import answering

DASHBOARD = json.loads((Path(__file__).parents[2] / "docker" / "cluster" / "grafana.json").read_text("utf-8"))
TOTALS = {
    "documents": 7, "failed": 1, "partial": 2, "entities": 9, "requests": 12, "engines": 2, "engine_deaths": 1,
    "in_flight": 3, "planned": 20, "prompt_tokens": 90, "cached_tokens": 30, "output_tokens": 50,
    "speculated_tokens": 40, "accepted_tokens": 25, "seconds_read": 1.5, "code_truncated": 3,
}  # fmt: skip


def scraped(port: int, run: str) -> dict[str, dict[str, float]]:
    """What a run counts, at a node's endpoint: by the name of the metric, and then by the values of our tags."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in re.findall(r"^(ray_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        tags = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if tags.get("run", run) != run:
            continue  # of another job in the same cluster
        key = " ".join(tags[tag] for tag in ("run", "status", "code", "kind", "stage") if tag in tags)
        found.setdefault(name, {})[key] = float(value)
    return found


def until(condition: Any, seconds: float = 60) -> Any:
    """What the condition returns once it is true."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.5)
    return found


@pytest.fixture
def after_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds the scoreboard's handle, so that the metrics outlive the job."""
    kept: list[Any] = []
    start = job.start_scoreboard
    monkeypatch.setattr(job, "start_scoreboard", lambda run: kept.append(start(run)) or kept[0])


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster", "after_the_job")
def test_prometheus_reads_what_a_job_counts_from_rays_endpoint(tmp_path: Path) -> None:
    texts = ["Ann met Rex in Ghent .", "nothing here", None, "Bo saw Ann ."]
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), tmp_path / "in" / "a.parquet")
    run = str(tmp_path / "run")
    with answering(tagged) as server:
        plain = {"input": {"path": str(tmp_path / "in")}, "labels": ["person", "place"], "family": "gner"}
        done = job.annotate(
            AnnotateConfig.model_validate(
                {**plain, "engine": server.engine(), "output": {"path": run}, "max_error_rate": 1}
            )
        )
    (port,) = {node["MetricsExportPort"] for node in ray.nodes()}

    found = until(lambda: (all_ := scraped(port, run)).get("ray_ner_ray_documents_total", {}).get(f"{run} ok") and all_)

    assert found["ray_ner_ray_documents_total"] == {f"{run} ok": 3, f"{run} failed": 1}
    assert found["ray_ner_ray_failures_total"] == {f"{run} null_text": 1}
    assert found["ray_ner_ray_documents_planned"] == {run: 4}
    assert found["ray_ner_ray_requests_in_flight"] == {run: 0}
    assert found["ray_ner_ray_engine_starts_total"] == {run: 1}
    assert found["ray_ner_ray_requests_total"] == {run: done.counts["requests"]}
    assert found["ray_ner_ray_entities_total"] == {run: done.counts["entities"]}
    assert found["ray_ner_ray_tokens_total"][f"{run} output"] == done.counts["output_tokens"]
    assert found["ray_ner_ray_busy_seconds_total"][f"{run} generate"] > 0
    assert not any(name.startswith("code_") or name == "planned" for name in done.counts)


class Recorded:
    """Stands for Ray's metrics where there is no cluster."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, ...]] = Counter()
        self.shown: dict[tuple[str, ...], float] = {}

    def of(self, name: str) -> Any:
        recorded = self

        class One:
            def inc(self, value: float, tags: dict[str, str]) -> None:
                assert value > 0  # Ray refuses others
                recorded.counted[name, *sorted(tags.values())] += value

            def set(self, value: float, tags: dict[str, str]) -> None:
                recorded.shown[name, *sorted(tags.values())] = value

        return One()


@given(st.lists(st.dictionaries(st.sampled_from(sorted(TOTALS)), st.integers(0, 50)), max_size=6))
def test_counters_stand_at_the_totals_however_often_they_are_exported(steps: list[dict[str, int]]) -> None:
    recorded, totals = Recorded(), Counter[str]()
    exported = Metrics("r")
    exported._metric = lambda series: recorded.of(series.name)
    for step in steps:
        totals.update(step)
        totals["documents"] += step.get("failed", 0) + step.get("partial", 0)
        exported.export(totals)

    for series in series_of(totals):
        key = (series.name, *sorted(["r", *dict(series.tags).values()]))
        assert (recorded.shown if series.name in metrics._SHOWN else recorded.counted).get(key, 0) == series.value


def test_every_series_of_the_dashboard_is_one_that_is_exported() -> None:
    exported = {series.name for series in series_of(TOTALS)}
    counted = {f"ray_{name}_total" for name in exported & metrics._COUNTED.keys()}
    names = counted | {f"ray_{name}" for name in exported & metrics._SHOWN.keys()}
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    shown = {name for panel in panels for target in panel["targets"] for name in re.findall(r"ray_\w+", target["expr"])}

    assert exported == metrics._COUNTED.keys() | metrics._SHOWN.keys()
    assert {name for name in shown if "ner_ray" in name} == names
    assert all(panel["title"] and panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for at in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.engine
@pytest.mark.cluster
@pytest.mark.usefixtures("cluster", "after_the_job")
def test_vllms_own_metrics_and_accepted_tokens_are_there_too(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["kalo mitan vidosen kalo mitan"] * 40}), tmp_path / "in" / "a.parquet")
    engine = {"model": str(tiny_model), "max_model_len": 512, "sampling": {"max_tokens": 24}}
    run = str(tmp_path / "run")
    plain = {"input": {"path": str(tmp_path / "in")}, "labels": ["person"], "family": "gner", "output": {"path": run}}
    engine |= {"metrics": True, "speculation": "ngram"}
    done = job.annotate(AnnotateConfig.model_validate({**plain, "engine": engine, "max_error_rate": 1}))
    (port,) = {node["MetricsExportPort"] for node in ray.nodes()}
    panels = [panel["targets"] for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    shown = {name for targets in panels for one in targets for name in re.findall(r"ray_vllm_\w+", one["expr"])}

    found = until(
        lambda: (all_ := scraped(port, run)).get("ray_ner_ray_tokens_total", {}).get(f"{run} accepted") and all_
    )

    assert found["ray_ner_ray_tokens_total"][f"{run} accepted"] == done.counts["accepted_tokens"] > 0
    assert found["ray_ner_ray_tokens_total"][f"{run} speculated"] >= done.counts["accepted_tokens"]
    assert shown - found.keys() == {"ray_vllm_num_preemptions_total"}  # a counter is there once it has counted
