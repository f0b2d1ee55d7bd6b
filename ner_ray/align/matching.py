"""Two lists of words matched: a longest common subsequence, fast, and in as few runs as it can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from rapidfuzz.distance import LCSseq

_MAX_CELLS = 1 << 30  # the matrix of an LCS takes one bit a cell: 128 MiB
_SHORT = 250 * 250  # pairs of words up to which pieces do not pay
_PIECE = 120  # words of a piece: two machine words of the bit-parallel algorithm
_AGREEING = 6  # words that agree where two pieces meet
_DRIFT = 40  # words around the expected place that are searched for them

_editops = LCSseq.editops  # looked up once: a short sentence is matched in two microseconds


class Run(NamedTuple):
    """Equal tokens: `size` of the source from `source`, of the copy from `copy`."""

    source: int
    copy: int
    size: int


def match_words(source: Sequence[str], copy: Sequence[str]) -> list[int]:
    """For each source word the index of the copied word it is matched with, or -1; indices increase.

    As many as can be are matched: a longest common subsequence. Long lists are first matched piece by piece
    between places where they agree, which is proven to have lost nothing, or else done again as a whole
    (only beyond 2**30 pairs of words, where the memory for that is missing, the pieces stand as they are).
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
    """The matches of `match_words` as runs of neighbours, as few as there can be for the same number."""
    return _contiguous(_runs(source, copy), source, copy)


def _runs(source: list[str], copy: list[str]) -> list[Run]:
    """`match_words`, as runs of neighbours."""
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

    Where a run can move as a whole next to its longer neighbour, over a gap on one side alone, it does: of
    several longest common subsequences the least torn one is meant.
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
    """The matches of one piece whose copy begins at `offset`: all of the copy, corrected by each edit."""
    matched = list(range(offset, offset + len(copy)))
    # The types of rapidfuzz have the tuples of an edit as str | int throughout.
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
    """Places about `_PIECE` words apart, each in the middle of a few words that both sides have.

    The drift between the sides is carried along; where they agree nowhere near for as long as memory allows,
    they are divided by proportion.
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
