"""Rows of any shape: an annotated text whose offsets hold, or a reject; written rows come back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ner_ray.data import AnnotatedText
from ner_ray.data.annotated import flaw, from_row, to_row
from ner_ray.data.tags import begins, spans
from ner_ray.types import Entity

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 20) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "text", "entities", "spans", "label", "labels", "start", "end", "tokens", "ner_tags"]
            ),
            inner,
        )
    ),
    max_leaves=16,
)


@given(json_values)
def test_any_row_is_a_text_whose_offsets_hold_or_a_reject(row: Any) -> None:
    found = from_row(row, "a", 0)

    if isinstance(found, AnnotatedText):
        assert all(
            found.text[entity.start : entity.end] == entity.text and entity.label.strip() for entity in found.entities
        )
    else:
        assert found.reason


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@st.composite
def annotated(draw: st.DrawFn) -> AnnotatedText:
    text = draw(texts.filter(str.strip))
    bounds = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda pair: pair[0] < pair[1])
    places = draw(st.lists(bounds, max_size=4))
    entities = tuple(
        Entity(start, end, text[start:end], draw(st.sampled_from(["a", "B c", "北"]))) for start, end in places
    )
    return AnnotatedText("id", text, entities, source="s")


@given(annotated())
def test_a_written_row_comes_back(written: AnnotatedText) -> None:
    row = to_row(written)
    blank = any(not entity.text.strip() for entity in written.entities)

    found = from_row(row, "s", 0)

    assert (not isinstance(found, AnnotatedText) and blank) or found == written


@given(st.lists(st.sampled_from(["O", "B-x", "I-x", "E-x", "S-x", "B-y", "I-y", "M-y"]), max_size=12))
def test_spans_cover_exactly_the_tagged_tokens_once_and_in_order(tags: list[str]) -> None:
    covered = [number for first, last, _ in spans(tags) for number in range(first, last + 1)]

    assert covered == [number for number, tag in enumerate(tags) if tag != "O"]
    assert all({tags[number][2:] for number in range(first, last + 1)} == {label} for first, last, label in spans(tags))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4), max_size=8))
def test_tokens_stand_where_they_begin_in_the_joined_text(tokens: list[str]) -> None:
    text = " ".join(tokens)

    assert [
        text[at : at + len(token)] for at, token in zip(begins(text, tokens, joined=True), tokens, strict=True)
    ] == tokens


def test_half_surrogates_are_a_flaw_that_can_be_written() -> None:
    found = from_row({"text": "a \ud800", "entities": []}, "a", 0)

    assert isinstance(found, AnnotatedText)
    assert flaw(found) == "not Unicode: half of a surrogate pair"
