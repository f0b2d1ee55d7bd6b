"""`ner_ray.annotate` on a Ray Dataset: lazy, on every node, composable with the rest of Ray Data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray
from ray.cluster_utils import Cluster

import ner_ray
from ner_ray import schema
from ner_ray.errors import ConfigError
from ner_ray.pipeline.cluster import connect
from tests.annotator.test_annotator import EXPECTED, gner, tagged
from tests.answering import AnsweringServer, answering

pytestmark = [pytest.mark.cluster]

ROWS = [{"text": f"Ann met Rex in Ghent. {number}", "number": number} for number in range(60)]


@pytest.fixture(scope="module")
def server() -> Iterator[AnsweringServer]:
    with answering(tagged) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def two_nodes() -> Iterator[Cluster]:
    was_connected = ray.is_initialized()  # to the cluster that other files of this folder share
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    cluster.add_node(num_cpus=3)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    if was_connected:
        connect()


def annotated(server: AnsweringServer, rows: list[dict] = ROWS, **changes: object) -> ray.data.Dataset:
    config = gner(server, resources={"replicas": 2, "cpus": 0.5}, **changes)
    return ner_ray.annotate(ray.data.from_items(rows, override_num_blocks=6), config, labels=["person", "place"])


def test_it_is_lazy_and_composes_with_what_comes_after(server: AnsweringServer) -> None:
    dataset = annotated(server).filter(expr="number < 30")
    assert not server.asked

    rows = sorted(dataset.take_all(), key=lambda row: row["number"])

    assert [row["number"] for row in rows] == list(range(30))
    assert list(rows[0]) == ["text", "number", *schema.OUTPUT.names]
    for row in rows:
        assert [(entity["start"], entity["text"], entity["label"]) for entity in row["entities"]] == EXPECTED
        assert row["status"] == "ok"


def test_rows_without_a_text_are_the_only_ones_to_fail(server: AnsweringServer) -> None:
    rows = annotated(server, [{"text": "Ann ran.", "number": 0}, {"text": None, "number": 1}]).take_all()

    assert {row["number"]: row["status"] for row in rows} == {0: "ok", 1: "failed"}


def test_what_it_cannot_do_is_refused_before_anything_runs(server: AnsweringServer) -> None:
    with pytest.raises(ConfigError, match="replay is for jobs"):
        annotated(server, replay=True)


def test_a_column_that_would_be_replaced_stops_the_execution(server: AnsweringServer) -> None:
    with pytest.raises(ray.exceptions.RayTaskError, match="the dataset already has entities"):
        annotated(server, [{"text": "Ann", "entities": 5}]).take_all()


def test_an_annotator_works_in_a_ray_actor(server: AnsweringServer) -> None:
    @ray.remote(num_cpus=0.5)
    class Tagger:
        def __init__(self, config: dict) -> None:
            self.annotator = ner_ray.Annotator(config, labels=["person", "place"])

        async def tag(self, text: str) -> ner_ray.AnnotatedDocument:
            return await self.annotator.annotate_async(text)

    tagger = Tagger.remote(gner(server))
    first, second = ray.get([tagger.tag.remote("Ann met Rex in Ghent."), tagger.tag.remote("Rex ran.")], timeout=120)

    assert [(entity.start, entity.text, entity.label) for entity in first.entities] == EXPECTED
    assert [entity.text for entity in second.entities] == ["Rex"]
