"""Two annotations side by side: which pairs there are, what is said of them, and the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner_ray.commands import diff
from ner_ray.errors import ConfigError, InputError
from ner_ray.evaluate.diff import KINDS, STATES, Sides, compared
from ner_ray.evaluate.spans import pair
from ner_ray.types import Annotation, Document, Entity
from ner_ray.viewer.places import PARTS
from tests.synthetic import documents, write_run

TEXT = "Ann met Bo Lee in Oslo, near the Fram Museum."


def entity(surface: str, label: str) -> dict[str, object]:
    start = TEXT.index(surface)
    return {"start": start, "end": start + len(surface), "label": label}


def write(path: Path, *rows: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def sides(tmp_path: Path) -> tuple[str, str]:
    """A document with a pair of each kind, one that is the same, and one on each side alone."""
    one = ["Ann:person", "Oslo:place", "Bo Lee:person", "Fram Museum:place", "the:x"]
    other = ["Ann:person", "Oslo:city", "Bo:person", "Fram:ship", "near:y"]
    listed = [[entity(*mark.split(":")) for mark in marks] for marks in (one, other)]
    same = {"id": "same", "text": TEXT, "entities": listed[0]}
    a = write(tmp_path / "a.jsonl", {"id": "1", "text": TEXT, "entities": listed[0]}, same, same | {"id": "only a"})
    b = write(tmp_path / "b.jsonl", same | {"id": "only b"}, same, {"id": "1", "entities": listed[1]})
    return a, b


def test_every_pair_is_of_one_kind_and_every_document_in_one_state(sides: tuple[str, str]) -> None:
    result = diff.run(diff.Config(a=sides[0], b=sides[1]))

    assert result.to_dict() == {
        "documents": dict.fromkeys(STATES, 1),
        "entities": {
            "agreed": 6, "only in A": 6, "only in B": 6,
            "other label": 1, "other boundaries": 1, "other label and boundaries": 1,
        },
        "labels": result.labels,
    }  # fmt: skip
    assert result.labels["person"] == dict.fromkeys(KINDS, 0) | {
        "agreed": 3, "only in A": 2, "only in B": 2, "other boundaries": 1
    }  # fmt: skip
    assert [result.labels[label]["other label"] for label in ("place", "city", "person")] == [1, 1, 0]
    assert "other label and boundaries" in diff.show(result)


def test_marks_of_a_pair_know_each_other(sides: tuple[str, str]) -> None:
    first = next(shown for shown in compared(Sides(*sides)) if shown.doc_id == "1")

    left, right = first.sides
    met = [(mark.entity.text, right[mark.partner].entity.text) for mark in left if mark.partner is not None]

    assert met == [("Ann", "Ann"), ("Bo Lee", "Bo"), ("Oslo", "Oslo"), ("Fram Museum", "Fram")]
    assert all(left[mark.partner].partner == number for number, mark in enumerate(right) if mark.partner is not None)


def test_the_kinds_are_those_of_the_scores(tmp_path: Path) -> None:
    found = list(documents(60, words=20))
    shifted = [
        (
            document,
            Annotation(tuple(Entity(one.start, one.end, one.text, "place") for one in annotation.entities[::2])),
        )
        for document, annotation in found
    ]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    runs = [write_run(tmp_path / "one", found, keep=True).uri, write_run(tmp_path / "two", shifted, keep=False).uri]

    shown = list(compared(Sides(*runs)))

    assert len(shown) == 60
    for (document, annotation), (_, other), row in zip(found, shifted, shown, strict=True):
        assert (row.doc_id, row.text) == (document.doc_id, document.text)
        expected = pair(annotation.entities, other.entities)
        places = [(mark.entity.start, mark.entity.end, mark.entity.label) for mark in row.sides[0]]
        assert places == [(one.gold.start, one.gold.end, one.gold.label) for one in expected if one.gold]
        assert sum(mark.kind == 1 for mark in row.sides[0]) == sum(
            one.same_span and one.gold.label == one.predicted.label for one in expected
        )
        assert [error.code for error in row.errors] == [error.code for error in annotation.errors]


def test_the_texts_of_a_run_are_not_read_where_the_other_side_has_them(tmp_path: Path) -> None:
    run = write_run(tmp_path, documents(5, words=5), keep=False)
    rows = [{"id": document.doc_id, "text": document.text, "entities": []} for document, _ in documents(5, words=5)]
    gold = write(tmp_path / "gold.jsonl", *rows)
    for file in (tmp_path / "in").iterdir():
        file.unlink()

    assert len(list(compared(Sides(run.uri, gold)))) == len(list(compared(Sides(gold, run.uri)))) == 5


def test_labels_may_have_other_names(sides: tuple[str, str]) -> None:
    result = diff.run(diff.Config(a=sides[0], b=sides[1], label_map={"city": "place", "x": None, "y": None}))

    assert result.entities["other label"] == 0
    assert not {"x", "y", "city"} & result.labels.keys()
    with pytest.raises(ConfigError, match="sity"):
        diff.run(diff.Config(a=sides[0], b=sides[1], label_map={"sity": "place"}))


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", {"id": 1, "text": "Ann ran.", "entities": [[0, 3, "person"]]})
    other = write(tmp_path / "b.jsonl", {"id": 1, "text": "Bo sat.", "entities": [[0, 2, "person"]]})
    placed = write(tmp_path / "c.jsonl", {"id": 1, "entities": [{"start": 4, "end": 7, "text": "Bo", "label": "x"}]})
    nothing = write(tmp_path / "d.jsonl", {"id": 1, "entities": []})

    assert [error.code for error in next(compared(Sides(a, other))).errors] == ["other_text"]
    assert [error.code for error in next(compared(Sides(a, placed))).errors] == ["unusable"]
    with pytest.raises(InputError, match="no text on either side"):
        list(compared(Sides(nothing, placed)))
    with pytest.raises(ConfigError, match="compared with itself"):
        list(compared(Sides(a, a)))


def test_the_page_in_a_folder_has_all_documents_and_in_one_file_those_that_differ(
    sides: tuple[str, str], tmp_path: Path
) -> None:
    folder, file = f"{tmp_path}/page/", str(tmp_path / "page.html")

    for out in (folder, file):
        assert diff.run(diff.Config(a=sides[0], b=sides[1], out=out)).page == out

    chunk = (tmp_path / "page" / PARTS / "000" / "000000.js").read_text()
    assert all(f'"id":"{name}"' in chunk for name in ("1", "same", "only a", "only b"))
    assert '"id":"same"' not in Path(file).read_text()
    assert '"kinds":[["agreed","",6]' in (tmp_path / "page" / "index.html").read_text()


def test_a_document_with_nothing_found_on_both_sides_is_the_same(tmp_path: Path) -> None:
    names = ["a.jsonl", "b.jsonl"]
    a, b = (write(tmp_path / name, {"id": 1, "text": "It rained.", "entities": []}) for name in names)

    (shown,) = compared(Sides(a, b))

    assert (STATES[shown.state], Document("1", shown.text, ())) == ("same", Document("1", "It rained.", ()))
