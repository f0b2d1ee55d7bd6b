"""Matching of two lists of words: a longest common subsequence, computed fast, in as few runs as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from rapidfuzz.distance import LCSseq

_MAX_CELLS = 1 << 30  # word pairs; the matrix of an LCS takes one bit per pair: 128 MiB
_SHORT = 250 * 250  # word pairs up to which splitting does not pay off
_PIECE = 120  # words per piece: two machine words of the bit-parallel algorithm
_AGREEING = 6  # consecutive words that must agree where two pieces meet
_DRIFT = 40  # words on either side of the expected place in which these are searched for

_editops = LCSseq.editops  # looked up once: a short sentence is matched in two microseconds


class Run(NamedTuple):
    """A run of equal tokens: `size` tokens from index `source` of the source and from index `copy` of the copy."""

    source: int
    copy: int
    size: int


def match_words(source: Sequence[str], copy: Sequence[str]) -> list[int]:
    """For each source word, the index of the copied word that it is matched with, or -1; the indices increase.

    As many words as possible are matched: a longest common subsequence. Long lists are first split where both sides
    agree and matched piece by piece. If it cannot be proven that this lost no match, the lists are matched again as a
    whole, except above 2**30 word pairs: that would take too much memory, so the result of the pieces is returned.
    """
    if source == copy:
        return list(range(len(source)))
    pairs = len(source) * len(copy)
    if pairs <= _SHORT:
        return _longest_common(source, copy, 0)
    matched = _by_pieces(source, copy)
    found = len(matched) - matched.count(-1)
    if pairs > _MAX_CELLS or not LCSseq.similarity(source, copy, score_cutoff=found + 1):
        return matched
    return _longest_common(source, copy, 0)


def matching_runs(source: list[str], copy: list[str]) -> list[Run]:
    """The matches of `match_words` as runs of adjacent words: as many matches, in fewer runs where possible."""
    return _contiguous(_runs(source, copy), source, copy)


def _runs(source: list[str], copy: list[str]) -> list[Run]:
    """The matches of `match_words` as runs of adjacent words."""
    runs: list[Run] = []
    source_at = copy_at = size = 0
    for index, partner in enumerate([*match_words(source, copy), -1]):
        if size and partner == copy_at + size:
            size += 1
            continue
        if size:
            runs.append(Run(source_at, copy_at, size))
        source_at, copy_at, size = index, partner, int(partner >= 0)
    return runs


def _contiguous(runs: list[Run], source: list[str], copy: list[str]) -> list[Run]:
    """The same number of matches in fewer runs.

    If only one side has a gap between two runs, the shorter run moves next to the longer one, provided that its words
    match there, too: among several longest common subsequences, the least fragmented one is most likely meant.
    """
    merged: list[Run] = []
    for following in runs:
        run = following
        while merged:
            joined = _joined(merged[-1], run, source, copy)
            if joined is None:
                break
            merged.pop()
            run = joined
        merged.append(run)
    return merged


def _joined(left: Run, right: Run, source: list[str], copy: list[str]) -> Run | None:
    source_gap = right.source - left.source - left.size
    copy_gap = right.copy - left.copy - left.size
    if source_gap and copy_gap:
        return None
    size = left.size + right.size
    if not (source_gap or copy_gap):
        return Run(left.source, left.copy, size)
    if left.size <= right.size:
        at = Run(right.source - left.size, right.copy - left.size, size)
        if source[at.source : right.source] == copy[at.copy : right.copy]:
            return at
    else:
        source_end, copy_end = left.source + left.size, left.copy + left.size
        if source[source_end : source_end + right.size] == copy[copy_end : copy_end + right.size]:
            return Run(left.source, left.copy, size)
    return None


def _longest_common(source: Sequence[str], copy: Sequence[str], offset: int) -> list[int]:
    """The matches of one piece whose copy begins at `offset`: start with all of the copy, then apply each edit."""
    matched = list(range(offset, offset + len(copy)))
    # The types of rapidfuzz declare each element of an edit as str | int.
    edits = cast("list[tuple[str, int, int]]", _editops(source, copy).as_list())
    for kind, at, _ in edits:
        if kind == "delete":
            matched.insert(at, -1)
        else:
            del matched[at]
    return matched


def _by_pieces(source: Sequence[str], copy: Sequence[str]) -> list[int]:
    matched: list[int] = []
    source_at = copy_at = 0
    for source_end, copy_end in [*_agreements(source, copy), (len(source), len(copy))]:
        matched += _longest_common(source[source_at:source_end], copy[copy_at:copy_end], copy_at)
        source_at, copy_at = source_end, copy_end
    return matched


def _agreements(source: Sequence[str], copy: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of positions about `_PIECE` words apart, each in the middle of a few words that both sides have.

    The drift between the two sides is carried along. If they agree nowhere for as long as memory allows, they are cut
    at a fixed distance.
    """
    source_at = copy_at = 0
    longest = int(_MAX_CELLS**0.5)
    target = _PIECE
    while target < len(source):
        place = _agreement(source, copy, target, copy_at + target - source_at, copy_at)
        if place is None and target - source_at > longest:
            place = target, min(len(copy), copy_at + longest)
        if place is not None:
            yield place
            source_at, copy_at = place
        target = max(source_at, target) + _PIECE


def _agreement(
    source: Sequence[str], copy: Sequence[str], target: int, expected: int, floor: int
) -> tuple[int, int] | None:
    for start in range(target, min(target + _PIECE // 4, len(source) - _AGREEING)):
        words = source[start : start + _AGREEING]
        at = max(floor, expected + start - target - _DRIFT) - 1
        try:
            while True:
                at = copy.index(words[0], at + 1, expected + start - target + _DRIFT)
                if copy[at : at + _AGREEING] == words:
                    return start + _AGREEING // 2, at + _AGREEING // 2
        except ValueError:
            continue
    return None
