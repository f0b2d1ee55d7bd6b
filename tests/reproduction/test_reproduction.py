"""Published figures, ideal answers and corrupted answers, held against what `README.md` says."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tests.reproduction import __main__ as report
from tests.reproduction import corpora, formats
from tests.reproduction.chat import chat_table
from tests.reproduction.rescore import Result, aligned, rescore

# Enough of each corpus to meet every reason and every language in a few seconds.
LIMIT = 25


@pytest.fixture(scope="module")
def results(reference_data: Path) -> list[Result]:
    return rescore(reference_data)


def test_published_figures_are_reached_to_the_printed_digit(results):
    """All but those of one release, whose own counting of words is not reproduced."""
    differing = {result.system for result in results if result.verdict == "differs"}

    assert differing == {"fsponer_assembly"}
    assert sum(result.verdict != "differs" for result in results) == 60


def test_the_figures_that_differ_differ_by_few_words_and_say_why(results):
    """Of the answers that the release scored as they are: at most 4 of 3,370 words."""
    differing = [result for result in results if result.verdict == "differs"]
    as_they_are = [result for result in differing if result.run.startswith("gpt")]

    assert all(result.note for result in differing)
    assert len(as_they_are) == 25
    for result in as_they_are:
        assert abs(float(result.published[1]) - result.ours[1]) <= 100 * 4.5 / 3370


def test_the_tables_of_figures_are_those_that_the_script_writes(results, reference_data):
    """Whoever changes a scorer runs `python -m tests.reproduction` again."""
    text = report.README.read_text(encoding="utf-8")

    for line in [
        *report.published_table(results),
        *report.scored_table(reference_data),
        *report.aligned_table(reference_data),
    ]:
        assert line in text


def test_on_real_answers_the_aligner_is_never_below_the_published_matching(reference_data):
    figures = list(aligned(reference_data))

    assert len(figures) == 6
    assert all(own >= released for _, released, own, _ in figures)
    assert any(own > released for _, released, own, _ in figures)


def test_where_no_answer_leaves_a_choice_the_aligner_finds_what_the_published_matching_finds(reference_data):
    """Otherwise one of the two would not report what the answers say."""
    closed = [(released, own) for _, released, own, open_answers in aligned(reference_data) if not open_answers]

    assert len(closed) == 4
    assert all(own == released for released, own in closed)


def test_answers_of_chat_models_are_read_at_least_as_well_as_by_a_reader_of_a_few_lines(reference_data):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in chat_table(reference_data)][2:]
    totals = {row[0]: row for row in rows if row[1] == "all"}

    assert totals.keys() == {"fsponer_assembly", "biodivner_4llm"}
    for _, _, _, unparsable, ours, plain in totals.values():
        assert float(unparsable.removesuffix(" %")) <= 5
        assert float(ours) >= float(plain)


def test_ideal_answers_bring_back_every_span_that_they_can_say(reference_data):
    """In every language, for every family; without a reason none is lost."""
    unexplained = [
        (path.stem, family, document.text)
        for path in corpora.files(reference_data)
        for document in corpora.documents(path, LIMIT)
        for family in corpora.FAMILIES
        if "" in corpora.lost(document, family)
    ]

    assert unexplained == []


def test_answers_that_repeat_the_text_bring_back_every_span_in_every_language(reference_data):
    """GNER's answers say everything but white space at the ends of an entity."""
    languages = set()
    for path in corpora.files(reference_data):
        languages.add(corpora.language(path))
        for document in corpora.documents(path, LIMIT):
            gold = {(e.start, e.end, e.label) for e in document.gold if e.text == e.text.strip()}

            assert gold <= corpora.round_trip(document, "gner")
    assert {"en", "zh", "de", "es", "ja", "ko"} <= languages


def test_we_find_more_in_corrupted_answers_than_the_published_methods(reference_data):
    """In each language and for both answer formats, on the same corruptions."""
    found = defaultdict(lambda: defaultdict(int))
    for path in corpora.files(reference_data):
        for document in corpora.documents(path, LIMIT):
            for reader, recovered in corpora.corrupted(document, report.RATE, report.SEED).items():
                found[corpora.language(path)][reader] += recovered.right
    for language, right in found.items():
        assert right["gner, ner_ray"] >= right["gner, published"], language
        assert right["cascade, ner_ray"] > right["cascade, published"], language


def test_corruptions_are_the_same_for_a_seed_and_make_every_fault():
    """Words are omitted, added, misspelt and repeated, at about the rate asked for."""
    document = corpora.Document("one two three four five six " * 50, (), ())
    words = corpora.pieces(document)
    chances = [corpora.random.Random(3), corpora.random.Random(3)]
    first, second = (corpora.corrupt(words, 0.5, chance) for chance in chances)

    assert first == second
    assert {piece.word for piece in first} - {piece.word for piece in words}
    assert any(a == b for a, b in pairwise(first))
    assert corpora.corrupt(words, 0.0, chances[0]) == words


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("@@Ada Lovelace## met Bob", [(0, 2)]),
        ("Ada Lovelace met @@Bob##", [(3, 4)]),
        ("@@Nobody## met @@Bob##", []),
        ("@@Ada Lovelace met Bob", []),
        ("Ada @@Lovelace## met @@Bob##", [(1, 2), (3, 4)]),
    ],
)
def test_marks_are_searched_from_a_cursor_on(answer, found):
    """A run that is not found loses all later ones, as in the released code."""
    assert formats.marked_spans(["Ada", "Lovelace", "met", "Bob"], answer) == found


def test_tags_are_read_as_conlleval_reads_them():
    """An I- without B- begins an entity, and one of another type too."""
    spans = [(span.start, span.end, span.label) for span in formats.bio_spans(["I-a", "I-a", "B-a", "I-b", "O", "B-b"])]

    assert spans == [(0, 2, "a"), (2, 3, "a"), (3, 4, "b"), (5, 6, "b")]


def test_a_verdict_tells_rounding_from_cutting():
    """18.239 printed as 18.23 is cut; as 18.24 it is the same; as 18.22 it differs."""
    verdicts = [Result("", "", "", (text,), (18.239,)).verdict for text in ("18.24", "18.23", "18.22")]

    assert verdicts == ["same", "same, cut", "differs"]


def test_tables_are_written_between_their_comments():
    """What stands around them stays."""
    before = "# A\n<!-- b -->\nold\n<!-- end of b -->\nC\n"

    assert report.filled(before, {"b": ["| new |"]}) == "# A\n<!-- b -->\n\n| new |\n\n<!-- end of b -->\nC\n"
