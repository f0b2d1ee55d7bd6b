"""JSON values out of a file of any size, one by one: a value per line, an array, or values one after the other."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from ner_ray.data.formats.base import Unreadable
from ner_ray.data.source import Source
from ner_ray.errors import InputError

_CHUNK = 1 << 20
_BLANK = " \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_rows(source: Source) -> Iterator[object]:
    """The values of a JSON file; a line that is not JSON is `Unreadable`.

    A file is an array if it begins with `[` and a record or another array. Otherwise it holds one value per line,
    unless its first line is a single `{`, as in pretty-printed JSON.

    Raises:
        InputError: an array is broken, so that nothing behind that place can be read.
    """
    head = source.head().removeprefix(_BYTE_ORDER_MARK).decode(errors="replace").lstrip(_BLANK)
    if head.startswith("[") and head[1:].lstrip(_BLANK)[:1] in ("{", "[", "]", ""):
        return _values(source, array=True)
    if head.partition("\n")[0].rstrip(_BLANK) == "{":
        return _values(source, array=False)
    return _lines(source)


def _lines(source: Source) -> Iterator[object]:
    with source.open() as stream:
        for number, line in enumerate(io.BufferedReader(stream, _CHUNK)):
            text = line if number else line.removeprefix(_BYTE_ORDER_MARK)
            if text.strip():
                yield _parsed(text)


def _parsed(line: bytes) -> object:
    try:
        value: object = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return Unreadable(f"not UTF-8: byte {error.start} of the line")
    except (ValueError, RecursionError) as error:
        return Unreadable(f"not JSON: {error}")
    return value


def _values(source: Source, *, array: bool) -> Iterator[object]:
    """The values of an array, or of a sequence; a value is held together with at most as much that is read ahead."""
    decoder = json.JSONDecoder()
    with source.open() as stream:
        # A byte that is not UTF-8 becomes half of a surrogate pair, for which its record alone is rejected.
        text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig", errors="surrogateescape")
        buffer, wanted, ended = "", _CHUNK, False
        opened = not array
        while not ended:
            more = text.read(wanted)
            ended = not more
            buffer += more
            if not opened:
                buffer, opened = buffer.lstrip(_BLANK)[1:], True
            at = 0
            while (place := _next(buffer, at)) < len(buffer):
                if array and buffer[place] == "]":
                    return
                try:
                    value, stop = decoder.raw_decode(buffer, place)
                except RecursionError as error:
                    raise _broken(source, error) from error
                except ValueError as error:
                    if ended:
                        raise _broken(source, error) from error
                    break
                if stop == len(buffer) and not ended:
                    break
                yield value
                at = stop
            wanted = _CHUNK if at else 2 * wanted
            buffer = buffer[at:]
    if array:
        raise InputError(f"{source.label} ends inside its JSON array")


def _next(buffer: str, at: int) -> int:
    """Where the next value begins."""
    while at < len(buffer) and buffer[at] in " \t\r\n,":
        at += 1
    return at


def _broken(source: Source, error: Exception) -> InputError:
    return InputError(f"{source.label} is not JSON: {error}", hint="write one record per line, or an array of records")
