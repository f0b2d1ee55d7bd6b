"""The engine stage with a simulated engine, without Ray: who is convicted, and when the run stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.annotator.spec import resolve
from ner_ray.config import AnnotateConfig
from ner_ray.engines import openai as openai_engine
from ner_ray.pipeline import generate
from ner_ray.pipeline.generate import GenerateStage
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.suspects import Suspects
from tests.answering import AnsweringServer, Raw, answering
from tests.pipeline.simulated import (
    ANSWER,
    EXPECTED,
    SPEC,
    STARTS,
    Behaviour,
    Engine,
    drive,
    row,
    simulated_engines,
    worlds,
)


@pytest.fixture(autouse=True)
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(openai_engine, "_FIRST_PAUSE", 0.01)
    with simulated_engines():
        yield


def codes(done: dict[int, Any]) -> dict[int, str]:
    """The code of each document that is not ok."""
    assert all((annotation.status == "ok") == (not annotation.errors) for annotation in done.values())
    return {number: done[number].errors[0].code for number in sorted(done) if done[number].errors}


BLOCKS = st.lists(st.integers(1, 24), min_size=1, max_size=4).map(
    lambda sizes: [
        list(range(sum(sizes[:place]), sum(sizes[: place + 1])))  # numbered through
        for place in range(len(sizes))
    ]
)
PAUSES = st.dictionaries(st.integers(0, 95), st.integers(0, 6), max_size=20)


@given(BLOCKS, st.dictionaries(st.integers(0, 95), st.sampled_from(sorted(EXPECTED)), max_size=5), PAUSES)
def test_exactly_the_documents_at_fault_fail_each_with_its_code(
    blocks: list[list[int]], manners: dict[int, str], pauses: dict[int, int]
) -> None:
    """Whatever is in the engine beside them, and in whatever order they fail."""
    world = Behaviour(manners, pauses=pauses)

    done, stopped = drive(world, blocks)

    rows = {number for block in blocks for number in block}
    assert not stopped
    assert done.keys() == rows
    found = codes(done)
    assert found.keys() == manners.keys() & rows
    for number, code in found.items():
        assert code in {EXPECTED[manners[number]]} | ({"request"} if EXPECTED[manners[number]] == "poison" else set())


@given(
    BLOCKS,
    st.sampled_from(["dies", "vanishes", "silent", "bug", "refused", "unavailable"]),
    st.integers(0, 40),
    PAUSES,
)
def test_an_engine_that_answers_nobody_any_more_stops_the_run_and_convicts_nobody(
    blocks: list[list[int]], manner: str, after: int, pauses: dict[int, int]
) -> None:
    rows = {number for block in blocks for number in block}
    world = Behaviour(outages=dict.fromkeys(range(after + 1, 10_000), manner), pauses=pauses)

    done, stopped = drive(world, blocks)

    assert codes(done) == {}
    assert stopped or done.keys() == rows
    assert after >= len(rows) or stopped, "some document was not answered"
    again, stopped = drive(Behaviour(), [block for block in blocks if not set(block) <= done.keys()])
    assert not stopped
    assert codes(again) == {}
    assert again.keys() | done.keys() == rows


@given(
    BLOCKS,
    st.sampled_from(["silent", "bug", "unavailable"]),
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), min_size=1, max_size=2),
    PAUSES,
)
def test_an_outage_that_passes_convicts_nobody(
    blocks: list[list[int]], manner: str, outages: list[tuple[int, int]], pauses: dict[int, int]
) -> None:
    """The run goes on, or stops and is resumed."""
    rows = {number for block in blocks for number in block}
    world = Behaviour(outages={at: manner for begin, length in outages for at in range(begin, begin + length)})
    world.pauses = pauses
    everything = dict[int, Any]()
    for _ in range(STARTS):
        done, stopped = drive(world, [block for block in blocks if not set(block) <= everything.keys()])
        everything |= done
        if not stopped:
            break

    assert everything.keys() == rows
    assert set(codes(everything).values()) <= {"request"} if manner == "unavailable" else codes(everything) == {}


def test_the_run_stops_with_the_engines_own_words() -> None:
    _, stopped = drive(Behaviour(outages=dict.fromkeys(range(99), "unavailable")), [[0, 1, 2]])

    assert stopped == "status 402"


def test_a_document_that_is_alone_in_the_run_is_convicted_too() -> None:
    for manner in ("dies", "vanishes", "silent"):
        done, stopped = drive(Behaviour({0: manner}), [[0]])

        assert (codes(done), stopped) == ({0: "poison"}, "")


def test_engines_that_die_at_every_document_but_not_at_control_questions_stop_the_run() -> None:
    done, stopped = drive(Behaviour(dict.fromkeys(range(60), "dies")), [list(range(60))])

    assert done == {}
    assert stopped == "20 documents in succession are not answered; the last one: the engine has died"


def test_documents_that_were_convicted_before_are_convicted_again_however_many_they_are() -> None:
    retried = range(30)
    done, stopped = drive(Behaviour(dict.fromkeys(retried, "dies")), [list(range(33))], books=Suspects(retried))

    assert not stopped
    assert codes(done) == dict.fromkeys(retried, "poison")
    done, stopped = drive(Behaviour(), [list(range(33))], books=Suspects(retried))
    assert (codes(done), len(done), stopped) == ({}, 33, "")


PASSING = {
    "429": Raw({"error": {"message": "Rate limit reached"}}, 429),
    "500": Raw({"error": {"message": "EngineCore died"}}, 500),
    "503": Raw("Service Unavailable", 503, "text/plain"),
    "cut": Raw("", 0),
    "page": Raw("<html>Welcome</html>", kind="text/html"),
    "no choices": Raw({"choices": []}),
    "error": Raw({"error": {"message": "Provider returned error", "code": 502}}),
}
LASTING = {
    "quota": Raw({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, 429),
    "balance": Raw({"error": {"message": "Insufficient Balance"}}, 402),
    "unloaded": Raw({"error": {"message": "model not found"}}, 404),
    "key": Raw({"error": {"message": "Invalid API key"}}, 401),
    "refused": Raw({"error": {"message": "no such parameter"}}, 400),
}
REPLIES = PASSING | LASTING


@pytest.fixture(scope="module")
def server() -> Iterator[AnsweringServer]:
    with answering(lambda asked: ANSWER) as running:
        yield running


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12), st.sampled_from(sorted(REPLIES))), max_size=2),
    st.integers(0, 1),
)
def test_whatever_a_server_goes_through_each_night_is_honest_and_the_last_one_completes_the_corpus(
    server: AnsweringServer, sizes: list[int], phases: list[tuple[int, int, str]], retries: int
) -> None:
    """A phase: some requests are answered, then some are not; after the last phase the server is well again."""
    plan = [reply for well, ill, name in phases for reply in [None] * well + [REPLIES[name]] * ill]
    blocks = [list(range(sum(sizes[:place]), sum(sizes[: place + 1]))) for place in range(len(sizes))]
    server.answer = lambda asked: (plan.pop(0) if plan else None) or ANSWER
    world = Behaviour(server=server)
    config = SPEC.config.model_dump() | {"engine": server.engine(retries=retries, max_num_seqs=4)}
    spec = resolve(AnnotateConfig.model_validate(config))
    everything = dict[int, Any]()
    for _ in range(STARTS):
        done, stopped = drive(world, [block for block in blocks if not set(block) <= everything.keys()], spec)
        assert not everything.keys() & done.keys()
        everything |= done
        if not stopped:
            break
        assert any(said in stopped for said in ("status", "Welcome", "no answer", "does not answer"))

    assert everything.keys() == set(range(sum(sizes)))
    assert all(annotation.entities for annotation in everything.values() if not annotation.errors)
    assert set(codes(everything).values()) <= {"request"}
    if all(name in PASSING for _, _, name in phases[:1]) and len(phases) <= 1:
        assert codes(everything) == {}


def test_an_engine_is_closed_as_soon_as_nobody_needs_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold a GPU, or processes of its own; neither the watcher nor the answered rows keep it."""
    closed = threading.Event()
    world = Behaviour()
    worlds[:] = [world]
    engine = Engine(world)
    monkeypatch.setattr(engine, "close", closed.set)
    with monkeypatch.context() as simulated:  # undone before the fixture's own
        simulated.setattr(generate.pools, "start", lambda *_: engine)
        stage = GenerateStage(SPEC, 0, Counts(None), suspects=Suspects())
    asyncio.run_coroutine_threadsafe(stage.answer({0: row(0)}), stage._loop).result()
    assert not closed.is_set()

    del stage

    assert closed.wait(30)
