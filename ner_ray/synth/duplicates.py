"""Passages that are there already, word for word or nearly so.

Near duplicates by MinHash over runs of three words and locality-sensitive hashing (Broder 1997; the library
`datasketch`). What a hash says is checked against the similarity of the signatures, so one that only shares a band is
kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ner_ray.text.normalize import fold
from ner_ray.text.tokens import spans

THRESHOLD = 0.8
"""The Jaccard similarity of two passages' runs of words from which on the later one is a duplicate; what Lee et al.,
"Deduplicating Training Data Makes Language Models Better", 2022, take for near duplicates."""

_RUN = 3
_PERMUTATIONS = 128


def digest(text: str) -> str:
    """32 hexadecimal digits that are the same for texts that differ in case, width and white space alone."""
    return hashlib.blake2b(fold(text).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def exact(texts: Iterable[str]) -> dict[int, int]:
    """Number of each text whose `digest` an earlier one has -> number of the first of those."""
    first: dict[str, int] = {}
    firsts = [first.setdefault(digest(text), number) for number, text in enumerate(texts)]
    return {number: one for number, one in enumerate(firsts) if one != number}


def near(texts: Sequence[str], threshold: float = THRESHOLD) -> dict[int, int]:
    """Number of each text that an earlier one resembles -> number of the earliest of those that are kept.

    Signatures of 128 permutations estimate a similarity of 0.8 to within 0.035 (one standard deviation). All
    signatures are held in memory, 1 KiB a passage.
    """
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
    kept: dict[int, MinHash] = {}
    duplicates: dict[int, int] = {}
    for number, text in enumerate(texts):
        signature = MinHash(num_perm=_PERMUTATIONS)
        signature.update_batch([run.encode("utf-8", "surrogatepass") for run in _runs(text)])
        alike = [other for other in index.query(signature) if signature.jaccard(kept[other]) >= threshold]
        if alike:
            duplicates[number] = min(alike)
        else:
            kept[number] = signature
            index.insert(number, signature)
    return duplicates


def _runs(text: str) -> list[str]:
    """Every run of three words of the normal form; a shorter text is one run."""
    folded = fold(text)
    words = [folded[start:end] for start, end in spans(folded)]
    starts = range(max(1, len(words) - _RUN + 1))
    return [" ".join(words[start : start + _RUN]) for start in starts]
