"""The engine stage with a simulated engine, without Ray: who is convicted, and when the run stops."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray import schema
from ner_ray.annotator.rows import merge_row, read_row
from ner_ray.annotator.spec import Pool, Spec, resolve
from ner_ray.config import AnnotateConfig
from ner_ray.engines import openai as openai_engine
from ner_ray.engines.base import load
from ner_ray.errors import EngineError, RequestError, StoppedError, UnansweredError, UnavailableError
from ner_ray.pipeline import generate
from ner_ray.pipeline.generate import GenerateStage
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.suspects import Suspects
from ner_ray.types import Chunk, Completion, Prompt
from tests.answering import AnsweringServer, Raw, answering

SPEC = resolve(
    AnnotateConfig.model_validate(
        {
            "input": {"path": "none"},
            "labels": ["person"],
            "family": "instruct",
            "engine": {"name": "openai", "url": "http://127.0.0.1:9/v1", "model": "m", "max_num_seqs": 4},
            "output": {"path": "none"},
        }
    )
)
ANSWER = Completion('[{"Ada": "person"}]')
STARTS = 200  # of engines or drivers, after which the world is said not to end


class ProcessDied(BaseException):
    """The actor's process is no more; nothing may catch this."""


@dataclass
class World:
    """What documents do to engines, and what becomes of engines over time.

    Attributes:
        manners: by document; see `_answer`.
        outages: by number of request: what happens to it, whatever it asks.
        pauses: turns of the event loop that each document takes.
    """

    manners: dict[int, str] = field(default_factory=dict)
    outages: dict[int, str] = field(default_factory=dict)
    pauses: dict[int, int] = field(default_factory=dict)
    asked: int = 0
    server: AnsweringServer | None = None  # a real one, in place of the simulated engine
    is_dead: bool = False  # the process of the current actor, which does nothing more

    def engine(self, pool: Pool) -> Any:
        """A new engine."""
        return load("openai").create(pool.engine) if self.server else Engine(self)


class Engine:
    """A simulated engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.end: BaseException | None = None

    async def generate(self, prompt: Prompt, *_: object) -> tuple[Completion, ...]:
        number = document_of(prompt)
        self.world.asked += 1
        manner = self.world.outages.get(self.world.asked) or self.world.manners.get(number, "")
        for _ in range(self.world.pauses.get(number, 0)):
            await asyncio.sleep(0)
        if self.end:
            raise self.end
        return self.answer(manner)

    def answer(self, manner: str) -> tuple[Completion, ...]:
        if manner == "dies":
            self.end = EngineError("the engine has died")
            raise self.end
        if manner == "vanishes":
            self.world.is_dead = True
            raise ProcessDied
        errors = {
            "silent": UnansweredError("status 500"),
            "refused": RequestError("status 400"),
            "unavailable": UnavailableError("status 402"),
            "bug": TypeError("a bug of the engine"),
        }
        if manner in errors:
            raise errors[manner]
        return (ANSWER,)

    def close(self) -> None:
        """Nothing is held."""


def document_of(prompt: Prompt) -> int:
    """The number of the document that a prompt is about; -1 for a control question."""
    said = prompt.content if isinstance(prompt.content, str) else prompt.content[-1].content
    found = re.search(r"document (\d+)", said)
    return int(found[1]) if found else -1


class Here:
    """A `Record` without an actor."""

    def __init__(self, books: Suspects, pool: int) -> None:
        self.books, self.pool = books, pool

    async def note(self, method: str, *arguments: Any) -> Any:
        await asyncio.sleep(0)
        if simulated_world[0].is_dead:
            await asyncio.Future()
        return self.send(method, *arguments)

    def send(self, method: str, *arguments: Any) -> Any:
        return getattr(self.books, method)(self.pool, *arguments)


class Inline(Executor):
    """Runs at once what threads would run, so that examples can be repeated."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:  # noqa: BLE001  # as an executor does
            future.set_exception(error)
        return future


class Stage(GenerateStage):
    """The stage in a process that can be seen dying, on the event loop of the test."""

    def _start_loop(self) -> None:
        """The test has one."""

    def _die(self, reason: str) -> Any:
        self._record.send("died", reason)
        simulated_world[0].is_dead = True
        raise ProcessDied


@pytest.fixture(autouse=True)
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "Record", Here)
    monkeypatch.setattr(openai_engine, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(generate.pools, "start", lambda spec, pool: simulated_world[0].engine(pool))


simulated_world: list[World] = []


def row(number: int) -> schema.Row:
    text = f"Ada wrote document {number}."
    chunk = schema.chunk_to_row(Chunk(0, len(text), 0, len(text)))
    return {schema.TEXT: text, schema.CHUNKS: [chunk], schema.ERRORS: [], schema.EXCHANGES: []}


def drive(world: World, blocks: list[list[int]], spec: Spec = SPEC) -> tuple[dict[int, Any], str]:
    """Runs blocks as Ray does: a new actor after each death, with the blocks that are not done.

    Returns:
        The annotations by document, and why it stopped.
    """
    simulated_world[:] = [world]
    books, done = Suspects(), dict[int, Any]()
    for _ in range(STARTS):
        waiting = [block for block in blocks if not set(block) <= done.keys()]
        if not waiting:
            return done, ""
        world.is_dead = False
        stage = Stage(spec, 0, Counts(None), suspects=books)
        stage._asker._readers = Inline()
        try:
            asyncio.run(live(stage, waiting, done))
        except ProcessDied:
            continue
        except StoppedError as error:
            return done, error.message
    raise AssertionError("it never ends")


async def live(stage: Stage, blocks: list[list[int]], done: dict[int, Any]) -> None:
    """One actor's life."""

    async def one(block: list[int]) -> None:
        answered = await stage.answer({number: row(number) for number in block})
        for number, answer in zip(block, answered, strict=True):
            columns = {
                schema.EXCHANGES: answer.exchanges,
                schema.FINDINGS: answer.findings,
                schema.ERRORS: answer.errors,
            }
            given_row = row(number) | columns
            done[number] = merge_row(given_row, read_row(stage._spec, given_row, stage._spec.steps))

    tasks = [asyncio.ensure_future(one(block)) for block in blocks]
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    stage._engine.close()
    await asyncio.gather(*ended)


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
EXPECTED = {"dies": "poison", "vanishes": "poison", "silent": "poison", "bug": "internal", "refused": "request"}


@given(BLOCKS, st.dictionaries(st.integers(0, 95), st.sampled_from(sorted(EXPECTED)), max_size=5), PAUSES)
def test_exactly_the_documents_at_fault_fail_each_with_its_code(
    blocks: list[list[int]], manners: dict[int, str], pauses: dict[int, int]
) -> None:
    """Whatever is in the engine beside them, and in whatever order they fail."""
    world = World(manners, pauses=pauses)

    done, stopped = drive(world, blocks)

    rows = {number for block in blocks for number in block}
    assert not stopped
    assert done.keys() == rows
    found = codes(done)
    assert found.keys() == manners.keys() & rows
    for number, code in found.items():
        assert code in {EXPECTED[manners[number]]} | ({"request"} if manners[number] == "silent" else set())


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
    world = World(outages=dict.fromkeys(range(after + 1, 10_000), manner), pauses=pauses)

    done, stopped = drive(world, blocks)

    assert codes(done) == {}
    assert stopped or done.keys() == rows
    assert after >= len(rows) or stopped, "some document was not answered"
    again, stopped = drive(World(), [block for block in blocks if not set(block) <= done.keys()])
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
    world = World(outages={at: manner for begin, length in outages for at in range(begin, begin + length)})
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
    _, stopped = drive(World(outages=dict.fromkeys(range(99), "unavailable")), [[0, 1, 2]])

    assert stopped == "status 402"


def test_a_document_that_is_alone_in_the_run_is_convicted_too() -> None:
    for manner in ("dies", "vanishes", "silent"):
        done, stopped = drive(World({0: manner}), [[0]])

        assert (codes(done), stopped) == ({0: "poison"}, "")


def test_engines_that_die_at_every_document_but_not_at_control_questions_stop_the_run() -> None:
    done, stopped = drive(World(dict.fromkeys(range(60), "dies")), [list(range(60))])

    assert done == {}
    assert stopped == "20 documents in succession are not answered; the last one: the engine has died"


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
    with answering(lambda asked: ANSWER.text) as running:
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
    server.answer = lambda asked: (plan.pop(0) if plan else None) or ANSWER.text
    world = World(server=server)
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
    world = World()
    simulated_world[:] = [world]
    engine = Engine(world)
    monkeypatch.setattr(engine, "close", closed.set)
    monkeypatch.setattr(generate.pools, "start", lambda *_: engine)
    stage = GenerateStage(SPEC, 0, Counts(None), suspects=Suspects())
    asyncio.run_coroutine_threadsafe(stage.answer({0: row(0)}), stage._loop).result()
    assert not closed.is_set()

    del stage

    assert closed.wait(30)
