"""Reports of an evaluation: tables for a terminal, JSON for programs, an HTML page for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ner_ray.evaluate import reliability
from ner_ray.evaluate.bootstrap import Interval
from ner_ray.evaluate.examples import Mark, Sentence
from ner_ray.evaluate.run import OURS, Evaluation
from ner_ray.evaluate.spans import MODES, Score
from ner_ray.pages import page

if TYPE_CHECKING:
    from rich.console import RenderableType

# Labels in the confusion table, which must fit a phone; the others are shown as one.
_CONFUSION_LABELS = 12
_OTHERS = "(others)"
MISSED, SPURIOUS = "(missed)", "(spurious)"


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Plain data: every score under the name of its scorer, as a fraction unless its unit says otherwise."""
    return {
        "documents": evaluation.documents,
        "scores": {
            OURS: {
                "micro": {
                    mode: _with_interval(evaluation.micro[mode], evaluation.intervals.get(mode, {})) for mode in MODES
                },
                "macro": {mode: asdict(evaluation.macro[mode]) for mode in MODES},
                "labels": {label: asdict(scores) for label, scores in evaluation.labels.items()},
            },
            **{result.scorer: asdict(result) for result in evaluation.papers},
        },
        "confidence": {"level": evaluation.level, "bootstrap_samples": evaluation.samples},
        "confusion": [
            {"gold": gold, "predicted": predicted, "count": times}
            for (gold, predicted), times in sorted(evaluation.confusion.items(), key=repr)
        ],
        "reliability": {
            "expected_calibration_error": reliability.expected_calibration_error(evaluation.reliability),
            "bins": [
                {"from": at / 10, "entities": one.entities, "right": one.right, "score": one.score}
                for at, one in enumerate(reliability.diagram(evaluation.reliability))
                if one.entities
            ],
        },
        "counts": dict(evaluation.counts),
        "rejects": [asdict(reject) for reject in evaluation.rejects],
    }


def tables(evaluation: Evaluation) -> list[RenderableType]:
    """Tables for a terminal: scores, labels, counts, and examples of gold that cannot be used."""
    from rich.markup import escape
    from rich.table import Table

    scores = Table(title=f"{evaluation.documents} documents")
    for heading in ("scorer", "score", "precision", "recall", "F1"):
        scores.add_column(heading)
    for line in score_lines(evaluation):
        scores.add_row(*line)
    labels = Table(title=f"labels ({OURS}, strict)")
    for heading in ("label", "precision", "recall", "F1", "gold", "predicted"):
        labels.add_column(heading)
    for label, scored in evaluation.labels.items():
        strict = scored.scores["strict"]
        figures = (_percent(figure) for figure in (strict.precision, strict.recall, strict.f1))
        labels.add_row(label, *figures, str(scored.gold), str(scored.predicted))
    counted = Table(title="counts")
    counted.add_column("what")
    counted.add_column("how often")
    for name, times in evaluation.counts.items():
        counted.add_row(name, str(times))
    unusable = Table(title="gold that cannot be used")
    for heading in ("file", "row", "id", "why"):
        unusable.add_column(heading)
    for reject in evaluation.rejects:
        unusable.add_row(*map(escape, (reject.source, str(reject.row), reject.example_id, reject.reason)))
    return [scores, labels, *([counted] if evaluation.counts else []), *([unusable] if evaluation.rejects else [])]


def html(evaluation: Evaluation, title: str = "Evaluation") -> str:
    """One self-contained page: no script, nothing fetched, all text escaped."""
    return page(
        "ner_ray.evaluate",
        "report",
        title=title,
        filters={"percent": _percent, "pieces": pieces},
        evaluation=evaluation,
        lines=list(score_lines(evaluation)),
        confusion=confusion_table(evaluation.confusion),
        modes=MODES,
        ours=OURS,
        bins=reliability.diagram(evaluation.reliability),
        calibration_error=reliability.expected_calibration_error(evaluation.reliability),
    )


def score_lines(evaluation: Evaluation) -> Iterator[tuple[str, str, str, str, str]]:
    """The rows of the table of scores: scorer, score, precision, recall, F1; in percent, with intervals."""
    for mode in MODES:
        bounds = evaluation.intervals.get(mode, {})
        yield (OURS, f"{mode}, micro", *_figures(evaluation.micro[mode], bounds))
    for mode in MODES:
        yield (OURS, f"{mode}, macro", *_figures(evaluation.macro[mode], {}))
    for result in evaluation.papers:
        if result.score is None:
            yield (result.scorer, f"refuses: {result.refusal}", "–", "–", "–")
            continue
        scale = 100 if result.score.unit == "percent" else 1
        score = Score(result.score.precision / scale, result.score.recall / scale, result.score.f1 / scale)
        yield (result.scorer, f"micro, {result.read_by}", *_figures(score, result.intervals))


def confusion_table(confusion: Mapping[tuple[str | None, str | None], int]) -> dict[str, Any]:
    """The confusion matrix as columns and rows of counts; rare labels are combined."""
    sizes: dict[str, int] = {}
    for pair, times in confusion.items():
        for label in {label for label in pair if label is not None}:
            sizes[label] = sizes.get(label, 0) + times
    shown = sorted(sorted(sizes, key=lambda label: (-sizes[label], label))[:_CONFUSION_LABELS])
    labels = [*shown, *([_OTHERS] if len(sizes) > len(shown) else [])]
    cells: dict[tuple[str, str], int] = {}
    for (gold, predicted), times in confusion.items():
        place = _cell(gold, shown, SPURIOUS), _cell(predicted, shown, MISSED)
        cells[place] = cells.get(place, 0) + times
    columns = [*labels, MISSED]
    rows = [(gold, [cells.get((gold, column), 0) for column in columns]) for gold in (*labels, SPURIOUS)]
    return {"columns": columns, "rows": rows}


def pieces(sentence: Sentence) -> list[tuple[str, str, str]]:
    """A sentence, cut where entities begin and end: text, CSS classes and a description of each piece."""
    marks = [(mark, "right", f"{mark.label}: right") for mark in sentence.right]
    for fault in sentence.faults:
        if fault.gold:
            marks.append((fault.gold, "gold", f"gold: {fault.gold.label}"))
        if fault.predicted:
            marks.append((fault.predicted, "predicted", f"predicted: {fault.predicted.label}"))
    length = len(sentence.text)
    edges = {0, length} | {min(edge, length) for mark, _, _ in marks for edge in (mark.start, mark.end)}
    cuts = sorted(edges)
    return [(sentence.text[start:end], *_covering(marks, start, end)) for start, end in pairwise(cuts)]


def _covering(marks: Sequence[tuple[Mark, str, str]], start: int, end: int) -> tuple[str, str]:
    covering = [(kind, words) for mark, kind, words in marks if mark.start <= start and mark.end >= end]
    return " ".join(dict.fromkeys(kind for kind, _ in covering)), "; ".join(words for _, words in covering)


def _cell(label: str | None, shown: Sequence[str], absent: str) -> str:
    if label is None:
        return absent
    return label if label in shown else _OTHERS


def _figures(score: Score, bounds: Mapping[str, Interval]) -> tuple[str, str, str]:
    return (
        _figure(score.precision, bounds.get("precision")),
        _figure(score.recall, bounds.get("recall")),
        _figure(score.f1, bounds.get("f1")),
    )


def _figure(value: float, interval: Interval | None) -> str:
    if interval is None:
        return _percent(value)
    return f"{_percent(value)} [{_percent(interval.low)}, {_percent(interval.high)}]"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _with_interval(score: Score, bounds: Mapping[str, Interval]) -> dict[str, Any]:
    return {**asdict(score), "interval": {name: [bound.low, bound.high] for name, bound in bounds.items()}}
