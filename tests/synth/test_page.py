"""The page about a set of training data."""

from __future__ import annotations

from html.parser import HTMLParser

from ner_ray.synth.config import FilterOptions
from ner_ray.synth.filters import FilterCounts, apply
from ner_ray.synth.page import render
from ner_ray.synth.statistics import Statistics, count
from ner_ray.types import Mention


class _Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_the_page_shows_totals_filters_types_and_tail():
    mentions = [Mention("Oslo", "city"), Mention("Oslo", "city"), Mention("Elbe", "<river>")]
    options = FilterOptions(steps=("duplicate",))
    done = apply("Oslo and the Elbe", mentions, options)

    page = _Page(render("A set", count(done.kept), done.counts, options.steps))

    assert page.tags.count("rect") == 2
    assert page.tags.count("circle") == 2
    assert {"city", "<river>", "duplicate", "top 1 %"} <= set(page.texts)
    filters = page.texts.index("duplicate")
    assert [text for text in page.texts[filters : filters + 8] if text][:4] == ["duplicate", "3", "1", "0"]


def test_a_long_tail_is_thinned_out_and_keeps_its_ends():
    statistics = Statistics(1, 0, count(Mention("x", str(number)) for number in range(5000)).pairs)

    page = _Page(render("A set", statistics, FilterCounts(), ()))

    assert 100 < page.tags.count("circle") < 900
    assert "rank, 1 to 5,000" in page.texts


def test_of_nothing_there_is_a_page_too():
    assert "circle" not in _Page(render("Nothing", Statistics(), FilterCounts(), ())).tags


def test_what_answers_leave_out_is_shown_by_form_and_reason_and_only_then():
    left_out = {"gner": {"overlaps": 1234}, "b2ner": {}}

    shown = _Page(render("A set", Statistics(), FilterCounts(), (), left_out)).texts
    bare = _Page(render("A set", Statistics(), FilterCounts(), (), {"b2ner": {}})).texts

    cell = shown.index("gner")
    assert [text for text in shown[cell : cell + 3] if text] == ["gner", "overlaps", "1,234"]
    assert "Entities that answers leave out" in shown
    assert "Entities that answers leave out" not in bare
