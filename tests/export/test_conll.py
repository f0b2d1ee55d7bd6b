"""CoNLL files: what is read from them by a plain reader is what was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from ner_ray.export import bio, conll
from ner_ray.export.base import ExportContext, Exported
from ner_ray.types import Annotation, Document, DocumentStatus, Entity
from tests import strategies

Span = tuple[int, int, str]


def _write(path: Path, text: str, *spans: Span) -> Exported:
    entities = tuple(Entity(start, end, text[start:end], label) for start, end, label in spans)
    return conll.write([(Document("d", text, ()), Annotation(entities))], path)


def _rows(path: Path) -> list[list[list[str]]]:
    """The sentences of a file; a sentence is a list of rows."""
    blocks = path.read_bytes().decode().strip("\n").split("\n\n")
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

    assert (tmp_path / "a").read_text() == "Tala\t0\t4\tB-work_of_art\n\n"
    assert (tmp_path / "a.ids").read_text() == "a b\n"


ANNOTATED = [
    (
        Document("doc-1", "Ann saw Rome. It rained.", ()),
        Annotation((Entity(0, 3, "Ann", "person"), Entity(8, 12, "Rome", "city"))),
    ),
    (Document("42", "Bob failed", ()), Annotation((), status=DocumentStatus.FAILED)),
    (Document("", "# 7 O", ()), Annotation(())),
    (Document("empty", " ", ()), Annotation(())),
    (Document("3", "Ghent fell", ()), Annotation((Entity(0, 5, "Ghent", "city"),))),
]
FOUND = [("Ann", "person"), ("Rome", "city"), ("Ghent", "city")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", [conll, bio])
def test_spacy_reads_what_was_written_and_nothing_else(exporter, tmp_path):
    from spacy.training.converters import conll_ner_to_docs

    exporter.write(ANNOTATED, tmp_path / "a")
    docs = list(conll_ner_to_docs((tmp_path / "a").read_text(), no_print=True))

    assert [(entity.text, entity.label_) for doc in docs for entity in doc.ents] == FOUND
    assert len([doc for doc in docs if len(doc)]) == (3 if exporter is conll else 1)
    assert "failed" not in {token.text for doc in docs for token in doc}


def test_nervaluate_reads_two_columns(tmp_path):
    from nervaluate.loaders import ConllLoader

    bio.write(ANNOTATED, tmp_path / "a")
    sentences = ConllLoader().load((tmp_path / "a").read_text())

    assert [entity.label for sentence in sentences for entity in sentence] == ["person", "city", "city"]
    assert len(sentences) == 4


@pytest.mark.parametrize(("exporter", "column"), [(conll, 3), (conll, -1), (bio, 1), (bio, -1)])
def test_readers_of_columns_find_tokens_and_tags(exporter, column, tmp_path):
    """As training scripts read: lines split at white space, `-DOCSTART-` and blank lines skipped."""
    exporter.write(ANNOTATED, tmp_path / "a")
    lines = [line.split() for line in (tmp_path / "a").read_text().splitlines() if line and "-DOCSTART-" not in line]

    assert [cells[0] for cells in lines] == [
        "Ann",
        "saw",
        "Rome",
        ".",
        "It",
        "rained",
        ".",
        "#",
        "7",
        "O",
        "Ghent",
        "fell",
    ]
    assert [label for label, *_ in get_entities([cells[column] for cells in lines])] == ["person", "city", "city"]


@pytest.mark.parametrize("exporter", [conll, bio])
def test_failed_documents_are_left_out_and_counted(exporter, tmp_path):
    written = exporter.write(ANNOTATED, tmp_path / "a")

    assert (written.documents, written.entities, written.failed) == (5, 3, 1)
    assert (tmp_path / "a.ids").read_text() == "doc-1\n\n3\n"


@pytest.mark.parametrize(
    "labels",
    [
        ["job title", "job_title"],
        ["job_title", "job title", "job\u00a0title", "job  title"],
        ["ORG", "org"],
        ["a b", "a%20b", "a_b"],
        ["a-b", "a b"],
    ],
)
def test_labels_stay_apart_whatever_is_in_them(labels, tmp_path):
    text = "x " * len(labels)
    entities = tuple(Entity(2 * number, 2 * number + 1, "x", label) for number, label in enumerate(labels))
    written: set[str] = set()
    for context in (ExportContext(labels=tuple(labels)), ExportContext(), ExportContext(labels=tuple(labels[::-1]))):
        conll.write([(Document("d", text, ()), Annotation(entities))], tmp_path / "a", context)
        tags = [line.split("\t")[-1] for line in (tmp_path / "a").read_text().splitlines() if line]
        written |= set(tags)

        assert len(set(tags)) == len(labels)
        assert all(tag == "".join(tag.split()) for tag in tags)


def test_a_name_that_a_label_has_already_stays_its_own_in_every_file_of_a_run(tmp_path):
    context = ExportContext(labels=("job title", "job_title"))
    conll.write([(Document("d", "x", ()), Annotation((Entity(0, 1, "x", "job_title"),)))], tmp_path / "a", context)

    assert (tmp_path / "a").read_text() == "x\t0\t1\tB-job_title\n\n"
