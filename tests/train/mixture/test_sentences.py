"""Sentences from the grammar."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.errors import InputError
from ner_ray.train.mixture.sentences import load_grammar, parse_grammar, sentences


@pytest.fixture(scope="module")
def grammar():
    return load_grammar()


@given(st.integers(0, 10_000))
def test_entities_stand_where_they_say(grammar, seed):
    for sentence in islice(sentences(grammar, seed), 3):
        ends = 0
        for entity in sentence.entities:
            assert sentence.text[entity.start : entity.end] == entity.text
            assert entity.text == entity.text.strip() != ""
            assert entity.start >= ends
            ends = entity.end


def test_nothing_of_the_notation_is_left_in_a_sentence(grammar):
    for sentence in islice(sentences(grammar, 5), 3000):
        assert not set("{}[]<>|_~") & set(sentence.text)
        assert "  " not in sentence.text


def test_there_are_many_sentences_and_every_type_occurs(grammar):
    drawn = list(islice(sentences(grammar, 6), 5000))
    types = Counter(entity.label for sentence in drawn for entity in sentence.entities)

    assert len({sentence.text for sentence in drawn}) > 4900
    assert set(types) == {"PER", "ORG", "LOC", "EVT", "WRK", "PRD", "MISC"}
    assert min(types["PER"], types["ORG"], types["LOC"]) > 1000
    assert sum(not sentence.entities for sentence in drawn) > 300


def test_every_rule_is_used(grammar):
    used = {"sentence"} | {
        name for lines in grammar.values() for line in lines for name in grammar if f"{{{name}}}" in line
    }
    assert sorted(set(grammar) - used) == []


def test_the_same_seed_gives_the_same_sentences(grammar):
    assert list(islice(sentences(grammar, 9), 20)) == list(islice(sentences(grammar, 9), 20))


def test_lists_hold_words_and_alternatives_lines():
    grammar = parse_grammar("= who\nAda New\\ York\n: sentence\n[PER {who}] <came|<ran|flew>|> .")
    drawn = {sentence.text for sentence in islice(sentences(grammar, 1), 200)}

    assert drawn == {f"{who}{what} ." for who in ("Ada", "New York") for what in (" came", " ran", " flew", "")}


def test_a_grammar_with_a_hole_is_refused():
    with pytest.raises(InputError, match="not defined: nobody"):
        parse_grammar(": sentence\n{nobody} came .")
    with pytest.raises(InputError, match="before the first rule"):
        parse_grammar("Ada came .")


def test_rules_that_lead_back_to_themselves_are_refused():
    with pytest.raises(InputError, match="refer back"):
        next(sentences(parse_grammar(": sentence\n{sentence} and {sentence}"), 1))
