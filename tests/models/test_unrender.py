"""What tokens say: the inverse of rendering, by the tokenizer's own library."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ner_ray.models.checkpoints import STARTER, Checkpoint
from ner_ray.models.tokenizers import load, unrender

_STARTER = load(Checkpoint(STARTER))
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(_TEXTS, _TEXTS)
def test_an_answer_is_what_follows_its_prompt(prompt: str, answer: str) -> None:
    asked, answered = (_STARTER.encode(text, add_special_tokens=False) for text in (prompt, answer))

    text, ends = unrender(_STARTER.backend_tokenizer, asked, answered)

    # Special tokens have no text, even where an answer spells one out.
    assert text == _STARTER.decode(answered, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert len(ends) == len(answered)
    assert [*ends] == sorted(ends)
    assert (0, *ends)[-1] == len(text)


@given(st.lists(st.integers(0, len(_STARTER) - 1), max_size=80))
def test_tokens_of_no_text_at_all_are_read_as_far_as_there_is_any(tokens: list[int]) -> None:
    """A model may answer rubbish: halves of characters, special tokens, bytes in no order."""
    text, ends = unrender(_STARTER.backend_tokenizer, [], tokens)

    assert len(ends) == len(tokens)
    assert [*ends] == sorted(ends)
    assert (0, *ends)[-1] == len(text)
    text.encode()


def test_a_blank_that_begins_an_answer_is_kept_where_a_decoder_leaves_out_the_first() -> None:
    from tokenizers import Tokenizer, decoders, models

    words = Tokenizer(models.WordLevel({"\u2581Ada": 0, "\u2581met": 1, "\u2581Bo": 2}, unk_token="?"))
    words.decoder = decoders.Metaspace()

    assert unrender(words, [], [0, 1]) == ("Ada met", (3, 7))
    assert unrender(words, [0], [1, 2]) == (" met Bo", (4, 7))


def test_tokens_within_a_character_end_where_it_begins() -> None:
    first, rare, last = (_STARTER.encode(piece, add_special_tokens=False) for piece in ("Ada", "\U00020bb7", "Bo"))

    text, ends = unrender(_STARTER.backend_tokenizer, [], [*first, *rare, *last])

    assert text == "Ada\U00020bb7Bo"
    assert len(rare) > 1
    assert ends[len(first) - 1 :][: len(rare) + 1] == (*[3] * len(rare), 4)
