"""Serves the page on this machine: who may ask, and what is answered.

Texts may be private, and the engine is expensive, so nobody else may ask. On the loopback interface, requests must name
a loopback host: a page of another site that has its own name resolve to this machine is refused. On any other interface
a token is needed. Nothing that is typed is logged.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from ner_ray.annotator.annotator import Annotator
from ner_ray.annotator.result import AnnotatedDocument
from ner_ray.annotator.traces import traced
from ner_ray.config import labels as label_sets
from ner_ray.errors import NerRayError, ResourceError
from ner_ray.pages import page
from ner_ray.playground.shown import as_command, as_python, asked, shown
from ner_ray.playground.typed import labels_of

_LOG = logging.getLogger(__name__)

_MOST_BYTES = 32 * 1024**2  # of a request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Example:
    """A text to click on."""

    title: str
    text: str


@dataclass(frozen=True)
class Playground:
    """What the page tries.

    Attributes:
        annotator: answers.
        config: the configuration's name or file, as it was given.
        settings: the settings on top of it, likewise.
        labels: the label set that the page begins with, as a person would type it.
        examples: texts to click on.
        token: what a request must bring; empty on the loopback interface.
    """

    annotator: Annotator
    config: str
    settings: Sequence[str] = ()
    labels: str = ""
    examples: Sequence[Example] = ()
    token: str = field(default="", repr=False)

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(middlewares=[self._admitted], client_max_size=_MOST_BYTES)
        application.add_routes([web.get("/", self._page), web.post("/annotate", self._annotate)])
        return application

    @web.middleware
    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.query.get("token", "")
        if self.token and not hmac.compare_digest(given.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="the token is missing or wrong: open the address that ner-ray try has printed")
        if not self.token and not _is_loopback(request.url.host or ""):
            raise web.HTTPForbidden(text="this page answers on this machine only")
        return await handler(request)

    async def _page(self, _: web.Request) -> web.Response:
        html = page(
            "ner_ray.playground",
            title=f"ner-ray try: {self.config}",
            connects=True,
            config=self.config,
            labels=self.labels,
            examples=self.examples,
            model=", ".join(dict.fromkeys(_engines(self.annotator))),
        )
        return web.Response(text=html, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _annotate(self, request: web.Request) -> web.StreamResponse:
        """Answers with lines of JSON: what has been found so far, any number of times; at last, all there is."""
        if request.content_type != "application/json":  # which a form of another site cannot send
            raise web.HTTPUnsupportedMediaType(text="send application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        await response.prepare(request)
        try:
            await self._answer(await request.json(), response)
        except NerRayError as error:
            await _send(response, {"failure": str(error)})
        except Exception as error:  # noqa: BLE001  # the request's boundary: the next one is answered
            _LOG.error("try.failed error=%s", traced(error))
            await _send(response, {"failure": f"{type(error).__name__}; the log says where"})
        return response

    async def _answer(self, question: dict[str, Any], response: web.StreamResponse) -> None:
        text, typed = str(question.get("text", "")), labels_of(str(question.get("labels", "")))
        names = label_sets.names(label_sets.parse(typed)) if typed else []
        progress: asyncio.Queue[AnnotatedDocument | None] = asyncio.Queue()
        loop, began = asyncio.get_running_loop(), time.monotonic()

        def tell(document: AnnotatedDocument | None) -> None:
            loop.call_soon_threadsafe(progress.put_nowait, document)

        answer = self.annotator.submit(text, labels=typed or None, on_progress=tell)
        answer.add_done_callback(lambda _: tell(None))
        try:
            while (so_far := await progress.get()) is not None:
                await _send(response, {"final": False, **shown(so_far, names)})
            document = await asyncio.wrap_future(answer)
        finally:
            answer.cancel()
        await _send(
            response,
            {
                "final": True,
                "seconds": round(time.monotonic() - began, 3),
                "asked": asked(document),
                "python": as_python(self.config, self.settings, typed, text),
                "command": as_command(self.config, self.settings, typed),
                "json": json.dumps(document.to_dict(), ensure_ascii=False, indent=2),
                **shown(document, names),
            },
        )


async def serve(playground: Playground, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until it is cancelled.

    Args:
        playground: what to serve.
        host: the interface to listen on.
        port: 0 for any that is free.
        ready: called with the page's address once it can be opened.

    Raises:
        ResourceError: the port is taken, or there is no such interface.
    """
    runner = web.AppRunner(playground.application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ResourceError(
                f"cannot listen on {host}:{port}: {error.strerror or error}", hint="port=0 takes any that is free"
            ) from error
        at = runner.addresses[0][1]
        ready(f"http://{_bracketed(host)}:{at}/" + (f"?token={playground.token}" if playground.token else ""))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def token_for(host: str) -> str:
    """What requests must bring where others than this machine can send some; empty on the loopback interface."""
    return "" if _is_loopback(host) else secrets.token_urlsafe(16)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _engines(annotator: Annotator) -> list[str]:
    engine = annotator.config.engine
    engines = [*engine.values()] if isinstance(engine, dict) else [engine]
    return [f"{engine.name} {engine.model}".strip() for engine in engines]


async def _send(response: web.StreamResponse, answer: dict[str, Any]) -> None:
    await response.write(json.dumps(answer, ensure_ascii=False).encode(errors="replace") + b"\n")
