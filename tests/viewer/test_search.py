"""The table of a search: it may name a chunk in vain, and never leaves one out."""

from __future__ import annotations

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.viewer.search import Table, fold, rows

TEXTS = st.text(st.sampled_from("abcABC Ⅷ京都市ｶﾞが é\u0301ßİ𝒳🚀\n\u2028"), max_size=20)


def candidates(table: Table, chunks: int, query: str) -> set[int]:
    """The chunks that have a bit in all rows of a text."""
    width = -(-chunks // 8)
    parts = dict(table.parts())
    found = set(range(chunks))
    for row in rows(fold(query)).tolist():
        part = np.frombuffer(base64.b64decode(parts[row >> 8]), np.uint8)
        bits = np.unpackbits(part[(row & 255) * width : ((row & 255) + 1) * width], bitorder="little")
        found &= set(np.flatnonzero(bits[:chunks]).tolist())
    return found


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=10), st.data())
def test_a_chunk_that_contains_a_text_is_always_among_the_candidates(chunks, data):
    table = Table()
    for texts in chunks:
        table.add(texts)
    text = data.draw(st.sampled_from([text for texts in chunks for text in texts]))
    folded = fold(text)
    start = data.draw(st.integers(0, len(folded)))
    query = folded[start : data.draw(st.integers(start, len(folded)))]

    holding = {number for number, texts in enumerate(chunks) if any(query in fold(one) for one in texts)}

    assert holding <= candidates(table, len(chunks), query)


@given(st.text(max_size=20))
def test_what_is_folded_stays_as_it_is(text):
    assert fold(fold(text)) == fold(text)


def test_most_chunks_without_a_text_are_left_out():
    table = Table()
    for number in range(100):
        table.add([f"Report {number} of the harbour says little.", f"京都{chr(0x4E00 + number)}市"])

    assert candidates(table, 100, "report 77 of") == {77}
    assert 20 in candidates(table, 100, "都" + chr(0x4E00 + 20))
    assert len(candidates(table, 100, "都" + chr(0x4E00 + 20))) < 10
    assert candidates(table, 100, "7") == set(range(100))  # too short to tell
    assert candidates(table, 100, "xylophone") == set()


def test_a_table_of_nothing_has_no_parts():
    assert list(Table().parts()) == []
