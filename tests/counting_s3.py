"""An S3 server for tests that counts its requests; `GET /-/requests` on any host says how many there were.

python -m tests.counting_s3 PORT
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

COUNT = "/-/requests"


class Counting:
    """Counts the requests that an application gets."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._requests = 0
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == COUNT:
            start("200 OK", [("Content-Type", "text/plain")])
            return [str(self._requests).encode()]
        with self._lock:
            self._requests += 1
        return self._application(environ, start)


if __name__ == "__main__":
    dispatcher = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", int(sys.argv[1]), Counting(dispatcher), threaded=True)
