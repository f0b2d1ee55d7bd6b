"""The leakage guard: which examples must not be shown for a text, because they are or repeat it.

Texts are compared in units: words, folded, or single characters in scripts without spaces; punctuation and
white space do not count. An example is held back when

- it equals or contains the text: its units hold the text's, in order and without a gap; or
- the two share at least a given part of the n-grams of the shorter one, not counting boilerplate: n-grams
  of more than one example in a hundred (and of more than 64).

All n-grams of the pool are kept sorted, so a text's leaks are found by looking its n-grams up: what it
costs does not depend on how many examples are retrieved, and boilerplate does not make it dear. Texts without
an n-gram that counts are looked up as a whole, among the places of their rarest unit.
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
"""To be raised with any change of what is written."""

_BOILERPLATE = 64
_BOILERPLATE_SHARE = 0.01
_BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Guard:
    """The pool's units and n-grams; 32 bits of their hashes, as a false match only holds an example back.

    Attributes:
        ngram: units of an n-gram.
        units: all examples' units, one after the other.
        starts: where each example's units begin, and where the last one's end.
        places: the places in `units`, sorted by unit.
        grams: all examples' distinct n-grams but boilerplate, sorted.
        holders: the example that each of `grams` is in.
        sizes: how many of `grams` each example has.
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
        """For each text, the examples that must not be given, in order.

        Args:
            texts: what will be annotated.
            overlap: the shared part, of the n-grams of the shorter text, from which an example is held back.
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
        low = np.searchsorted(self.grams, grams)
        inside = np.flatnonzero(low < self.grams.size)
        found = inside[self.grams[low[inside]] == grams[inside]]  # few, so that the second search is cheap
        low, owners = low[found], owners[found]
        counts = np.searchsorted(self.grams, grams[found], side="right") - low
        where = np.repeat(low - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        pairs = np.repeat(owners, counts) * max(1, self.sizes.size) + self.holders[where]
        pairs, shared = np.unique(pairs, return_counts=True)
        texts, examples = np.divmod(pairs, max(1, self.sizes.size))
        leaking = shared >= overlap * np.minimum(sizes[texts], self.sizes[examples])
        bounds = np.searchsorted(texts[leaking], np.arange(sizes.size + 1))
        return np.split(examples[leaking], bounds[1:-1])

    def _containing(self, wanted: Words) -> Ints:
        """The examples in which these units stand, one after the other."""
        spans = [self._places_of(int(unit)) for unit in wanted]
        rarest = min(range(len(spans)), key=lambda number: spans[number].size)
        begins = spans[rarest].astype(np.int64) - rarest
        examples = np.searchsorted(self.starts, begins, side="right") - 1
        inside = (begins >= 0) & (begins + wanted.size <= self.units.size)
        inside &= examples == np.searchsorted(self.starts, begins + wanted.size - 1, side="right") - 1
        begins, examples = begins[inside], examples[inside]
        for offset, unit in enumerate(wanted):
            stands = self.units[begins + offset] == unit
            begins, examples = begins[stands], examples[stands]
        return np.unique(examples)

    def _places_of(self, unit: int) -> NDArray[np.int32]:
        """Where a unit stands."""
        bounds = [
            bisect_left(range(self.places.size), wanted, key=lambda n: int(self.units[self.places[n]]))
            for wanted in (unit, unit + 1)
        ]
        return self.places[slice(*bounds)]


def build(texts: Sequence[str], ngram: int, folder: Path) -> dict[str, Any]:
    """Lays out a pool's units and n-grams; returns what they depend on."""
    hashes, starts = hash_texts([units(text) for text in texts], Hasher())
    grams, holders = _distinct_grams(hashes, starts, ngram)
    distinct, places, holding = np.unique(grams, return_inverse=True, return_counts=True)
    too_many = holding > max(_BOILERPLATE, _BOILERPLATE_SHARE * len(texts))
    grams, holders = grams[~too_many[places]], holders[~too_many[places]]
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
    """Opens what `build` laid out."""
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
    """The distinct n-grams of each text and the text that each is of, sorted by text."""
    count = max(0, hashes.size - ngram + 1)
    rolled = np.zeros(count, dtype=np.uint64)
    for offset in range(ngram):
        rolled = rolled * _BASE + hashes[offset : offset + count]
    owners = np.repeat(np.arange(starts.size - 1), np.diff(starts))[:count]
    whole = np.arange(count) + ngram <= starts[owners + 1]
    # The upper bits: multiplication by an odd number carries upwards only.
    keyed = (owners[whole].astype(np.uint64) << np.uint64(32)) | (rolled[whole] >> np.uint64(32))
    keyed = np.unique(keyed)
    return keyed.astype(np.uint32), (keyed >> np.uint64(32)).astype(np.int64)
