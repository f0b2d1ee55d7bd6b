"""One reader for annotated texts: by path or URI, whatever the format."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from ner_ray.data.annotated import DEFAULT_COLUMNS, AnnotatedText, Columns, Reject, as_reject, flaw, from_row
from ner_ray.data.detect import sources
from ner_ray.data.label_map import LabelMap, check_label_map, labels_of, relabel
from ner_ray.errors import InputError

Record = tuple[str, int, object]
"""A row as its format gives it, with its file's name and its number there."""


def read(
    uris: str | Sequence[str], label_map: LabelMap | None = None, columns: Columns = DEFAULT_COLUMNS
) -> Iterator[AnnotatedText | Reject]:
    """The annotated texts of files, folders and run directories, one by one; unusable rows as rejects with the reason.

    The order is that of the URIs, of the names in a folder, and of the rows in a file.

    Args:
        uris: paths or URIs.
        label_map: label of the data -> the label to use, or None to drop its entities.
        columns: the names of the columns, where they are not the usual ones.

    Raises:
        InputError: there is nothing at a URI, or a file cannot be read as what it seems to be.
        ConfigError: the label map names a label that no text has; raised at the end.
    """
    return parse(records(uris, columns.names()), label_map, columns)


def parse(
    rows: Iterable[Record], label_map: LabelMap | None = None, columns: Columns = DEFAULT_COLUMNS
) -> Iterator[AnnotatedText | Reject]:
    """The annotated texts among rows, each given with its source and number; see `read`."""
    mapped, seen = label_map or {}, set[str]()
    for source, number, row in rows:
        found = from_row(row, source, number, columns)
        if isinstance(found, AnnotatedText) and (reason := flaw(found)):
            found = as_reject(found, reason)
        if isinstance(found, AnnotatedText):
            seen |= labels_of(found) if mapped else set()
            found = relabel(found, mapped)
        yield found
    check_label_map(mapped, seen)


def read_all(
    uris: str | Sequence[str], label_map: LabelMap | None = None, columns: Columns = DEFAULT_COLUMNS
) -> tuple[list[AnnotatedText], list[Reject]]:
    """All annotated texts, and all rejects; see `read`."""
    return split(read(uris, label_map, columns))


def split(items: Iterable[AnnotatedText | Reject]) -> tuple[list[AnnotatedText], list[Reject]]:
    """The annotated texts and the rejects, each in their order."""
    found: list[AnnotatedText] = []
    rejects: list[Reject] = []
    for item in items:
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            found.append(item)
    return found, rejects


def distinct(items: Iterable[AnnotatedText | Reject]) -> Iterator[AnnotatedText | Reject]:
    """The items, with a reject in place of a text that has come before."""
    seen: dict[str, str] = {}
    for item in items:
        if isinstance(item, AnnotatedText) and item.text in seen:
            yield as_reject(item, f"its text is the same as that of {seen[item.text]!r}")
            continue
        if isinstance(item, AnnotatedText):
            seen[item.text] = item.text_id
        yield item


def records(uris: str | Sequence[str], columns: Collection[str] | None = None) -> Iterator[Record]:
    """The rows of files, folders and run directories, as their formats give them.

    Args:
        uris: paths or URIs.
        columns: those that are needed; a format may give more. All if None.

    Raises:
        InputError: there is nothing at a URI, or a file cannot be read as what it seems to be.
    """
    for uri in [uris] if isinstance(uris, str) else uris:
        for source, form in sources(uri):
            try:
                for number, row in enumerate(form.rows(source, columns)):
                    yield source.label, number, row
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise InputError(f"cannot read {source.label} of {uri}: {error}") from error


def column_names(uri: str) -> tuple[str, ...]:
    """The names of all columns of the first row that can be read; empty if there is none."""
    rows = (row for _, _, row in records(uri))
    return next((tuple(map(str, row)) for row in rows if isinstance(row, Mapping)), ())
