"""CoNLL files: what is read from them by a plain reader is what was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from ner_ray.export import conll
from ner_ray.export.base import Exported
from ner_ray.types import Annotation, Document, Entity
from tests import strategies

Span = tuple[int, int, str]


def _write(path: Path, text: str, *spans: Span) -> Exported:
    entities = tuple(Entity(start, end, text[start:end], label) for start, end, label in spans)
    return conll.write([(Document("d", text, ()), Annotation(entities))], path)


def _rows(path: Path) -> list[list[list[str]]]:
    """The sentences of a file; a sentence is a list of rows."""
    blocks = path.read_bytes().decode().removeprefix("# doc_id = d\n").strip("\n").split("\n\n")
    return [[row.split("\t") for row in block.split("\n")] for block in blocks if block]


def _spans(path: Path) -> list[Span]:
    """The entities of a file, as seqeval reads its tags, with places from the columns between."""
    found = []
    for rows in _rows(path):
        for label, first, last in get_entities([row[-1] for row in rows]):
            found.append((int(rows[first][1]), int(rows[last][2]), label))
    return found


@st.composite
def _texts_with_flat_entities(draw: st.DrawFn) -> tuple[str, list[Span]]:
    text = draw(strategies.texts().filter(lambda text: not set(text) & set("\ud800\udfff")))
    labels = st.sampled_from(["person", "place", "人物"])
    spans = [(start, end, draw(labels)) for start, end in draw(strategies.spans(len(text)))]
    return text, [span for span in spans if not text[span[0]].isspace() and not text[span[1] - 1].isspace()]


@pytest.mark.filterwarnings("ignore:.* seems not to be NE tag")
@given(case=_texts_with_flat_entities())
def test_entities_come_back_with_their_place_and_label(case, tmp_path_factory):
    text, spans = case
    path = tmp_path_factory.getbasetemp() / "roundtrip.conll"

    written = _write(path, text, *spans)

    assert _spans(path) == spans
    assert written == Exported(1, len(spans))


@given(text=strategies.texts())
def test_every_token_stands_where_its_columns_say(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "tokens.conll"

    _write(path, text)

    tokens = [row for rows in _rows(path) for row in rows]
    readable = text.encode(errors="replace").decode()
    assert all(readable[int(start) : int(end)] == token for token, start, end, _ in tokens)
    assert "".join(token for token, *_ in tokens) == "".join(readable.split())


def test_sentences_are_apart_but_an_entity_is_never_torn(tmp_path):
    text = "Yahoo! Inc. fell. Ask Dr. No. He knows."
    name = text.index("Yahoo"), text.index(" fell"), "firm"

    _write(tmp_path / "a", text, name)

    assert next(rows[0][0] for rows in _rows(tmp_path / "a")) == "Yahoo"
    assert len(_rows(tmp_path / "a")) >= 2
    assert name in _spans(tmp_path / "a")


def test_of_overlapping_entities_the_first_and_longest_stays_and_the_rest_is_counted(tmp_path):
    text = "University of Halmer Sound Trust"

    written = _write(tmp_path / "a", text, (0, 26, "school"), (14, 20, "place"), (14, 32, "trust"), (0, 10, "word"))

    assert _spans(tmp_path / "a") == [(0, 26, "school")]
    assert written == Exported(1, 1, 3)


def test_neighbours_with_one_label_stay_two(tmp_path):
    _write(tmp_path / "a", "北京上海", (0, 2, "place"), (2, 4, "place"))

    assert _spans(tmp_path / "a") == [(0, 2, "place"), (2, 4, "place")]


def test_an_entity_inside_a_word_cuts_the_word(tmp_path):
    _write(tmp_path / "a", "unberlinisch", (2, 8, "city"))

    assert [row[0] for row in _rows(tmp_path / "a")[0]] == ["un", "berlin", "isch"]


def test_blanks_in_labels_and_ids_do_not_break_lines_or_columns(tmp_path):
    entity = Entity(0, 4, "Tala", "work of\tart")
    conll.write([(Document("a\nb", "Tala", ()), Annotation((entity,)))], tmp_path / "a")

    assert (tmp_path / "a").read_text() == "# doc_id = a b\nTala\t0\t4\tB-work_of_art\n\n"
