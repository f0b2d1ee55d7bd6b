"""The library on servers that fail: a document at fault fails alone, an outage is told and convicts nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ner_ray import Annotator
from ner_ray.engines.base import load
from ner_ray.errors import UnansweredError, UnavailableError
from ner_ray.types import DocumentStatus
from tests.answering import AnsweringServer, Raw, answering

ANSWER = '[{"Ada": "person"}]'
FAULT = Raw({"error": {"message": "EngineCore died"}}, 500)


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering(lambda asked: ANSWER) as running:
        yield running


@pytest.fixture
def annotator(server: AnsweringServer) -> Iterator[Annotator]:
    settings = {"family": "instruct", "engine": server.engine(retries=0)}
    with Annotator(settings, labels=["person"]) as running:
        yield running


def codes(annotator: Annotator, *texts: str) -> list[list[str]]:
    annotated = list(annotator.stream(texts))
    assert all((one.status is DocumentStatus.OK) == (not one.errors) for one in annotated)
    assert all(one.entities for one in annotated if one.status is DocumentStatus.OK)
    return [[error.code for error in one.errors] for one in annotated]


def test_a_document_that_the_server_always_fails_at_fails_alone(server: AnsweringServer, annotator: Annotator) -> None:
    server.answer = lambda asked: FAULT if "BAD" in asked else ANSWER

    assert codes(annotator, "Ada", "Ada BAD", "Ada again") == [[], ["request"], []]
    assert codes(annotator, "Ada BAD") == [["request"]]


@pytest.mark.parametrize("status", [402, 403, 404])
def test_a_refusal_that_concerns_all_is_believed_only_if_it_does(
    server: AnsweringServer, annotator: Annotator, status: int
) -> None:
    refused = Raw({"error": {"message": "flagged"}}, status)
    server.answer = lambda asked: refused if "BAD" in asked else ANSWER
    assert codes(annotator, "Ada", "Ada BAD", "Ada again") == [[], ["request"], []]

    server.answer = lambda asked: refused
    with pytest.raises(UnavailableError, match=f"status {status}: flagged"):
        annotator("Ada")


def test_an_outage_is_told_and_the_annotator_goes_on_afterwards(server: AnsweringServer, annotator: Annotator) -> None:
    server.answer = lambda asked: FAULT
    with pytest.raises(UnansweredError, match="status 500: EngineCore died"):
        annotator("Ada")

    server.answer = lambda asked: ANSWER
    assert codes(annotator, "Ada") == [[]]


def test_an_exception_of_the_engine_fails_its_document_and_never_becomes_an_empty_answer(
    server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = load("openai").create

    def with_a_bug(*arguments: object) -> object:
        engine = create(*arguments)
        generate = engine.generate

        async def broken(prompt: object, *others: object) -> object:
            await asyncio.sleep(0)
            if "BAD" in str(prompt):
                raise KeyError("choices")
            return await generate(prompt, *others)

        engine.generate = broken
        return engine

    monkeypatch.setattr(load("openai"), "create", with_a_bug)
    with Annotator({"family": "instruct", "engine": server.engine()}, labels=["person"]) as annotator:
        assert codes(annotator, "Ada", "Ada BAD", "Ada again") == [[], ["internal"], []]
        assert codes(annotator, "Ada BAD") == [["internal"]]
