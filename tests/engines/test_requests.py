"""Requests of an engine that is closed, whatever its library makes of that."""

from __future__ import annotations

import asyncio

import pytest

from ner_ray.engines._requests import CLOSED, OpenRequests
from ner_ray.errors import EngineError


def test_whatever_a_request_raises_once_the_engine_is_closed_is_said_to_be_that() -> None:
    async def broken_by_its_cancellation() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError("the socket through which this would be abandoned is closed") from None

    async def refused() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("the core is not there")

    async def closing() -> list[object]:
        requests = OpenRequests()
        waiting = [asyncio.create_task(requests.run(broken_by_its_cancellation())) for _ in range(3)]
        await asyncio.sleep(0)
        requests.close()
        late = requests.run(refused())
        return await asyncio.gather(*waiting, late, return_exceptions=True)

    ends = asyncio.run(closing())

    assert [(type(end), str(end)) for end in ends] == [(EngineError, CLOSED)] * 4


def test_an_error_of_a_request_is_its_own_while_the_engine_is_open() -> None:
    async def failing() -> None:
        raise OSError("no route")

    with pytest.raises(OSError, match="no route"):
        asyncio.run(OpenRequests().run(failing()))
