"""Word-by-word alignment of the model's copy of a text with the text itself.

For answers that repeat their input (tagged words, marks). The copy may omit, add, change and repeat words, and its
white space may differ. Each level handles only what the previous one left unmatched:

1. the same characters apart from white space: they correspond one to one;
2. the same tokens, by normal form: the longest common subsequence (LCS), which covers the whole copy if the copy only
   omits words; of several such subsequences, the one in the fewest runs;
3. inside a gap between matched tokens: first the same characters, tokenized differently; then similar tokens;
4. inside what remains: tokens paired by position, if both sides have equally many.

Level 4 alone never places a mention: it only completes one that also has matched tokens.

The first levels are those of GNER (Ding et al. 2024, `hierarchical_matching`). GNER stops at the LCS: there, a changed
word loses its label, and a mention whose words match far apart is torn.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import regex
from rapidfuzz.distance import Indel

from ner_ray.align._entity import CUTOFF, ROUNDING, entity_at
from ner_ray.align.matching import Run, matching_runs
from ner_ray.config import AlignConfig
from ner_ray.text.normalize import fold
from ner_ray.text.tokens import BLANK, UNSPACED, spans
from ner_ray.types import Alignment, Entity, Mention

_RUN = regex.compile(rf"[^{BLANK}]+")
_MEANINGFUL = regex.compile(r"[\p{L}\p{N}]")
_CHARACTER = regex.compile(rf"(?V1)[{UNSPACED}]\p{{M}}*")
_APART = regex.compile(rf"[\p{{L}}\p{{N}}{BLANK}]")
_MAX_PAIRS = 400  # most similar pairs of one gap that compete with each other; the work grows with their square
_JOINED = 8  # an open gap is compared as one word if it has at most this many tokens per side, on average


class _Segment(NamedTuple):
    """A piece of the copy and the piece of the source that it corresponds to, as half-open ranges of code points.

    `strength` is 1 for equal pieces, the similarity for similar ones, and 0 for pieces paired by position alone.
    """

    copy_start: int
    copy_end: int
    source_start: int
    source_end: int
    strength: float

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """The part that corresponds to `copy[start:end]`: exact if code points map one to one, else the whole piece."""
        if self.strength < 1 or self.copy_end - self.copy_start != self.source_end - self.source_start:
            return self.source_start, self.source_end
        shift = self.source_start - self.copy_start
        return max(start, self.copy_start) + shift, min(end, self.copy_end) + shift


def align_copy(source: str, copy: str, mentions: Sequence[Mention], config: AlignConfig) -> Alignment:
    """Places mentions with offsets into `copy` in `source`; accepts any input, and returns entities sorted by place.

    A mention covers the source from its first to its last matched token. It is unaligned if less than the fraction
    `config.min_matched` of its tokens is matched. `exact` means the same characters apart from white space (which the
    prompt may have changed), and `normalized` the same normal form; everything else is `fuzzy`, and its score is
    multiplied by the similarity of what was named and what was found. A mention without a score gets that similarity
    as its score.
    """
    named = [_trimmed(copy, mention) for mention in mentions]
    segments = _segments(source, copy, [mention for mention in named if mention], config)
    starts = [segment.copy_start for segment in segments]
    ends = [segment.copy_end for segment in segments]
    entities: dict[tuple[int, int, str], Entity] = {}
    unaligned: list[Mention] = []
    for mention, trimmed in zip(mentions, named, strict=True):
        entity = None
        if trimmed is not None:
            touched = segments[bisect_right(ends, trimmed.start) : bisect_left(starts, trimmed.end)]
            entity = _entity(source, copy, trimmed, touched, config)
        if entity is None:
            unaligned.append(mention)
        else:
            entities.setdefault((entity.start, entity.end, entity.label), entity)
    return Alignment(tuple(entities[key] for key in sorted(entities)), tuple(unaligned))


@dataclass(frozen=True, slots=True)
class _Named:
    """A mention with its place in the copy, without white space at its ends."""

    start: int
    end: int
    mention: Mention


def _trimmed(copy: str, mention: Mention) -> _Named | None:
    """The mention with the text that the copy has there; None if that is empty or white space."""
    if mention.start is None or mention.end is None:
        return None
    start, end = max(0, mention.start), min(len(copy), mention.end)
    surface = copy[start:end]
    if not surface or surface.isspace():
        return None
    start += len(surface) - len(surface.lstrip())
    surface = surface.strip()
    return _Named(start, start + len(surface), replace(mention, text=surface))


def _entity(source: str, copy: str, named: _Named, touched: list[_Segment], config: AlignConfig) -> Entity | None:
    kept = _together(_unbridged(source, copy, touched), 2 * (named.end - named.start) + 1)
    if not _is_enough(copy, named, kept, config.min_matched):
        return None
    begin = kept[0].to_source(named.start, named.end)[0]
    finish = kept[-1].to_source(named.start, named.end)[1]
    return entity_at(source, begin, finish, named.mention, config, listed=False)


def _unbridged(source: str, copy: str, touched: list[_Segment]) -> list[_Segment]:
    """The part with the most matches, the first of equals; words that the copy skipped separate the parts."""
    cuts = [k for k, (left, right) in enumerate(pairwise(touched), start=1) if _skipped(source, copy, left, right)]
    if not cuts:
        return touched
    parts = [touched[start:end] for start, end in pairwise([0, *cuts, len(touched)])]
    return max(parts, key=lambda part: sum(segment.strength for segment in part))


def _skipped(source: str, copy: str, left: _Segment, right: _Segment) -> bool:
    """Whether the source has something between two segments that the copy left out.

    If both segments match, two kinds of gap do not count: signs that tokenization drops, without white space around
    them (`U S` for `U.S`), and a single character of a script without spaces, since it is part of a word.
    """
    gap = source[left.source_end : right.source_start]
    if not gap.strip() or copy[left.copy_end : right.copy_start].strip():
        return False
    if 0 in (left.strength, right.strength):
        return True
    return _APART.search(gap) is not None and _CHARACTER.fullmatch(gap) is None


def _together(touched: list[_Segment], longest: int) -> list[_Segment]:
    """The segments without those that matched far away: cut at the widest gap while the span is too long."""
    while len(touched) > 1 and touched[-1].source_end - touched[0].source_start > longest:
        gaps = [right.source_start - left.source_end for left, right in pairwise(touched)]
        if max(gaps) <= 1:
            break
        cut = gaps.index(max(gaps)) + 1
        touched = max(touched[:cut], touched[cut:], key=_weight)
    return touched


def _weight(segments: Sequence[_Segment]) -> float:
    return sum(segment.strength * (segment.copy_end - segment.copy_start) for segment in segments)


def _is_enough(copy: str, named: _Named, kept: Sequence[_Segment], share: float) -> bool:
    """Whether enough tokens of the mention are matched, including one with a letter or digit if the mention has any."""
    start, end, surface = named.start, named.end, named.mention.text
    solid = [segment for segment in kept if segment.strength > 0]
    if not solid:
        return False
    if _MEANINGFUL.search(surface) and not any(
        _MEANINGFUL.search(copy, max(start, segment.copy_start), min(end, segment.copy_end)) for segment in solid
    ):
        return False
    tokens = [(start + left, start + right) for left, right in spans(surface)]
    matched = sum(
        any(segment.copy_start < right and left < segment.copy_end for segment in solid) for left, right in tokens
    )
    return matched >= share * len(tokens)


def _segments(source: str, copy: str, mentions: Sequence[_Named], config: AlignConfig) -> list[_Segment]:
    """The pieces of the copy with the pieces of the source that they correspond to, in order."""
    if source == copy:
        return [_Segment(0, len(copy), 0, len(source), 1.0)]
    source_runs = [match.span() for match in _RUN.finditer(source)]
    copy_runs = [match.span() for match in _RUN.finditer(copy)]
    if _joined(source, source_runs) == _joined(copy, copy_runs):
        return list(_walk(source_runs, copy_runs))
    return _Tokens.of(source, copy, config).segments(mentions, config)


def _joined(text: str, places: Sequence[tuple[int, int]]) -> str:
    return "".join([text[start:end] for start, end in places])


def _walk(source: Sequence[tuple[int, int]], copy: Sequence[tuple[int, int]]) -> Iterator[_Segment]:
    """Segments that map two lists of ranges one to one; both must hold the same number of code points."""
    left, right = iter(source), iter(copy)
    source_start = source_end = copy_start = copy_end = 0
    while True:
        if source_start == source_end:
            source_start, source_end = next(left, (0, 0))
        if copy_start == copy_end:
            copy_start, copy_end = next(right, (0, 0))
        size = min(source_end - source_start, copy_end - copy_start)
        if size == 0:
            return
        yield _Segment(copy_start, copy_start + size, source_start, source_start + size, 1.0)
        source_start += size
        copy_start += size


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Both texts cut into tokens, and the forms by which tokens are compared; each list is parallel to its spans."""

    source: str
    copy: str
    source_spans: list[tuple[int, int]]
    copy_spans: list[tuple[int, int]]
    source_keys: list[str]
    copy_keys: list[str]

    @classmethod
    def of(cls, source: str, copy: str, config: AlignConfig) -> _Tokens:
        source_spans, copy_spans = spans(source), spans(copy)
        key = _key if config.normalize else str
        return cls(
            source,
            copy,
            source_spans,
            copy_spans,
            [key(source[start:end]) for start, end in source_spans],
            [key(copy[start:end]) for start, end in copy_spans],
        )

    def segments(self, mentions: Sequence[_Named], config: AlignConfig) -> list[_Segment]:
        runs = matching_runs(self.source_keys, self.copy_keys)
        runs = self._tightened(runs, mentions)
        budget = config.fuzzy_budget
        segments: list[_Segment] = []
        # The next token not yet covered, on each side; the empty run at the end closes the last gap.
        source_at = copy_at = 0
        for run in [*runs, Run(len(self.source_keys), len(self.copy_keys), 0)]:
            if run.source > source_at and run.copy > copy_at:
                gap = _Gap(self, source_at, run.source, copy_at, run.copy)
                allowed = config.fuzzy and gap.cells <= budget
                budget -= gap.cells if allowed else 0
                segments.extend(gap.segments(config.threshold if allowed else None))
            segments.extend(self._equal(run))
            source_at, copy_at = run.source + run.size, run.copy + run.size
        return segments

    def _equal(self, run: Run) -> Iterator[_Segment]:
        for offset in range(run.size):
            yield _Segment(*self.copy_spans[run.copy + offset], *self.source_spans[run.source + offset], 1.0)

    def _tightened(self, runs: list[Run], mentions: Sequence[_Named]) -> list[Run]:
        """Runs shifted so that a mention whose words are adjacent in the copy is contiguous in the source, if possible.

        Where two runs touch in the copy but not in the source, the border between them can slide as far as the tokens
        still agree. That matters only if the border falls inside a mention.
        """
        ends = [end for _, end in self.copy_spans]
        starts = [start for start, _ in self.copy_spans]
        # Each token index of the copy at which a border would split a mention -> the mention's token range.
        inner: dict[int, tuple[int, int]] = {}
        for mention in mentions:
            first, stop = bisect_right(ends, mention.start), bisect_left(starts, mention.end)
            inner.update(dict.fromkeys(range(first + 1, stop), (first, stop)))
        if not inner:
            return runs
        moved = runs[:1]
        for run in runs[1:]:
            left = moved.pop()
            if left.copy + left.size == run.copy and run.copy in inner:
                moved.extend(self._slid(left, run, *inner[run.copy]))
            else:
                moved.extend((left, run))
        return [run for run in moved if run.size]

    def _slid(self, left: Run, right: Run, first: int, stop: int) -> tuple[Run, Run]:
        back = right.copy - max(first, left.copy)
        if self.source_keys[right.source - back : right.source] == self.copy_keys[right.copy - back : right.copy]:
            return left._replace(size=left.size - back), Run(right.source - back, right.copy - back, right.size + back)
        ahead = min(stop, right.copy + right.size) - right.copy
        at = left.source + left.size
        if self.source_keys[at : at + ahead] == self.copy_keys[right.copy : right.copy + ahead]:
            return left._replace(size=left.size + ahead), Run(
                right.source + ahead, right.copy + ahead, right.size - ahead
            )
        return left, right


@dataclass(frozen=True, slots=True)
class _Gap:
    """The unmatched tokens of both sides between two matches, as half-open ranges of token indices."""

    tokens: _Tokens
    source_start: int
    source_end: int
    copy_start: int
    copy_end: int

    @property
    def cells(self) -> int:
        return (self.source_end - self.source_start) * (self.copy_end - self.copy_start)

    def segments(self, threshold: float | None) -> Iterator[_Segment]:
        """The correspondences inside the gap; without a threshold, only equal text that is tokenized differently."""
        source = self.tokens.source_spans[self.source_start : self.source_end]
        copy = self.tokens.copy_spans[self.copy_start : self.copy_end]
        if _joined(self.tokens.source, source) == _joined(self.tokens.copy, copy):
            yield from _walk(source, copy)
        elif "".join(self._source_keys()) == "".join(self._copy_keys()):
            yield self.whole(1.0)
        elif threshold is not None:
            at = self.source_start, self.copy_start
            for i, j, similarity in _similar(self._source_keys(), self._copy_keys(), threshold):
                pair = replace(
                    self,
                    source_start=self.source_start + i,
                    source_end=self.source_start + i + 1,
                    copy_start=self.copy_start + j,
                    copy_end=self.copy_start + j + 1,
                )
                between = replace(
                    self,
                    source_start=at[0],
                    source_end=pair.source_start,
                    copy_start=at[1],
                    copy_end=pair.copy_start,
                )
                yield from between.open_segments(threshold)
                yield pair.whole(similarity)
                at = pair.source_end, pair.copy_end
            yield from replace(self, source_start=at[0], copy_start=at[1]).open_segments(threshold)

    def open_segments(self, threshold: float) -> Iterator[_Segment]:
        """What remains, without any similar pair of tokens: one word cut in two, or tokens paired by position."""
        if not self.cells:
            return
        source, copy = self._source_keys(), self._copy_keys()
        if 2 < len(source) + len(copy) <= 2 * _JOINED:
            similarity = _similarity("".join(source), "".join(copy), threshold)
            if similarity > 0:
                yield self.whole(similarity)
                return
        if len(source) == len(copy):
            for offset in range(len(source)):
                yield _Segment(
                    *self.tokens.copy_spans[self.copy_start + offset],
                    *self.tokens.source_spans[self.source_start + offset],
                    0.0,
                )

    def whole(self, strength: float) -> _Segment:
        source, copy = self.tokens.source_spans, self.tokens.copy_spans
        return _Segment(
            copy[self.copy_start][0],
            copy[self.copy_end - 1][1],
            source[self.source_start][0],
            source[self.source_end - 1][1],
            strength,
        )

    def _source_keys(self) -> list[str]:
        return self.tokens.source_keys[self.source_start : self.source_end]

    def _copy_keys(self) -> list[str]:
        return self.tokens.copy_keys[self.copy_start : self.copy_end]


def _similarity(left: str, right: str, threshold: float) -> float:
    """The similarity of two forms, or 0 below the threshold."""
    similarity = Indel.normalized_similarity(left, right, score_cutoff=threshold - CUTOFF)
    return similarity if similarity >= threshold - ROUNDING else 0.0


@lru_cache(maxsize=65536)
def _key(token: str) -> str:
    """The normal form of a token, or the token itself if nothing of it is left in normal form."""
    return fold(token) or token


def _similar(source: list[str], copy: list[str], threshold: float) -> list[tuple[int, int, float]]:
    """Pairs of similar tokens as (source index, copy index, similarity): increasing on both sides, highest total."""
    pairs = [
        (i, j, similarity)
        for i, left in enumerate(source)
        for j, right in enumerate(copy)
        if (similarity := _similarity(left, right, threshold)) > 0
    ]
    if len(pairs) > _MAX_PAIRS:
        pairs = sorted(sorted(pairs, key=lambda pair: -pair[2])[:_MAX_PAIRS])
    # Heaviest increasing chain: for each pair, the best total of a chain that ends there, and the pair before it.
    totals: list[tuple[float, int]] = []
    for index, (i, j, similarity) in enumerate(pairs):
        before = [(totals[k][0], k) for k in range(index) if pairs[k][0] < i and pairs[k][1] < j]
        total, previous = max(before, default=(0.0, -1))
        totals.append((total + similarity, previous))
    chosen: list[tuple[int, int, float]] = []
    at = max(range(len(totals)), key=lambda k: totals[k][0], default=-1)
    while at >= 0:
        chosen.append(pairs[at])
        at = totals[at][1]
    return chosen[::-1]
