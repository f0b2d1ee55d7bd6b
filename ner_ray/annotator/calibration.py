"""Scores that are probabilities: a map from what a model's scores are to how often such entities are right.

A model's own scores rank its entities well and say little more: half of those with a score of 0.7 may be wrong, or one
in ten. `ner-ray evaluate` fits the map on annotated text that the model has not learnt from (isotonic regression:
Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", 2002).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from ner_ray.errors import ConfigError, InputError
from ner_ray.storage import open_store, put_text, read_json


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone, piecewise linear map.

    Attributes:
        scores: where it is given, rising, from 0 to 1.
        probabilities: what it is there, never falling, from 0 to 1.

    >>> calibration = Calibration((0.2, 0.8), (0.1, 0.9))
    >>> [round(calibration(score), 2) for score in (0.0, 0.5, 1.0)]
    [0.1, 0.5, 0.9]
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __call__(self, score: float) -> float:
        return float(np.interp(score, self.scores, self.probabilities))

    @classmethod
    def of(cls, data: Any) -> Self:  # whatever JSON held
        """From plain data.

        Raises:
            ConfigError: it is none.
        """
        try:
            made = cls(tuple(map(float, data["scores"])), tuple(map(float, data["probabilities"])))
        except (TypeError, KeyError, ValueError) as error:
            raise ConfigError("a calibration has two lists of numbers, `scores` and `probabilities`") from error
        if not made.scores or len(made.scores) != len(made.probabilities):
            raise ConfigError("a calibration has as many `probabilities` as `scores`, and at least one")
        if any(left >= right for left, right in pairwise(made.scores)) or not _never_falls(made.probabilities):
            raise ConfigError("a calibration's `scores` rise, and its `probabilities` never fall")
        if not all(0 <= value <= 1 for value in made.scores + made.probabilities):
            raise ConfigError("a calibration's numbers are between 0 and 1")
        return made

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def save(self, uri: str) -> None:
        """Writes it as JSON."""
        put_text(uri, json.dumps(self.to_dict()) + "\n")


def load(uri: str) -> Calibration:
    """The calibration in a file.

    Raises:
        ConfigError: there is no such file, or it is none.
    """
    try:
        store, path = open_store(uri)
        return Calibration.of(read_json(store, path))
    except (OSError, ValueError, InputError) as error:
        raise ConfigError(f"the calibration {uri} cannot be read: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{uri}: {error.message}") from error


def _never_falls(values: Sequence[float]) -> bool:
    return all(left <= right for left, right in pairwise(values))
