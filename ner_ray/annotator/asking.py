"""Drives conversations with one engine, with many chunks and requests in flight, on the event loop of the caller.

Prompts are rendered, and answers parsed and aligned, in threads: the event loop only passes requests to the engine and
answers back, so that it never keeps the engine waiting.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ner_ray.annotator.document import (
    Conversation,
    Dialogue,
    ReadingRules,
    Round,
    broken,
    converse,
    failed,
)
from ner_ray.annotator.pulse import Pulse, together
from ner_ray.annotator.spec import Pool, Role
from ner_ray.annotator.traces import traced
from ner_ray.errors import (
    EngineBugError,
    EngineError,
    ErrorCode,
    NoTextError,
    RequestError,
    UnansweredError,
    UnavailableError,
)
from ner_ray.families.base import Step
from ner_ray.types import Completion, Entity, ErrorRecord, Exchange, Findings, LabelSet, Prompt, StepInput

_LOG = logging.getLogger(__name__)

# Enough that the engine's own queue never runs dry, and few enough that chunks are finished soon after they are begun.
_CHUNKS_PER_SEQUENCE = 2
_REQUESTS_PER_SEQUENCE = 4
_ATTEMPTS = 2  # at a request that an engine does not answer, although it answers others
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
        self._pulse = Pulse()
        self._proof: asyncio.Task[None] | None = None
        self._chunks = asyncio.Semaphore(_CHUNKS_PER_SEQUENCE * pool.engine.seats)
        self._requests = asyncio.Semaphore(_REQUESTS_PER_SEQUENCE * pool.engine.seats)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")

    @property
    def is_doubtful(self) -> bool:
        """Whether the engine has failed at a request and has answered none since."""
        return self._pulse.is_doubtful

    def doubt(self) -> None:
        """Makes the next `prove` ask, because an engine before this one has died."""
        self._pulse.is_doubtful = True

    async def prove(self, label_set: LabelSet) -> None:
        """Makes sure that the engine has answered since its last failure; if need be, asks a control question.

        A failure is blamed on a document only after that.

        Args:
            label_set: for the prompt.

        Raises:
            EngineError: it has not.
        """
        if not self._pulse.is_doubtful:
            return
        if self._proof is None or self._proof.done():
            self._proof = asyncio.ensure_future(self._control(label_set))
        await asyncio.shield(self._proof)

    async def insist(self, given: StepInput, known: Findings | None = None) -> Conversation:
        """Converses about a chunk; if the engine gives no answer although it answers others, the chunk fails.

        Raises:
            EngineError: the engine is dead, or answers nobody.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self.converse(given, known)
            except UnansweredError as error:
                failure = error
                await self.prove(given.labels)
        code = ErrorCode.INTERNAL if isinstance(failure, EngineBugError) else ErrorCode.REQUEST
        record = ErrorRecord(code, self._pool.name, failure.message)
        return Conversation(failed(known or Findings(), record), {})

    async def converse(
        self, given: StepInput, known: Findings | None = None, *, leave_last: bool = False
    ) -> Conversation:
        """Holds the whole conversation about a chunk; see `document.converse`. A bug in a step fails only this chunk.

        Raises:
            UnansweredError: a request got no answer, and it is not known whether any would.
            EngineError: the engine is dead, or answers nobody.
        """
        async with self._chunks:
            transcripts: dict[str, list[Exchange]] = {}
            dialogue = converse(self._pool.steps, given, self._rules, known, leave_last=leave_last)
            try:
                return await self._drive(dialogue, transcripts, given.labels)
            except EngineError:
                raise
            except Exception as error:  # noqa: BLE001  # the chunk's boundary: one document must not end the job
                role = next(reversed(transcripts), self._pool.name)
                _LOG.error("chunk.failed stage=%s error=%s", role, traced(error))
                return Conversation(broken(known or Findings(), role, error), transcripts)

    async def _drive(
        self, dialogue: Dialogue, transcripts: dict[str, list[Exchange]], label_set: LabelSet
    ) -> Conversation:
        """Runs a dialogue to its end; adds each exchange to `transcripts`, by role, as soon as it is complete."""
        loop = asyncio.get_running_loop()
        exchanges: list[Exchange] | None = None
        while True:
            turn = await loop.run_in_executor(self._readers, _advance, dialogue, exchanges)
            if isinstance(turn, Conversation):
                return turn
            role = self._roles[turn.role]
            exchanges = await together(self._exchange(role, prompt, label_set) for prompt in turn.prompts)
            transcripts.setdefault(turn.role, []).extend(exchanges)

    async def _exchange(self, role: Role, prompt: Prompt, label_set: LabelSet) -> Exchange:
        async with self._requests:
            try:
                return Exchange(prompt, await self._ask(role, prompt))
            except RequestError as error:
                refusal = error
            except UnavailableError as error:  # which some servers say of a single request
                await self.prove(label_set)
                refusal = RequestError(error.message)
            return Exchange(prompt, (), ErrorRecord(refusal.code, role.step.role, refusal.message))

    async def _ask(self, role: Role, prompt: Prompt) -> tuple[Completion, ...]:
        """The answer; a request that gets none twice, while others do, is at fault itself.

        Raises:
            UnansweredError: nor do others that are under way.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self._pulse.of(self._guarded(role, prompt))
            except UnansweredError as error:
                if not await self._pulse.others_answered():
                    raise
                failure = error
        if isinstance(failure, EngineBugError) and failure.__cause__:
            raise failure.__cause__
        raise RequestError(f"the engine answers other requests, but not this one: {failure.message}") from failure

    async def _guarded(self, role: Role, prompt: Prompt) -> tuple[Completion, ...]:
        """The engine's answer.

        Raises:
            EngineBugError: in place of an exception that engines do not raise.
        """
        try:
            return await self._answer(role, prompt)
        except (EngineError, RequestError):
            raise
        except Exception as error:
            _LOG.error("engine.failed engine=%s error=%s", self._pool.engine.name, traced(error))
            raise EngineBugError(f"{type(error).__name__} in the engine {self._pool.engine.name}") from error

    async def _control(self, label_set: LabelSet) -> None:
        """Asks what the first step would ask about a text that is nobody's; no cache knows it."""
        text = f"Ada met Bo in room {secrets.randbelow(10**9)}."
        given = StepInput(text, label_set, entities=(Entity(0, 3, "Ada", ""),))
        questions = ((step.role, prompt) for step in self._pool.steps for prompt in _first_prompts(step, given))
        role, prompt = next(questions, (None, None))
        if role is None or prompt is None:
            return
        try:
            await self._pulse.of(self._guarded(self._roles[role], prompt))
        except NoTextError:
            return
        except RequestError as error:
            raise UnavailableError(f"{error.message}; a control question is refused as well") from error

    def close(self) -> None:
        """Stops the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)


def _first_prompts(step: Step, given: StepInput) -> Sequence[Prompt]:
    """What a step asks first; nothing if it cannot."""
    try:
        return step.ask(given, ())
    except Exception:  # noqa: BLE001  # a bug of the step says nothing about the engine
        return ()


def _advance(dialogue: Dialogue, exchanges: Sequence[Exchange] | None) -> Round | Conversation:
    """The next round of a dialogue, or its result; a future cannot carry a `StopIteration`."""
    try:
        return next(dialogue) if exchanges is None else dialogue.send(exchanges)
    except StopIteration as finished:
        result: Conversation = finished.value
        return result
