"""What goes into Arrow comes out of it again."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ner_ray import schema
from ner_ray.types import (
    Annotation,
    Completion,
    DocumentStatus,
    Entity,
    ErrorRecord,
    Exchange,
    Findings,
    Mention,
    Message,
    Prompt,
    SpanStatus,
    Usage,
    Verdict,
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scores = st.none() | st.floats(0, 1, width=32)
counts = st.integers(0, 2**31 - 1)
mentions = st.builds(Mention, words, words, scores)
entities = st.builds(Entity, counts, counts, words, words, scores, st.sampled_from(SpanStatus))
errors = st.builds(ErrorRecord, words, words, words)
usages = st.builds(Usage, counts, counts, counts, counts)
statuses = st.sampled_from(DocumentStatus)


def tuples(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(strategy, max_size=3).map(tuple)


def through_arrow(kind: pa.DataType, value: object) -> object:
    return pa.array([value], type=kind).to_pylist()[0]


@given(
    st.builds(
        Findings,
        tuples(entities),
        tuples(mentions),
        statuses,
        tuples(errors),
        usages,
        tuples(mentions),
        tuples(st.sampled_from(Verdict)),
    )
)
def test_findings_survive_arrow(findings: Findings) -> None:
    row = through_arrow(schema.CHUNK_FINDINGS, schema.findings_to_row(findings))

    assert schema.findings_from_row(row) == findings


@given(
    st.builds(Annotation, tuples(entities), tuples(mentions), statuses, tuples(errors), usages, tuples(mentions)),
    st.lists(st.sampled_from(Verdict), max_size=4).map(lambda some: tuple(sorted(some, key=list(Verdict).index))),
)
def test_annotations_survive_the_output_schema(annotation: Annotation, verdicts: tuple[Verdict, ...]) -> None:
    whole = Annotation(
        annotation.entities,
        annotation.unaligned,
        annotation.status,
        annotation.errors,
        annotation.usage,
        annotation.dropped,
        verdicts,
    )
    table = pa.Table.from_pylist([schema.annotation_to_row(whole)], schema=schema.OUTPUT)

    assert schema.annotation_from_row(table.to_pylist()[0]) == whole


@given(words, tuples(words), st.lists(st.tuples(counts, st.floats(-50, 0, width=32)), max_size=4))
def test_exchanges_survive_arrow_but_for_the_prompt(
    subject: str, choices: tuple[str, ...], tokens: list[tuple[int, float]]
) -> None:
    completion = Completion(
        "an answer", "length", tuple(end for end, _ in tokens), tuple(logprob for _, logprob in tokens), 3, 2, 1
    )
    prompt = Prompt((Message("user", "the text"),), subject, choices)
    row = schema.exchange_to_row(4, "tagger", Exchange(prompt, (completion,)), with_prompt=False)

    back = schema.exchange_from_row(through_arrow(schema.EXCHANGE, row))

    assert back == Exchange(Prompt("", subject, choices), (completion,))


def test_prompts_are_kept_on_request_as_text_or_as_turns() -> None:
    chat = Exchange(Prompt((Message("user", "哪里?"),)), ())
    plain = Exchange(Prompt("where?"), ())

    assert schema.exchange_to_row(0, "t", chat, with_prompt=True)["prompt"] == '[{"role": "user", "content": "哪里?"}]'
    assert schema.exchange_to_row(0, "t", plain, with_prompt=True)["prompt"] == "where?"
    assert schema.exchange_to_row(0, "t", plain, with_prompt=False)["prompt"] is None
