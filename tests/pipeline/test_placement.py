"""Whether engines fit on a cluster, told from its nodes; these are plain data, as Ray lists them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ner_ray.annotator import pools
from ner_ray.annotator.spec import Spec, resolve
from ner_ray.config import AnnotateConfig, ResourceConfig
from ner_ray.engines import vllm
from ner_ray.errors import ConfigError, ResourceError
from ner_ray.pipeline import cluster
from ner_ray.pipeline.placement import Bundle, bundles, missing

HEAD = {"Alive": True, "Resources": {"memory": 1e9}}  # KubeRay's usual head runs no tasks


def node(cpus: float, gpus: int = 0, kind: str | None = None) -> dict[str, Any]:
    named = {f"accelerator_type:{kind}": 1.0} if kind else {}
    return {"Alive": True, "Resources": {"CPU": cpus, "GPU": float(gpus), **named}}


def cascade(**resources: object) -> Spec:
    engine = {role: {"name": "vllm", "model": f"./{role}"} for role in ("extractor", "classifier")}
    places = {"input": {"path": "in"}, "output": {"path": "out"}, "labels": ["person"]}
    section = {"family": {"name": "cascade"}, "engine": engine, "resources": resources, **places}
    return resolve(AnnotateConfig.model_validate(section))


@pytest.fixture
def gpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "_is_cpu_package", lambda: False)


def test_an_engine_that_is_installed_for_gpus_has_one_by_default(gpu_build: None) -> None:
    assert [bundle.gpus for bundle in bundles(cascade(), [node(8, 2)])] == [1, 1]
    assert missing(bundles(cascade(), [node(8)]), [node(8)]) == "2 engines need 2 GPUs, the cluster has 0"


def test_an_engine_that_is_installed_for_cpus_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "_is_cpu_package", lambda: True)

    assert [bundle.gpus for bundle in bundles(cascade(), [node(8, 2)])] == [0, 0]


def test_two_engines_share_a_gpu_and_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = cascade(gpus=0.5)
    shares = []
    monkeypatch.setattr(vllm, "create", lambda options, *_: shares.append(options.gpu_memory_utilization))
    for pool in spec.pools:
        pools.start(spec, pool)

    assert missing(bundles(spec, [node(8, 1)]), [node(8, 1)]) == ""
    assert shares == [0.45, 0.45]


def test_each_role_has_resources_of_its_own() -> None:
    spec = cascade(gpus=1, roles={"classifier": {"gpus": 0.25, "replicas": 4}})

    extractor, classifier = bundles(spec, [node(16, 2)])

    assert (extractor.count, extractor.gpus) == (1, 1)
    assert (classifier.count, classifier.gpus) == (4, 0.25)
    assert missing([extractor, classifier], [node(16, 2)]) == ""


def test_a_role_that_the_family_does_not_have_is_named() -> None:
    with pytest.raises(ConfigError, match=r"resources\.roles names judge, but the family's roles are extractor, class"):
        cascade(roles={"judge": {"gpus": 1}})


@pytest.mark.parametrize(
    ("resources", "complaint"),
    [
        ({"gpus": 0.5, "tensor_parallel": 2}, "`gpus` is 1 then, not 0.5"),
        ({"gpus": 2, "tensor_parallel": 2}, "`gpus` is 1 then, not 2"),
        ({"gpus": 1.5}, "a whole number or less than 1, not 1.5"),
        ({"tensor_parallel": 2, "roles": {"classifier": {"gpus": 0.5}}}, "`gpus` is 1 then, not 0.5"),
    ],
)
def test_gpus_that_make_no_sense_are_refused(resources: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ResourceConfig.model_validate(resources)


@pytest.mark.parametrize(
    ("wanted", "nodes", "lack"),
    [
        # A model that is split across GPUs does not span nodes.
        ([Bundle(1, 4, 1)], [node(8, 2), node(8, 2)], "an engine needs 4 GPUs and 1 CPU on one node; no node has so"),
        ([Bundle(2, 4, 1)], [node(8, 4), node(8, 2), node(8, 2)], "after 1 of them are placed, no node has so much"),
        ([Bundle(2, 2, 1)], [node(8, 2), node(8, 2)], ""),
        # Three engines with 0.6 of a GPU do not fit on two GPUs, although 1.8 is less than 2.
        ([Bundle(3, 0.6, 1)], [node(8, 2)], "0.6 GPU and 1 CPU on one node"),
        ([Bundle(4, 0.5, 1)], [node(8, 2)], ""),
        # Small engines do not take the room of a large one.
        ([Bundle(4, 0.25, 1), Bundle(1, 2, 1)], [node(8, 2), node(8, 1)], ""),
        ([Bundle(1, 1, 1, "H100")], [node(8, 1, "A10G")], r"1 GPU \(H100\) and 1 CPU on one node"),
        ([Bundle(1, 1, 1, "H100"), Bundle(1, 1, 1)], [node(8, 1, "H100"), node(8, 1, "A10G")], ""),
        ([Bundle(1, 0, 8)], [node(4), node(4), node(4)], "an engine needs 8 CPUs on one node"),
        ([Bundle(1, 0, 8)], [node(4), node(4)], "1 engine needs 9 CPUs, the cluster has 8"),
        ([Bundle(1, 1, 1)], [HEAD, {**node(8, 1), "Alive": False}], "the cluster has 0"),
        ([], [], ""),
    ],
)
def test_an_engine_fits_on_one_node_or_not_at_all(wanted: list[Bundle], nodes: list[Any], lack: str) -> None:
    import re

    found = missing(wanted, nodes)

    assert re.search(lack, found) if lack else not found


def test_a_head_without_cpus_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "_is_cpu_package", lambda: True)

    assert [bundle.cpus for bundle in bundles(cascade(), [HEAD, node(16)])] == [7, 7]


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 4)), min_size=1, max_size=4), st.integers(1, 4))
def test_what_fits_still_fits_when_a_node_is_added(sizes: list[tuple[int, int]], gpus: int) -> None:
    nodes = [node(cpus + 1, number) for cpus, number in sizes]
    wanted = [Bundle(1, gpus, 1)]

    if not missing(wanted, nodes):
        assert any(number >= gpus for _, number in sizes)
        assert not missing(wanted, [*nodes, node(4)])


class Growing:
    """A cluster whose GPU node comes after it has been asked for, once it has been looked at a few times."""

    def __init__(self, looks: int) -> None:
        self.looks, self.asked = looks, []

    def nodes(self) -> list[Any]:
        self.looks -= 1 if self.asked else 0
        return [node(4)] + ([node(8, 1)] if self.looks < 0 else [])


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds pass when somebody sleeps."""
    clock = [0.0]
    monkeypatch.setattr(cluster.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(cluster.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))


def test_nodes_that_autoscaling_brings_are_asked_and_waited_for(
    no_pauses: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    growing = Growing(80)
    monkeypatch.setattr(ray, "nodes", growing.nodes)
    monkeypatch.setattr("ray.autoscaler.sdk.request_resources", lambda bundles: growing.asked.append(bundles))  # noqa: PLW0108  # by keyword
    caplog.set_level(logging.INFO)

    cluster.check_resources(cascade(gpus=0.5, accelerator=None, wait_seconds=1800))

    waits = [record.getMessage() for record in caplog.records if "cluster.waiting" in record.getMessage()]
    assert growing.asked[0] == [{"CPU": 1.0, "GPU": 0.5}] * 2
    assert growing.asked[-1] == []  # otherwise the nodes would be kept for ever
    assert waits[0] == "cluster.waiting seconds=0 for=2 engines need 1 GPUs, the cluster has 0"
    assert 2 <= len(waits) <= 5  # one a minute


def test_nodes_that_do_not_come_are_an_error_in_the_end(no_pauses: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [node(4)])
    monkeypatch.setattr("ray.autoscaler.sdk.request_resources", lambda bundles: None)

    for seconds in (0, 120):
        with pytest.raises(ResourceError, match="2 engines need 2 GPUs, the cluster has 0"):
            cluster.check_resources(cascade(gpus=1, wait_seconds=seconds))
