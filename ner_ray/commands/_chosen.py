"""Chooses documents of a run to export: by status, label, error, text, at random, or the first ones.

Only the columns that decide are read, and of the documents only their row ids are kept: int64, ascending.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow.dataset import Dataset

from ner_ray.errors import ConfigError
from ner_ray.schema import ROW_ID

_BATCH_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Choice:
    """Which documents to export; what is None chooses all.

    Attributes:
        status: of the document.
        label: of at least one of its entities.
        code: of at least one of its errors.
        query: stands in its text, whatever the case.
        sample: how many to draw at random from those that the above chooses.
        limit: how many of the remaining ones, from the beginning.
        seed: of the draw.
    """

    status: str | None = None
    label: str | None = None
    code: str | None = None
    query: str | None = None
    sample: int | None = None
    limit: int | None = None
    seed: int = 0

    @property
    def is_everything(self) -> bool:
        """Whether no document is left out."""
        return all(value is None for value in astuple(self)[:-1])


def chosen_ids(rows: Dataset, choice: Choice, text: str | None) -> NDArray[np.int64]:
    """The row ids of the chosen documents, ascending.

    Args:
        rows: of a run.
        choice: of at least something.
        text: the column with the texts; None if the run has not kept them.

    Raises:
        ConfigError: texts are to be searched that the run has not kept.
    """
    if choice.query is not None and text is None:
        raise ConfigError("query needs the texts, and the run has not kept them", hint="keep them: input.keep=[text]")
    ids = np.sort(np.concatenate([np.empty(0, np.int64), *_matching(rows, choice, text)]))
    if choice.sample is not None and choice.sample < len(ids):
        ids = np.sort(np.random.default_rng(choice.seed).choice(ids, choice.sample, replace=False))
    return ids[: choice.limit]


def _matching(rows: Dataset, choice: Choice, text: str | None) -> Iterator[NDArray[np.int64]]:
    """The row ids of the documents that match, batch by batch."""
    wanted = {"status": choice.status, "entities": choice.label, "errors": choice.code, text: choice.query}
    columns = [name for name, value in wanted.items() if name and value is not None]
    for batch in rows.to_batches(columns=[ROW_ID, *columns], batch_size=_BATCH_ROWS):
        mask = np.ones(len(batch), bool)
        if choice.status is not None:
            mask &= _plain(pc.equal(batch["status"], choice.status))
        if choice.label is not None:
            mask &= _any(batch["entities"], "label", choice.label)
        if choice.code is not None:
            mask &= _any(batch["errors"], "code", choice.code)
        if choice.query is not None:
            mask &= _plain(pc.match_substring(batch[text].cast(pa.large_string()), choice.query, ignore_case=True))
        yield batch[ROW_ID].to_numpy()[mask]


def _any(lists: pa.Array, name: str, value: str) -> NDArray[np.bool_]:
    """A mask of the lists in which a field of at least one struct has a value."""
    hits = _plain(pc.equal(pc.struct_field(pc.list_flatten(lists), name), value))
    mask = np.zeros(len(lists), bool)
    mask[pc.list_parent_indices(lists).to_numpy()[hits]] = True
    return mask


def _plain(mask: pa.Array) -> NDArray[np.bool_]:
    plain: NDArray[np.bool_] = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return plain
