"""Normal forms: what they make equal, and that they know where they come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.text.normalize import fold, normalize
from tests import strategies


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("Ｔｏｋｙｏ", "tokyo"),
        ("café", "cafe\u0301"),
        ("ﬁnance", "finance"),
        ("New\u00a0 \n York", "new york"),
        ("“Jaws”", '"jaws"'),
        ("O’Neil", "O'Neil"),
        ("1939–45", "1939-45"),
        ("co\u00adoperate", "cooperate"),
        ("ﾊﾞﾝｸ", "バンク"),
        ("\u1112\u1161\u11ab", "한"),
        ("ΟΔΟΣ", "οδος"),
        ("가\u11a8", "각"),
        ("الـــكتاب", "الكتاب"),
        ("مُحَمَّد", "محمد"),
        ("שָׁלוֹם", "שלום"),
    ],
)
def test_spellings_of_the_same_thing_are_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("Anna", "Ana"), ("北京", "北 京"), ("résumé", "resume"), ("a b", "ab")])
def test_different_things_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(strategies.texts())
def test_every_code_point_knows_a_span_of_the_source(text: str) -> None:
    normal = normalize(text)
    origins = normal.origins.tolist()

    assert normal.origins.shape == (len(normal.text), 2)
    assert all(0 <= start < end <= len(text) for start, end in origins)
    assert origins == sorted(origins)


@given(strategies.texts())
def test_fold_is_the_normal_form_without_blanks_at_its_ends(text: str) -> None:
    assert fold(text) == normalize(text).text.strip(" ")


@given(strategies.texts(), st.data())
def test_what_a_part_came_from_has_that_part_as_its_normal_form(text: str, data: st.DataObject) -> None:
    normal = normalize(text)
    start = data.draw(st.integers(0, len(normal.text)))
    end = data.draw(st.integers(start, len(normal.text)))
    if start < end and normal.is_whole(start, end):
        left, right = normal.to_source(start, end)

        assert normalize(text[left:right]).text.strip(" ") == normal.text[start:end].strip(" ")


@given(strategies.word_lists(), strategies.word_lists())
def test_the_normal_form_of_a_part_is_the_part_of_the_normal_form(left: list[str], right: list[str]) -> None:
    one, other = " ".join(left), " ".join(right)

    assert normalize(f"{one} x {other}").text == f"{normalize(one + ' ').text}x{normalize(' ' + other).text}"


def test_half_of_a_ligature_is_not_whole() -> None:
    normal = normalize("ﬁn")

    assert normal.text == "fin"
    assert not normal.is_whole(1, 3)
    assert normal.to_source(0, 3) == (0, 2)


@pytest.mark.timeout(120)  # 2.5 s for the slowest
@pytest.mark.parametrize("unit", ["The “quick” brown fox, 3.5. ", "今天北京大学。", "पहला वाक्य ", "e\u0301", "\u3000 "])
def test_a_megabyte_is_no_trouble(unit: str) -> None:
    normal = normalize(unit * (1_000_000 // len(unit)))

    assert len(normal.origins) == len(normal.text)
