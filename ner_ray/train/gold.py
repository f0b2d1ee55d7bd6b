"""Gold to learn from and to be judged by: annotated texts, each with the label set that a model is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from ner_ray.data import AnnotatedText, LabelMap, Reject, read
from ner_ray.data.label_map import within
from ner_ray.errors import InputError
from ner_ray.types import Label

_LOG = logging.getLogger(__name__)


def read_gold(
    uris: str | Sequence[str], labels: Sequence[str] = (), label_map: LabelMap | None = None
) -> Iterator[AnnotatedText | Reject]:
    """Annotated texts with their label set, and what cannot be used.

    Entities whose label is not in the label set move to `dropped`, as do those that the label map leaves out.

    Args:
        uris: files, folders and run directories, in any format that `ner_ray.data` reads.
        labels: one label set for all texts; empty: each text brings its own.
        label_map: label of the data -> the label to use, or None to drop its entities.

    Raises:
        InputError: a source cannot be read, none of its rows can be used, or a text has no label set.
        ConfigError: the label map names a label that no text has; raised at the end.
    """
    given = tuple(Label(name) for name in labels)
    usable, reject = 0, None
    for item in read(uris, label_map):
        if isinstance(item, Reject):
            reject = reject or item
            yield item
        elif not (given or item.labels):
            raise InputError(
                f"{item.source}, row {item.row}: no label set", hint="give it in the configuration: labels=[...]"
            )
        else:
            usable += 1
            yield within(item, given or item.labels or ())
    if reject and not usable:
        raise InputError(
            f"no row of {uris} can be used; for example row {reject.row} of {reject.source}: {reject.reason}"
        )


def usable_only(items: Iterable[AnnotatedText | Reject]) -> Iterator[AnnotatedText]:
    """The texts; rejects are counted, and the first one is shown, in the log."""
    count, first = 0, None
    for item in items:
        if isinstance(item, Reject):
            count, first = count + 1, first or item
        else:
            yield item
    if first:
        _LOG.warning("gold.rejected rows=%d first=%s:%d reason=%s", count, first.source, first.row, first.reason)
