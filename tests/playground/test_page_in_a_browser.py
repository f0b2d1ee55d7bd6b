"""The page in headless Chromium: type, see, copy."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_ray import Annotator
from ner_ray.playground.server import Example, Playground
from tests.answering import answering
from tests.export.browser import EXECUTABLE, Page, chromium
from tests.playground.test_server import answer, config_of
from tests.serving import served

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed: apt-get install chromium")

WORD = "Donaudampfschifffahrtsgesellschaft" * 5
ARABIC = "كتب Ada قصيدة في رام الله."


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    examples = [Example("Two people", "Ada met Bo."), Example(WORD, f"Ada {WORD}"), Example("Arabic", ARABIC)]
    with (
        answering(answer) as server,
        Annotator(config_of(server)) as annotator,
        served(Playground(annotator, "my.yaml", labels="person", examples=examples).application()) as url,
    ):
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


def wait_for(browser: Page, expression: str) -> None:
    until = time.monotonic() + 30
    while not browser.value(expression):
        assert time.monotonic() < until, expression
        time.sleep(0.05)


FINAL = "document.getElementById('figures').textContent.startsWith('ok')"


def test_a_text_is_typed_its_entities_are_seen_and_the_program_is_copied(browser: Page, url: str) -> None:
    browser.messages.clear()
    browser.open(url, width=1280)
    browser.value("document.getElementById('text').focus()")
    browser.call("Input.insertText", text="Ada met Bo.")
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", modifiers=2)
    wait_for(browser, FINAL)

    assert browser.value("[...document.querySelectorAll('#marked mark')].map((mark) => mark.textContent)") == [
        "Ada",
        "Bo",
    ]
    assert browser.value("document.querySelectorAll('#entities tr').length") == 3
    browser.value("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    browser.value("document.querySelector('[aria-controls=python]').click()")
    browser.value("document.querySelector('[data-of=python]').click()")
    assert "annotator('Ada met Bo.')" in browser.value("window.copied")
    state = json.loads(base64.b64decode(browser.value("location.hash").removeprefix("#")))
    assert state == ["Ada met Bo.", "person"]
    assert not browser.messages


def test_a_link_shows_the_same_page(browser: Page, url: str) -> None:
    state = base64.b64encode(json.dumps(["Bo saw Ada in 東京.", "person, ship"]).encode()).decode()
    browser.open(f"{url}?again#{state}", width=1280)
    wait_for(browser, FINAL)

    assert browser.value("document.getElementById('text').value") == "Bo saw Ada in 東京."
    assert browser.value("document.querySelectorAll('#legend li').length") == 2


def test_the_keyboard_walks_through_the_tabs(browser: Page, url: str) -> None:
    browser.open(f"{url}?tabs", width=1280)
    browser.value("document.querySelector('.examples button').click()")
    wait_for(browser, FINAL)
    browser.value("document.querySelector('[role=tab]').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", code="ArrowRight")

    assert browser.value("document.activeElement.getAttribute('aria-controls')") == "lost"
    assert browser.value("document.getElementById('lost').hidden") is False


def test_labels_that_mean_nothing_say_so(browser: Page, url: str) -> None:
    browser.open(f"{url}?failure", width=1280)
    browser.value("document.getElementById('labels').value = 'person, person'")
    browser.value("document.querySelector('.examples button').click()")
    wait_for(browser, "!document.getElementById('failure').hidden")

    assert "listed twice" in browser.value("document.getElementById('failure').textContent")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("example", [0, 1, 2])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_its_window(
    browser: Page, url: str, width: int, example: int, dark: bool, tmp_path: Path
) -> None:
    browser.open(f"{url}?{width}{example}{dark}", width=width, dark=dark)
    browser.value(f"document.querySelectorAll('.examples button')[{example}].click()")
    wait_for(browser, FINAL)

    assert browser.value("document.documentElement.scrollWidth") <= width
    buttons = "[...document.querySelectorAll('button')].filter((button) => button.offsetParent)"
    assert browser.value(f"Math.min(...{buttons}.map((button) => button.offsetHeight))") >= 24
    assert browser.picture(tmp_path / "page.png")
