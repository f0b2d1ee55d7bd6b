"""The language of a passage."""

from __future__ import annotations

import pytest

from ner_ray.errors import ConfigError
from ner_ray.synth.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The goats were not impressed by the weather.", "en"),
        ("Die Ziegen waren vom Wetter nicht beeindruckt.", "de"),
        ("山羊对天气没有什么印象。", "zh"),
    ],
)
def test_a_sentence_is_enough(text, language):
    assert language_of(text, ("en", "de", "zh")) == language


def test_digits_are_of_no_language():
    assert language_of("1 2 3", ("en", "de", "zh")) is None


def test_an_unknown_code_is_refused():
    with pytest.raises(ConfigError, match="unknown language 'xx'"):
        language_of("text", ("en", "xx"))
