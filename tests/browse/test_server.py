"""The server of a run's page: what is answered, to whom, and how the page follows a run that grows."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_ray.browse import run as browsed
from ner_ray.browse.run import BrowsedRun
from ner_ray.browse.server import Browser
from ner_ray.commands._figures import figures
from ner_ray.store.run import RunDirectory
from ner_ray.viewer.places import PARTS
from tests.export.browser import EXECUTABLE, chromium
from tests.serving import served, status_of
from tests.synthetic import add_waves, documents, write_run

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def directory(place: Path) -> RunDirectory:
    return write_run(place, documents(120, words=10), per_shard=70)


@pytest.fixture(scope="module")
def url(directory: RunDirectory) -> Iterator[str]:
    with (
        pytest.MonkeyPatch.context() as patch,
        served(Browser(BrowsedRun(directory.uri, figures)).application()) as url,
    ):
        patch.setattr(browsed, "_EVERY", 0.0)
        yield url


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read().decode()


def test_the_parts_are_answered_and_what_is_not_there_is_gone(url: str) -> None:
    meta = json.loads(get(f"{url}meta"))
    parts = f"{url}{PARTS}/{meta['version']}"

    assert meta["documents"] == 120
    assert len(json.loads(get(f"{parts}/000/000000"))["documents"]) == 50
    assert json.loads(get(f"{parts}/index/0001"))["rows"] == 50
    assert json.loads(get(f"{parts}/find/1?query=Report+7")) == json.loads(get(f"{parts}/find/1?query=REPORT+7"))
    assert status_of(f"{parts}/000/000099", {}) == 410
    assert status_of(f"{url}{PARTS}/earlier/000/000000", {}) == 410
    assert status_of(f"{url}run.json", {}) == 404


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.rebound.example"])
def test_only_this_machine_is_answered(url: str, host: str) -> None:
    assert [status_of(f"{url}{part}", {"Host": host}) for part in ("", "meta")] == [403, 403]


def test_on_other_interfaces_a_token_is_needed(directory: RunDirectory) -> None:
    browser = Browser(BrowsedRun(directory.uri, figures), "a-token")
    with served(browser.application(), "0.0.0.0", "a-token") as url:
        base, _, query = url.partition("?")
        assert status_of(url, {}) == status_of(f"{base}meta?{query}", {}) == 200
        assert status_of(base, {}) == status_of(f"{base}meta", {}) == 403


def test_nothing_that_is_asked_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    version = json.loads(get(f"{url}meta"))["version"]
    with caplog.at_level("DEBUG"):
        get(f"{url}{PARTS}/{version}/find/0?query=secret")

    assert "secret" not in caplog.text


@pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed: apt-get install chromium")
def test_the_page_shows_searches_and_follows_a_run_that_grows(
    url: str, directory: RunDirectory, place: Path, tmp_path: Path
) -> None:
    with chromium(tmp_path) as page:

        def wait_for(expression: str) -> None:
            until = time.monotonic() + 60
            while not page.value(expression):
                assert time.monotonic() < until, page.value("document.body.innerText")
                time.sleep(0.02)

        count = "document.getElementById('count').textContent"
        page.open(f"{url}#page=2", width=1280)
        wait_for(f"{count} === '51–100 of 120 documents'")
        page.value("location.hash = '#query=REPORT+11'")
        wait_for(f"{count} === '11 documents fit, of 120'")
        page.value("location.hash = '#query=report&status=partial'")
        wait_for(f"{count} === '7 documents fit, of 120'")
        assert page.value("document.querySelectorAll('article .badge.partial').length") == 7

        add_waves(directory, place, list(documents(130, words=10))[120:])
        page.value("location.hash = ''")
        page.value("dispatchEvent(new Event('focus'))")  # whoever comes back sees what is new at once
        wait_for(f"{count} === '1–50 of 130 documents'")
        assert page.value("document.querySelector('.figures dd').textContent") == "130"
        wait_for("document.documentElement.dataset.drawn")
        assert page.messages == []
