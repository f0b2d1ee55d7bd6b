"""The published scorers: what each forgives and what it does not, on the same predictions."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray import plugins
from ner_ray.errors import ConfigError
from ner_ray.evaluate.papers import b2ner, cascade, gner, ra_it, universal_ner
from ner_ray.evaluate.papers.base import Case
from ner_ray.types import Completion, Entity, Exchange, Prompt

NAMES = plugins.names("evaluate.papers")
LABELS = ("person", "organization", "location")


def find(text: str, surface: str, label: str, nth: int = 0) -> Entity:
    start = -1
    for _ in range(nth + 1):
        start = text.index(surface, start + 1)
    return Entity(start, start + len(surface), surface, label)


FIRST = "Bob reads the New York Times in Rome ; Rome is old ."
SECOND = "Apple hired Bob ."
FAR = Entity(60, 64, "Mars", "location")
CASES = (
    Case(
        FIRST,
        LABELS,
        gold=(
            find(FIRST, "Bob", "person"),
            find(FIRST, "the New York Times", "organization"),
            find(FIRST, "Rome", "location"),
            find(FIRST, "Rome", "location", 1),
        ),
        predicted=(
            find(FIRST, "Bob", "person"),
            find(FIRST, "New York Times", "organization"),
            find(FIRST, "Rome", "location"),
            FAR,
        ),
    ),
    Case(
        SECOND,
        LABELS,
        gold=(find(SECOND, "Apple", "organization"), find(SECOND, "Bob", "person")),
        predicted=(
            Entity(0, 5, "apple", "organization"),
            find(SECOND, "Bob", "human"),
        ),
    ),
)


def answered(answers: Sequence[str], subjects: Sequence[str] = (), role: str = "tagger") -> dict:
    asked = subjects or [""] * len(answers)
    return {
        role: [
            Exchange(Prompt("", subject=subject), (Completion(answer),))
            for subject, answer in zip(asked, answers, strict=True)
        ]
    }


def score(module, cases):
    return module.scores(sum((module.count(case) for case in cases), module.Sums()))


@pytest.mark.parametrize("name", NAMES)
def test_every_scorer_keeps_the_contract(name):
    """Zero, sums that survive JSON, a family that exists, words for the report."""
    module = plugins.load("evaluate.papers", name)
    sums = module.count(CASES[0])

    assert module.FAMILY in plugins.names("families")
    assert module.FORGIVES
    assert module.Sums.from_dict(json.loads(json.dumps(sums.to_dict()))) == sums == sums + module.Sums()


def test_an_unknown_scorer_lists_the_known_ones():
    """Names are modules; there is no list to edit."""
    with pytest.raises(ConfigError, match="b2ner, cascade, gner, ra_it, universal_ner"):
        plugins.load("evaluate.papers", "bleu")


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (universal_ner, (0.8, 0.8, 0.8)),
        (b2ner, (3 / 6, 3 / 5, 6 / 11)),
        (cascade, (1.0, 3 / 5, 3 / 4)),
    ],
)
def test_the_same_predictions_score_otherwise_with_each_scorer(module, expected):
    """Articles, case, invented mentions and foreign labels are forgiven by one and not by the other."""
    found = score(module, CASES)

    assert expected == pytest.approx((found.precision, found.recall, found.f1))


def test_ra_it_prints_percentages_and_what_it_could_not_parse():
    """A quotation mark in gold breaks the gold row, and an answer that is no JSON its own row."""
    text = 'The "Big" one met Bob'
    gold = (Entity(4, 9, '"Big"', "person"), find(text, "Bob", "location"))
    found = score(ra_it, [Case(text, LABELS, gold, answers=answered(["['Bob']", '["Bob"]'], ["person", "location"]))])

    assert (found.precision, found.recall, found.f1, found.unit) == (100.0, 100.0, 100.0, "percent")
    assert found.counts == {
        "n_gold": 1,
        "n_prediction": 1,
        "n_correct": 1,
        "n_unparsed_gold": 1,
        "n_unparsed_pred": 1,
    }


def test_universal_ner_reads_the_answer_to_each_label_and_takes_silence_for_none():
    """An unreadable answer, or none, is an empty one."""
    case = Case(FIRST, LABELS, CASES[0].gold, answers=answered(['["bob", "Rome"]', "Rome"], ["person", "location"]))
    sums = universal_ner.count(case)

    assert (sums.correct, sums.gold, sums.predicted) == (1, 3, 2)


def test_gner_aligns_its_own_answer_and_drops_what_is_not_in_the_text():
    """An invented word, an unknown label and another case cost nothing; a comma costs all."""
    answer = "bob(B-person) reads(O) the(B-organization) New(I-organization) York(I-organization)"
    answer += " Times(I-organization) in(O) Mars(B-location) Rome(B-planet)"
    good = gner.count(Case(FIRST, LABELS, CASES[0].gold, answers=answered([answer])))
    bad = gner.count(Case(FIRST, LABELS, CASES[0].gold, answers=answered([answer.replace(") ", "), ")])))

    assert (good.correct, good.gold, good.predicted) == (2, 3, 2)
    assert (bad.correct, bad.gold, bad.predicted) == (1, 3, 1)


def test_gner_takes_the_corpus_words_where_there_are_any():
    """With the corpus's own words an entity that ends inside a word takes the whole word."""
    text = "Rome's mayor"
    gold = (Entity(0, 4, "Rome", "location"),)
    with_words = Case(text, LABELS, gold, answers=answered(["Rome's(B-location) mayor(O)"]), words=("Rome's", "mayor"))
    without = Case(text, LABELS, gold, answers=answered(["Rome(B-location) '(O) s(O) mayor(O)"]))

    assert gner.count(with_words).correct == gner.count(without).correct == 1


def test_gner_counts_a_character_of_chinese_as_a_word():
    """Both sides are cut alike, so that an entity inside a run of characters can be found."""
    text = "我在北京工作"
    case = Case(
        text,
        ("地名",),
        (Entity(2, 4, "北京", "地名"),),
        answers=answered(["我(O) 在(O) 北(B-地名) 京(I-地名)"]),
    )

    assert gner.count(case).correct == 1


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abcx"), max_size=12))
def test_gner_finds_a_longest_common_subsequence(source, copy):
    """Oracle: rapidfuzz's length; places ascend and point at equal words."""
    from rapidfuzz.distance import LCSseq

    places = gner.longest_common_subsequence(source, copy)
    matched = [(index, place) for index, place in enumerate(places) if place != gner.UNMATCHED]

    assert len(matched) == LCSseq.similarity(source, copy)
    assert all(source[index] == copy[place] for index, place in matched)
    assert [place for _, place in matched] == sorted({place for _, place in matched})
    assert (gner.subsequence(source, copy) is not None) == (LCSseq.similarity(source, copy) == len(copy))


def test_b2ner_counts_a_foreign_label_and_an_invented_mention_against_the_model():
    """Every piece with a colon is a prediction; answers to several prompts are joined."""
    gold = (find(SECOND, "Bob", "person"),)
    sums = b2ner.count(Case(SECOND, LABELS, gold, answers=answered([" person: Bob; alien: Zog", " None"])))

    assert (sums.correct, sums.gold, sums.predicted) == (1, 1, 2)
    assert b2ner.scores(b2ner.Sums()).f1 == 0.0


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        ("person: ((Ann))", {"person:ann"}),
        ("book: 《甲》和《乙》", {"book:甲"}),
        ("book: <Dunes", {"book:<dunes"}),
        ("person: @#Ann#", {"person:ann"}),
        ("time: 10:30", {"time:10:30"}),
        ("a : b ;; c: d", {"a:b", "c:d"}),
        ("a:b；；c:d，，", {"a:b", "c:d,"}),
        ("a: b\nc: d", {"a:b c:d"}),
        ("organisation: Located Ltd", {"organization:location ltd"}),
    ],
)
def test_b2ner_tidies_what_stands_around_a_mention(answer, keys):
    """Brackets, titles, marks, spacing, width and two spellings; no more."""
    assert b2ner.read(answer) == keys


def test_b2ner_s_repair_of_comma_lists_leaves_items_without_a_comma_alone():
    """A time of day loses its minutes only where a comma stands beside it."""
    assert b2ner.split_commas("person: Ann, Bo、Cy; time: 10:30") == "person: Ann;person: Bo;person:Cy; time: 10:30"
    assert b2ner.split_commas("time: 10:30, 11:15") == "time: 10"


def test_answers_are_cut_out_of_decoded_conversations_as_released():
    """An English prefix in a Chinese text misleads B2NER's; UniversalNER's takes the last turn."""
    assert b2ner.response("<s>文本: 她说 Answer: 好 \n答案: 人名: 安</s>") == "好 \n答案: 人名: 安"
    assert b2ner.response("<s>Text: x \nAnswer: None</s><pad>") == "None"
    assert b2ner.response("no prefix") == ""
    assert universal_ner.response('a ASSISTANT: b ASSISTANT: ["c"] ') == '["c"]'


def test_gner_looks_for_what_the_tokenizer_leaves_of_a_word():
    """A letter that the vocabulary lacks is missing in the answer too."""
    answer = "bront(B-writer) wrote(O)"

    assert gner.tags(["Brontë", "wrote"], answer, ["writer"]) == ["O", "O"]
    assert gner.tags(["Brontë", "wrote"], answer, ["writer"], retokenize=lambda w: w.replace("ë", "")) == [
        "B-writer",
        "O",
    ]


def test_cascade_skips_sentences_without_predictions_and_pairs_that_no_gold_has():
    """So neither a missed sentence nor an invented pair costs anything."""
    silent = Case("Rome fell.", LABELS, (Entity(0, 4, "Rome", "location"),))
    found = score(cascade, [*CASES, silent])

    assert (found.precision, pytest.approx(found.recall)) == (1.0, 3 / 5)


def test_cascade_refuses_as_its_code_does_where_nothing_can_be_compared():
    """scikit-learn raises; the report says so."""
    with pytest.raises(ValueError, match="empty input array"):
        score(cascade, [])
    with pytest.raises(ValueError, match="unknown"):
        score(cascade, [Case("Mars", LABELS, (), (FAR,))])


def test_cascade_reads_marks_at_their_first_occurrence_and_the_finest_category():
    """The last answer about a surface is that of the finest level."""
    text = "Rome saw Rome"
    case = Case(
        text,
        ("city",),
        (Entity(9, 13, "Rome", "city"),),
        answers=answered(["Rome saw ##Rome##"], role="extractor")
        | answered(["Location", "City"], ["Rome", "Rome"], role="classifier"),
    )

    assert cascade.read(text, "Rome saw ##Rome##") == [(0, 4)]
    assert cascade.count(case).correct.total() == 1


@pytest.mark.parametrize("seed", range(30))
def test_cascade_scores_are_those_of_scikit_learn(seed):
    """Oracle: the released code's own calls, on few pairs, so that one-pair vocabularies occur too."""
    metrics = pytest.importorskip("sklearn.metrics")
    binarizer = pytest.importorskip("sklearn.preprocessing").MultiLabelBinarizer()
    chance = random.Random(seed)
    pairs = [(word, "x") for word in "abcd"[: chance.randint(1, 4)]]
    draw = lambda: {pair for pair in pairs if chance.random() < 0.5}  # noqa: E731
    sentences = [(draw(), draw()) for _ in range(chance.randint(1, 5))]
    sums = sum((cascade.compare(*sentence) for sentence in sentences), cascade.Sums())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gold = binarizer.fit_transform([gold for gold, _ in sentences])
        predicted = binarizer.transform([predicted for _, predicted in sentences])
        if not gold.shape[1]:
            with pytest.raises(ValueError, match="unknown"):
                cascade.scores(sums)
            return
        expected = metrics.precision_recall_fscore_support(gold, predicted, average="micro")[:3]
    found = cascade.scores(sums)

    assert tuple(expected) == pytest.approx((found.precision, found.recall, found.f1))


@given(st.text(alphabet="ab[]\"',:;#()BIO-x {}\n\t\\《》：；", max_size=40))
def test_the_papers_parsers_take_any_string(answer):
    """None of them raises; a released parser that would is one that catches."""
    gner.tags(["a", "b"], answer, ["x"])
    universal_ner.read(answer)
    ra_it.read(answer)
    ra_it.read_pairs(answer)
    b2ner.read(b2ner.split_commas(answer))
    cascade.union([cascade.read("ab", answer)])
