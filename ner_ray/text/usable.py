"""Which texts can be annotated at all; a text that cannot is rejected by itself, without affecting any other."""

from __future__ import annotations

from ner_ray.errors import ErrorCode
from ner_ray.types import ErrorRecord

_STAGE = "read"


def decoded(value: bytes | None, longest: int) -> tuple[str, ErrorRecord | None]:
    """The text that the bytes encode and None, or an empty text and the reason why it cannot be annotated."""
    if value is None:
        return "", unusable(None, longest)
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return "", ErrorRecord(ErrorCode.INVALID_UTF8, _STAGE, f"byte {error.start}: {error.reason}")
    error_found = unusable(text, longest)
    return ("", error_found) if error_found else (text, None)


def unusable(text: str | None, longest: int) -> ErrorRecord | None:
    """The reason why a text cannot be annotated (null, not Unicode, more than `longest` characters); None if it can."""
    if text is None:
        return ErrorRecord(ErrorCode.NULL_TEXT, _STAGE, "the text is null")
    if len(text) > longest:
        return ErrorRecord(ErrorCode.TOO_LONG, _STAGE, f"{len(text)} characters; input.max_characters is {longest}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return ErrorRecord(ErrorCode.INVALID_UTF8, _STAGE, f"character {error.start}: {error.reason}")
    return None
