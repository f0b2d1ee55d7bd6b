"""Long documents cut into overlapping chunks that fit into a model's context.

Units (sentences, or pieces of sentences that are too long, cut between words) are packed into chunks up to a token
budget. The tokenizer gets many units at once and never a very long one, so the whole takes near-linear time on any
text. The sum over a chunk's units only estimates its number of tokens, so the chunks themselves are counted at the
end, and packed more tightly in the rare case that one exceeds the budget.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import regex

from ner_ray.text import sentences
from ner_ray.text.tokens import spans as token_spans
from ner_ray.types import Chunk

CountTokens = Callable[[list[str]], list[int]]

# A piece of text with more characters than this per token of the budget is cut without asking the tokenizer: English
# has 4 to 5 characters per token, and the most compressible prose fewer than 8.
_CHARACTERS_PER_TOKEN = 8
_WINDOW = 128  # characters before a cut in which a good place is searched for
_AHEAD = 8  # characters after it, which tell whether it is inside a word or a grapheme
_PIECES = 3  # pieces of a long sentence per chunk: more would fill chunks better, but make more cuts
_SLACK = 1.1  # factor by which pieces of a long sentence are made smaller than its average suggests
_TIGHTER = 0.95  # extra factor on the target when a chunk over the budget forces tighter packing
_REPACKINGS = 8

_GRAPHEME = regex.compile(r"\X")
_REGIONAL = regex.compile(r"[\U0001F1E6-\U0001F1FF]")


class _Unit(NamedTuple):
    start: int
    end: int
    tokens: int


def split(
    text: str,
    count_tokens: CountTokens,
    budget: int,
    overlap: int,
    language: str | None = None,
) -> list[Chunk]:
    """The chunks of a text, in order, each of at most `budget` tokens; none if the text is blank.

    Spans begin and end with a character that is not white space, and together hold every such character. Cores
    partition the document and meet in the middle of the overlaps; a core lies inside its span, except for the white
    space around it. Neighbours share whole sentences of at most `overlap` tokens; if the last sentence is longer than
    that, they share its last words, about as many tokens. No cut is inside a grapheme (of at most 128 code points);
    only a single grapheme may exceed the budget.

    Args:
        text: any text.
        count_tokens: counts the model's tokens in each of several texts.
        budget: the maximum number of tokens per chunk, at least 1.
        overlap: the maximum number of tokens that two chunks share; at most half of the budget.
        language: ISO 639-1 code; guessed from the script if not given.
    """
    if not text or text.isspace():
        return []
    if len(text) <= _CHARACTERS_PER_TOKEN * budget and count_tokens([text.strip()])[0] <= budget:
        return [_chunks(text, [(0, len(text))])[0]]
    overlap = min(overlap, budget // 2)
    units = _units(text, count_tokens, budget, max(1, (budget - overlap) // _PIECES), language)
    target = float(budget)
    for attempt in range(_REPACKINGS + 1):
        alone = attempt == _REPACKINGS
        ranges = [(u.start, u.end) for u in units] if alone else _pack(text, units, target, overlap)
        chunks = _chunks(text, ranges)
        largest = max(count_tokens([text[chunk.start : chunk.end] for chunk in chunks]))
        if largest <= budget:
            break
        target *= _TIGHTER * budget / largest
    return chunks


def _units(text: str, count_tokens: CountTokens, budget: int, piece: int, language: str | None) -> list[_Unit]:
    """Sentences within the budget, and the others in pieces of about `piece` tokens; they partition the text."""
    longest = _CHARACTERS_PER_TOKEN * budget
    pending: list[tuple[int, int, int]] = []  # start, end, and the maximum number of tokens
    for start, end in sentences.spans(text, language):
        if end - start <= longest:
            pending.append((start, end, budget))
        else:
            pending.extend((*part, piece) for part in _pieces(text, start, end, (end - start) // longest + 1))
    done: list[_Unit] = []
    while pending:
        counts = count_tokens([text[start:end] for start, end, _ in pending])
        too_long: list[tuple[int, int, int]] = []
        for (start, end, most), tokens in zip(pending, counts, strict=True):
            parts = [] if tokens <= most else _pieces(text, start, end, int(_SLACK * tokens / piece) + 1)
            if len(parts) > 1:
                # A piece that came out slightly larger than intended is not cut again.
                too_long.extend((*part, min(budget, 2 * piece)) for part in parts)
            else:
                done.append(_Unit(start, end, tokens))
        pending = too_long
    return sorted(done)


def _pieces(text: str, start: int, end: int, number: int) -> list[tuple[int, int]]:
    """`text[start:end]` in about `number` pieces of about equal length."""
    number = min(number, end - start)
    cuts = [start]
    for index in range(1, number):
        wanted = start + (end - start) * index // number
        if wanted > cuts[-1]:
            cuts.append(cut_before(text, wanted, cuts[-1]))
            if cuts[-1] == cuts[-2]:
                cuts.pop()
    if number > 1 and len(cuts) == 1:
        cuts.append(_first_grapheme(text, start, end))
    return [(a, b) for a, b in zip(cuts, [*cuts[1:], end], strict=True) if a < b]


def _first_grapheme(text: str, start: int, end: int) -> int:
    match = _GRAPHEME.match(text, start, min(end, start + _WINDOW))
    return match.end() if match else end


def cut_before(text: str, position: int, floor: int) -> int:
    """The best place to cut in `(floor, position]`, or `floor` if there is none.

    That is the last start of a word after white space within 128 characters, else the last start of any token, else
    the last start of a grapheme. `floor` must itself be a valid place to cut.
    """
    begin = max(floor, position - _WINDOW)
    run = begin
    while run > floor and _REGIONAL.match(text, run):  # flags are pairs, counted from the first of the run
        run -= 1
    begin -= (begin - run - 1) % 2 if run < begin else 0
    window = text[begin : position + _AHEAD]
    graphemes = {begin + match.start() for match in _GRAPHEME.finditer(window)}
    good = [cut for cut in graphemes if floor < cut <= position]
    if not good:
        return floor if position - floor < _WINDOW else position
    tokens = {begin + start for start, _ in token_spans(window)}
    after_blank = [cut for cut in good if cut in tokens and text[cut - 1].isspace()]
    return max(after_blank or [cut for cut in good if cut in tokens] or good)


def _pack(text: str, units: Sequence[_Unit], budget: float, overlap: int) -> list[tuple[int, int]]:
    """Ranges of characters: each holds as many units as fit, beginning with those shared with the previous range."""
    ranges: list[tuple[int, int]] = []
    first = 0
    while first < len(units):
        begin, used = _shared(text, units, first, min(overlap, budget - units[first].tokens))
        end = first + 1
        used += units[first].tokens
        while end < len(units) and used + units[end].tokens <= budget:
            used += units[end].tokens
            end += 1
        ranges.append((begin, units[end - 1].end))
        first = end
    return ranges


def _shared(text: str, units: Sequence[_Unit], first: int, overlap: float) -> tuple[int, int]:
    """Where the chunk whose first new unit is `first` begins, and how many tokens come before that unit."""
    index, used = first, 0
    while index > 0 and used + units[index - 1].tokens <= overlap:
        index -= 1
        used += units[index].tokens
    if index < first or index == 0 or overlap < 1:
        return units[index].start, used
    start, end, tokens = units[index - 1]
    begin = cut_before(text, end - int((end - start) * overlap / (tokens + 1)), start)
    return (begin, int(overlap)) if start < begin < end else (end, 0)


def _chunks(text: str, ranges: Sequence[tuple[int, int]]) -> list[Chunk]:
    """Chunks of ranges that cover the text in order: white space at the ends is cut off, and cores are assigned."""
    trimmed = [_trim(text, start, end) for start, end in ranges]
    seen = [span for span in trimmed if span[0] < span[1]]
    borders = [
        0,
        *(_border(text, left, right) for left, right in pairwise(seen)),
        len(text),
    ]
    borders = list(accumulate(borders, max))
    return [
        Chunk(start=start, end=end, core_start=core_start, core_end=core_end)
        for (start, end), core_start, core_end in zip(seen, borders, borders[1:], strict=False)
        if core_start < core_end
    ]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return (start + left, start + len(piece.rstrip())) if left < len(piece) else (end, end)


def _border(text: str, left: tuple[int, int], right: tuple[int, int]) -> int:
    """The start of a token that is nearest to the middle of what two neighbours share; its end if there is none."""
    start, end = right[0], left[1]
    if start >= end:
        return start
    middle = (start + end) // 2
    begin = max(start, middle - _WINDOW)
    starts = [begin + span[0] for span in token_spans(text[begin : min(end, middle + _WINDOW)])]
    at = bisect_left(starts, middle)
    near = [cut for cut in starts[max(0, at - 1) : at + 1] if start < cut < end]
    return min(near, key=lambda cut: abs(cut - middle), default=end)
