"""Chunks: cores partition the document, spans fit the model."""

from __future__ import annotations

from itertools import pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.text.chunks import CountTokens, split
from ner_ray.types import Chunk
from tests import strategies


class Counter:
    """A tokenizer's count, that knows how often it was asked."""

    def __init__(self, pattern: str) -> None:
        self._pattern = regex.compile(pattern)
        self.calls = 0

    def __call__(self, texts: list[str]) -> list[int]:
        self.calls += 1
        return [len(self._pattern.findall(text)) for text in texts]


def words() -> Counter:
    return Counter(r"\w+|[^\w\s]")


def characters() -> Counter:
    return Counter(r"(?s).")


def pieces_and_a_start() -> CountTokens:
    """Like SentencePiece: up to three characters a token, and one more for each text."""
    count = Counter(r"(?s).{1,3}")
    return lambda texts: [1 + tokens for tokens in count(texts)]


def odd(texts: list[str]) -> list[int]:
    """A whole has more tokens than its parts together, which no tokenizer should do."""
    return [len(text) + len(text) // 7 for text in texts]


COUNTERS = st.sampled_from([words(), characters(), pieces_and_a_start(), odd])


def sentence_text(sentences: int = 40) -> str:
    return "".join(f"Sentence {number} tells of Anna and of Bob. " for number in range(sentences))


@settings(max_examples=300)
@given(strategies.texts(200), COUNTERS, st.integers(1, 40), st.integers(0, 20))
def test_chunks_cover_the_text_and_keep_the_budget(text: str, count: CountTokens, budget: int, overlap: int) -> None:
    chunks = split(text, count, budget, overlap)

    assert_cores_partition(text, chunks)
    for chunk in chunks:
        seen = text[chunk.start : chunk.end]
        assert count([seen])[0] <= budget or len(regex.findall(r"\X", seen)) == 1
        assert seen == seen.strip()
        assert chunk.start in graphemes(text)
        assert chunk.end in graphemes(text)
    assert all(left.start <= right.start and left.end <= right.end for left, right in pairwise(chunks))


def assert_cores_partition(text: str, chunks: list[Chunk]) -> None:
    """Cores follow each other, cover the text, and lie in their spans but for blanks."""
    if not text.strip():
        assert chunks == []
        return
    assert [chunk.core_start for chunk in chunks] == [0, *(chunk.core_end for chunk in chunks[:-1])]
    assert chunks[-1].core_end == len(text)
    for chunk in chunks:
        assert chunk.core_start < chunk.core_end
        assert not text[chunk.core_start : max(chunk.core_start, chunk.start)].strip()
        assert not text[min(chunk.core_end, chunk.end) : chunk.core_end].strip()


def graphemes(text: str) -> set[int]:
    return {len(text), *(match.start() for match in regex.finditer(r"\X", text))}


def test_a_text_that_fits_is_one_chunk_and_one_question() -> None:
    count = words()

    assert split("  Anna is here. \n", count, 10, 2) == [Chunk(2, 15, 0, 17)]
    assert count.calls == 1


def test_neighbours_share_whole_sentences_and_cores_meet_in_their_middle() -> None:
    text = sentence_text()
    chunks = split(text, words(), 60, 20)

    assert len(chunks) > 3
    for left, right in pairwise(chunks):
        shared = text[right.start : left.end]
        assert shared.startswith("Sentence ")
        assert shared.endswith(".")
        assert words()([shared])[0] in range(9, 21)
        assert abs(right.core_start - (right.start + left.end) / 2) <= len("Sentence")


def test_neighbours_share_words_of_a_sentence_that_is_longer_than_the_overlap() -> None:
    text = " ".join(f"word{number}" for number in range(1000))
    chunks = split(text, words(), 100, 10)

    for left, right in pairwise(chunks):
        assert 5 <= len(text[right.start : left.end].split()) <= 20
        assert text[right.start : left.end].startswith("word")


def test_without_overlap_cores_are_spans() -> None:
    text = sentence_text()

    for chunk in split(text, words(), 60, 0):
        assert text[chunk.core_start : chunk.core_end].strip() == text[chunk.start : chunk.end]


def test_chunks_are_well_filled() -> None:
    count = words()
    chunks = split(sentence_text(400), count, 100, 10)

    filled = count([sentence_text(400)[chunk.start : chunk.end] for chunk in chunks[:-1]])
    assert min(filled) > 80


def test_a_long_sentence_is_cut_between_words() -> None:
    text = " ".join(["Massachusetts"] * 500)

    for chunk in split(text, characters(), 100, 0):
        assert set(text[chunk.start : chunk.end].split()) == {"Massachusetts"}


@pytest.mark.timeout(400)  # that is 4 s for the longest, where each character is looked at a few times
@pytest.mark.parametrize(
    "text",
    ["a" * 10_000_000, "中" * 500_000, "x" + " " * 500_000 + "y", "🇩🇪" * 50_000, "a" + "\u0301" * 100_000],
    ids=["letters", "han", "blanks", "flags", "marks"],
)
def test_a_huge_text_without_a_sentence_takes_few_questions(text: str) -> None:
    count = characters()
    chunks = split(text, count, 2048, 256)

    assert_cores_partition(text, chunks)
    assert count.calls < 10


def test_the_tokenizer_is_never_asked_about_a_huge_piece() -> None:
    longest = 0

    def count(texts: list[str]) -> list[int]:
        nonlocal longest
        longest = max(longest, *map(len, texts))
        return [len(text) for text in texts]

    split("b" * 1_000_000, count, 100, 10)

    assert longest <= 1000
