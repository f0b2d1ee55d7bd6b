"""The actors that keep records for a run: on the head node, restarted, and not needed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest
import ray
from ray.cluster_utils import Cluster

from ner_ray.pipeline import annotate as driver
from ner_ray.pipeline.progress import Counts, Scoreboard, start_scoreboard
from ner_ray.pipeline.suspects import Entry, Record, Suspects, start_suspects

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[None]:
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


def process_of(book: object) -> int:
    return ray.get(book.__ray_call__.remote(lambda _: os.getpid()))  # type: ignore[attr-defined]


def note(book: object, method: str, *arguments: object) -> object:
    return asyncio.run(Record(book, 0).note(method, *arguments))


@pytest.mark.usefixtures("two_nodes")
@pytest.mark.parametrize("start", [start_suspects, start_scoreboard])
def test_books_are_on_the_head_node(start: object) -> None:
    book = start()  # type: ignore[operator]

    node = ray.get(book.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id()))

    assert node == next(n["NodeID"] for n in ray.nodes() if "node:__internal_head__" in n["Resources"])


@pytest.mark.usefixtures("two_nodes")
def test_a_book_whose_process_is_killed_time_and_again_answers_all_the_same() -> None:
    book = start_suspects()
    for block in range(20):
        rows = [2 * block, 2 * block + 1]
        if block % 5 == 2:
            os.kill(process_of(book), signal.SIGKILL)

        assert note(book, "enter", rows) == Entry([], [])

        if block % 5 == 4:
            os.kill(process_of(book), signal.SIGKILL)
        assert note(book, "leave", rows) is None


@pytest.mark.usefixtures("two_nodes")
def test_a_run_goes_on_without_books() -> None:
    book = ray.remote(num_cpus=0)(Suspects).remote()
    scoreboard = ray.remote(num_cpus=0)(Scoreboard).remote()
    for actor in (book, scoreboard):
        os.kill(process_of(actor), signal.SIGKILL)
    time.sleep(1)

    assert note(book, "enter", [1]) is None
    Counts(scoreboard).leave_open(3, "gone")
    assert driver._left_open(scoreboard) == {}
    assert driver._totals(scoreboard) == {}
