"""Serves a web application in a thread, and asks it."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from ner_ray.pages.serving import serve


@contextmanager
def served(application: web.Application, host: str = "127.0.0.1", token: str = "") -> Iterator[str]:
    """The address of the page, while it is served."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    addresses: list[str] = []

    def heard(url: str) -> None:
        addresses.append(url)
        ready.set()

    task = loop.create_task(serve(application, host, 0, token, heard))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(task, return_exceptions=True)))
    thread.start()
    assert ready.wait(30)
    yield addresses[0]
    loop.call_soon_threadsafe(task.cancel)
    thread.join(30)
    loop.close()


def status_of(url: str, headers: dict[str, str], data: bytes | None = None) -> int:
    """The status of the answer to a request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
