"""Pages in headless Chromium: what they show is what plain Python chooses and draws, from a file and from a folder."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ner_ray.export import html
from ner_ray.export.base import ExportContext
from ner_ray.markup import draw
from ner_ray.types import Annotation, Document, Entity
from ner_ray.viewer import pages
from ner_ray.viewer.places import PARTS
from ner_ray.viewer.search import fold
from tests.export.browser import EXECUTABLE, Page, chromium
from tests.synthetic import Annotated, documents

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed: apt-get install chromium")

COUNT = 600
PAGE = 50
FOUND = list(documents(COUNT, words=30))
DONE = """(() => {
    const { dataset } = document.documentElement;
    return Boolean(dataset.drawn) && dataset.done === dataset.drawn;
})()"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of so many chunks that it has a table to search by."""
    path = tmp_path_factory.mktemp("pages") / "page"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "CHUNK_DOCUMENTS", 8)
        patch.setattr(pages, "_BLOCK_DOCUMENTS", 256)
        html.write(iter(FOUND), f"{path}/", ExportContext(title="Many"))
    assert (path / PARTS / "search").is_dir()
    assert len(list((path / PARTS / "index").iterdir())) == 3
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "page.html"
    html.write(iter(FOUND), path, ExportContext(title="Many"))
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        page.loads = 0
        yield page


def wait_for(browser: Page, expression: str = DONE) -> None:
    until = time.monotonic() + 60
    while not browser.value(expression):
        assert time.monotonic() < until, browser.value("document.body.innerText")
        time.sleep(0.01)


def opened(browser: Page, path: Path, state: dict[str, object] | None = None, width: int = 1280) -> None:
    browser.loads += 1  # another address, so that it is loaded
    browser.open(f"{path.resolve().as_uri()}?{browser.loads}#{urlencode(state or {}, doseq=True)}", width=width)
    wait_for(browser)


def chosen(browser: Page, state: dict[str, object]) -> None:
    """Goes on to another state of the page."""
    before = browser.value("document.documentElement.dataset.drawn")
    browser.value(f"location.hash = {json.dumps('#' + urlencode(state, doseq=True))}")
    wait_for(browser, f"{DONE} && document.documentElement.dataset.drawn !== {json.dumps(before)}")


def shown(browser: Page) -> list[str]:
    return browser.value("[...document.querySelectorAll('article h2')].map((head) => head.textContent)")


def total(browser: Page) -> int:
    words = browser.value("document.getElementById('count').textContent").replace(",", "").split()
    return int(words[words.index("of") + 1] if "–" in words[0] else words[0])


def fits(one: Annotated, state: dict[str, object]) -> bool:
    document, annotation = one
    labels, least = state.get("label", ()), float(state.get("score", 0))
    fitting = [
        entity
        for entity in annotation.entities
        if (not labels or entity.label in labels) and (not least or (entity.score or 0) >= least)
    ]
    return (
        state.get("status", annotation.status.value) == annotation.status.value
        and ("code" not in state or state["code"] in [error.code for error in annotation.errors])
        and (bool(fitting) or not (labels or least))
        and fold(str(state.get("query", ""))) in fold(f"{document.doc_id}\n{document.text}")
    )


STATES: list[dict[str, object]] = [
    {},
    {"page": 5},
    {"status": "partial"},
    {"code": "unparsable"},
    {"code": "no such code"},
    {"label": ["place"]},
    {"label": ["person", "organization"], "score": 0.8},
    {"score": 0.95, "status": "ok"},
    {"query": "REPORT 59"},
    {"query": "halmer sound", "label": ["organization"], "page": 2},
    {"query": "白鹭"},
    {"query": "رام الله"},
    {"query": "𝒳eno", "status": "partial"},
    {"query": "7."},
    {"query": "news/0000042"},
    {"query": "xylophone"},
    {"query": "(a|b) .* \\ [-]"},
    {"page": 999},
]


@pytest.mark.parametrize("where", ["folder", "file"])
def test_the_documents_of_a_page_are_those_that_fit(browser: Page, where: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(where)
    browser.messages.clear()
    opened(browser, path / "index.html" if where == "folder" else path)
    for state in STATES[1:]:
        chosen(browser, state)

        expected = [document.doc_id for document, annotation in FOUND if fits((document, annotation), state)]
        page = min(int(str(state.get("page", 1))), max(1, -(-len(expected) // PAGE)))
        assert (shown(browser), total(browser)) == (expected[(page - 1) * PAGE : page * PAGE], len(expected)), state
    assert browser.messages == []


def crossing(number: int) -> Annotated:
    """A text with spans that lie anywhere: apart, nested, crossing, the same twice."""
    draws = random.Random(number)
    text = "".join(draws.choices("ab 京🚀é<&\x00\r\n", k=30))
    spans = [sorted(draws.sample(range(31), 2)) for _ in range(draws.randint(0, 7))]
    entities = tuple(Entity(start, end, text[start:end], draws.choice(["x", 'a"b'])) for start, end in spans)
    return Document(str(number), text, ()), Annotation(entities)


def test_what_the_script_draws_is_what_python_draws(browser: Page, tmp_path: Path) -> None:
    found = [crossing(number) for number in range(PAGE)]
    html.write(iter(found), tmp_path / "page.html")
    opened(browser, tmp_path / "page.html")
    for number, (document, annotation) in enumerate(found):
        labels = {entity.label: 0 for entity in annotation.entities}
        drawn = str(draw(document.text, annotation.entities, labels, labels))

        same = browser.value(
            f"""(() => {{
                const nested = (node) => [...node.childNodes].map((child) => child.nodeType === 3 ? child.data
                    : [child.dataset.e, child.dataset.label, child.classList.contains("on"), ...nested(child)]);
                const joined = (node) => {{ node.normalize(); return JSON.stringify(nested(node)); }};
                const there = document.createElement("div");
                there.innerHTML = {json.dumps(drawn)};
                return joined(there) === joined(document.querySelectorAll("article .text")[{number}]);
            }})()"""
        )
        assert same, document.doc_id


def test_hits_are_marked_whatever_their_case_and_white_space(browser: Page, file: Path) -> None:
    opened(browser, file, {"query": "HALMER   sound"})
    hits = browser.value("[...document.querySelectorAll('.hit')].map((hit) => hit.textContent)")

    assert set(hits) == {"Halmer Sound"}
    assert len(shown(browser)) <= len(hits)


def test_the_reason_of_every_partial_is_there(browser: Page, folder: Path) -> None:
    opened(browser, folder / "index.html", {"status": "partial"})

    problems = browser.value(
        "[...document.querySelectorAll('article')].map((one) => one.querySelector('.problems')?.textContent)"
    )

    assert all("truncated in extractor the answer was cut" in problem for problem in problems)


def test_a_low_score_takes_marks_away(browser: Page, file: Path) -> None:
    opened(browser, file, {"score": 0.9})

    least = browser.value(
        "[...document.querySelectorAll('mark')].map((mark) => Number(mark.title.match(/score ([0-9.]+)/)[1]))"
    )

    assert least
    assert min(least) >= 0.9


def test_a_person_types_slides_clicks_and_the_address_holds_it(browser: Page, folder: Path) -> None:
    opened(browser, folder / "index.html")
    browser.value("document.getElementById('query').focus()")
    browser.call("Input.insertText", text="harbour")
    wait_for(browser, f"{DONE} && location.hash.includes('harbour')")
    browser.value("document.querySelector('#legend [data-label=place] button').click()")
    browser.value(
        "const slider = document.getElementById('score'); slider.value = 0.5; slider.dispatchEvent(new Event('input'))"
    )
    wait_for(browser)
    state = {"query": "harbour", "label": ["place"], "score": 0.5}
    found = total(browser)
    address = browser.value("location.hash")

    browser.value("document.getElementById('clear').click()")
    wait_for(browser)

    assert found == sum(fits(one, state) for one in FOUND)
    assert address == "#query=harbour&score=0.5&label=place"
    assert (total(browser), browser.value("location.hash")) == (COUNT, "")


def test_the_keyboard_goes_from_page_to_page_and_from_document_to_document(browser: Page, folder: Path) -> None:
    def press(key: str) -> None:
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    opened(browser, folder / "index.html")
    press("n")
    wait_for(browser, f"{DONE} && location.hash === '#page=2'")
    press("j")
    press("j")
    at = browser.value("document.activeElement.querySelector('h2')?.textContent")
    press("/")

    assert at in shown(browser)[:3]
    assert browser.value("document.activeElement.id") == "query"


def test_the_folder_says_what_is_missing(browser: Page, folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "index.html"
    alone.write_bytes((folder / "index.html").read_bytes())
    browser.open(alone, width=390)
    wait_for(browser, "!document.getElementById('failure').hidden")

    assert f"Keep the folder {PARTS} beside this page" in browser.value(
        "document.getElementById('failure').textContent"
    )


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_its_window_and_what_is_touched_is_large_enough(
    browser: Page, folder: Path, width: int, dark: bool
) -> None:
    browser.open(f"{(folder / 'index.html').as_uri()}?{width}{dark}", width=width, dark=dark)
    wait_for(browser)
    browser.value("document.getElementById('filters').open = true")

    assert browser.value("document.documentElement.scrollWidth") == width
    small = browser.value(
        """[...document.querySelectorAll("button, select, input:not([type=checkbox]), .legend label, nav a")]
            .filter((one) => one.offsetParent && Math.min(one.offsetWidth, one.offsetHeight) < 24)
            .map((one) => one.outerHTML)"""
    )
    assert small == []
