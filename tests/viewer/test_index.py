"""The index of documents, unpacked as a browser does, against the documents themselves."""

from __future__ import annotations

import base64
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.viewer.index import Index, score_value

LABELS = st.sampled_from(["person", "place", "地名", "__proto__"])
DOCUMENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.sampled_from(["truncated", "poison", "request"]), max_size=3),
        st.lists(st.tuples(LABELS, st.integers(0, 101)), max_size=5),
    ),
    max_size=8,
)


def unpacked(block):
    """Per document: state, codes, and the value of each label."""
    data, at, parts = base64.b64decode(block["data"]), 0, []
    rows, pairs = block["rows"], block["pairs"]
    for kind, count in (("<u4", rows), ("<u4", rows), ("<u4" if block["wide"] else "<u2", pairs), ("u1", rows)):
        parts.append(np.frombuffer(data, kind, count, at))
        at += parts[-1].nbytes
    codes, ends, labels, states = parts
    values = np.frombuffer(data, "u1", pairs, at)
    begins = [0, *ends.tolist()]
    return [
        (
            int(states[row]),
            {code for bit, code in enumerate(block["codes"]) if codes[row] >> min(bit, 31) & 1},
            {block["labels"][labels[pair]]: int(values[pair]) for pair in range(begins[row], begins[row + 1])},
        )
        for row in range(rows)
    ]


def indexed(documents, merge=np.maximum):
    index = Index(merge)
    for document in documents:
        index.add(*document)
    return index.block()


@given(DOCUMENTS)
def test_a_block_holds_the_state_the_codes_and_the_best_score_of_each_label(documents):
    expected = []
    for state, codes, pairs in documents:
        best = defaultdict(int)
        for label, value in pairs:
            best[label] = max(best[label], value)
        expected.append((state, set(codes), dict(best)))

    assert unpacked(indexed(documents)) == expected


def test_kinds_of_a_label_add_up():
    assert unpacked(indexed([(1, (), [("person", 1), ("person", 8)])], np.bitwise_or)) == [(1, set(), {"person": 9})]


def test_any_number_of_labels_and_codes_can_be_held():
    many = [(f"label {number}", 1) for number in range(1 << 16)]
    codes = [f"code {number}" for number in range(40)]

    block = indexed([(0, [], many), (0, codes[:1], [("one more", 2)]), (0, codes, []), (0, codes[-1:], [])])

    assert (indexed([(0, [], many)])["wide"], block["wide"]) == (False, True)
    assert [row[2] for row in unpacked(block)[1:]] == [{"one more": 2}, {}, {}]
    assert [row[1] for row in unpacked(block)] == [set(), {"code 0"}, set(codes), set(codes[31:])]


@pytest.mark.parametrize("score", [0.0, 0.004, 0.1, 0.29, 0.57, 0.5799, 1.0])
def test_a_score_as_a_byte_passes_a_threshold_as_the_score_does(score):
    for percent in range(1, 101):
        assert (score_value(score) >= percent + 1) == (score >= percent / 100)
    assert score_value(None) == 0
