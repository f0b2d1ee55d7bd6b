"""What the server of a run's page answers; `ner_ray.pages.serving` says to whom. Nothing that is asked is logged."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from ner_ray.annotator.traces import traced
from ner_ray.browse.run import BrowsedRun, GoneError
from ner_ray.errors import NerRayError
from ner_ray.pages.serving import application, html_response
from ner_ray.viewer.pages import html
from ner_ray.viewer.places import PARTS

_LOG = logging.getLogger(__name__)
_VERSION = f"/{PARTS}/{{version}}"


@dataclass(frozen=True)
class Browser:
    """A page on a run.

    Attributes:
        run: whose documents it shows.
        token: what a request must bring; empty on the loopback interface.
    """

    run: BrowsedRun
    token: str = field(default="", repr=False)

    def application(self) -> web.Application:
        """The web application."""
        routes = [
            web.get("/", self._page),
            web.get("/meta", self._meta),
            web.get(_VERSION + r"/index/{number:\d+}", self._index),
            web.get(_VERSION + r"/find/{number:\d+}", self._find),
            web.get(_VERSION + r"/{folder:\d+}/{number:\d+}", self._chunk),
        ]
        return application(routes, self.token)

    async def _page(self, _: web.Request) -> web.Response:
        meta = await asyncio.to_thread(self.run.meta)
        return html_response(html(self.run.title, dict(meta["summary"]), meta, live=True))

    async def _meta(self, _: web.Request) -> web.Response:
        return await _answer(lambda: json.dumps(self.run.meta(), ensure_ascii=False))

    async def _chunk(self, request: web.Request) -> web.Response:
        version, number = _asked(request)
        return await _answer(lambda: self.run.chunk(version, number))

    async def _index(self, request: web.Request) -> web.Response:
        version, number = _asked(request)
        return await _answer(lambda: self.run.index(version, number))

    async def _find(self, request: web.Request) -> web.Response:
        version, number = _asked(request)
        query = request.query.get("query", "")
        return await _answer(lambda: json.dumps(self.run.find(version, number, query)))


def _asked(request: web.Request) -> tuple[str, int]:
    return request.match_info["version"], int(request.match_info["number"])


async def _answer(work: Callable[[], str]) -> web.Response:
    """What some work gives, as JSON; it reads from a store, beside the other requests."""
    try:
        body = (await asyncio.to_thread(work)).encode(errors="replace")
    except GoneError:
        raise web.HTTPGone(text="the run has grown") from None
    except NerRayError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    except Exception as error:  # noqa: BLE001  # the request's boundary: the next one is answered
        _LOG.error("browse.failed error=%s", traced(error))  # without texts that a message may hold
        raise web.HTTPInternalServerError(text=f"{type(error).__name__}; the log says where") from None
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
