"""Tells whether an engine answers: who is to blame for a failure depends on what happens to other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

from ner_ray.errors import NoTextError

_Result = TypeVar("_Result")


class Pulse:
    """The successes and failures of an engine's requests, in their order.

    Attributes:
        is_doubtful: whether a request has failed and none has been answered since.
    """

    def __init__(self) -> None:
        self.is_doubtful = False
        self._under_way: set[asyncio.Future[bool]] = set()

    async def of(self, request: Awaitable[_Result]) -> _Result:
        """The result of a request, whose end is noted."""
        answered = asyncio.get_running_loop().create_future()
        self._under_way.add(answered)
        try:
            result = await request
        except asyncio.CancelledError:
            self._end(answered, is_answered=False)
            raise
        except Exception as error:
            self._end(answered, is_answered=isinstance(error, NoTextError))
            self.is_doubtful = not isinstance(error, NoTextError)
            raise
        self._end(answered, is_answered=True)
        self.is_doubtful = False
        return result

    async def others_answered(self) -> bool:
        """Waits until one of the requests that are under way now is answered; False if none is."""
        waiting = set(self._under_way)
        while waiting:
            ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(answered.result() for answered in ended):
                return True
        return False

    def _end(self, answered: asyncio.Future[bool], *, is_answered: bool) -> None:
        self._under_way.discard(answered)
        answered.set_result(is_answered)


async def together(work: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Runs coroutines concurrently; if one of them fails, the others are cancelled and have ended before it raises."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
