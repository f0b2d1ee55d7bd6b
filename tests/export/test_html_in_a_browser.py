"""The page in headless Chromium: it works, it fits, it can be read, and it runs nothing but its own script."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_ray.export import html
from ner_ray.export.base import ExportContext
from ner_ray.types import Annotation, Document, DocumentStatus, Entity, ErrorRecord, Mention, SpanStatus
from tests.export.browser import EXECUTABLE, Page, chromium

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed: apt-get install chromium")

HOSTILE = "</div></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
WIDTHS = (390, 1280)
LABELS = [f"label {number:02}" for number in range(24)]


def drawn(browser: Page) -> None:
    """Waits until what is chosen is drawn."""
    browser.value("""new Promise((done) => {
        const { dataset } = document.documentElement;
        const look = () => dataset.drawn && dataset.done === dataset.drawn ? done() : setTimeout(look, 5);
        setTimeout(look, 5);
    })""")


def opened(browser: Page, file: Path, width: int, *, dark: bool = False) -> None:
    browser.open(file, width=width, dark=dark)
    drawn(browser)


def _documents() -> Iterator[tuple[Document, Annotation]]:
    yield _annotated("en-1", "Moira Tavish of Port Ellery met Moira Tavish.", [(0, 12, 0), (16, 27, 1), (32, 44, 0)])
    yield _annotated("en-2", "the University of Greater Halmer Sound Trust", [(4, 38, 2), (18, 44, 3), (26, 32, 1)])
    yield _annotated("zh-1", "八十一岁的周德顺住在白鹭镇。" * 20, [(5, 8, 0), (10, 13, 1)])
    yield _annotated("ar-1", "كتب محمود درويش قصيدة في رام الله.", [(4, 15, 0), (25, 33, 1)])
    yield _annotated("hostile", HOSTILE, [(0, len(HOSTILE), 4)])
    yield _annotated("long", "Brinn lies across Halmer Sound. " * 700, [(0, 5, 1), (20_000, 20_006, 1)])
    yield _annotated("word", "Donaudampfschifffahrtsgesellschaft" * 30, [(0, 34 * 30, 5)])
    failed = (ErrorRecord("unparsable", "extractor", "no mark was closed"),)
    yield (
        Document("failed", "Nothing.", ()),
        Annotation((), (Mention("Halmer", "sea"),), DocumentStatus.FAILED, failed),
    )
    yield _annotated("labels", "x " * 24, [(2 * i, 2 * i + 1, i) for i in range(24)])


def _annotated(doc_id: str, text: str, spans: list[tuple[int, int, int]]) -> tuple[Document, Annotation]:
    entities = [Entity(start, end, text[start:end], LABELS[i], 0.5, SpanStatus.EXACT) for start, end, i in spans]
    return Document(doc_id, text, ()), Annotation(tuple(entities))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    html.write(_documents(), path, ExportContext(title="A page", summary={"documents": "9"}))
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_own_script_runs_and_no_other(browser, file, width):
    browser.messages.clear()
    opened(browser, file, width=width)

    assert browser.value("document.documentElement.classList.contains('js')")
    assert browser.value("document.title") == "A page"
    assert browser.value("document.images.length") == 0
    assert browser.messages == []


def test_what_is_marked_in_the_browser_is_the_entitys_text(browser, file):
    opened(browser, file, width=1280)

    for number, (_, annotation) in enumerate(_documents()):
        shown = browser.value(f"""[...Array({len(annotation.entities)}).keys()].map((e) =>
            [...document.querySelectorAll(`#d{number} mark[data-e="${{e}}"]`)].map((m) => m.textContent).join(""))""")
        assert [entity.text for entity in annotation.entities] == shown


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_the_window_and_is_drawn(browser, file, tmp_path, width, dark):
    opened(browser, file, width=width, dark=dark)

    picture = browser.picture(tmp_path / f"page-{width}.png")

    assert width == browser.value("document.documentElement.scrollWidth")
    assert (width, 900) == struct.unpack(">II", picture[16:24])
    assert len(picture) > 20_000  # an empty window is about 5 kB


def test_a_label_that_is_unticked_is_no_longer_marked_and_comes_back(browser, file):
    opened(browser, file, width=1280)
    marks = "document.querySelectorAll('#d0 mark').length"
    before = browser.value(marks)

    for label in LABELS[:2]:
        browser.value(f"document.querySelector('#legend [data-label=\"{label}\"] input').click()")
        drawn(browser)
    hidden = browser.value(marks)
    browser.value("document.querySelector('[data-choose=all]').click()")
    drawn(browser)

    assert (before, hidden, browser.value(marks)) == (3, 0, 3)


def test_a_long_document_is_folded_until_asked_for(browser, file):
    opened(browser, file, width=390)
    browser.value("d5.scrollIntoView()")
    height = "document.querySelector('#d5 .text').offsetHeight"
    folded = browser.value(height)

    browser.value("document.querySelector('#d5 .unfold').click()")

    assert folded < 500 < browser.value(height)


def test_the_focus_walks_from_entity_to_entity_and_tells_what_is_known_of_each(browser, file):
    opened(browser, file, width=1280)
    browser.value("document.querySelector('#d1 mark').focus()")
    first = browser.value("tip.innerText")

    for _ in range(2):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")

    assert "University of Greater Halmer Sound" in first
    assert "label 02 · exact · score 0.50 · 4–38" in first
    told = browser.value("tip.innerText")
    assert told.index("label 01") < told.index("label 03") < told.index("label 02")  # from the inside out
    assert "Greater Halmer Sound Trust" in told


@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_can_be_read(browser, file, dark):
    """WCAG 2.2 wants a contrast of 4.5 for text; the text itself gets 7, the most that it asks for."""
    opened(browser, file, width=1280, dark=dark)

    colours = browser.value("""(() => {
        const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const rgb = (colour) => {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        };
        return [...document.querySelectorAll("#d8 mark")].map((mark) => [
            getComputedStyle(mark).backgroundColor,
            getComputedStyle(mark).color,
            getComputedStyle(mark, "::after").color,
        ].map(rgb));
    })()""")

    assert len(colours) == len({tuple(tint) for tint, _, _ in colours}) == 24
    for tint, ink, name in colours:
        assert _contrast(tint, ink) >= 7
        assert _contrast(tint, name) >= 4.5


def _contrast(one: list[int], other: list[int]) -> float:
    """The contrast ratio of WCAG 2.2."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: list[int]) -> float:
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
