"""Span scores: what the four modes count; nervaluate and seqeval agree where definitions coincide."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.evaluate import spans
from ner_ray.evaluate.spans import MODES, SpanSums
from ner_ray.types import Entity

LABELS = ("person", "place", "thing")


def entity(start: int, end: int, label: str = "person") -> Entity:
    return Entity(start, end, "x" * (end - start), label)


entities = st.lists(
    st.builds(
        lambda start, length, label: entity(start, start + length, label),
        st.integers(0, 30),
        st.integers(1, 8),
        st.sampled_from(LABELS),
    ),
    max_size=8,
)


@st.composite
def slots(draw: st.DrawFn) -> list[tuple[list[Entity], list[Entity]]]:
    """Documents in which an entity overlaps at most one of the other side, so that no pairing is in doubt."""
    inside = st.none() | st.builds(
        lambda edges, label: (min(edges), max(edges) + 1, label),
        st.tuples(st.integers(0, 8), st.integers(0, 8)),
        st.sampled_from(LABELS),
    )
    documents = []
    for slot in draw(st.lists(st.lists(st.tuples(inside, inside), max_size=5), min_size=1, max_size=4)):
        sides: tuple[list[Entity], list[Entity]] = ([], [])
        for number, both in enumerate(slot):
            for side, place in zip(sides, both, strict=True):
                if place is not None:
                    side.append(entity(10 * number + place[0], 10 * number + place[1], place[2]))
        documents.append(sides)
    return documents


def total(documents: Sequence[tuple[Sequence[Entity], Sequence[Entity]]]) -> SpanSums:
    return sum((spans.count(gold, predicted) for gold, predicted in documents), SpanSums())


@pytest.mark.parametrize(
    ("predicted", "f1"),
    [
        (entity(5, 10, "person"), {"strict": 1.0, "exact": 1.0, "partial": 1.0, "type": 1.0}),
        (entity(5, 10, "place"), {"strict": 0.0, "exact": 1.0, "partial": 1.0, "type": 0.0}),
        (entity(5, 11, "person"), {"strict": 0.0, "exact": 0.0, "partial": 0.5, "type": 1.0}),
        (entity(9, 12, "place"), {"strict": 0.0, "exact": 0.0, "partial": 0.5, "type": 0.0}),
        (entity(10, 12, "person"), {"strict": 0.0, "exact": 0.0, "partial": 0.0, "type": 0.0}),
    ],
)
def test_each_mode_counts_what_its_name_says(predicted, f1):
    """Same span and label, other label, other span, both other, no overlap (the end is exclusive)."""
    sums = spans.count([entity(5, 10, "person")], [predicted])

    assert f1 == {mode: spans.micro(sums)[mode].f1 for mode in MODES}


def test_an_exact_match_is_found_though_an_overlap_comes_first():
    """In nervaluate the first overlapping prediction gets the gold entity, and the exact one nothing."""
    sums = spans.count([entity(5, 10)], [entity(0, 6), entity(5, 10)])

    assert (spans.micro(sums)["strict"].recall, spans.micro(sums)["strict"].precision) == (1.0, 0.5)


def test_of_several_overlaps_the_one_with_the_same_label_then_the_largest_is_taken():
    """Each gold entity answers one prediction; what is left over is spurious."""
    gold = entity(0, 10, "person")
    predicted = [entity(0, 9, "place"), entity(8, 12, "person"), entity(5, 12, "person")]

    pairs = spans.pair([gold], predicted)

    assert [(gold, predicted[2])] == [(p.gold, p.predicted) for p in pairs if p.gold]
    assert {predicted[0], predicted[1]} == {p.predicted for p in pairs if not p.gold}


def test_an_entity_named_twice_counts_once_and_is_reported():
    """The second mention of the same claim is neither right nor wrong."""
    sums = spans.count([entity(0, 3)], [entity(0, 3), entity(0, 3), entity(5, 8)])

    assert (sums.repeated, spans.micro(sums)["strict"].precision) == (1, 0.5)


def test_nested_gold_with_the_same_span_and_two_labels_needs_two_predictions():
    """Two labels on one span are two entities."""
    gold = [entity(0, 3, "person"), entity(0, 3, "place")]

    assert spans.micro(spans.count(gold, gold))["strict"].f1 == 1.0
    assert spans.micro(spans.count(gold, gold[:1]))["exact"].recall == 0.5


def test_nothing_predicted_and_nothing_annotated_scores_zero():
    """0 / 0 is 0, as nervaluate and the papers have it."""
    assert spans.micro(SpanSums())["strict"].f1 == 0.0
    assert spans.macro(SpanSums())["strict"].f1 == 0.0


def test_confusion_counts_labels_that_were_taken_for_others_missed_and_made_up():
    """One cell each: right, confused, missed, spurious."""
    gold = [entity(0, 3, "person"), entity(5, 8, "person"), entity(10, 12, "place")]
    predicted = [entity(0, 3, "person"), entity(5, 9, "place"), entity(20, 22, "thing")]

    assert spans.confusion(spans.count(gold, predicted)) == {
        ("person", "person"): 1,
        ("person", "place"): 1,
        ("place", None): 1,
        (None, "thing"): 1,
    }


def test_per_label_scores_give_recall_to_the_gold_label_and_precision_to_the_predicted_one():
    """A place taken for a person costs the place recall and the person precision."""
    sums = spans.count([entity(0, 3, "place")], [entity(0, 3, "person")])

    labels = spans.per_label(sums)

    assert (labels["place"].gold, labels["place"].predicted) == (1, 0)
    assert (labels["place"].scores["exact"].recall, labels["place"].scores["exact"].precision) == (1.0, 0.0)
    assert (labels["person"].scores["exact"].recall, labels["person"].scores["exact"].precision) == (0.0, 1.0)


@given(entities, entities, st.randoms(use_true_random=False))
def test_the_order_of_entities_does_not_matter(gold, predicted, chance):
    """Shuffled input gives the same sums."""
    expected = spans.count(gold, predicted)
    chance.shuffle(gold)
    chance.shuffle(predicted)

    assert expected == spans.count(gold, predicted)


@given(entities, entities)
def test_every_entity_is_in_exactly_one_pair(gold, predicted):
    """Pairs partition both sides; strict matches are the intersection."""
    pairs = spans.pair(gold, predicted)

    assert {*gold} == {p.gold for p in pairs if p.gold}
    assert len({*gold}) == sum(p.gold is not None for p in pairs)
    assert len({*predicted}) == sum(p.predicted is not None for p in pairs)
    assert len({*gold} & {*predicted}) == sum(p.gold == p.predicted for p in pairs)


@given(entities, entities)
def test_no_pair_is_left_that_could_still_be_made(gold, predicted):
    """Oracle: all pairs of overlapping entities, tried one by one."""
    pairs = spans.pair(gold, predicted)
    missed = [p.gold for p in pairs if p.gold and not p.predicted]
    spurious = [p.predicted for p in pairs if p.predicted and not p.gold]

    assert not [(a, b) for a in missed for b in spurious if a.start < b.end and b.start < a.end]


@given(st.lists(st.tuples(entities, entities), max_size=6), st.integers(0, 6))
def test_sums_of_parts_add_to_the_sums_of_the_whole_and_survive_json(documents, cut):
    """A monoid: zero, associative, and plain data in between."""
    left, right = total(documents[:cut]), total(documents[cut:])
    carried = SpanSums.from_dict(json.loads(json.dumps(left.to_dict())))

    assert total(documents) == carried + right
    assert left == left + SpanSums() == SpanSums() + left


@given(slots())
def test_micro_scores_are_those_of_nervaluate(documents):
    """Where no pairing is in doubt, the definitions coincide (its offsets include the end)."""
    nervaluate = pytest.importorskip("nervaluate")
    sides = [
        [[{"label": e.label, "start": e.start, "end": e.end - 1} for e in side] for side in sides]
        for sides in zip(*documents, strict=True)
    ]
    theirs = nervaluate.Evaluator(*sides, tags=list(LABELS), loader="dict").evaluate()["overall"]
    ours = spans.micro(total(documents))

    for mode, name in zip(MODES, ("strict", "exact", "partial", "ent_type"), strict=True):
        expected = (theirs[name].precision, theirs[name].recall, theirs[name].f1)
        assert expected == pytest.approx((ours[mode].precision, ours[mode].recall, ours[mode].f1))


@pytest.mark.parametrize("seed", range(10))
def test_strict_scores_are_those_of_seqeval(seed):
    """On random BIO sequences: micro, macro and per label."""
    metrics = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme").IOB2
    chance = random.Random(seed)
    documents = [(_flat_spans(chance), _flat_spans(chance)) for _ in range(40)]
    tags = [[_tags(side) for side in sides] for sides in zip(*documents, strict=True)]
    sums = total(documents)
    report = metrics.classification_report(*tags, mode="strict", scheme=scheme, output_dict=True, zero_division=0)

    assert _seqeval(report["micro avg"]) == pytest.approx(_strict(spans.micro(sums)))
    assert _seqeval(report["macro avg"]) == pytest.approx(_strict(spans.macro(sums)))
    for label in LABELS:
        assert _seqeval(report[label]) == pytest.approx(_strict(spans.per_label(sums)[label].scores))


def _flat_spans(chance: random.Random) -> list[Entity]:
    found, at = [], 0
    while at < 20:
        at += chance.randint(0, 3)
        length = chance.randint(1, 2)
        found.append(entity(at, at + length, chance.choice(LABELS)))
        at += length
    return found


def _tags(found: list[Entity]) -> list[str]:
    tags = ["O"] * 30
    for entity in found:
        tags[entity.start : entity.end] = [f"B-{entity.label}"] + [f"I-{entity.label}"] * (
            entity.end - entity.start - 1
        )
    return tags


def _seqeval(row):
    return row["precision"], row["recall"], row["f1-score"]


def _strict(scores):
    return scores["strict"].precision, scores["strict"].recall, scores["strict"].f1
