"""Language identification of passages, by the library `lingua`."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from ner_ray.errors import ConfigError

LIKELY = ("zh", "en", "ja", "ko", "de", "fr", "es", "pt", "it", "nl", "ru", "ar")
"""The languages that are considered; each further language costs time and memory."""


def language_of(text: str, among: Collection[str] = LIKELY) -> str | None:
    """The most likely of several languages (ISO 639-1); None for a text without any clue, such as digits.

    Raises:
        ConfigError: the library does not know one of the languages.
    """
    found = _detector(frozenset(among)).detect_language_of(text)
    return None if found is None else str(found.iso_code_639_1.name).lower()


@functools.cache
def _detector(codes: frozenset[str]) -> Any:  # lingua's LanguageDetector
    import lingua

    known = {language.iso_code_639_1.name.lower(): language for language in lingua.Language.all()}
    unknown = sorted(codes - known.keys())
    if unknown:
        raise ConfigError(f"unknown language {unknown[0]!r}", hint="use ISO 639-1 codes, such as `en`")
    languages = [known[code] for code in sorted(codes)]
    return lingua.LanguageDetectorBuilder.from_languages(*languages).with_low_accuracy_mode().build()
