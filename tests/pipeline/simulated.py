"""Engines that are simulated, with the real engine stage around them: what documents do to them, and how they die."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from ner_ray import schema
from ner_ray.annotator.rows import merge_row, read_row
from ner_ray.annotator.spec import Pool, Spec, resolve
from ner_ray.config import AnnotateConfig
from ner_ray.engines._refusals import of_body
from ner_ray.engines._replies import NoReplyError, read
from ner_ray.engines.base import load
from ner_ray.errors import EngineError, RequestError, StoppedError, UnansweredError, UnavailableError
from ner_ray.pipeline import generate
from ner_ray.pipeline.generate import GenerateStage
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.suspects import Suspects
from ner_ray.types import Annotation, Chunk, Completion, Prompt
from tests.answering import AnsweringServer

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
ANSWER = '[{"Ada": "person"}]'
REPLIES = {  # of servers, with the status 200
    "errs": '{"error": {"message": "Provider returned error"}}',
    "shows a page": "<html>Welcome</html>",
}
EXPECTED = {
    "dies": "poison", "vanishes": "poison", "silent": "poison", "bug": "internal", "refused": "request",
    "errs": "poison", "shows a page": "poison", "babbles": "unparsable",
}  # fmt: skip  # the code of a document that behaves like that
STARTS = 200  # of engines or drivers, after which the world is said not to end


class ProcessDied(BaseException):
    """The actor's process is no more; nothing may catch this."""


@dataclass
class Behaviour:
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

    def __init__(self, world: Behaviour) -> None:
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
        body = REPLIES.get(manner) or reply("I cannot say." if manner == "babbles" else ANSWER)
        try:
            return read(body)
        except NoReplyError:
            raise of_body(body, 200, "").error() from None

    def close(self) -> None:
        """Nothing is held."""


def reply(text: str) -> str:
    """The body of a server's reply."""
    return json.dumps({"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]})


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
        if worlds[0].is_dead:
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


@contextmanager
def simulated_engines() -> Iterator[None]:
    """Engines, and the connection to the record of suspects, are simulated meanwhile."""
    with (
        mock.patch.object(generate, "Record", Here),
        mock.patch.object(generate.pools, "start", lambda spec, pool: worlds[0].engine(pool)),
    ):
        yield


class Stage(GenerateStage):
    """The stage in a process that can be seen dying, on the event loop of the test."""

    def _start_loop(self) -> None:
        """The test has one."""

    def _die(self, reason: str) -> Any:
        self._record.send("died", reason)
        worlds[0].is_dead = True
        raise ProcessDied


worlds: list[Behaviour] = []  # the one in which engines live now


def row(number: int) -> schema.Row:
    text = f"Ada wrote document {number}."
    chunk = schema.chunk_to_row(Chunk(0, len(text), 0, len(text)))
    return {schema.TEXT: text, schema.CHUNKS: [chunk], schema.ERRORS: [], schema.EXCHANGES: []}


def merged(spec: Spec, given: schema.Row, answered: Any) -> Annotation:
    """The annotation of a row that the stage has answered."""
    answered_row = given | columns_of_answer(answered)
    return merge_row(answered_row, read_row(spec, answered_row, spec.steps))


def columns_of_answer(answered: Any) -> schema.Row:
    """The columns that the stage fills, for one row."""
    return {schema.EXCHANGES: answered.exchanges, schema.FINDINGS: answered.findings, schema.ERRORS: answered.errors}


def drive(
    world: Behaviour,
    blocks: list[list[int]],
    spec: Spec = SPEC,
    books: Suspects | None = None,
    row_of: Callable[[int], schema.Row] = row,
    finish: Callable[[Spec, schema.Row, Any], Any] = merged,
) -> tuple[dict[int, Any], str]:
    """Runs blocks of documents as Ray does: a new actor after each death, with the blocks that are not done.

    Returns:
        What `finish` makes of each document's answer, and why it stopped.
    """
    worlds[:] = [world]
    books, done = books or Suspects(), dict[int, Any]()
    for _ in range(STARTS):
        waiting = [block for block in blocks if not set(block) <= done.keys()]
        if not waiting:
            return done, ""
        world.is_dead = False
        stage = Stage(spec, 0, Counts(None), suspects=books)
        stage._asker._readers = Inline()
        try:
            asyncio.run(live(stage, waiting, done, row_of, finish))
        except ProcessDied:
            continue
        except StoppedError as error:
            return done, error.message
    raise AssertionError("it never ends")


async def live(
    stage: Stage,
    blocks: list[list[int]],
    done: dict[int, Any],
    row_of: Callable[[int], schema.Row],
    finish: Callable[[Spec, schema.Row, Any], Any],
) -> None:
    """One actor's life."""

    async def one(block: list[int]) -> None:
        given = {number: row_of(number) for number in block}
        answered = await stage.answer(given)
        for number, answer in zip(block, answered, strict=True):
            done[number] = finish(stage._spec, given[number], answer)

    tasks = [asyncio.ensure_future(one(block)) for block in blocks]
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    stage._engine.close()
    await asyncio.gather(*ended)
