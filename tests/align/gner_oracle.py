"""GNER's alignment of tagged words with source words, written anew from its description, as an oracle.

Three levels (Ding et al. 2024, "Rethinking Negative Instances for Generative Named Entity Recognition"): equal
lists; the copy a subsequence of the source; else the longest common subsequence, as a longest increasing
subsequence over the pairs of equal words, by patience piles with binary search: O(K log K) for K pairs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

PileSearch = Callable[[list[int], int], int]


def match_words(source: Sequence[str], copy: Sequence[str], search: PileSearch | None = None) -> list[int]:
    """For each source word the index of the copied word it is matched with, or -1.

    Args:
        source: the words of the text.
        copy: the words of the answer.
        search: finds the leftmost pile whose top is not below a value. Default: a binary search in Python, as
            in the released code; `bisect.bisect_left` does the same in C.
    """
    if list(source) == list(copy):
        return list(range(len(source)))
    greedy = _subsequence(source, copy)
    return longest_common(source, copy, search or _search) if greedy is None else greedy


def longest_common(source: Sequence[str], copy: Sequence[str], search: PileSearch = bisect_left) -> list[int]:
    """The third level alone."""
    places: dict[str, list[int]] = {}
    for index in range(len(copy) - 1, -1, -1):
        places.setdefault(copy[index], []).append(index)
    rows: list[int] = []
    columns: list[int] = []
    for row, word in enumerate(source):
        for column in places.get(word, ()):
            rows.append(row)
            columns.append(column)
    tops: list[int] = []
    newest: list[int] = []  # of each pile, the pair on top
    before = [-1] * len(rows)
    for pair, column in enumerate(columns):
        pile = search(tops, column)
        if pile == len(tops):
            tops.append(column)
            newest.append(pair)
        else:
            tops[pile] = column
            newest[pile] = pair
        if pile:
            before[pair] = newest[pile - 1]
    matched = [-1] * len(source)
    pair = newest[-1] if newest else -1
    while pair >= 0:
        matched[rows[pair]] = columns[pair]
        pair = before[pair]
    return matched


def _subsequence(source: Sequence[str], copy: Sequence[str]) -> list[int] | None:
    matched = [-1] * len(source)
    index = 0
    for row, word in enumerate(source):
        if index == len(copy):
            break
        if word == copy[index]:
            matched[row] = index
            index += 1
    return matched if index == len(copy) else None


def _search(tops: list[int], value: int) -> int:
    if not tops or tops[-1] < value:
        return len(tops)
    low, high = 0, len(tops) - 1
    while low < high:
        middle = (low + high) // 2
        if tops[middle] >= value:
            high = middle
        else:
            low = middle + 1
    return low
