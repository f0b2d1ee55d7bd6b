"""The engine `openai`: against a real vLLM server, and against a server that refuses before it answers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from ner_ray.config import SamplingConfig, fingerprint
from ner_ray.engines import openai as engine_module
from ner_ray.engines.base import PromptTooLongError
from ner_ray.engines.openai import OpenAIEngine, Options
from ner_ray.errors import EngineError, ModelError, RequestError
from ner_ray.types import Message, Prompt
from tests.engines.models import CHAT, CHOICES, TEXT, TEXTS, ask, refused_on_closing, texts

_START_SECONDS = 400  # on a machine that is busy with something else; about 40 on a quiet one


@pytest.fixture(scope="session")
def server(tiny_model: Path, adapters: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a vLLM server with the tiny model, as `tiny`, and one adapter, as `adapted`."""
    port = _free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={tiny_model}"]
    command += ["--served-model-name=tiny", f"--port={port}", "--host=127.0.0.1", "--dtype=float32", "--enforce-eager"]
    command += ["--max-model-len=512", "--max-num-seqs=32", "--enable-prompt-tokens-details"]
    command += ["--enable-lora", "--max-lora-rank=8", "--lora-modules", f"adapted={adapters[0]}"]
    log = tmp_path_factory.mktemp("server") / "log"
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url + "/health", process, log)
        yield url + "/v1"
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5)
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"the vLLM server did not start:\n{log.read_text()[-3000:]}")


@contextmanager
def running(url: str, model: str = "tiny", **settings: object) -> Iterator[OpenAIEngine]:
    engine = engine_module.create(Options(url=url, model=model, **settings))
    yield engine
    engine.close()


def asked(url: str, *prompts: Prompt | str, adapter: str | None = None, **sampling: object) -> list[tuple]:
    """The answers of an engine that lives for these prompts."""
    with running(url) as engine:
        return ask(engine, *prompts, adapter=adapter, **sampling)


@pytest.mark.engine
@pytest.mark.long
def test_text_and_turns_are_answered_with_their_counts(server: str) -> None:
    """Turns go through the server's chat template: what they cost is what the rendered text costs."""
    rendered = f"<|im_start|>system\nmi ka lo<|im_end|>\n<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n"

    (chat,), (plain,) = asked(server, Prompt(CHAT), rendered, max_tokens=12)

    assert chat.text == plain.text != ""
    assert chat.prompt_tokens == plain.prompt_tokens > 20
    assert chat.output_tokens == plain.output_tokens == 12
    assert chat.finish_reason == plain.finish_reason == "length"


@pytest.mark.engine
@pytest.mark.long
def test_both_endpoints_tell_the_same_log_probabilities_and_token_ends(server: str) -> None:
    rendered = f"<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n"

    (chat,), (plain,) = asked(server, Prompt((Message("user", TEXT),)), rendered, max_tokens=12)

    assert chat.logprobs == pytest.approx(plain.logprobs, abs=1e-3)
    assert len(chat.logprobs) == 12
    assert chat.token_ends == plain.token_ends
    assert chat.token_ends[-1] == len(chat.text)
    ((quiet,),) = asked(server, Prompt(CHAT), max_tokens=3, logprobs=False)
    assert quiet.logprobs == ()


@pytest.mark.engine
@pytest.mark.long
def test_many_requests_at_once_are_all_answered_each_as_alone(server: str) -> None:
    together = texts(asked(server, *TEXTS, max_tokens=8))

    assert together == [texts(asked(server, text, max_tokens=8))[0] for text in TEXTS]


@pytest.mark.engine
@pytest.mark.long
def test_samples_stops_and_seeds_reach_the_server(server: str) -> None:
    drawn = {"n": 3, "temperature": 1.0, "seed": 4, "max_tokens": 12}
    (samples,), (again,) = asked(server, TEXT, **drawn), asked(server, TEXT, **drawn)
    ((whole,),) = asked(server, TEXT, max_tokens=30)

    ((cut,),) = asked(server, TEXT, max_tokens=30, stop=[whole.text[9:12]])

    assert len({sample.text for sample in samples}) == 3
    assert [sample.text for sample in samples] == [sample.text for sample in again]
    assert sum(sample.output_tokens for sample in samples) == sum(len(sample.logprobs) for sample in samples) > 24
    assert (cut.text, cut.finish_reason) == (whole.text[: whole.text.index(whole.text[9:12])], "stop")


@pytest.mark.engine
@pytest.mark.long
def test_a_vllm_server_holds_answers_to_choices(server: str) -> None:
    prompts = [Prompt(CHAT, choices=CHOICES), *(Prompt(text, choices=CHOICES) for text in TEXTS)]

    answers = asked(server, *prompts, temperature=2.0, n=4, max_tokens=60)

    assert {sample.text for samples in answers for sample in samples} <= set(CHOICES)
    assert all(0 < sample.joint_probability() <= 1 for samples in answers for sample in samples)


@pytest.mark.engine
@pytest.mark.long
def test_an_adapter_is_a_model_of_that_name_on_the_server(server: str) -> None:
    assert texts(asked(server, TEXT, max_tokens=12)) != texts(asked(server, TEXT, max_tokens=12, adapter="adapted"))


@pytest.mark.engine
@pytest.mark.long
def test_what_the_servers_prefix_cache_held_is_counted(server: str) -> None:
    shared = "sen ra bu ne " * 60
    asked(server, shared + "ka", max_tokens=2)

    ((second,),) = asked(server, shared + "lo", max_tokens=2)

    assert 0 < second.cached_tokens < second.prompt_tokens


@pytest.mark.engine
@pytest.mark.long
def test_prompts_the_server_refuses_are_request_errors_and_others_go_on(server: str) -> None:
    async def mixed(engine: OpenAIEngine) -> list[object]:
        prompts = [Prompt("ka " * 600), Prompt(TEXT), Prompt(""), Prompt((Message("user", "ka " * 600),))]
        settings = SamplingConfig(max_tokens=3)
        return await asyncio.gather(*(engine.generate(prompt, settings) for prompt in prompts), return_exceptions=True)

    with running(server) as engine:
        long_text, answered, empty, long_turns = asyncio.run(mixed(engine))

    assert isinstance(long_text, PromptTooLongError)
    assert isinstance(long_turns, PromptTooLongError)
    assert isinstance(empty, RequestError)
    assert answered[0].output_tokens == 3


@pytest.mark.engine
@pytest.mark.long
def test_an_answer_gets_what_room_the_prompt_leaves(server: str) -> None:
    ((answer,),) = asked(server, "ka " * 200, max_tokens=500)

    assert answer.prompt_tokens + answer.output_tokens == 512


@pytest.mark.engine
@pytest.mark.long
def test_a_model_that_the_server_does_not_serve_is_told_with_those_it_does(server: str) -> None:
    engine_module.check(Options(url=server, model="tiny", adapter="adapted"))
    with pytest.raises(ModelError, match="it serves: adapted, tiny"):
        engine_module.check(Options(url=server, model="huge"))


class _Moody(BaseHTTPRequestHandler):
    """Answers requests by the plan of its server: a status, or None for a proper answer; keeps what came."""

    server: _MoodyServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply(self.server.for_models, {"data": [{"id": "m", "object": "model", "owned_by": "x", "created": 0}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.came.append((time.monotonic(), body, self.headers["Authorization"]))
        plan = self.server.plans.get(body.get("prompt"), self.server.plan)
        status = plan.pop(0) if plan else 200
        choice = {"index": 0, "text": f"to {body.get('prompt')}", "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        answer = {"id": "1", "object": "text_completion", "created": 0, "model": "m", "choices": [choice]}
        self._reply(status, answer | {"usage": usage})

    def _reply(self, status: int, answer: object) -> None:
        content = json.dumps(answer if status == 200 else {"error": {"message": self.server.complaint}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 429 and self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stays silent."""


class _MoodyServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Moody)
        self.plan: list[int] = []
        self.plans: dict[str, list[int]] = {}
        self.came: list[tuple[float, dict, str]] = []
        self.for_models = 200
        self.retry_after = ""
        self.complaint = "not in the mood"
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


@pytest.fixture
def moody() -> Iterator[_MoodyServer]:
    server = _MoodyServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_refusals_and_faults_are_repeated_with_growing_pauses(moody: _MoodyServer) -> None:
    moody.plan = [429, 500, 503]

    with running(moody.url, model="m") as engine:
        ((answer,),) = ask(engine, "ka")

    times = [came for came, _, _ in moody.came]
    first, second, third = (later - earlier for earlier, later in pairwise(times))
    assert answer.text == "to ka"
    assert (answer.prompt_tokens, answer.output_tokens) == (3, 2)
    assert 0.3 < first < second < third


def test_the_server_says_when_to_come_back(moody: _MoodyServer) -> None:
    moody.plan, moody.retry_after = [429], "1.3"

    with running(moody.url, model="m") as engine:
        ask(engine, "ka")

    (first, _, _), (second, _, _) = moody.came
    assert second - first >= 1.3


def test_a_server_that_answers_nobody_is_dead(moody: _MoodyServer) -> None:
    moody.plan = [500, 500]

    with running(moody.url, model="m", retries=1) as engine, pytest.raises(EngineError, match="mood"):
        ask(engine, "ka")

    assert len(moody.came) == 2


def test_what_is_wrong_with_a_request_is_not_repeated(moody: _MoodyServer) -> None:
    moody.plan, moody.complaint = [400, 400], "no such sampling"
    with running(moody.url, model="m") as engine, pytest.raises(RequestError, match="no such sampling"):
        ask(engine, "ka")
    moody.complaint = "Error code: context_length_exceeded"
    with running(moody.url, model="m") as engine, pytest.raises(PromptTooLongError):
        ask(engine, "ka")

    assert len(moody.came) == 2


def test_a_server_that_has_gone_is_dead(moody: _MoodyServer) -> None:
    with running(moody.url, model="m", retries=0) as engine:
        moody.shutdown()
        moody.server_close()
        with pytest.raises(EngineError):
            ask(engine, "ka")


def test_requests_are_spaced_as_the_rate_limit_says_repeated_ones_too(moody: _MoodyServer) -> None:
    moody.plan = [503]

    with running(moody.url, model="m", requests_per_minute=150) as engine:
        answers = ask(engine, *(f"{number}" for number in range(4)))

    times = sorted(came for came, _, _ in moody.came)
    assert texts(answers) == [f"to {number}" for number in range(4)]
    assert len(times) == 5
    assert times[-1] - times[0] > 4 * 0.4 - 0.1


def test_no_more_requests_are_open_than_the_engine_may_run_at_once(moody: _MoodyServer) -> None:
    moody.plan, moody.retry_after = [429], "1"

    with running(moody.url, model="m", max_num_seqs=1) as engine:
        ask(engine, "ka", "lo")

    assert [body["prompt"] for _, body, _ in moody.came] == ["ka", "ka", "lo"]


def test_a_request_says_what_the_configuration_says_and_nothing_more(moody: _MoodyServer) -> None:
    """A server that is not vLLM's gets no field that only vLLM knows."""
    with running(moody.url, model="m", body={"min_p": 0.1}) as engine:
        ask(engine, Prompt("ka", choices=("a", "b"), max_tokens=5), stop=["\n"], logprobs=False)

    ((_, body, _),) = moody.came
    assert body == {
        "model": "m",
        "prompt": "ka",
        "n": 1,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 5,
        "stop": ["\n"],
        "min_p": 0.1,
    }


def test_a_bound_by_the_prompts_length_reaches_the_server(moody: _MoodyServer) -> None:
    with running(moody.url, model="m") as engine:
        ask(engine, "ka" * 5, tokens_per_prompt_token=2.0)

    assert moody.came[0][1]["max_tokens"] == 16 + 2 * 10


def test_the_key_comes_from_the_environment_and_stays_out_of_settings_and_logs(
    moody: _MoodyServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "k-very-secret")
    config = Options(url=moody.url, model="m", api_key_env="TEACHER_KEY")
    caplog.set_level("DEBUG")
    moody.plan = [500]
    engine = engine_module.create(config)

    ask(engine, "ka")
    engine.close()

    assert [key for _, _, key in moody.came] == ["Bearer k-very-secret"] * 2
    assert "secret" not in config.model_dump_json()
    assert "secret" not in caplog.text
    monkeypatch.setenv("TEACHER_KEY", "k-another")
    assert fingerprint(config) == fingerprint(Options.model_validate(config.model_dump()))


def test_the_usual_variable_is_read_where_none_is_named(moody: _MoodyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k-usual")

    with running(moody.url, model="m") as engine:
        ask(engine, "ka")

    assert moody.came[0][2] == "Bearer k-usual"


def test_settings_that_cannot_work_are_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    begun = time.monotonic()
    for said, settings in (
        ("needs a model", {"url": "http://127.0.0.1:9/v1", "model": ""}),
        ("password", {"url": "http://me:secret@127.0.0.1:9/v1"}),
        ("TEACHER_KEY", {"url": "http://127.0.0.1:9/v1", "api_key_env": "TEACHER_KEY"}),
        ("nothing answers", {"url": f"http://127.0.0.1:{_free_port()}/v1"}),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            engine_module.check(Options(**{"model": "m", **settings}))
        assert "secret" not in str(caught.value)

    assert time.monotonic() - begun < 60


def test_a_server_that_keeps_silent_is_given_up_after_two_seconds() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        begun = time.monotonic()
        with pytest.raises(ModelError, match="nothing answers"):
            engine_module.check(Options(url=url, model="m"))

    assert 1.9 < time.monotonic() - begun < 60


def test_a_refused_key_is_told_and_a_server_that_lists_no_models_is_taken_as_it_is(moody: _MoodyServer) -> None:
    config = Options(url=moody.url, model="any")
    moody.for_models = 401
    with pytest.raises(ModelError, match="refuses the API key"):
        engine_module.check(config)
    moody.for_models = 404
    engine_module.check(config)


def test_a_closed_engine_ends_requests_that_wait_for_their_turn_or_to_be_repeated(moody: _MoodyServer) -> None:
    moody.plan, moody.retry_after = [429] * 99, "50"
    engine = engine_module.create(Options(url=moody.url, model="m", max_num_seqs=2))
    began = time.monotonic()

    ends = refused_on_closing(engine)

    assert set(ends) == {"the engine is closed"}
    assert time.monotonic() - began < 40
    assert engine._client.is_closed()


def test_an_engine_can_be_closed_on_its_own_loop_beside_another_one_and_unasked(moody: _MoodyServer) -> None:
    first, second, third = (engine_module.create(Options(url=moody.url, model="m")) for _ in range(3))

    async def asked_and_closed() -> None:
        await first.generate(Prompt("ka"), SamplingConfig())
        first.close()
        await asyncio.sleep(0.1)

    async def closed_beside() -> None:
        second.close()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(second.generate(Prompt("ka"), SamplingConfig()))
    asyncio.run(closed_beside())
    loop.close()
    asyncio.run(asked_and_closed())
    third.close()

    assert first._client.is_closed()
    assert second._client.is_closed()
    for engine in (first, second, third):
        engine.close()
        with pytest.raises(EngineError, match="the engine is closed"):
            ask(engine, "ka")


def test_a_caller_that_is_cancelled_is_not_told_that_the_engine_is_closed(moody: _MoodyServer) -> None:
    moody.plan, moody.retry_after = [429], "50"

    async def given_up() -> object:
        waiting = asyncio.create_task(engine.generate(Prompt("ka"), SamplingConfig()))
        await asyncio.sleep(0.1)
        waiting.cancel()
        engine.close()
        (end,) = await asyncio.gather(waiting, return_exceptions=True)
        return end

    engine = engine_module.create(Options(url=moody.url, model="m"))

    assert isinstance(asyncio.run(given_up()), asyncio.CancelledError)
