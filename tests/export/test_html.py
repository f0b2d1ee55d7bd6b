"""The page that shows annotated documents: what it says, and that it can be trusted with any text."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.errors import ErrorCode
from ner_ray.export import html
from ner_ray.export.base import ExportContext
from ner_ray.markup import colours
from ner_ray.markup import draw as draw_marks
from ner_ray.types import (
    Annotation,
    Document,
    DocumentStatus,
    Entity,
    ErrorRecord,
    Mention,
    SpanStatus,
    Usage,
)

HOSTILE = "</div><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


class Marks(HTMLParser):
    """What stands in a drawn text, and in the marks of each entity."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.parts: dict[int, str] = defaultdict(str)
        self.attributes: dict[int, list[dict[str, str | None]]] = defaultdict(list)
        self.tags: set[str] = set()
        self._open: list[int] = []
        self.feed(str(markup))
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "mark":
            number = int(dict(attrs)["data-e"] or "")
            assert number not in self._open
            self._open.append(number)
            self.attributes[number].append(dict(attrs))

    def handle_endtag(self, tag):
        if tag == "mark":
            self._open.pop()

    def handle_data(self, data):
        self.text += data
        for number in self._open:
            self.parts[number] += data


def drawn(text: str, *entities: Entity) -> Marks:
    labels = sorted({entity.label for entity in entities})
    return Marks(draw_marks(text, entities, {label: i for i, label in enumerate(labels)}, colours(labels)))


def entity(text: str, start: int, end: int, label: str = "person", **more) -> Entity:
    return Entity(start, end, text[start:end], label, **more)


def page(tmp_path: Path, *documents: tuple[Document, Annotation], **options) -> str:
    html.write(documents, tmp_path / "page.html", ExportContext(**options))
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def block(content: str, name: str) -> dict:
    """A block of data of the page."""
    _, _, rest = content.partition(f'<script type="application/json" id="{name}">')
    return json.loads(rest.partition("</script>")[0])


def shown_by(content: str) -> list[dict]:
    """The documents of a page that is one file, as its script gets them."""
    return [shown for name, part in block(content, "data").items() if name[0].isdigit() for shown in part["documents"]]


@st.composite
def annotated(draw) -> tuple[str, list[Entity]]:
    """A text with spans that lie anywhere: apart, nested, crossing, the same twice."""
    printable = st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t\r<>&'\"")
    text = draw(st.text(printable, min_size=1, max_size=40))
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted)
    spans = draw(st.lists(places.filter(lambda span: span[0] < span[1]), max_size=8))
    labels = st.sampled_from(["person", "a\"b<c>&'", "地名"])
    return text, [Entity(start, end, text[start:end], draw(labels)) for start, end in spans]


@given(annotated())
def test_the_marks_of_every_entity_hold_its_text_and_nothing_else(case):
    text, entities = case

    seen = drawn(text, *entities)

    assert text == seen.text
    assert {i: entity.text for i, entity in enumerate(entities)} == dict(seen.parts)


@given(annotated())
def test_every_entity_shows_its_label_once_however_many_pieces_it_is_drawn_in(case):
    text, entities = case

    seen = drawn(text, *entities)

    for number, pieces in seen.attributes.items():
        assert {entities[number].label} == {piece["data-label"] for piece in pieces}
        assert sum("on" not in (piece["class"] or "").split() for piece in pieces) == 1


def test_nested_spans_nest_and_crossing_spans_are_cut_where_the_outer_ends():
    text = "the University of Greater Halmer Sound"

    nested = drawn(text, entity(text, 0, 38), entity(text, 26, 32))
    crossing = drawn(text, entity(text, 4, 25), entity(text, 18, 38))

    assert [len(pieces) for pieces in nested.attributes.values()] == [1, 1]
    assert [len(pieces) for _, pieces in sorted(crossing.attributes.items())] == [1, 2]


def test_a_mark_tells_label_status_score_and_place():
    text = "Moira Tavish"

    (mark,) = drawn(text, entity(text, 0, 12, status=SpanStatus.FUZZY, score=0.734)).attributes[0]

    assert mark["title"] == "person · fuzzy · score 0.73 · 0–12"
    assert "fuzzy" in (mark["class"] or "").split()


def test_what_a_browser_would_drop_or_change_is_drawn():
    text = "a\x00b\rc\x1bd\x7f\r\n"

    seen = drawn(text, entity(text, 0, len(text)))

    assert seen.text == "a␀b\rc␛d␡\r\n"
    assert seen.text == seen.parts[0]


def test_nothing_that_a_document_says_becomes_markup(tmp_path):
    annotation = Annotation(
        entities=(Entity(0, len(HOSTILE), HOSTILE, HOSTILE),),
        unaligned=(Mention(HOSTILE, HOSTILE),),
        status=DocumentStatus.PARTIAL,
        errors=(ErrorRecord(HOSTILE, HOSTILE, HOSTILE),),
    )

    content = page(tmp_path, (Document(HOSTILE, HOSTILE, ()), annotation), title=HOSTILE, summary={HOSTILE: HOSTILE})

    assert (content.count("<script"), content.count("</script>")) == (3, 3)  # ours, and two blocks of data
    assert "img" not in Marks(content).tags
    assert Marks(content).attributes[0][0]["data-label"] == HOSTILE
    (shown,) = shown_by(content)
    assert (shown["id"], shown["text"], shown["errors"]) == (HOSTILE, HOSTILE, [[HOSTILE, HOSTILE, HOSTILE]])


def test_a_lone_surrogate_does_not_stop_the_page(tmp_path):
    assert "half ? of" in page(tmp_path, (Document("s", "half \ud83d of", ()), Annotation(())))


def test_the_page_knows_counts_status_problems_and_what_was_not_found(tmp_path):
    text = "Kestrel bought Lagan Optics from Declan Mooney."
    found = (entity(text, 0, 7, "firm"), entity(text, 15, 27, "firm"), entity(text, 33, 46, score=0.73456))
    annotation = Annotation(
        found,
        (Mention("Dundalk", "town"),),
        DocumentStatus.PARTIAL,
        (ErrorRecord("truncated", "extractor", "the answer was cut"),),
        Usage(2, 1_200, 0, 34),
    )

    content = page(tmp_path, (Document("wire-8", text, ()), annotation), title="Deals", summary={"documents": "1"})

    meta = block(content, "meta")
    assert [(name, count) for name, _, count, _ in meta["labels"]] == [("firm", 2), ("person", 1)]
    assert meta["states"] == [["ok", 0], ["partial", 1], ["failed", 0]]
    assert meta["codes"] == [["truncated", 1, ErrorCode.TRUNCATED.meaning, ErrorCode.TRUNCATED.remedy]]
    chunk = block(content, "data")["000/000000"]
    assert chunk["labels"] == ["firm", "person", "town"]
    assert chunk["documents"] == [
        {
            "id": "wire-8",
            "text": text,
            "sides": [[[0, 7, 0, None, 0], [15, 27, 0, None, 0], [33, 46, 1, 0.7346, 0]]],
            "state": 1,
            "errors": [["truncated", "extractor", "the answer was cut"]],
            "unaligned": [["Dundalk", 2, 1]],
            "usage": [1_200, 34],
        }
    ]


def test_what_was_not_found_is_listed_once_with_its_number_and_not_without_end(tmp_path):
    unaligned = [*[Mention("Dundalk")] * 3, *(Mention(f"name {number}") for number in range(100))]

    (shown,) = shown_by(page(tmp_path, (Document("d", "text", ()), Annotation((), tuple(unaligned)))))

    assert shown["unaligned"][0] == ["Dundalk", 0, 3]
    assert (len(shown["unaligned"]), shown["more"]) == (30, 71)


def test_no_more_documents_are_read_than_shown_and_the_page_knows_that_there_are_more(tmp_path):
    taken = []

    def endless() -> Iterator[tuple[Document, Annotation]]:
        while True:
            taken.append(1)
            yield Document(f"d-{len(taken)}", "text", ()), Annotation(())

    html.write(endless(), tmp_path / "page.html", ExportContext(limit=5))

    meta = block((tmp_path / "page.html").read_text(), "meta")
    assert (meta["documents"], meta["more"], len(taken)) == (5, True, 6)
    assert block(page(tmp_path, (Document("d", "text", ()), Annotation(()))), "meta")["more"] is False


def test_of_an_enormous_document_the_beginning_is_shown_and_the_rest_counted(tmp_path):
    text = "Port Ellery " * 20_000
    ends = (entity(text, 0, 11), entity(text, len(text) - 12, len(text) - 1))

    content = page(tmp_path, (Document("big", text, ()), Annotation(ends)))

    (shown,) = shown_by(content)
    assert (len(shown["text"]), shown["cut"]) == (html.MOST_CHARACTERS, len(text) - html.MOST_CHARACTERS)
    assert [len(marks) for marks in shown["sides"]] == [1]
    assert list(Marks(content).attributes) == [0]


def test_an_empty_run_gives_a_page_too(tmp_path):
    assert block(page(tmp_path), "meta")["documents"] == 0


def test_the_folder_of_the_page_is_made(tmp_path):
    html.write([], tmp_path / "runs" / "one" / "page.html")
    html.write([], f"{tmp_path}/runs/two/page/")

    assert (tmp_path / "runs" / "one" / "page.html").is_file()
    assert (tmp_path / "runs" / "two" / "page" / "index.html").is_file()


def test_the_page_asks_for_nothing_from_outside(tmp_path):
    content = page(tmp_path, (Document("d", "see https://atlas.example", ()), Annotation(())))

    assert "default-src 'none'" in unescape(content)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & Marks(content).tags
    assert "url(" not in content
    assert " src=" not in content


def test_where_no_script_may_run_the_first_documents_are_shown(tmp_path):
    content = page(tmp_path, *((Document(f"d-{number}", "Ann ran.", ()), Annotation(())) for number in range(300)))

    without_scripts = content.split("<noscript>")[1].split("</noscript>")[0]
    assert without_scripts.count("<article") == 100
    assert "200 more are not shown" in without_scripts


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=24))
def test_labels_of_a_page_differ_in_colour_while_there_are_colours(labels):
    assert len(labels) == len(set(colours(labels).values()))
    assert colours(labels) == colours(reversed(labels))


@pytest.mark.parametrize(("most", "degrees"), [(4, 60), (8, 30), (12, 15)])
@given(data=st.data())
def test_the_fewer_labels_the_farther_apart_their_hues(data, most, degrees):
    labels = data.draw(st.lists(st.text(min_size=1, max_size=8), unique=True, min_size=2, max_size=most))

    hues = sorted(colours(labels).values())

    gaps = [(after - before) * 15 for before, after in zip(hues, [*hues[1:], hues[0] + 24], strict=True)]
    assert min(gaps) >= degrees


def test_many_labels_share_colours_rather_than_fail():
    chosen = colours(f"label {number}" for number in range(100))

    assert set(chosen.values()) == set(range(24))


@pytest.mark.parametrize("label", ["person", "地名", "\ud800"])
def test_a_label_alone_has_the_colour_its_name_gives_it(label):
    assert colours([label]) == colours([label])
    assert 0 <= colours([label])[label] < 24
