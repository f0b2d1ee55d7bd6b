"""Drives conversations with one engine, with many chunks and requests in flight, on the event loop of the caller.

Prompts are rendered, and answers parsed and aligned, in threads: the event loop only passes requests to the engine and
answers back, so that it never keeps the engine waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ner_ray.annotator.document import (
    Conversation,
    Dialogue,
    ReadingRules,
    Round,
    broken,
    converse,
)
from ner_ray.annotator.spec import Pool, Role
from ner_ray.errors import EngineError, RequestError
from ner_ray.types import Completion, ErrorRecord, Exchange, Findings, Prompt, StepInput

_LOG = logging.getLogger(__name__)

# Enough that the engine's own queue never runs dry, and few enough that chunks are finished soon after they are begun.
_CHUNKS_PER_SEQUENCE = 2
_REQUESTS_PER_SEQUENCE = 4
_READERS = 2  # threads; parsing and aligning hold the GIL, so more would only compete

Answer = Callable[[Role, Prompt], Awaitable[tuple[Completion, ...]]]
"""Asks an engine for the answer to a prompt, one completion per sample; raises `RequestError` or `EngineError`."""


class Asker:
    """Asks the engine of one pool about chunks.

    Args:
        pool: which steps to ask, and how.
        rules: how answers become entities.
        answer: returns answers: `Engine.generate`, perhaps with bookkeeping around it.
    """

    def __init__(self, pool: Pool, rules: ReadingRules, answer: Answer) -> None:
        self._pool = pool
        self._roles = {role.step.role: role for role in pool.roles}
        self._rules = rules
        self._answer = answer
        self._chunks = asyncio.Semaphore(_CHUNKS_PER_SEQUENCE * pool.engine.max_num_seqs)
        self._requests = asyncio.Semaphore(_REQUESTS_PER_SEQUENCE * pool.engine.max_num_seqs)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")

    async def converse(
        self, given: StepInput, known: Findings | None = None, *, leave_last: bool = False
    ) -> Conversation:
        """Holds the whole conversation about a chunk; see `document.converse`. A bug in a step fails only this chunk.

        Raises:
            EngineError: the engine is dead.
        """
        async with self._chunks:
            transcripts: dict[str, list[Exchange]] = {}
            dialogue = converse(self._pool.steps, given, self._rules, known, leave_last=leave_last)
            try:
                return await self._drive(dialogue, transcripts)
            except EngineError:
                raise
            except Exception as error:  # noqa: BLE001  # the chunk's boundary: one document must not end the job
                role = next(reversed(transcripts), self._pool.name)
                _LOG.error("chunk.failed stage=%s error=%s", role, type(error).__name__)
                return Conversation(broken(known or Findings(), role, error), transcripts)

    async def _drive(self, dialogue: Dialogue, transcripts: dict[str, list[Exchange]]) -> Conversation:
        """Runs a dialogue to its end; adds each exchange to `transcripts`, by role, as soon as it is complete."""
        loop = asyncio.get_running_loop()
        exchanges: list[Exchange] | None = None
        while True:
            turn = await loop.run_in_executor(self._readers, _advance, dialogue, exchanges)
            if isinstance(turn, Conversation):
                return turn
            role = self._roles[turn.role]
            exchanges = await asyncio.gather(*(self._exchange(role, prompt) for prompt in turn.prompts))
            transcripts.setdefault(turn.role, []).extend(exchanges)

    async def _exchange(self, role: Role, prompt: Prompt) -> Exchange:
        async with self._requests:
            try:
                return Exchange(prompt, await self._answer(role, prompt))
            except RequestError as error:
                return Exchange(prompt, (), ErrorRecord(error.code, role.step.role, error.message))

    def close(self) -> None:
        """Stops the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)


def _advance(dialogue: Dialogue, exchanges: Sequence[Exchange] | None) -> Round | Conversation:
    """The next round of a dialogue, or its result; a future cannot carry a `StopIteration`."""
    try:
        return next(dialogue) if exchanges is None else dialogue.send(exchanges)
    except StopIteration as finished:
        result: Conversation = finished.value
        return result
