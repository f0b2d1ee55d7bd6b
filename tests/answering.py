"""A real HTTP server that speaks OpenAI's protocol and answers with a function, for jobs with known answers.

The engine `openai` connects to it. Such a job treats processes, blocks, prompts and answers as it does with any engine.
vLLM's own engine and server are tested in tests/engines, and in other tests where they matter.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "script"
PROMPT_TOKENS, OUTPUT_TOKENS = 7, 5  # the reported cost of every answer


@dataclass(frozen=True)
class Raw:
    """A reply of any shape; the connection is cut without one if the status is 0."""

    body: object
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


LISTED = Raw({"data": [{"id": MODEL, "object": "model", "owned_by": "test", "created": 0}]})


class _Handler(BaseHTTPRequestHandler):
    server: AnsweringServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(self.server.models(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turns = "messages" in body
        if self.server.endpoint not in self.path:
            self._send(Raw({"detail": "Not Found"}, 404))
            return
        if not turns and "prompt" not in body:
            self._send(Raw({"error": {"message": "a field is missing"}}, 400))
            return
        asked = body["messages"][-1]["content"] if turns else body["prompt"]
        self.server.asked.append(asked)
        time.sleep(self.server.seconds)
        answer = self.server.answer(asked)
        if isinstance(answer, Raw):
            self._send(answer)
            return
        said = {"message": {"role": "assistant", "content": answer}} if turns else {"text": answer, "logprobs": None}
        kind = "chat.completion" if turns else "text_completion"
        reply = {"id": "1", "object": kind, "created": 0, "model": MODEL}
        reply["choices"] = [{"index": 0, "finish_reason": "stop"} | said]
        reply["usage"] = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": PROMPT_TOKENS + OUTPUT_TOKENS,
        }
        self._send(Raw(reply))

    def _send(self, reply: Raw) -> None:
        if not reply.status:
            self.close_connection = True
            return
        content = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


class AnsweringServer(ThreadingHTTPServer):
    """Answers each request with `answer(last turn or prompt)`, after `seconds`; records what it was asked.

    `models(path)` is the reply to a GET; a POST goes to a path that holds `endpoint`.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[str], str | Raw]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[str] = []
        self.seconds = 0.0
        self.endpoint = ""
        self.models: Callable[[str], Raw] = lambda path: LISTED
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores clients that were killed; prints what `answer` raises to standard error."""
        if not isinstance(sys.exception(), ConnectionError | json.JSONDecodeError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def engine(self, **changes: object) -> dict:
        """The `engine` section of a configuration that uses this server."""
        return {"name": "openai", "url": self.url, "model": MODEL, "sampling": {"logprobs": False}} | changes


@contextmanager
def answering(answer: Callable[[str], str | Raw]) -> Iterator[AnsweringServer]:
    """A context manager with a running server."""
    server = AnsweringServer(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
