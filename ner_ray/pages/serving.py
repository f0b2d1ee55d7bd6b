"""Serves pages on this machine: who may ask, and where they listen.

Texts may be private, so nobody else may ask. On the loopback interface, requests must name a loopback host: a page of
another site that has its own name resolve to this machine is refused. On any other interface a token is needed. Nothing
that is asked is logged.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address

from aiohttp import web

from ner_ray.errors import ResourceError

_MOST_BYTES = 32 * 1024**2  # of a request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(routes: Iterable[web.AbstractRouteDef], token: str) -> web.Application:
    """A web application that answers those who may ask.

    Args:
        routes: what it answers.
        token: what a request must bring; empty on the loopback interface.
    """

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.query.get("token", "")
        if token and not hmac.compare_digest(given.encode(), token.encode()):
            raise web.HTTPForbidden(text="the token is missing or wrong: open the address that the command has printed")
        if not token and not _is_loopback(request.url.host or ""):
            raise web.HTTPForbidden(text="this page answers on this machine only")
        return await handler(request)

    served = web.Application(middlewares=[admitted], client_max_size=_MOST_BYTES)
    served.add_routes([*routes, web.get("/favicon.ico", _no_icon)])
    return served


async def _no_icon(_: web.Request) -> web.Response:
    """Browsers ask for one, whatever the page says."""
    return web.Response(status=204)


def html_response(html: str) -> web.Response:
    """A page, which no cache keeps."""
    body = html.encode(errors="replace")
    return web.Response(body=body, content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"})


async def serve(served: web.Application, host: str, port: int, token: str, ready: Callable[[str], None]) -> None:
    """Serves until it is cancelled.

    Args:
        served: what to serve.
        host: the interface to listen on.
        port: 0 for any that is free.
        token: what requests must bring; empty for nothing.
        ready: called with the page's address once it can be opened.

    Raises:
        ResourceError: the port is taken, or there is no such interface.
    """
    runner = web.AppRunner(served, access_log=None)
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
        ready(f"http://{_bracketed(host)}:{at}/" + (f"?token={token}" if token else ""))
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
