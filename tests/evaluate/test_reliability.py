"""Scores as probabilities: counted, drawn, and mapped to what they are worth."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.annotator.calibration import Calibration, load
from ner_ray.errors import ConfigError
from ner_ray.evaluate import spans
from ner_ray.evaluate.reliability import Reliability, count, diagram, expected_calibration_error, fit
from ner_ray.types import Entity

Scored = list[tuple[float, bool]]


def _counted(scored: Scored) -> Reliability:
    gold = [Entity(10 * at, 10 * at + 3, "Ann", "person") for at in range(len(scored))]
    predicted = [
        Entity(one.start, one.end, one.text, "person" if right else "place", score)
        for one, (score, right) in zip(gold, scored, strict=True)
    ]
    return count(spans.pair(gold, predicted))


def _drawn(rng: np.random.Generator, entities: int) -> Scored:
    """Scores that are far too high: of those with a score of s, s cubed are right."""
    scores = rng.beta(4, 1, entities)
    return [(float(score), bool(rng.random() < score**3)) for score in scores]


def test_scores_that_promise_too_much_are_found_out_and_mended_on_other_entities() -> None:
    rng = np.random.default_rng(0)
    before, fresh = _counted(_drawn(rng, 4000)), _drawn(rng, 4000)
    calibration = fit(before)
    assert calibration
    after = _counted([(calibration(score), right) for score, right in fresh])

    assert expected_calibration_error(before) > 0.15
    assert expected_calibration_error(after) < 0.03


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.data())
def test_a_calibration_never_changes_which_of_two_entities_is_surer(scored: Scored, data: st.DataObject) -> None:
    calibration = fit(_counted(scored))
    assert calibration
    low, high = sorted([data.draw(st.floats(0, 1)), data.draw(st.floats(0, 1))])

    assert 0 <= calibration(low) <= calibration(high) <= 1
    assert Calibration.of(json.loads(json.dumps(calibration.to_dict()))) == calibration


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40), st.integers(0, 40))
def test_parts_of_a_corpus_add_up_to_the_whole(scored: Scored, cut: int) -> None:
    whole, parts = _counted(scored), _counted(scored[:cut]) + _counted(scored[cut:])
    again = Reliability.from_dict(json.loads(json.dumps(parts.to_dict())))

    for one in (parts, again):
        assert [(bin_.entities, bin_.right) for bin_ in diagram(one)] == [
            (bin_.entities, bin_.right) for bin_ in diagram(whole)
        ]
        assert expected_calibration_error(one) == pytest.approx(expected_calibration_error(whole))


def test_an_entity_without_a_score_and_one_that_was_missed_do_not_count() -> None:
    gold = [Entity(0, 3, "Ann", "person"), Entity(8, 11, "Rex", "person")]

    nothing = count(spans.pair(gold, [Entity(0, 3, "Ann", "person")]))

    assert expected_calibration_error(nothing) is None
    assert fit(nothing) is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[]", "two lists"),
        ('{"scores": [0.1]}', "two lists"),
        ('{"scores": [], "probabilities": []}', "at least one"),
        ('{"scores": [0.1, 0.2], "probabilities": [0.1]}', "as many"),
        ('{"scores": [0.2, 0.1], "probabilities": [0.1, 0.2]}', "rise"),
        ('{"scores": [0.1, 0.2], "probabilities": [0.2, 0.1]}', "never fall"),
        ('{"scores": [0.1], "probabilities": [1.5]}', "between 0 and 1"),
        ("no JSON", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused_by_name(tmp_path, content: str | None, complaint: str) -> None:
    file = tmp_path / "calibration.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigError, match=complaint) as raised:
        load(str(file))
    assert "calibration.json" in raised.value.message
