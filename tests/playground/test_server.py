"""The page's server: what is answered, and to whom."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ner_ray import Annotator
from ner_ray.errors import ResourceError
from ner_ray.pages.serving import serve, token_for
from ner_ray.playground.server import Example, Playground
from tests.answering import AnsweringServer, answering
from tests.serving import served, status_of

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

NAMES = ("Ada", "Bo")


def answer(prompt: str) -> str:
    return json.dumps([{name: "person"} for name in (*NAMES, "Cy") if name in prompt])


def config_of(server: AnsweringServer) -> dict[str, Any]:
    return {
        "labels": ["person"],
        "family": "instruct",
        "engine": server.engine(max_num_seqs=1),
        "chunk": {"tokens": 40},
    }


@pytest.fixture(scope="module")
def engine() -> Iterator[AnsweringServer]:
    with answering(answer) as server:
        yield server


@pytest.fixture(scope="module")
def annotator(engine: AnsweringServer) -> Iterator[Annotator]:
    with Annotator(config_of(engine)) as annotator:
        yield annotator


@pytest.fixture(scope="module")
def page(annotator: Annotator) -> Iterator[str]:
    examples = [Example("A <b>title</b>", "Ada met Bo.</script><script>alert(1)</script>")]
    playground = Playground(annotator, "my.yaml", ["a.b=c d"], "person", examples)
    with served(playground.application()) as url:
        yield url


def ask(url: str, headers: dict[str, str] | None = None, **question: str) -> list[dict[str, Any]]:
    base, _, query = url.partition("?")
    request = urllib.request.Request(
        f"{base}annotate{'?' + query if query else ''}",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"} | (headers or {}),
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return [json.loads(line) for line in response]


def test_the_answer_has_entities_marks_prompts_and_ways_to_ask_again(page: str) -> None:
    *_, last = ask(page, text="Ada met Bo.", labels="person, ship")

    assert last["final"]
    assert [(entity["start"], entity["end"], entity["label"]) for entity in last["entities"]] == [
        (0, 3, "person"),
        (8, 10, "person"),
    ]
    assert [(label["name"], label["count"]) for label in last["labels"]] == [("person", 2), ("ship", 0)]
    assert "<mark" in last["html"]
    assert "Ada met Bo." in last["asked"][0]["prompt"]
    assert json.loads(last["json"])["text"] == "Ada met Bo."
    assert last["command"] == (
        "ner-ray annotate my.yaml 'a.b=c d' 'labels=[person, ship]' input.path=corpus/ output.path=runs/mine"
    )
    compile(last["python"], "copied", "exec")


def test_what_is_not_in_the_text_is_told(page: str, engine: AnsweringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answer", lambda prompt: '[{"Cy": "person"}]')

    *_, last = ask(page, text="Ada met Bo.")

    assert [mention["text"] for mention in last["unaligned"]] == ["Cy"]


def test_a_long_text_shows_entities_as_they_come(
    page: str, annotator: Annotator, engine: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(f"Ada met Bo on day {day}." for day in range(60))
    found_at_once = annotator(text).entities
    monkeypatch.setattr(engine, "seconds", 0.15)

    answers = ask(page, text=text)

    counts = [len(found["entities"]) for found in answers]
    assert [found["final"] for found in answers] == [False] * (len(answers) - 1) + [True]
    assert counts == sorted(counts)
    assert (len(counts) > 2, counts[-1]) == (True, len(found_at_once))


@pytest.mark.parametrize(
    ("labels", "said"), [("person, person", "listed twice"), ("[person", "not YAML"), ("-", "must be a name")]
)
def test_labels_that_mean_nothing_are_refused_with_a_reason(page: str, labels: str, said: str) -> None:
    (refused,) = ask(page, text="Ada met Bo.", labels=labels)

    assert said in refused["failure"]


def test_everything_on_the_page_is_escaped(page: str) -> None:
    with urllib.request.urlopen(page, timeout=60) as response:
        html = response.read().decode()

    assert "<script>alert" not in html
    assert "<b>title" not in html
    *_, last = ask(page, text="<img src=x onerror=alert(1)> Ada")
    assert "<img" not in last["html"]


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({}, None, 200),
        ({"Host": "127.0.0.1:1"}, None, 200),
        ({"Host": "[::1]:1"}, None, 200),
        ({"Host": "localhost"}, None, 200),
        ({"Host": "rebound.example"}, None, 403),
        ({"Host": "127.0.0.1.rebound.example"}, None, 403),
    ],
)
def test_only_this_machine_is_answered(page: str, headers: dict[str, str], data: bytes | None, status: int) -> None:
    assert status_of(page, headers, data) == status


def test_a_form_of_another_site_cannot_ask(page: str) -> None:
    assert status_of(f"{page}annotate", {"Content-Type": "text/plain"}, b'{"text": "Ada"}') == 415


def test_on_other_interfaces_a_token_is_needed(annotator: Annotator) -> None:
    token = token_for("0.0.0.0")
    with served(Playground(annotator, "my.yaml", token=token).application(), token=token) as url:
        assert token
        assert token in url
        assert ask(url, text="Ada")[-1]["final"]
        assert status_of(url.partition("?")[0], {}) == 403
        assert status_of(url[:-1] + "x", {}) == 403


def test_a_port_that_is_taken_is_named(page: str, annotator: Annotator) -> None:
    port = int(page.rsplit(":", 1)[1].strip("/"))

    with pytest.raises(ResourceError, match=f"cannot listen on 127.0.0.1:{port}"):
        asyncio.run(serve(Playground(annotator, "my.yaml").application(), "127.0.0.1", port, "", print))


def test_nothing_that_is_typed_is_logged(page: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        ask(page, text="a secret about Ada", labels="person")

    assert "secret" not in caplog.text
