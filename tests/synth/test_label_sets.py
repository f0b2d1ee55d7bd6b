"""B2NER's label-set regularisation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.synth.config import LabelSetOptions
from ner_ray.synth.label_sets import regularize

LABELS = [f"type {number}" for number in range(30)]


def test_a_long_list_is_cut_and_keeps_the_labels_of_the_passage():
    offered = regularize(LABELS, ["type 7", "type 29"], LabelSetOptions(dropout=0), random.Random(0))

    assert len(offered) == len(set(offered)) == 18
    assert {"type 7", "type 29"} <= set(offered) <= set(LABELS)


def test_of_more_labels_than_fit_some_of_the_passage_are_kept():
    offered = regularize(LABELS, LABELS[:25], LabelSetOptions(dropout=0), random.Random(0))

    assert len(offered) == 18
    assert set(offered) < set(LABELS[:25])


def test_labels_are_left_out_at_the_rate():
    options = LabelSetOptions(max_labels=None, dropout=0.1, shuffle=False)
    left = [len(regularize(LABELS, (), options, random.Random(seed))) for seed in range(400)]

    assert sum(left) / 400 == pytest.approx(27, abs=0.3)


def test_one_label_is_left_at_least():
    assert len(regularize(LABELS, (), LabelSetOptions(dropout=1), random.Random(0))) == 1


def test_nothing_is_done_where_nothing_is_asked_for():
    options = LabelSetOptions(max_labels=None, dropout=0, shuffle=False)

    assert regularize(LABELS, ["type 3"], options, random.Random(0)) == LABELS


@given(
    st.lists(st.sampled_from("abcdefghij"), unique=True),
    st.lists(st.sampled_from("abcxyz")),
    st.builds(
        LabelSetOptions,
        max_labels=st.none() | st.integers(1, 6),
        dropout=st.floats(0, 1),
        shuffle=st.booleans(),
    ),
    st.integers(),
)
def test_labels_are_distinct_within_the_limit_and_the_same_for_the_same_seed(labels, present, options, seed):
    offered = regularize(labels, present, options, random.Random(seed))

    assert len(offered) == len(set(offered))
    assert bool(offered) == bool(labels)
    assert set(offered) <= {*labels, *present}
    assert options.max_labels is None or len(offered) <= max(options.max_labels, 1)
    assert offered == regularize(labels, present, options, random.Random(seed))
