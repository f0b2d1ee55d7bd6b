"""Headless Chromium on a leash: opens a page, measures it, uses it, takes pictures. No driver is needed.

Speaks the DevTools protocol over the two pipes that `--remote-debugging-pipe` reads and writes.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")


class Page:
    """One tab."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.messages: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The browser's answer to one command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]

    def open(self, place: Path | str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Loads a file or a URL in a window of that size, and waits until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        url = place if isinstance(place, str) else place.resolve().as_uri()
        self.call("Page.navigate", url=url)
        while self.value("document.readyState") != "complete" or self.value("location.protocol") == "about:":
            pass

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as plain data; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def picture(self, path: Path) -> bytes:
        """Saves what the window shows as a PNG, and returns its bytes."""
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        path.write_bytes(data)
        return data

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._from, 1 << 20)
            assert piece, "the browser went away"
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        received: dict[str, Any] = json.loads(message)
        if received.get("method") == "Log.entryAdded":
            entry = received["params"]["entry"]
            self.messages.append(f"{entry['text']} {entry.get('url', '')}".strip())
        return received


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A fresh browser, gone at the end of the block."""
    assert EXECUTABLE is not None
    read_commands, write_commands = os.pipe()
    read_answers, write_answers = os.pipe()

    def wire() -> None:  # the browser reads from descriptor 3 and writes to 4
        high = [os.dup2(read_commands, 100), os.dup2(write_answers, 101)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    process = subprocess.Popen(
        [EXECUTABLE, *_FLAGS, f"--user-data-dir={profile}"],
        close_fds=False,
        preexec_fn=wire,  # noqa: PLW1509 - the tests that use this start no threads
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        page = Page(write_commands, read_answers)
        yield page
        page.call("Browser.close")
    finally:
        process.terminate()
        process.wait(timeout=20)
        os.close(write_commands)
        os.close(read_answers)
