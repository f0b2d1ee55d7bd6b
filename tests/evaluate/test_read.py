"""Reading and joining files, and the checks of rows."""

from __future__ import annotations

import gzip
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import storage
from ner_ray.data import Reject
from ner_ray.data.annotated import from_row
from ner_ray.data.read import records
from ner_ray.errors import InputError
from ner_ray.evaluate import read, rows
from ner_ray.evaluate.config import Columns, ScoringConfig
from ner_ray.types import Label

from . import data


def write_lines(path, items):
    text = "\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return str(path)


def read_row(row, config):
    """The row to score, of a row that holds both sides."""
    rows.check_columns(row, config, row)
    return rows.read(from_row(row, "rows", 0, rows.gold_columns(config)), row, config)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet", "folder"])
def test_rows_are_the_same_from_every_kind_of_file(tmp_path, name):
    """JSONL, gzip, Parquet, a folder of Parquet."""
    expected = data.rows(50)
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
        for part in range(2):
            pq.write_table(pa.Table.from_pylist(expected[25 * part : 25 * part + 25]), path / f"{part}.parquet")
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(expected), path)
    else:
        write_lines(path, expected)

    assert expected == [row for _, _, row in records(str(path))]
    assert expected == [row for _, _, row in records(path.as_uri())]


def test_only_the_columns_that_are_asked_for_are_read(tmp_path):
    """Log-probabilities of kept answers can be many times what is scored."""
    pq.write_table(pa.Table.from_pylist(data.rows(3)), tmp_path / "rows.parquet")

    found = [row for _, _, row in records(str(tmp_path / "rows.parquet"), {"id", "none"})]

    assert [{"id": f"doc-{n}"} for n in range(3)] == found


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path):
    """A lone surrogate, which JSON may hold, becomes a question mark."""
    storage.put_text(str(tmp_path / "new" / "a.html"), "a\ud800b")

    assert (tmp_path / "new" / "a.html").read_text() == "a?b"


def test_a_line_longer_than_a_block_is_read_whole(tmp_path):
    """Lines are put together over blocks of a megabyte."""
    expected = [{"text": "é" * 3_000_000}, {"text": "short"}]

    assert expected == [row for _, _, row in records(write_lines(tmp_path / "long.jsonl", expected))]


def test_files_that_are_not_what_they_should_be_are_named(tmp_path):
    """The message says which file and which row."""
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"a": 1}\n{"a": \n')
    (tmp_path / "text.parquet").write_text("no parquet")

    gold = data.records([{"id": 1, "a": 1}])
    with pytest.raises(InputError, match=r"broken\.jsonl, row 1, of the predictions: not JSON"):
        list(read.join(gold, records(str(broken)), ("a",)))
    with pytest.raises(InputError, match=r"lists\.jsonl, row 0, of the predictions: not a JSON object"):
        list(read.join(gold, records(write_lines(tmp_path / "lists.jsonl", [[1]])), ("id",)))
    with pytest.raises(InputError, match=r"text\.parquet"):
        list(records(str(tmp_path / "text.parquet")))
    for name in ("nothing.jsonl", "nothing.parquet"):
        with pytest.raises(InputError, match="nothing"):
            list(records(str(tmp_path / name)))


def test_rows_are_joined_whatever_their_order():
    """A row waits for its partner; those without one come last, with None."""
    left = [{"id": number, "side": "gold"} for number in range(20)]
    right = [{"id": str(number), "side": "predicted"} for number in range(5, 25)]
    random.Random(0).shuffle(right)

    joined = list(read.join(data.records(left), data.records(right), ("id",)))

    met = [(str(a[2]["id"]), b["id"]) for a, b in joined if a and b]
    assert sorted(met) == sorted((str(n), str(n)) for n in range(5, 20))
    assert list(range(5)) == sorted(a[2]["id"] for a, b in joined if b is None)
    assert [str(n) for n in range(20, 25)] == sorted(b["id"] for a, b in joined if a is None)


def test_a_join_holds_only_rows_that_wait():
    """With one order on both sides, a row leaves before the next one comes."""
    taken = []

    def side():
        for number in range(100):
            taken.append(number)
            yield "rows", number, {"id": number}

    for count, _ in enumerate(read.join(side(), side(), ("id",)), 1):
        assert len(taken) <= 2 * count + 2


def test_rows_side_by_side_have_ids_of_their_own_within_a_file():
    """Files may count from 0 each; rows without an id are told apart by their texts."""
    first, second = [("a", 0, {"id": 1}), ("a", 1, {}), ("a", 2, {})], [("b", 0, {"id": 1}), ("b", 1, {"id": 2})]

    assert len(list(read.side_by_side([*first, *second], ("id",)))) == 5
    with pytest.raises(InputError, match="a: rows 0 and 3 have the same id, '1'"):
        list(read.side_by_side([*first, ("a", 3, {"id": "1"})], ("id",)))


def test_a_join_refuses_rows_without_id_and_ids_that_come_twice():
    """Both would pair the wrong rows in silence, also when the first has met its partner."""
    once, twice = data.records([{"id": 1}]), data.records([{"id": 1}, {"id": 1}])

    with pytest.raises(InputError, match="has no 'id' or 'doc_id'"):
        list(read.join(data.records([{"id": None}]), [], ("id", "doc_id")))
    with pytest.raises(InputError, match="two rows of the predictions"):
        list(read.join([], twice, ("id",)))
    with pytest.raises(InputError, match="two rows of the predictions have the id '1'; the second is rows, row 1"):
        list(read.join(once, twice, ("id",)))
    with pytest.raises(InputError, match="two rows of the gold"):
        list(read.join(twice, once, ("id",)))


def test_entities_outside_the_text_are_counted_and_gold_ones_left_out():
    """A wrong prediction is an error; wrong gold is nobody's."""
    row = {
        "text": "Ada",
        "gold": [{"start": 0, "end": 3, "label": "person"}, {"start": 2, "end": 9, "label": "person"}],
        "entities": [{"start": 3, "end": 3, "label": "person"}, {"start": 0, "end": 3, "label": "person"}],
    }
    found = read_row(row, ScoringConfig())

    assert [entity.text for entity in found.gold] == ["Ada"]
    assert (len(found.predicted), found.counts) == (2, {"invalid_gold": 1, "invalid_predictions": 1})


def test_what_an_annotation_says_beside_its_entities_is_counted():
    """Statuses, unaligned and dropped mentions, errors, verdicts, the document's status."""
    row = data.rows(1)[0] | {
        "entities": [{"start": 0, "end": 3, "label": "person", "status": "fuzzy"}],
        "unaligned": [{"text": "x", "label": "y", "score": None}],
        "dropped": [{"text": "x", "label": "y", "score": None}] * 2,
        "errors": [{"code": "unparsable", "stage": "tagger", "message": ""}],
        "verdicts": {"ok": 3, "recovered": 1, "truncated": 0, "unparsable": 1},
        "status": "partial",
    }

    assert read_row(row, ScoringConfig()).counts == {
        "alignment.fuzzy": 1,
        "alignment.unaligned": 1,
        "dropped": 2,
        "problem.unparsable": 1,
        "verdict.ok": 3,
        "verdict.recovered": 1,
        "verdict.unparsable": 1,
        "document.partial": 1,
    }


def test_a_label_map_renames_gold_predictions_and_label_set():
    """So that corpora and models with other names for the same thing can be compared."""
    row = {
        "text": "Ada",
        "labels": ["PER", "LOC"],
        "gold": [{"start": 0, "end": 3, "label": "PER"}],
        "entities": [{"start": 0, "end": 3, "label": "human"}],
    }
    found = read_row(row, ScoringConfig(label_map={"PER": "person", "human": "person"}))

    assert (found.gold[0].label, found.predicted[0].label) == ("person", "person")
    assert [label.name for label in found.labels] == ["person", "LOC"]


def test_a_row_without_label_set_takes_the_plan_s_or_its_own_gold_s():
    """In this order."""
    row = {"text": "Ada", "gold": [{"start": 0, "end": 3, "label": "PER"}], "entities": []}

    assert read_row(row, ScoringConfig()).labels == (Label("PER"),)
    assert read_row(row, ScoringConfig(labels=["x", "y"])).labels == (Label("x"), Label("y"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"gold": [], "entities": []}, "no column 'text'"),
        ({"text": "Ada"}, "no column 'gold'"),
        ({"text": "Ada", "gold": []}, "no column 'entities'"),
        ({"text": "Ada", "gold": [], "entities": "Ada"}, "expected a list"),
        ({"text": "Ada", "gold": [], "entities": [{"start": 0}]}, "not a struct"),
        ({"text": "Ada", "gold": [], "entities": ["Ada"]}, "not a struct"),
    ],
)
def test_columns_that_are_not_what_the_plan_says_are_refused(row, message):
    """The message names the column and what was found."""
    with pytest.raises(InputError, match=message):
        read_row(row, ScoringConfig())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": 3, "gold": [], "entities": []}, "the text is not a string"),
        ({"text": None, "gold": [], "entities": []}, "no text"),
        ({"text": "Ada", "gold": "Ada", "entities": []}, "no list of entities"),
        ({"text": "Ada", "gold": [{"start": 0}], "entities": []}, "an entity without a"),
        ({"text": "Ada", "gold": ["Ada"], "entities": []}, "an entity is not an object"),
    ],
)
def test_a_row_whose_gold_cannot_be_read_is_a_reject(row, reason):
    """It costs itself, and says why."""
    found = from_row(row, "rows", 3, rows.gold_columns(ScoringConfig()))

    assert isinstance(found, Reject)
    assert (found.row, found.reason[: len(reason)]) == (3, reason)


def test_answers_come_in_four_shapes():
    """One string, one a prompt, several samples a prompt, and exchanges as annotating keeps them."""
    plan = ScoringConfig(columns=Columns(answers="raw"), labels=["person"])

    def texts(value, **more):
        row = {"text": "Ada", "gold": [], "raw": value, **more}
        return [[[c.text for c in s] for s in answer.samples] for answer in read_row(row, plan).answers]

    assert texts("a") == [[["a"]]]
    assert texts(["a", "b"]) == [[["a"], ["b"]]]
    assert texts([["a", "b"], ["c"]]) == [[["a", "b"], ["c"]]]
    assert texts([]) == [[]]
    chunks = [
        {"start": 0, "end": 2, "core_start": 0, "core_end": 1},
        {"start": 1, "end": 3, "core_start": 1, "core_end": 3},
    ]
    exchanges = [{"chunk": n, "completions": [{"text": t, "finish_reason": "length"}]} for n, t in ((0, "a"), (1, "b"))]
    assert texts(exchanges, chunks=chunks) == [[["a"]], [["b"]]]
    with pytest.raises(InputError, match="expected raw answers"):
        texts([{"chunk": 0}])
