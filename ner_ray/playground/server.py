"""What the page's server answers; `ner_ray.pages.serving` says to whom. Nothing that is typed is logged."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from ner_ray.annotator.annotator import Annotator
from ner_ray.annotator.result import AnnotatedDocument
from ner_ray.annotator.traces import traced
from ner_ray.config import labels as label_sets
from ner_ray.errors import NerRayError
from ner_ray.pages import page
from ner_ray.pages.serving import application, html_response
from ner_ray.playground.shown import as_command, as_python, asked, shown
from ner_ray.playground.typed import labels_of

_LOG = logging.getLogger(__name__)


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
        return application([web.get("/", self._page), web.post("/annotate", self._annotate)], self.token)

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
        return html_response(html)

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


def _engines(annotator: Annotator) -> list[str]:
    engine = annotator.config.engine
    engines = [*engine.values()] if isinstance(engine, dict) else [engine]
    return [f"{engine.name} {engine.model}".strip() for engine in engines]


async def _send(response: web.StreamResponse, answer: dict[str, Any]) -> None:
    await response.write(json.dumps(answer, ensure_ascii=False).encode(errors="replace") + b"\n")
