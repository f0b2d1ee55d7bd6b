"""Open a page on a run: its documents with their entities, to page through, search and choose.

Documents are read as they are looked at, from any store, and new ones appear while the run goes on. Texts that the run
has not kept are read from its input. The page listens on this machine only, unless `--host` says otherwise: then its
address holds a token. Nothing that is asked is logged.

For example:

    ner-ray browse runs/news

    ner-ray browse s3://runs/news --port 0
"""

from __future__ import annotations

import asyncio

from ner_ray.commands._serving import Result, say_address, show
from ner_ray.commands.base import argument, option
from ner_ray.config import Section

__all__ = ["Config", "Result", "run", "show"]


class Config(Section):
    """Which run, and where to listen."""

    run: str = argument(description="The run directory, on any store.")
    host: str = option("127.0.0.1", description="The interface to listen on; 0.0.0.0 for all.")
    port: int = option(8766, ge=0, le=65535, description="The port; 0 for any that is free.")


def run(config: Config) -> Result:
    """Serves the page until it is interrupted.

    Raises:
        RunError: there is no run.
        ResourceError: the port is taken, or there is no such interface.
    """
    from ner_ray.browse.run import BrowsedRun
    from ner_ray.browse.server import Browser
    from ner_ray.commands._figures import figures
    from ner_ray.pages.serving import serve, token_for

    token = token_for(config.host)
    browser = Browser(BrowsedRun(config.run, figures), token)
    asyncio.run(serve(browser.application(), config.host, config.port, token, say_address))
    return Result()
