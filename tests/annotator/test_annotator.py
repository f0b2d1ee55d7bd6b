"""The library: strings in, annotations out, with any engine, from any kind of program."""

from __future__ import annotations

import asyncio
import doctest
import inspect
import itertools
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ner_ray
from ner_ray import Annotator
from ner_ray.annotator.document import ReadingRules, converse, merge, step_input
from ner_ray.annotator.rounds import converse_alone
from ner_ray.annotator.spec import family_steps
from ner_ray.errors import ConfigError
from ner_ray.text.chunks import split
from ner_ray.types import Completion, Demonstration, DocumentStatus, Exchange, Label, Mention
from tests.answering import OUTPUT_TOKENS, PROMPT_TOKENS, AnsweringServer, answering

NAMES = {"Ann": "person", "Rex": "person", "Ghent": "place", "Kiel": "place"}


def tagged(prompt: str) -> str:
    """The answer of a perfect GNER model, for the names above and the labels in the prompt."""
    labels = re.search(r"Use the specific entity tags: (.*?) and O\.", prompt).group(1).split(", ")
    words = prompt.rsplit("Sentence: ", 1)[1].removesuffix(" [/INST]").split(" ")
    tags = [f"B-{NAMES[word]}" if NAMES.get(word) in labels else "O" for word in words]
    return " ".join(f"{word}({tag})" for word, tag in zip(words, tags, strict=True))


@pytest.fixture(scope="module")
def server() -> Iterator[AnsweringServer]:
    with answering(tagged) as running:
        yield running


@pytest.fixture(scope="module")
def annotator(server: AnsweringServer) -> Iterator[Annotator]:
    with Annotator(gner(server), labels=["person", "place"]) as running:
        yield running


def gner(server: AnsweringServer, **changes: object) -> dict[str, object]:
    return {"family": "gner", "engine": server.engine(), **changes}


def found(annotated: ner_ray.AnnotatedDocument) -> list[tuple[int, str, str]]:
    assert all(annotated.text[entity.start : entity.end] == entity.text for entity in annotated.entities)
    return [(entity.start, entity.text, entity.label) for entity in annotated.entities]


EXPECTED = [(0, "Ann", "person"), (8, "Rex", "person"), (15, "Ghent", "place")]


def test_a_text_has_its_entities_at_their_places(annotator: Annotator) -> None:
    annotated = annotator("Ann met Rex in Ghent.")

    assert found(annotated) == EXPECTED
    assert annotated.status is DocumentStatus.OK
    assert (annotated.usage.prompt_tokens, annotated.usage.output_tokens) == (PROMPT_TOKENS, OUTPUT_TOKENS)


def test_labels_may_change_from_call_to_call(annotator: Annotator) -> None:
    text = "Ann met Rex in Ghent."

    assert found(annotator(text, labels=["place"])) == [(15, "Ghent", "place")]
    assert found(annotator(text, labels={"person": None})) == EXPECTED[:2]
    assert found(annotator(text)) == EXPECTED


def test_without_any_labels_each_call_must_bring_some(server: AnsweringServer) -> None:
    with Annotator(gner(server)) as bare:
        assert found(bare("Ann ran.", labels=["person"])) == [(0, "Ann", "person")]
        with pytest.raises(ConfigError, match="no label set"):
            bare("Ann ran.")


def test_demonstrations_of_a_call_appear_in_its_prompt(server: AnsweringServer) -> None:
    shown = Demonstration("Kiel is far.", (Mention("Kiel", "place", start=0, end=4),))
    with (
        answering(lambda _: '[{"Ann": "person"}]') as instructed,
        Annotator({"family": "instruct", "engine": instructed.engine()}, labels=["person", "place"]) as annotator,
    ):
        annotated = annotator("Ann ran.", demonstrations=[shown])

    (exchange,) = annotated.exchanges()
    assert "Kiel is far." in exchange["prompt"]
    assert found(annotated) == [(0, "Ann", "person")]


def test_a_stream_keeps_the_order_and_many_requests_in_flight() -> None:
    texts = [f"Ann {number} met Rex in Ghent ." for number in range(200)]
    at_once, lock, most = [0], threading.Lock(), [0]

    def slowly(prompt: str) -> str:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        return tagged(prompt)

    with answering(slowly) as slow, Annotator(gner(slow), labels=["person"]) as annotator:
        annotations = list(annotator.stream(texts))

    assert [annotated.text for annotated in annotations] == texts
    assert all(found(annotated)[0] == (0, "Ann", "person") for annotated in annotations)
    assert most[0] >= 8


def test_a_stream_takes_no_more_texts_than_keep_the_engine_busy(annotator: Annotator) -> None:
    taken = itertools.count()
    texts = (f"Ann {next(taken)}" for _ in itertools.count())

    first = list(itertools.islice(annotator.stream(texts), 3))

    assert [annotated.text for annotated in first] == ["Ann 0", "Ann 1", "Ann 2"]
    assert next(taken) < 10_000


def test_what_cannot_be_annotated_is_an_annotation_that_says_so(annotator: Annotator) -> None:
    null, surrogate, empty = annotator.stream([None, "half \ud800 pair", ""])

    assert [null.errors[0].code, surrogate.errors[0].code] == ["null_text", "invalid_utf8"]
    assert [null.status, surrogate.status, empty.status] == [DocumentStatus.FAILED] * 2 + [DocumentStatus.OK]
    with pytest.raises(TypeError, match="a text must be a string, not list"):
        annotator(["Ann ran."])  # type: ignore[arg-type]


def test_an_annotator_serves_coroutines_threads_and_a_loop_that_runs_already(annotator: Annotator) -> None:
    async def both() -> tuple[ner_ray.AnnotatedDocument, list[ner_ray.AnnotatedDocument]]:
        inside = annotator("Ann ran.")  # as in a notebook cell: a loop is running, and the call is synchronous
        streamed = [annotated async for annotated in annotator.stream_async(["Rex ran.", "Ann sat."])]
        return await annotator.annotate_async(inside.text), streamed

    one, many = asyncio.run(both())
    results: list[ner_ray.AnnotatedDocument] = []
    threads = [threading.Thread(target=lambda: results.append(annotator("Rex met Ann."))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [found(annotated)[0][1] for annotated in (one, *many)] == ["Ann", "Rex", "Ann"]
    assert [len(annotated.entities) for annotated in results] == [2] * 8


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["Ann", "met", "Rex", "in", "Ghent.", "Then", "Kiel", "\n\n"]), max_size=150))
def test_long_texts_are_cut_and_merged_exactly_as_the_core_does(words: list[str]) -> None:
    """Compares with the slow and obvious way: each chunk of `split` separately, then `merge`."""
    text = " ".join(words)
    labels = (Label("person"), Label("place"))
    (step,) = family_steps({"name": "gner"})
    chunks = split(text, estimate, 16, 4)
    conversations = [
        converse_alone(
            converse([step], step_input(text, chunk, labels), ReadingRules()),
            lambda asked: [Exchange(prompt, (Completion(tagged(str(prompt.content))),)) for prompt in asked.prompts],
        )
        for chunk in chunks
    ]
    expected = merge(text, chunks, [conversation.findings for conversation in conversations])

    annotated = SMALL(text)

    assert annotated.chunks == tuple(chunks)
    assert annotated.entities == expected.entities
    assert [(entity.start, entity.text) for entity in annotated.entities] == [
        (match.start(), match[0]) for match in re.finditer("Ann|Rex|Ghent|Kiel", text)
    ]


def estimate(texts: list[str]) -> list[int]:
    from ner_ray.models.tokenizers import estimate as count

    return count(texts)


class _Lazy:
    """An annotator with tiny chunks, created for the first text and kept until the tests end."""

    def __call__(self, text: str) -> ner_ray.AnnotatedDocument:
        if not hasattr(self, "annotator"):
            self.context = answering(tagged)
            server = self.context.__enter__()
            config = gner(server, chunk={"tokens": 16, "overlap": 4})
            self.annotator = Annotator(config, labels=["person", "place"])
        return self.annotator(text)


SMALL = _Lazy()


def test_a_closed_annotator_says_so(server: AnsweringServer) -> None:
    annotator = Annotator(gner(server), labels=["person"])
    annotator.close()
    annotator.close()

    with pytest.raises(ConfigError, match="the annotator is closed"):
        annotator("Ann ran.")


def test_closing_cancels_what_is_still_being_asked() -> None:
    asked, go = threading.Event(), threading.Event()

    def never(_: str) -> str:
        asked.set()
        go.wait(30)
        return ""

    with answering(never) as silent:
        annotator = Annotator(gner(silent), labels=["person"])
        waiting = annotator.submit("Ann ran.")
        assert asked.wait(30)
        annotator.close()
        with pytest.raises(CancelledError):
            waiting.result(timeout=0)
        go.set()


def test_a_wrong_configuration_is_refused_before_any_engine_starts(server: AnsweringServer) -> None:
    with pytest.raises(ConfigError, match=r"chunk\.tokens"):
        Annotator(gner(server, chunk={"tokens": "many"}), labels=["person"])
    with pytest.raises(ConfigError, match="no configuration file 'annotate/none_such'"):
        Annotator("annotate/none_such")
    with pytest.raises(ConfigError, match="replay reads recorded answers"):
        Annotator(gner(server, replay=True), labels=["person"])


def test_a_notebook_shows_the_text_with_its_entities_and_nothing_becomes_markup(annotator: Annotator) -> None:
    annotated = annotator("Ann <script>alert(1)</script> met Rex .")

    shown = annotated._repr_html_()

    assert "<script>" not in shown
    assert shown.count("<mark") == 2
    assert 'data-label="person"' in shown


@pytest.mark.engine
@pytest.mark.parametrize("documented", [Annotator, ner_ray.annotate])
def test_the_examples_in_docstrings_do_what_they_show_with_a_real_engine(documented: object) -> None:
    """On vLLM, with the model that ships with the package; the examples of other docstrings run in `test_examples`."""
    source = inspect.getdoc(documented).replace("  # doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(source, {}, str(documented), None, None)

    results = doctest.DocTestRunner().run(example)

    assert results.attempted >= 3
    assert not results.failed


@pytest.mark.engine
def test_the_shipped_configuration_works_by_name_with_a_real_engine(tmp_path: Path) -> None:
    """The five lines of the README, with vLLM and the model that ships with the package."""
    text = "Marie Curie was born in Warsaw. She moved to Paris in 1891."
    with Annotator("annotate/demo", ["engine.max_num_seqs=8"], labels=["person", "place"]) as annotator:
        annotated = annotator(text)
        again = list(annotator.stream([text, text]))

    assert annotated.status is DocumentStatus.OK
    assert annotated.entities
    assert all(text[entity.start : entity.end] == entity.text for entity in annotated.entities)
    assert {entity.label for entity in annotated.entities} <= {"person", "place"}
    # Scores depend a little on what else is in a batch.
    assert [_places(other) for other in again] == [_places(annotated)] * 2


def _places(annotated: ner_ray.AnnotatedDocument) -> list[tuple[int, int, str]]:
    return [(entity.start, entity.end, entity.label) for entity in annotated.entities]
