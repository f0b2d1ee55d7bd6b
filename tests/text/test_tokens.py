"""Tokens: what is one, and where a mention may begin."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.text import tokens
from tests import strategies


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna lives in Łódź.", ["Anna", "lives", "in", "Łódź", "."]),
        ("NBA球员2024年", ["NBA", "球", "员", "2024", "年"]),
        ("サーバー", ["サ", "ー", "バ", "ー"]),
        ("서울에서 왔다", ["서", "울", "에", "서", "왔", "다"]),
        ("กำลัง", ["กำ", "ลั", "ง"]),
        ("Berlin-based O'Neil's", ["Berlin", "-", "based", "O", "'", "Neil", "'", "s"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("👨\u200d👩\u200d👧!", ["👨\u200d👩\u200d👧", "!"]),
        ("\u0600 a\x1cb", ["\u0600", "a", "b"]),
        ("क्षत्रिय जी", ["क्षत्रिय", "जी"]),
        ("✈️Paris ℹ️Info 1️⃣Ann", ["✈️", "Paris", "ℹ️", "Info", "1️⃣", "Ann"]),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", ["\u1112\u1161\u11ab", "\u1100\u116e\u11a8"]),
        ("か\u3099ﾊﾞ々", ["か\u3099", "ﾊﾞ", "々"]),
        ("ꦲꦏ꧀ꦱꦫ", ["ꦲ", "ꦏ꧀ꦱ", "ꦫ"]),
        ("ᬅᬓ᭄ᬱᬭ", ["ᬅ", "ᬓ᭄ᬱ", "ᬭ"]),
        ("ᨵᩢᨾ᩠ᨾ᩼", ["ᨵᩢ", "ᨾ᩠ᨾ᩼"]),
        ("ᦅᧄ", ["ᦅ", "ᧄ"]),
        ("๒๕๖๗ปี", ["๒๕๖๗", "ปี"]),
    ],
)
def test_a_text_is_cut_by_the_writing_of_its_script(text: str, expected: list[str]) -> None:
    assert [word.text for word in tokens.words(text)] == expected


@given(strategies.texts())
def test_tokens_hold_all_that_is_not_blank_in_order(text: str) -> None:
    words = tokens.words(text)

    assert "".join(word.text for word in words) == "".join(text.split())
    assert all(text[word.start : word.end] == word.text for word in words)
    assert [(word.start, word.end) for word in words] == tokens.spans(text)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("Paris", 0, True),
        ("Paris", 5, True),
        ("Parisian", 5, False),
        ("Paris-Nord", 5, True),
        ("1980s", 4, False),
        ("C++11", 3, True),
        ("北京市", 2, True),
        ("NBA球员", 3, True),
        ("서울에서", 2, True),
        ("e\u0301", 1, False),
        ("が", 1, False) if len("が") > 1 else ("か\u3099", 1, False),
    ],
)
def test_a_mention_ends_inside_a_word_only_where_words_are_not_spaced(text: str, position: int, expected: bool) -> None:
    assert tokens.is_boundary(text, position) == expected


@given(strategies.texts())
def test_no_letter_of_a_spaced_script_is_cut_from_its_mark(text: str) -> None:
    for match in regex.finditer(r"[A-Za-z]\p{M}", text):
        assert not tokens.is_boundary(text, match.start() + 1)


@settings(max_examples=500)
@given(
    st.one_of(
        strategies.texts(),
        st.text("ab1é中ー가각\u1100\u1161\u11a8\u0301\u200d\ufe0f\u20e3👨🇩🇪 -\u00adกำက\u1039ꦲ꧀か\u3099ﾞ✈"),
    )
)
def test_boundaries_are_where_tokens_begin_and_end(text: str) -> None:
    for start, end in tokens.spans(text):
        assert tokens.is_boundary(text, start)
        assert tokens.is_boundary(text, end)
        assert not any(tokens.is_boundary(text, inside) for inside in range(start + 1, end))


@given(strategies.texts())
def test_a_word_boundary_is_a_grapheme_boundary(text: str) -> None:
    for position in range(len(text) + 1):
        assert tokens.is_grapheme_boundary(text, position) or not tokens.is_boundary(text, position)


def test_scripts_without_spaces_follow_from_unicode() -> None:
    """No two letters of these scripts are one token, whatever Unicode adds to them."""
    names = "Javanese Balinese Tai_Tham New_Tai_Lue Tai_Le Tai_Viet Thai Lao Khmer Myanmar Cham Tangut Nushu Han Yi"
    for name in names.split():
        letters = regex.findall(rf"[\p{{Script={name}}}&&\p{{Lo}}--\p{{GCB=Prepend}}]", ALL_LETTERS, regex.V1)

        assert letters, name
        assert len(tokens.spans("".join(letters[:200]))) > min(len(letters), 200) * 0.7, name


ALL_LETTERS = "".join(chr(code) for code in (*range(0x250, 0xD800), *range(0xE000, 0x1BFFF)))
