"""A real HTTP server that speaks OpenAI's protocol and answers by a function: jobs whose answers are known.

Engines of the kind `openai` ask it. What such a job does with processes, blocks, prompts and answers is what it does
with any engine; that vLLM's own engine and server work is tested where engines are, and with it where that matters.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "script"
PROMPT_TOKENS, OUTPUT_TOKENS = 7, 5  # what every answer is said to have cost


class _Handler(BaseHTTPRequestHandler):
    server: AnsweringServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply({"data": [{"id": MODEL, "object": "model", "owned_by": "test", "created": 0}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turns = "messages" in body
        asked = body["messages"][-1]["content"] if turns else body["prompt"]
        self.server.asked.append(asked)
        time.sleep(self.server.seconds)
        answer = self.server.answer(asked)
        said = {"message": {"role": "assistant", "content": answer}} if turns else {"text": answer, "logprobs": None}
        kind = "chat.completion" if turns else "text_completion"
        reply = {"id": "1", "object": kind, "created": 0, "model": MODEL}
        reply["choices"] = [{"index": 0, "finish_reason": "stop"} | said]
        reply["usage"] = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": PROMPT_TOKENS + OUTPUT_TOKENS,
        }
        self._reply(reply)

    def _reply(self, answer: dict) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stays silent."""


class AnsweringServer(ThreadingHTTPServer):
    """Answers the last turn, or the prompt, of each request by `answer`, after `seconds`; keeps what was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[str] = []
        self.seconds = 0.0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may be killed; what `answer` raises goes on, to standard error."""
        if not isinstance(sys.exception(), ConnectionError | json.JSONDecodeError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def engine(self, **changes: object) -> dict:
        """The section of a configuration for an engine that asks here."""
        return {"name": "openai", "url": self.url, "model": MODEL, "sampling": {"logprobs": False}} | changes


@contextmanager
def answering(answer: Callable[[str], str]) -> Iterator[AnsweringServer]:
    """A server that runs while this is entered."""
    server = AnsweringServer(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
