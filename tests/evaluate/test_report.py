"""The reports: the same figures in a terminal, as JSON and as one HTML file."""

from __future__ import annotations

import html.parser
import io
import json
import re

import pytest
from rich.console import Console

from ner_ray.annotator.calibration import load
from ner_ray.errors import InputError
from ner_ray.evaluate import report, run
from ner_ray.evaluate.command import evaluate_files
from ner_ray.evaluate.config import EvaluateConfig, ScoringConfig
from ner_ray.evaluate.examples import Fault, Mark, Sentence
from ner_ray.evaluate.read import side_by_side

from . import data

PLAN = ScoringConfig(scorers=("b2ner", "cascade", "ra_it"), samples=20)


@pytest.fixture(scope="module")
def evaluation():
    rows = data.rows(30)
    rows[3]["text"] += " <script>alert(1)</script>"
    rows[3]["entities"] = [{"start": len(rows[3]["text"]) - 9, "end": len(rows[3]["text"]), "label": "<b>&"}]
    return run.summarize(run.score_rows(side_by_side(data.records(rows), ("id",)), PLAN), PLAN)


class Page(html.parser.HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_json_names_the_scorer_of_every_score(evaluation, tmp_path):
    """Ours by mode and label, theirs as their code prints them, and it is JSON."""
    figures = json.loads(json.dumps(report.to_dict(evaluation)))

    assert {"ner_ray", "b2ner", "cascade", "ra_it"} == set(figures["scores"])
    assert evaluation.micro["strict"].f1 == figures["scores"]["ner_ray"]["micro"]["strict"]["f1"]
    assert len(figures["scores"]["ner_ray"]["micro"]["strict"]["interval"]["f1"]) == 2
    assert figures["scores"]["ra_it"]["score"]["unit"] == "percent"
    assert sum(evaluation.confusion.values()) == sum(cell["count"] for cell in figures["confusion"])


def test_the_terminal_shows_scores_labels_and_counts(evaluation):
    """With intervals, and percent whatever the unit of the scorer."""
    console = Console(width=200, record=True, file=io.StringIO())
    for table in report.tables(evaluation):
        console.print(table)
    shown = console.export_text()

    for expected in ("30 documents", "strict, micro", "type, macro", "ra_it", "company", "alignment.exact"):
        assert expected in shown
    assert re.search(r"strict, micro .*\d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\]", shown)


def test_the_page_fetches_nothing_and_runs_nothing(evaluation):
    """No script, no link, no image, no address; the texts are escaped."""
    source = report.html(evaluation, title="A & B <1>")
    page = Page(source)

    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not {"src", "href", "onclick"} & {name for name, _ in page.attributes}
    assert "://" not in source
    assert "@import" not in source
    assert "url(" not in source
    assert "<script>alert(1)</script>" in page.text
    assert "A & B <1>" in page.text
    assert "<b>&" in page.text


def test_the_page_fits_a_phone(evaluation):
    """The viewport is the device's, and every table may scroll for itself."""
    source = report.html(evaluation)

    assert ("name", "viewport") in Page(source).attributes
    assert source.count("<table>") == source.count('<div class="wide"><table>')


def test_the_page_shows_scores_and_marks_errors_in_their_sentences(evaluation):
    """Every line of the table of scores, every label, marks for gold and prediction."""
    page = Page(report.html(evaluation))

    for line in report.score_lines(evaluation):
        assert all(cell in page.text for cell in line)
    assert {("class", "gold"), ("class", "gold predicted")} <= set(page.attributes)
    assert "other label" in page.text
    assert "missed" in page.text


def test_a_page_of_nothing_is_a_page():
    """No documents, no papers, no errors."""
    plan = ScoringConfig()
    page = report.html(run.summarize(run.zero(plan), plan))

    assert "0 documents" in page


def test_overlapping_marks_cut_a_sentence_into_pieces():
    """Each piece says all that covers it; put together they are the sentence."""
    fault = Fault("both", Mark(0, 5, "abcde", "x"), Mark(3, 8, "defgh", "y"))
    sentence = Sentence("abcdefghij", (fault,), (Mark(9, 10, "j", "z"),))

    assert report.pieces(sentence) == [
        ("abc", "gold", "gold: x"),
        ("de", "gold predicted", "gold: x; predicted: y"),
        ("fgh", "predicted", "predicted: y"),
        ("i", "", ""),
        ("j", "right", "z: right"),
    ]


def test_rare_labels_are_put_together_in_the_confusion():
    """A tree of 155 labels does not fit a screen; the counts stay the same."""
    confusion = {(f"label {n}", f"label {n + 1}"): n + 1 for n in range(20)} | {
        ("label 3", None): 2,
        (None, "label 4"): 3,
    }
    table = report.confusion_table(confusion)

    assert len(table["columns"]) == 14
    assert sum(confusion.values()) == sum(sum(cells) for _, cells in table["rows"])


def test_the_command_writes_both_reports(tmp_path):
    """Into folders that are made; the evaluation is returned too."""
    lines = "\n".join(json.dumps(row) for row in data.rows(5))
    (tmp_path / "rows.jsonl").write_text(lines)
    paths = {"json_out": str(tmp_path / "out" / "a.json"), "html_out": str(tmp_path / "out" / "a.html")}

    found = evaluate_files(EvaluateConfig(gold=str(tmp_path / "rows.jsonl"), title="Five", **dict(PLAN), **paths))

    assert json.loads((tmp_path / "out" / "a.json").read_text()) == json.loads(json.dumps(report.to_dict(found)))
    assert "<title>Five</title>" in (tmp_path / "out" / "a.html").read_text()


def test_the_command_writes_a_calibration_that_scores_can_be_mapped_with(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in data.rows(40)))
    calibration = tmp_path / "out" / "calibration.json"
    config = EvaluateConfig(gold=str(tmp_path / "rows.jsonl"), calibration_out=str(calibration), **dict(PLAN))
    figures = report.to_dict(evaluate_files(config))["reliability"]

    [one] = figures["bins"]  # all scores are 0.5
    share = one["right"] / one["entities"]
    assert abs(share - 0.5) == pytest.approx(figures["expected_calibration_error"])
    assert load(str(calibration))(0.9) == pytest.approx(share, abs=1e-5)


def test_without_scores_there_is_nothing_to_calibrate(tmp_path):
    rows = data.rows(5)
    for row in rows:
        row["entities"] = [{**entity, "score": None} for entity in row["entities"]]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    config = EvaluateConfig(gold=str(tmp_path / "rows.jsonl"), calibration_out=str(tmp_path / "c.json"), **dict(PLAN))

    with pytest.raises(InputError, match="no predicted entity has a score"):
        evaluate_files(config)
