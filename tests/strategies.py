"""Hypothesis strategies that several test folders share."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from ner_ray.types import Mention

# Characters that break code for text: combining marks, joiners, flags, ligatures, widths, surrogates, NUL, odd blanks.
AWKWARD = (
    "é e\u0301 ﬁ ß İ ς … ＡＢ ﾊﾞ が か\u3099 각 \u1100\u1161\u11a8 กำ เ ก์ क्ष 👨\u200d👩\u200d👧 🇩🇪🇫🇷 \ud800 \udfff \0 "
    "\r\n \u2028 \u3000 \x1c \u00ad \ufeff \u0600 # ( ) [ ] \" ' “ ” ’ – —"
)
WORDS = [
    *("Anna", "Berlin", "in", "the", "the", "of", "New", "York", "York", ".", ",", "is", "O'Neil", "Berlin-based"),
    *("北京", "大学", "は", "東京", "서울", "서울에서", "ภาษา", "Łódź", "naïve", "Straße", "3.5", "U.S."),
    *AWKWARD.split(" "),
]


def texts(max_size: int = 60) -> st.SearchStrategy[str]:
    """Strings of any code points, including lone surrogates, mixed with characters known to be difficult."""
    anything = st.characters(codec=None, exclude_categories=())
    awkward = st.sampled_from(sorted(set(AWKWARD)))
    plain = st.sampled_from("ab .\n中京한ก-")
    return st.text(st.one_of(plain, awkward, anything), max_size=max_size)


def file_names() -> st.SearchStrategy[str]:
    """Names of files and folders, with what means something in URIs, globs, shells and Unicode's forms."""
    signs = [*" %#+&=;,[]?*{}!^~@:'\"\\-_.", "%20", "%2F", "ü", "u\u0308", "名", "0", "a", "b", "\n"]
    names = st.lists(st.sampled_from(signs), min_size=1, max_size=6).map("".join)
    return names.filter(lambda name: name not in (".", "..") and not name.isspace() and not name.startswith("~"))


def word_lists(min_size: int = 0, max_size: int = 24) -> st.SearchStrategy[list[str]]:
    """Words of many scripts, with many repetitions."""
    return st.lists(st.sampled_from(WORDS), min_size=min_size, max_size=max_size)


@st.composite
def spans(draw: st.DrawFn, length: int, max_size: int = 4) -> list[tuple[int, int]]:
    """Non-empty, non-overlapping, sorted half-open spans inside `range(length)`."""
    cuts = draw(st.lists(st.integers(0, length), max_size=2 * max_size, unique=True).map(sorted))
    return list(zip(cuts[::2], cuts[1::2], strict=False))


@st.composite
def corrupted(draw: st.DrawFn, words: list[str]) -> list[str]:
    """The words with some of them omitted, changed, repeated, and others added."""
    changes: dict[str, Callable[[str], list[str]]] = {
        "keep": lambda word: [word],
        "omit": lambda _: [],
        "add": lambda word: [word, draw(st.sampled_from(WORDS))],
        "substitute": lambda _: [draw(st.sampled_from(WORDS))],
        "repeat": lambda word: [word, word],
        "misspell": lambda word: [word[1:] + word[:1]],
        "recase": lambda word: [word.swapcase()],
    }
    kinds = st.sampled_from(["keep"] * 12 + list(changes))
    return [copied for word in words for copied in changes[draw(kinds)](word)]


def marked(copy: str, places: list[tuple[int, int]], label: str = "x") -> list[Mention]:
    """Mentions with offsets into a copy."""
    return [Mention(copy[start:end], label, None, start, end) for start, end in places]
