"""Passages that repeat others, word for word or nearly so.

Near duplicates are found by MinHash over runs of three words with locality-sensitive hashing (Broder 1997; the library
`datasketch`). Each candidate is checked by the similarity of its signature, so a passage that merely shares a band with
another one is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ner_ray.text.normalize import fold
from ner_ray.text.tokens import spans

THRESHOLD = 0.8
"""The Jaccard similarity of two passages' runs of words from which the later one counts as a duplicate: what Lee et
al., "Deduplicating Training Data Makes Language Models Better", 2022, call near duplicates."""

_RUN = 3
_PERMUTATIONS = 128


def digest(text: str) -> str:
    """32 hexadecimal digits, the same for texts that differ only in case, width and white space.

    >>> digest("Rain  fell") == digest("RAIN fell")
    True
    """
    return hashlib.blake2b(fold(text).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def near(texts: Sequence[str], threshold: float = THRESHOLD) -> dict[int, int]:
    """Maps the index of each text that resembles an earlier one to the index of the earliest such text that is kept.

    Signatures of 128 permutations estimate a similarity of 0.8 to within 0.035 (one standard deviation). All
    signatures are held in memory, 1 KiB per passage.
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
    """Every run of three words in the normalised text; a shorter text is one run."""
    folded = fold(text)
    words = [folded[start:end] for start, end in spans(folded)]
    starts = range(max(1, len(words) - _RUN + 1))
    return [" ".join(words[start : start + _RUN]) for start in starts]
