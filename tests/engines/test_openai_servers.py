"""What servers send in place of an answer, as people have reported it, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ner_ray.engines import openai as engine_module
from ner_ray.engines.openai import Options
from ner_ray.errors import (
    CutOffError,
    FilteredError,
    ModelError,
    NoTextError,
    PromptTooLongError,
    RequestError,
    UnansweredError,
    UnavailableError,
)
from ner_ray.types import Message, Prompt
from tests.answering import LISTED, MODEL, AnsweringServer, Raw, answering
from tests.engines.models import ask

CHAT = Prompt((Message("user", "Who is in the text?"),))
PAGE = (
    "<!DOCTYPE html><html><head><title>x</title><style>p {}</style></head><body><h1>502 Bad Gateway</h1></body></html>"
)


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering(lambda asked: "[]") as running:
        yield running


def choice(finish_reason: str | None = "stop", **message: object) -> dict:
    message = {"role": "assistant", "content": None} | message
    return {"choices": [{"index": 0, "finish_reason": finish_reason, "message": message}]}


def refusal(server: AnsweringServer, reply: Raw, **settings: object) -> Exception:
    """What the engine raises when the server sends this."""
    server.answer = lambda asked: reply
    engine = engine_module.create(Options(url=server.url, model=MODEL, **{"retries": 0} | settings))
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011  # the callers look at its type
            ask(engine, CHAT)
    finally:
        engine.close()
    return caught.value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "Provider returned error", "code": 502}}, "status 502: Provider returned error"),
        ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "Unexpected endpoint or method"),
        ({"choices": [], "usage": {}}, "no answer, only the fields choices, usage"),
        ({"choices": None}, "no answer"),
        ({"choices": [{}]}, "no answer"),
        ({"choices": [{"finish_reason": "error", "error": {"message": "cut", "code": 503}}]}, "status 503: cut"),
        ({"choices": ["text"]}, "no answer"),
        ({"choices": [{"index": 0, "message": "Ada"}]}, "no answer"),
        (choice("abort", content='[{"Ada'), "no answer"),
        ({"code": "rate_limit_daily", "message": "Error code: 429"}, "Error code: 429 [rate_limit_daily]"),
        ({"object": "error", "message": "EngineCore encountered an issue", "code": 500}, "EngineCore"),
        ({"detail": "Not ready"}, "Not ready"),
        ({}, "no answer"),
        ([], "nothing"),
        (None, "null"),
        ("", "nothing"),
        ("Model is loading", "Model is loading"),
        ('"a string"', "a string"),
        ('{"choices": [{"mess', '{"choices'),
        (PAGE, "502 Bad Gateway"),
    ],
)
def test_a_reply_that_is_none_is_no_answer_whatever_its_status(
    server: AnsweringServer, body: object, said: str
) -> None:
    error = refusal(server, Raw(body))

    assert type(error) is UnansweredError
    assert said in str(error)
    assert "p {}" not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"error": {"message": "Incorrect API key provided: sk-abcdef123456."}}, UnavailableError, "***"),
        (402, {"error": {"message": "Insufficient Balance"}}, UnavailableError, "402: Insufficient Balance"),
        (403, {"error": {"message": "country not supported"}}, UnavailableError, "country"),
        (404, {"detail": "Not Found"}, UnavailableError, "404: Not Found"),
        (404, {"error": "model 'x' not found, try pulling it first"}, UnavailableError, "try pulling"),
        (405, {"detail": "Method Not Allowed"}, UnavailableError, "Method"),
        (
            429,
            {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
            UnavailableError,
            "insufficient_quota",
        ),
        (
            429,
            {"error": {"message": "You exceeded your current quota. Please retry in 34s.", "code": 429}},
            UnansweredError,
            "34s",
        ),
        (429, {"error": {"message": "Rate limit reached"}}, UnansweredError, "Rate limit"),
        (400, {"error": {"message": "Your credit balance is too low"}}, UnavailableError, "credit balance"),
        (400, {"error": {"message": "", "code": "billing_hard_limit_reached"}}, UnavailableError, "billing_hard"),
        (400, {"error": {"message": "You have reached your specified API usage limits"}}, UnavailableError, "usage"),
        (400, {"error": {"message": "Budget has been exceeded! Current cost: 26"}}, UnavailableError, "Budget"),
        (400, {"error": 'Failed to load model "qwen". Error: Operation canceled.'}, UnansweredError, "load model"),
        (400, {"error": "Model is unloaded."}, UnansweredError, "unloaded"),
        (
            400,
            {"error": {"message": "The response was filtered", "code": "content_filter", "status": 400}},
            FilteredError,
            "content_filter",
        ),
        (400, {"error": {"message": "Azure OpenAI's content management policy"}}, FilteredError, "policy"),
        (403, {"error": {"message": "Your input was flagged for violence", "code": 403}}, FilteredError, "flagged"),
        (400, {"message": "max_tokens must be at least 1, got -186.", "code": 400}, PromptTooLongError, "-186"),
        (400, {"detail": 'Upstream error, b\'{"message":"maximum context length is 9'}, PromptTooLongError, "is 9"),
        (400, [{"error": {"code": 400, "message": "Unknown name", "status": "INVALID"}}], RequestError, "Unknown name"),
        (200, {"error": {"code": 400, "message": "exceeds the available context size"}}, PromptTooLongError, "size"),
        (400, {"error": {"message": "no such sampling"}}, RequestError, "no such sampling"),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, RequestError, "field required"),
        (
            400,
            {"error": {"type": "exceed_context_size_error", "message": "the request exceeds the context size"}},
            PromptTooLongError,
            "context size",
        ),
        (413, {"error": {"message": "Request too large for model"}}, PromptTooLongError, "too large"),
        (500, {"error": {"message": "input is too long: maximum context is 512"}}, PromptTooLongError, "512"),
        (500, {"error": {"message": "EngineCore died"}}, UnansweredError, "EngineCore died"),
        (502, PAGE, UnansweredError, "502 Bad Gateway"),
        (503, {"message": "Loading model", "code": 503}, UnansweredError, "Loading model"),
        (529, {"error": {"message": "Overloaded"}}, UnansweredError, "Overloaded"),
        (0, "", UnansweredError, "does not answer"),
    ],
)
def test_a_status_concerns_the_request_or_all_of_them_or_passes(
    server: AnsweringServer, status: int, body: object, kind: type[Exception], said: str
) -> None:
    error = refusal(server, Raw(body, status))

    assert type(error) is kind
    assert said in str(error)
    assert "sk-abcdef" not in str(error)


def test_what_cannot_pass_is_not_repeated_and_what_may_is(server: AnsweringServer) -> None:
    quota = Raw({"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}, 429)
    for reply, times in ((quota, 1), (Raw({"error": "x"}, 400), 1), (Raw({"choices": []}), 3), (Raw("", 503), 3)):
        server.asked.clear()

        refusal(server, reply, retries=2)

        assert len(server.asked) == times


def test_the_key_is_masked_wherever_the_server_repeats_it(
    server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "top secret words")

    error = refusal(server, Raw({"error": "bad key 'top secret words'"}, 400), api_key_env="TEACHER_KEY")

    assert "bad key '***'" in str(error)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (choice("content_filter"), FilteredError, "a filter withholds the answer (finish_reason content_filter)"),
        (choice(refusal="I cannot help."), FilteredError, "the model refuses: I cannot help."),
        (choice("length", reasoning_content="Let me"), CutOffError, "while the model was reasoning"),
        (choice("length", content=""), CutOffError, "the token limit came before the answer"),
        (choice("stop", reasoning="Done."), NoTextError, "only reasoned"),
        (choice("tool_calls", tool_calls=[{"id": "1"}]), NoTextError, "calls a tool"),
        (choice("stop"), NoTextError, "said nothing"),
        ({"choices": [{"text": None, "index": 0, "finish_reason": "length"}]}, CutOffError, "the token limit"),
        ({"choices": [{"index": 0, "finish_reason": "MAX_TOKENS"}], "usage": {}}, CutOffError, "the token limit"),
        ({"choices": [{"index": 0, "finish_reason": "SAFETY"}]}, FilteredError, "finish_reason SAFETY"),
    ],
)
def test_an_answer_without_a_text_says_why(
    server: AnsweringServer, body: object, kind: type[Exception], said: str
) -> None:
    error = refusal(server, Raw(body))

    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize(
    ("body", "text", "finish_reason"),
    [
        (choice(content="[]"), "[]", "stop"),
        (choice("content_filter", content='[{"Ada": '), '[{"Ada": ', "length"),
        (choice(content=[{"type": "thinking", "thinking": []}, {"type": "text", "text": "[]"}]), "[]", "stop"),
        (choice(None, content="[]") | {"usage": None}, "[]", "stop"),
        (choice(content="[]") | {"usage": {"prompt_tokens": None}, "id": None}, "[]", "stop"),
        (choice(content=""), "", "stop"),
    ],
)
def test_what_is_an_answer_is_read_whatever_else_is_in_the_reply(
    server: AnsweringServer, body: object, text: str, finish_reason: str
) -> None:
    server.answer = lambda asked: Raw(body)
    engine = engine_module.create(Options(url=server.url, model=MODEL, retries=0))

    ((answer,),) = ask(engine, CHAT)
    engine.close()

    assert (answer.text, answer.finish_reason) == (text, finish_reason)


def listed(*names: str) -> Raw:
    return Raw({"data": [{"id": name} for name in names]})


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Raw("<html>Welcome</html>", kind="text/html"), "not with a list of models (text/html"),
        (Raw({"models": ["m"]}), "not with a list"),
        (Raw(["m"]), "not with a list"),
        (Raw({"data": ["m"]}), "not with a list"),
        (Raw("null"), "not with a list"),
        (Raw({"error": "x"}), "not with a list"),
        (Raw({"detail": "loading"}, 503), "status 503: loading"),
        (Raw({"error": {"message": "key sk-123456789 is wrong"}}, 401), "refuses the API key (status 401: key *** is"),
        (listed("other"), "does not serve"),
    ],
)
def test_a_server_that_cannot_be_the_right_one_is_refused_in_seconds(
    server: AnsweringServer, reply: Raw, said: str
) -> None:
    server.models = lambda path: reply
    began = time.monotonic()

    with pytest.raises(ModelError) as caught:
        engine_module.check(Options(url=server.url, model=MODEL))

    assert said in str(caught.value)
    assert "sk-123" not in str(caught.value)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("reply", [listed(f"models/{MODEL}"), listed("*"), Raw({"object": "list", "data": None})])
def test_lists_that_may_hold_the_model_under_another_name_are_taken(server: AnsweringServer, reply: Raw) -> None:
    server.models = lambda path: reply

    engine_module.check(Options(url=server.url, model=MODEL))


@pytest.mark.parametrize("missing", [Raw({"detail": "Not Found"}, 404), Raw("<html></html>", kind="text/html")])
def test_a_url_without_its_last_part_is_told_with_the_one_that_answers(server: AnsweringServer, missing: Raw) -> None:
    server.models = lambda path: LISTED if path == "/v1/models" else missing
    server.endpoint = "/v1/chat/completions"
    url = server.url.removesuffix("/v1")

    with pytest.raises(ModelError, match=f"hint: engine.url={url}/v1, which answers"):
        engine_module.check(Options(url=url, model=MODEL))


def test_a_server_without_a_list_of_models_is_taken_if_it_has_an_endpoint(server: AnsweringServer) -> None:
    server.models = lambda path: Raw({"detail": "Not Found"}, 404)
    engine_module.check(Options(url=server.url, model=MODEL))
    server.endpoint = "/elsewhere"

    with pytest.raises(ModelError, match="not the base URL of an OpenAI-compatible API"):
        engine_module.check(Options(url=server.url, model=MODEL))


def test_a_proxy_in_between_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://me:hidden@127.0.0.1:9")

    with pytest.raises(ModelError) as caught:
        engine_module.check(Options(url="http://127.0.0.1:8/v1", model=MODEL))

    assert "through the proxy http://***@127.0.0.1:9" in str(caught.value)
    assert "NO_PROXY=127.0.0.1" in str(caught.value)
