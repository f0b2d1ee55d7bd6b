"""Reading and joining files, and the checks of rows."""

from __future__ import annotations

import gzip
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import storage
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

    assert expected == list(read.rows(str(path)))
    assert expected == list(read.rows(path.as_uri()))


def test_only_the_columns_that_are_asked_for_are_read(tmp_path):
    """Log-probabilities of kept answers can be many times what is scored."""
    pq.write_table(pa.Table.from_pylist(data.rows(3)), tmp_path / "rows.parquet")

    assert [{"id": f"doc-{n}"} for n in range(3)] == list(read.rows(str(tmp_path / "rows.parquet"), {"id", "none"}))


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path):
    """A lone surrogate, which JSON may hold, becomes a question mark."""
    storage.put_text(str(tmp_path / "new" / "a.html"), "a\ud800b")

    assert (tmp_path / "new" / "a.html").read_text() == "a?b"


def test_a_line_longer_than_a_block_is_read_whole(tmp_path):
    """Lines are put together over blocks of a megabyte."""
    expected = [{"text": "é" * 3_000_000}, {"text": "short"}]

    assert expected == list(read.rows(write_lines(tmp_path / "long.jsonl", expected)))


def test_files_that_are_not_what_they_should_be_are_named(tmp_path):
    """The message says which file and which line."""
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"a": 1}\n{"a": \n')
    (tmp_path / "text.parquet").write_text("no parquet")

    with pytest.raises(InputError, match="line 2"):
        list(read.rows(str(broken)))
    with pytest.raises(InputError, match="expected an object, found list"):
        list(read.rows(write_lines(tmp_path / "lists.jsonl", [[1]])))
    with pytest.raises(InputError, match=r"text\.parquet"):
        list(read.rows(str(tmp_path / "text.parquet")))
    for name in ("nothing.jsonl", "nothing.parquet"):
        with pytest.raises(InputError, match="nothing"):
            list(read.rows(str(tmp_path / name)))


def test_rows_are_joined_whatever_their_order():
    """A row waits for its partner; those without one come last, with None."""
    left = [{"id": number, "side": "gold"} for number in range(20)]
    right = [{"id": str(number), "side": "predicted"} for number in range(5, 25)]
    random.Random(0).shuffle(right)

    joined = list(read.join(left, right, "id"))

    met = [(str(a["id"]), b["id"]) for a, b in joined if a and b]
    assert sorted(met) == sorted((str(n), str(n)) for n in range(5, 20))
    assert list(range(5)) == sorted(a["id"] for a, b in joined if b is None)
    assert [str(n) for n in range(20, 25)] == sorted(b["id"] for a, b in joined if a is None)


def test_a_join_holds_only_rows_that_wait():
    """With one order on both sides, a row leaves before the next one comes."""
    taken = []

    def side():
        for number in range(100):
            taken.append(number)
            yield {"id": number}

    for count, _ in enumerate(read.join(side(), side(), "id"), 1):
        assert len(taken) <= 2 * count + 2


def test_a_join_refuses_rows_without_id_and_ids_that_wait_twice():
    """Both would pair the wrong rows in silence."""
    with pytest.raises(InputError, match="has no 'id'"):
        list(read.join([{"id": None}], [], "id"))
    with pytest.raises(InputError, match="two rows of the predictions"):
        list(read.join([], [{"id": 1}, {"id": 1}], "id"))


def test_entities_outside_the_text_are_counted_and_gold_ones_left_out():
    """A wrong prediction is an error; wrong gold is nobody's."""
    row = {
        "text": "Ada",
        "gold": [{"start": 0, "end": 3, "label": "person"}, {"start": 2, "end": 9, "label": "person"}],
        "entities": [{"start": 3, "end": 3, "label": "person"}, {"start": 0, "end": 3, "label": "person"}],
    }
    found = rows.read(row, row, ScoringConfig())

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

    assert rows.read(row, row, ScoringConfig()).counts == {
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
    found = rows.read(row, row, ScoringConfig(label_map={"PER": "person", "human": "person"}))

    assert (found.gold[0].label, found.predicted[0].label) == ("person", "person")
    assert [label.name for label in found.labels] == ["person", "LOC"]


def test_a_row_without_label_set_takes_the_plan_s_or_its_own_gold_s():
    """In this order."""
    row = {"text": "Ada", "gold": [{"start": 0, "end": 3, "label": "PER"}], "entities": []}

    assert rows.read(row, row, ScoringConfig()).labels == (Label("PER"),)
    assert rows.read(row, row, ScoringConfig(labels=["x", "y"])).labels == (Label("x"), Label("y"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"gold": [], "entities": []}, "no column 'text'"),
        ({"text": 3, "gold": [], "entities": []}, "expected a text"),
        ({"text": "Ada", "entities": []}, "no column 'gold'"),
        ({"text": "Ada", "gold": "Ada", "entities": []}, "expected a list"),
        ({"text": "Ada", "gold": [{"start": 0}], "entities": []}, "not a struct"),
        ({"text": "Ada", "gold": ["Ada"], "entities": []}, "not a struct"),
        ({"text": "Ada", "gold": []}, "no column 'entities'"),
    ],
)
def test_rows_that_are_not_what_the_plan_says_are_refused(row, message):
    """The message names the column and what was found."""
    with pytest.raises(InputError, match=message):
        rows.read(row, row, ScoringConfig())


def test_answers_come_in_four_shapes():
    """One string, one a prompt, several samples a prompt, and exchanges as annotating keeps them."""
    plan = ScoringConfig(columns=Columns(answers="raw"))

    def texts(value, **more):
        row = {"text": "Ada", "gold": [], "raw": value, **more}
        return [[[c.text for c in s] for s in one.samples] for one in rows.read(row, row, plan).answers]

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
