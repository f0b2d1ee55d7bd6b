"""Sentences: a partition of any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.text import sentences
from tests import strategies

LANGUAGES = [None, "en", "zh", "ja", "ko", "de", "ar", "hi", "am", "xx"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Ada met Bob. They left!", ["Dr. Ada met Bob. ", "They left!"]),
        ("他来了。她走了！", ["他来了。", "她走了！"]),
        ("彼が来た。彼女は去った。", ["彼が来た。", "彼女は去った。"]),
        ("वह आया। वह गया।", ["वह आया। ", "वह गया।"]),
        ("ab\n\ncd", ["ab", "\n\n", "cd"]),
    ],
)
def test_sentences_end_where_their_language_ends_them(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences.spans(text)] == expected


@given(strategies.texts(), st.sampled_from(LANGUAGES))
def test_sentences_partition_any_text(text: str, language: str | None) -> None:
    spans = sentences.spans(text, language)

    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Plain words", "en"),
        ("Çok güzel", "en"),
        ("东京的日本人", "zh"),
        ("東京の人は", "ja"),
        ("서울 사람", "ko"),
        ("Москва", "ru"),
        ("दिल्ली", "hi"),
        ("القاهرة", "ar"),
        ("", "en"),
        ("The word 北京 in an English sentence", "en"),
    ],
)
def test_the_language_is_guessed_by_script(text: str, language: str) -> None:
    assert sentences.guess_language(text) == language
