"""The tolerant list reader, beyond what the families' tests ask of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.families.toolkit.answers import Listed, list_entities
from ner_ray.families.toolkit.guide import Guide
from ner_ray.families.toolkit.lists import Group, roots, texts
from tests.families.data import answers

EMPTY = ("", "''", '""')  # quotes without anything in them may be text or nothing


def listed_in(answer: str, text: str = "") -> Listed:
    """What an answer to a question for one label lists."""
    return list_entities(answer, Guide(("label",), text, "label"))


def texts_of(answer: str, text: str = "") -> list[str]:
    return [item.entity.value for item in listed_in(answer, text).items]


@given(st.lists(st.text(min_size=1).filter(lambda text: text == text.strip()), max_size=6), st.booleans())
def test_json_lists_are_read_as_json_reads_them(items: list[str], ascii_only: bool) -> None:
    answer, text = json.dumps(items, ensure_ascii=ascii_only), "\n".join(items)

    assert texts_of(answer, text) == json.loads(answer)
    assert (listed_in(answer, text).repairs, listed_in(answer, text).cut) == (frozenset(), False)


@given(st.lists(st.dictionaries(st.text("ab\"'\\é 1", min_size=1), st.text("xy:,", min_size=1)), max_size=4))
def test_json_dictionaries_are_read_as_json_reads_them(items: list[dict[str, str]]) -> None:
    listed = list_entities(json.dumps(items), Guide((), "\n".join(key.strip() for item in items for key in item)))
    expected = [
        (key.strip(), value.strip())
        for item in items
        for key, value in item.items()
        if key.strip() not in EMPTY and value.strip()
    ]

    found = [(item.entity.value, item.label.value) for item in listed.items if item.label]
    assert [pair for pair in found if pair[0] not in EMPTY] == expected


@given(st.lists(st.text("abc", min_size=1), min_size=1, max_size=5), st.data())
def test_a_cut_list_keeps_its_complete_items(items: list[str], data: st.DataObject) -> None:
    whole = json.dumps(items)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]

    assert texts_of(cut, whole) == items[: cut.count('"') // 2]
    assert roots(cut)[0].cut


@given(answers)
def test_offsets_are_where_the_texts_are(answer: str) -> None:
    for root in roots(answer):
        for text in texts(root.group):
            assert 0 <= text.start < text.end <= len(answer)
            if "\\" not in answer:
                assert text.value in answer[text.start : text.end]


@pytest.mark.parametrize("answer", ["[" * 100_000, '{"a":' * 50_000, "[(" * 50_000 + '"x"' + ")]" * 50_000])
def test_depth_breaks_nothing(answer: str) -> None:
    assert isinstance(roots(answer)[0].group, Group)


@pytest.mark.parametrize("answer", ['["' + "a\\" * 50_000, "[" + "'" * 50_000, '["' * 30_000, "[" + "a b " * 30_000])
def test_long_trouble_is_read_in_linear_time(answer: str) -> None:
    """A minute would be quadratic; the suite's timeout is not waited for."""
    assert roots(answer)[0].cut


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('["a" "b"]', ["a", "b"]),
        ("[a, New York, 10]", ["a", "New York", "10"]),
        ('["x"]["y"]', ["x", "y"]),
        ('see [note] for ["x"]', ["x"]),
        ('["a]b", "c}d"]', ["a]b", "c}d"]),
        ("['O'Neil', 'x']", ["O'Neil", "x"]),
        ('["\\ud83d\\ude00", "\\ud83d"]', ["😀", "\ufffd"]),
        ('["\\\\u00e9"]', ["\\u00e9"]),
        ("- a\n* 'b',\n3. c", ["a", "b", "c"]),
        ("No entities were found.", []),
    ],
)
def test_what_models_make_of_lists_is_read(answer: str, found: list[str]) -> None:
    assert texts_of(answer) == found
