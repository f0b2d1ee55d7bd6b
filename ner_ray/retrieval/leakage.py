"""The leakage guard: examples that must not be shown with a text because they equal or repeat it.

Texts are compared by units: folded words, or single characters in scripts without spaces. Punctuation and white space
are ignored. An example is held back if

- it equals or contains the text: its units contain those of the text, in order and without a gap; or
- the two share at least a given fraction of the n-grams of the shorter one. Boilerplate does not count: n-grams that
  occur in more than one example in a hundred, and in more than 64.

The n-grams of the pool are sorted, so the leaks of a text are found by looking up its n-grams. The cost does not depend
on how many examples are retrieved, and boilerplate does not raise it. A text none of whose n-grams counts is looked up
as a whole, at the places of its rarest unit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ner_ray.retrieval._arrays import open_array, save
from ner_ray.retrieval.terms import Hasher, Hashes, hash_texts, units

Ints = NDArray[np.int64]
Words = NDArray[np.uint32]

VERSION = 1
"""Increase it whenever the files that are written change."""

_BOILERPLATE = 64
_BOILERPLATE_SHARE = 0.01
_BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Guard:
    """The units and n-grams of the pool, as 32 bits of their hashes: a false match only holds an example back.

    Attributes:
        ngram: n, the number of units in an n-gram.
        units: shape (units,); the units of all examples, concatenated.
        starts: shape (examples + 1,); example i has `units[starts[i] : starts[i + 1]]`.
        places: shape (units,); indices into `units`, sorted by unit.
        grams: shape (grams,); the distinct n-grams of each example without boilerplate, sorted.
        holders: shape (grams,); the example of each of `grams`.
        sizes: shape (examples,); the number of `grams` of each example.
        boilerplate: n-grams that do not count, sorted.
    """

    ngram: int
    units: Words
    starts: Ints
    places: NDArray[np.int32]
    grams: Words
    holders: NDArray[np.int32]
    sizes: NDArray[np.int32]
    boilerplate: Words
    hasher: Hasher = field(default_factory=Hasher)

    def leaks(self, texts: Sequence[str], overlap: float) -> list[Ints]:
        """For each text, the examples that must not be shown, in ascending order.

        Args:
            texts: the texts to annotate.
            overlap: the minimum fraction of the shorter text's n-grams that must be shared to hold an example back.
        """
        if not texts:
            return []
        hashes, starts = hash_texts([units(text) for text in texts], self.hasher)
        grams, owners = _distinct_grams(hashes, starts, self.ngram)
        counting = ~np.isin(grams, self.boilerplate)
        grams, owners = grams[counting], owners[counting]
        sizes = np.bincount(owners, minlength=len(texts))
        found = self._overlapping(grams, owners, sizes, overlap)
        for number in np.flatnonzero((sizes == 0) & (np.diff(starts) > 0)):
            whole = hashes[starts[number] : starts[number + 1]]
            found[number] = self._containing(whole.astype(np.uint32))
        return found

    def _overlapping(self, grams: Words, owners: Ints, sizes: Ints, overlap: float) -> list[Ints]:
        """For each text, the examples that share enough n-grams with it.

        Args:
            grams: shape (n,); the distinct n-grams of each text, boilerplate excluded, sorted by text.
            owners: shape (n,), ascending; the text that each of them belongs to.
            sizes: shape (texts,); the number of n-grams of each text.
            overlap: as in `leaks`.
        """
        # low[i]: where n-gram i is in the sorted `self.grams`, if it is there at all.
        low = np.searchsorted(self.grams, grams)
        inside = np.flatnonzero(low < self.grams.size)
        found = inside[self.grams[low[inside]] == grams[inside]]  # few, so that the second search is cheap
        low, owners = low[found], owners[found]
        # counts[i]: in how many examples n-gram i occurs; its holders are holders[low[i] : low[i] + counts[i]].
        counts = np.searchsorted(self.grams, grams[found], side="right") - low
        # All pairs (n-gram of a text, place in `self.grams`): `where` runs through low[i] ... low[i] + counts[i] - 1.
        where = np.repeat(low - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        # A pair (text, example) as one number, text * examples + example, so that `unique` counts what they share.
        pairs = np.repeat(owners, counts) * max(1, self.sizes.size) + self.holders[where]
        pairs, shared = np.unique(pairs, return_counts=True)
        # `pairs` are sorted, so `texts` ascend, and each text's examples ascend.
        texts, examples = np.divmod(pairs, max(1, self.sizes.size))
        leaking = shared >= overlap * np.minimum(sizes[texts], self.sizes[examples])
        bounds = np.searchsorted(texts[leaking], np.arange(sizes.size + 1))
        return np.split(examples[leaking], bounds[1:-1])

    def _containing(self, wanted: Words) -> Ints:
        """The examples that contain these units consecutively, in ascending order."""
        spans = [self._places_of(int(unit)) for unit in wanted]
        rarest = min(range(len(spans)), key=lambda number: spans[number].size)
        # The offset at which each occurrence of the whole text would begin, and the example it would be in.
        begins = spans[rarest].astype(np.int64) - rarest
        examples = np.searchsorted(self.starts, begins, side="right") - 1
        # It must lie within the pool, and within a single example.
        inside = (begins >= 0) & (begins + wanted.size <= self.units.size)
        inside &= examples == np.searchsorted(self.starts, begins + wanted.size - 1, side="right") - 1
        begins, examples = begins[inside], examples[inside]
        # Occurrences whose unit at `offset` differs are dropped, one unit at a time.
        for offset, unit in enumerate(wanted):
            matches = self.units[begins + offset] == unit
            begins, examples = begins[matches], examples[matches]
        return np.unique(examples)

    def _places_of(self, unit: int) -> NDArray[np.int32]:
        """The places of a unit in `units`, by binary search; ascending."""
        bounds = [
            bisect_left(range(self.places.size), wanted, key=lambda n: int(self.units[self.places[n]]))
            for wanted in (unit, unit + 1)
        ]
        return self.places[slice(*bounds)]


def build(texts: Sequence[str], ngram: int, folder: Path) -> dict[str, Any]:
    """Writes the units and n-grams of a pool; returns what they depend on, for `load`."""
    hashes, starts = hash_texts([units(text) for text in texts], Hasher())
    grams, holders = _distinct_grams(hashes, starts, ngram)
    # `places` (an index into `distinct` for each n-gram) and `holding` (examples with each distinct n-gram).
    distinct, places, holding = np.unique(grams, return_inverse=True, return_counts=True)
    too_many = holding > max(_BOILERPLATE, _BOILERPLATE_SHARE * len(texts))
    grams, holders = grams[~too_many[places]], holders[~too_many[places]]
    # `_distinct_grams` sorts by text, and the sort below is stable: the holders of an n-gram ascend.
    order = np.argsort(grams, kind="stable")
    short = hashes.astype(np.uint32)
    save(
        folder,
        units=short,
        starts=starts,
        places=np.argsort(short, kind="stable").astype(np.int32),
        grams=grams[order],
        holders=holders[order].astype(np.int32),
        sizes=np.bincount(holders, minlength=len(texts)).astype(np.int32),
        boilerplate=distinct[too_many],
    )
    return {"version": VERSION, "ngram": ngram}


def load(folder: Path, identity: dict[str, Any]) -> Guard:
    """Opens what `build` has written."""
    return Guard(
        ngram=identity["ngram"],
        units=open_array(folder, "units", np.uint32),
        starts=open_array(folder, "starts", np.int64),
        places=open_array(folder, "places", np.int32),
        grams=open_array(folder, "grams", np.uint32),
        holders=open_array(folder, "holders", np.int32),
        sizes=open_array(folder, "sizes", np.int32),
        boilerplate=open_array(folder, "boilerplate", np.uint32),
    )


def _distinct_grams(hashes: Hashes, starts: Ints, ngram: int) -> tuple[Words, Ints]:
    """The distinct n-grams of each text, and the text that each belongs to, both shape (n,); sorted by text.

    Args:
        hashes: shape (units,); the units of all texts, concatenated.
        starts: shape (texts + 1,); where the units of each text begin, and where the last ones end.
        ngram: n.
    """
    count = max(0, hashes.size - ngram + 1)
    # rolled[i]: the polynomial hash of units i ... i + ngram - 1, modulo 2**64.
    rolled = np.zeros(count, dtype=np.uint64)
    for offset in range(ngram):
        rolled = rolled * _BASE + hashes[offset : offset + count]
    # owners[i]: the text in which n-gram i begins; `whole`: whether it also ends there.
    owners = np.repeat(np.arange(starts.size - 1), np.diff(starts))[:count]
    whole = np.arange(count) + ngram <= starts[owners + 1]
    # Keep the upper 32 bits of the hash: multiplication only carries upwards, so they depend on all bits below. With
    # the text in front, `unique` sorts by text and removes repetitions within a text.
    keyed = (owners[whole].astype(np.uint64) << np.uint64(32)) | (rolled[whole] >> np.uint64(32))
    keyed = np.unique(keyed)
    return keyed.astype(np.uint32), (keyed >> np.uint64(32)).astype(np.int64)
