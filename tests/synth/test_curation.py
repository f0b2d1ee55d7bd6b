"""Several sources as one: who contradicts whom, which names are joined, which rows are kept."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.data import AnnotatedText
from ner_ray.errors import ConfigError
from ner_ray.synth.curation import (
    Conflict,
    CurationOptions,
    conflicts,
    curate,
    parse_taxonomy,
    prune,
    report,
    unify,
)
from ner_ray.types import Entity

ALL = CurationOptions(min_matched=1)


def example(source: str, text: str, *found: tuple[str, str], number: int = 0) -> AnnotatedText:
    """Each entity is the first place of its surface."""
    entities = tuple(
        Entity(text.index(surface), text.index(surface) + len(surface), surface, label) for surface, label in found
    )
    return AnnotatedText(f"{source}-{number}", text, entities, source)


def between(found: list[Conflict], source: str, other: str) -> dict[str, dict[str, int]]:
    return {
        conflict.label: dict(conflict.outcomes)
        for conflict in found
        if (conflict.source, conflict.other) == (source, other)
    }


def test_a_mention_is_consistent_where_the_other_source_annotates_it_alike_whatever_the_case() -> None:
    found = conflicts(
        [example("a", "Ada ran.", ("Ada", "PERSON")), example("b", "So Ada sat.", ("Ada", "person"))], ALL
    )

    assert between(found, "a", "b") == {"PERSON": {"consistent": 1}}
    assert between(found, "b", "a") == {"person": {"consistent": 1}}
    assert [conflict.share for conflict in found] == [0, 0]


@pytest.mark.parametrize(
    ("annotated", "outcome"),
    [
        ([("Rhine Valley", "river")], "other_type"),
        ([("Rhine", "place")], "other_span"),
        ([("Rhine", "river")], "not_annotated"),
        ([("the Rhine Valley", "river")], None),
    ],
)
def test_each_way_to_contradict_has_its_name(annotated: list[tuple[str, str]], outcome: str | None) -> None:
    """A mention strictly inside another entity says nothing."""
    there = example("b", "All the Rhine Valley slept, and Oslo.", *annotated, ("Oslo", "place"))

    found = conflicts([example("a", "Rhine Valley wine.", ("Rhine Valley", "place")), there], ALL)

    assert between(found, "a", "b") == ({"place": {outcome: 1}} if outcome else {})
    for conflict in found:
        assert outcome not in conflict.examples or conflict.examples[outcome] == ("Rhine Valley",)


def test_mentions_are_whole_words_in_any_script() -> None:
    a = [example("a", "Bo ran.", ("Bo", "person")), example("a", "北京很大。", ("北京", "place"), number=1)]
    b = [example("b", "Bob met Di.", ("Di", "person")), example("b", "我在北京住。", ("北京", "place"), number=1)]

    found = conflicts([*a, *b], ALL)

    assert between(found, "a", "b") == {"place": {"consistent": 1}}


def test_types_that_only_one_source_has_and_rare_ones_are_not_compared() -> None:
    rows = [example("a", "Ada ran.", ("Ada", "person")), example("b", "Ada ran.", ("Ada", "name"))]
    few = [example("a", "Ada ran.", ("Ada", "person")), example("b", "Ada ran, Bo sat.", ("Bo", "person"))]

    assert conflicts(rows, ALL) == []
    assert conflicts(few, CurationOptions(min_matched=2)) == []
    assert between(conflicts(few, ALL), "a", "b") == {"person": {"not_annotated": 1}}


NAMES = ("Ada", "Bo", "Ada Bo", "Cy")
LABELS = ("x", "X", "y")


@st.composite
def sources(draw: st.DrawFn) -> list[AnnotatedText]:
    rows = []
    for number in range(draw(st.integers(2, 8))):
        text = " ".join(draw(st.lists(st.sampled_from(("Ada", "Bo", "Cy", "and", "or")), min_size=1, max_size=6)))
        places = [match.span() for name in NAMES for match in re.finditer(rf"\b{name}\b", text)]
        some = draw(st.lists(st.sampled_from(places), max_size=3)) if places else []
        entities = tuple(Entity(s, e, text[s:e], draw(st.sampled_from(LABELS))) for s, e in some)
        rows.append(AnnotatedText(str(number), text, entities, draw(st.sampled_from("abc"))))
    return rows


def slow(rows: list[AnnotatedText], source: str, other: str, label: str) -> Counter[str]:
    """As the published script says it: each mention of one source is searched in every text of the other."""
    found: Counter[str] = Counter()
    for mention in [e.text for row in rows if row.source == source for e in row.entities if e.label.lower() == label]:
        outcomes = set()
        for row in (row for row in rows if row.source == other):
            for match in re.finditer(rf"(?=\b({re.escape(mention)})\b)", row.text):
                start, end = match.span(1)
                spans = [(e.start, e.end, e.label.lower()) for e in row.entities]
                if any(s <= start and end <= e and (s, e) != (start, end) for s, e, _ in spans):
                    continue
                same = {span for s, e, span in spans if (s, e) == (start, end)}
                parts = any(span == label and start <= s and e <= end for s, e, span in spans)
                outcomes.add(
                    "consistent"
                    if label in same
                    else "other_type"
                    if same
                    else "other_span"
                    if parts
                    else "not_annotated"
                )
        if len(outcomes) == 1:
            found.update(outcomes)
        elif outcomes:
            found["one of several"] += 1
    return found


@given(sources())
def test_the_index_of_places_finds_what_a_search_through_all_texts_finds(rows: list[AnnotatedText]) -> None:
    """Which of several places comes first depends on the draw, so mentions with differing places are only counted."""
    for conflict in conflicts(rows, ALL):
        wanted = slow(rows, conflict.source, conflict.other, conflict.label.lower())

        assert conflict.matched == wanted.total()
        for kind in ("consistent", "other_type", "other_span", "not_annotated"):
            assert wanted[kind] <= conflict.outcomes.get(kind, 0) <= wanted[kind] + wanted["one of several"]


def test_a_taxonomy_renames_for_all_or_for_one_source_and_drops() -> None:
    names = parse_taxonomy({"*": {"PER": "person", "misc": None}, "b": {"PER": "character"}})
    rows = [example(source, "Ada sang Home.", ("Ada", "PER"), ("Home", "misc")) for source in "ab"]
    found = [unify(example, names) for example in rows]
    curated = curate(rows, names, ALL)

    assert [[entity.label for entity in example.entities] for example in found] == [["person"], ["character"]]
    assert curated.renamed == {("a", "PER", "person"): 1, ("b", "PER", "character"): 1}
    assert curated.removed == {("a", "misc"): 1, ("b", "misc"): 1}


@pytest.mark.parametrize("taxonomy", [{"*": {"PRE": "person"}}, {"a": {"place": None}}, {"c": {"PER": "person"}}])
def test_a_taxonomy_with_a_type_or_source_that_there_is_not_is_refused(taxonomy: dict[str, dict[str, str]]) -> None:
    rows = [example("a", "Ada ran.", ("Ada", "PER")), example("b", "Oslo.", ("Oslo", "place"))]

    with pytest.raises(ConfigError, match=r"taxonomy: .*('PRE'|'place'|'c')"):
        curate(rows, taxonomy, ALL)


@pytest.mark.parametrize("plain", [["a"], {"a": "b"}, {"a": {"b": 3}}, {"*": {"b": " "}}])
def test_a_taxonomy_that_is_none_is_refused(plain: object) -> None:
    with pytest.raises(ConfigError, match="taxonomy"):
        parse_taxonomy(plain)


def skewed() -> list[AnnotatedText]:
    common = [
        example("a", f"Person number {n} of the long list is Ada.", ("Ada", "person"), number=n) for n in range(90)
    ]
    rare = [example("a", f"Boat {n} left at {n * 7} for Oslo.", ("Oslo", "place"), number=90 + n) for n in range(10)]
    return [*common, *rare]


def test_rows_are_chosen_so_that_types_are_balanced() -> None:
    kept = prune(skewed(), CurationOptions(size=20))

    assert Counter(example.entities[0].label for example in kept) == {"person": 10, "place": 10}
    assert [example.text_id for example in kept] == [example.text_id for example in skewed() if example in kept]


def test_of_equal_types_the_text_that_is_least_like_the_others_is_chosen() -> None:
    same = [example("a", f"The quick fox saw Ada by the river {n}.", ("Ada", "person"), number=n) for n in range(7)]
    odd = example("a", "Nobody had expected so much snow, said Ada.", ("Ada", "person"), number=7)

    kept = prune([*same, odd], CurationOptions(size=2, choices=8))

    assert odd in kept


def test_rows_without_entities_have_their_share() -> None:
    empty = [example("a", f"Nothing happened on day {n}.", number=100 + n) for n in range(50)]

    kept = prune([*skewed(), *empty], CurationOptions(size=30))

    assert Counter(example.entities[0].label if example.entities else "" for example in kept) == {
        "person": 10,
        "place": 10,
        "": 10,
    }


@given(st.integers(1, 100), st.integers(0, 3), st.integers(1, 9))
def test_so_many_rows_are_kept_each_once_and_the_same_ones_again(size: int, seed: int, choices: int) -> None:
    options = CurationOptions(size=size, seed=seed, choices=choices)

    kept = prune(skewed(), options)

    assert len(kept) == size == len({example.text_id for example in kept})
    assert prune(skewed(), options) == kept


def test_the_report_says_what_was_found_joined_and_dropped() -> None:
    rows = [
        example("a", "Ada ran to Oslo.", ("Ada", "PER"), ("Oslo", "place")),
        example("b", "Ada and Bo|2 saw Oslo.", ("Bo|2", "PER"), ("Oslo", "misc")),
        example("b", "Ada and Bo|2 saw Oslo again.", ("Bo|2", "PER"), number=1),
    ]

    curated = curate(rows, {"*": {"PER": "person", "misc": None}}, CurationOptions(min_matched=1, size=2))
    said = report(curated)

    assert "| PER | a | b | 1.00 | 1 | 0 | 0 | 1 |" in said
    assert "| b | PER | person | 2 |" in said
    assert "| b | misc | 1 |" in said
    assert "2 rows are kept, 1 are not." in said
    assert curated.before == {"person": 3, "place": 1}
    assert curated.pruned.total() == 1
    assert "## Types that conflict\n\nnone" in report(curate(rows[:1], {}, ALL))
    assert "and 1 more" in report(curate(rows, {}, ALL), rows=2)
