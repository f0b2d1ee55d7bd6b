"""Several samples of an answer merged into one alignment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ner_ray.align._entity import ROUNDING
from ner_ray.config import VoteConfig
from ner_ray.types import Alignment, Entity, Mention, SpanStatus

_Key = tuple[int, int, str]
_STATUSES = list(SpanStatus)  # from the most to the least certain


def join(alignments: Sequence[Alignment], config: VoteConfig) -> Alignment:
    """The alignment that the samples yield together, sorted by place.

    agreement: a span with its label is kept if and only if at least the fraction `min_agreement` of the samples have
    it; its score is the mean of their scores times its agreement. Of two kept spans that overlap and that no sample
    has together, the one with the greater agreement stays, then the longer one; spans that some sample has together
    (from a family that nests) both stay. A single sample is returned unchanged.

    longest: the union of CascadeNER (`merge_entities` in its `infer.py`): spans are added in the order of the samples;
    a span that overlaps one already there replaces the first such span if it is longer, and is dropped otherwise.
    Votes are ignored, scores are left as they are, and overlaps may remain.

    Unaligned mentions are voted on in the same way under `agreement`, and all kept under `longest`.
    """
    if len(alignments) <= 1 and config.method == "agreement":
        return alignments[0] if alignments else Alignment(())
    if config.method == "longest":
        return _longest(alignments)
    return _agreed(alignments, config.min_agreement)


def _longest(alignments: Sequence[Alignment]) -> Alignment:
    merged: list[Entity] = []
    for entity in (entity for alignment in alignments for entity in alignment.entities):
        rival = next((k for k, other in enumerate(merged) if _overlap(entity, other)), None)
        if rival is None:
            merged.append(entity)
        elif entity.end - entity.start > merged[rival].end - merged[rival].start:
            merged[rival] = entity
    unaligned = tuple(mention for alignment in alignments for mention in alignment.unaligned)
    return Alignment(tuple(sorted(merged, key=_key)), unaligned)


def _agreed(alignments: Sequence[Alignment], least: float) -> Alignment:
    samples = [{_key(entity): entity for entity in alignment.entities} for alignment in alignments]
    votes = Counter(key for sample in samples for key in sample)
    needed = least * len(alignments) - ROUNDING
    ranked = sorted(
        (key for key, count in votes.items() if count >= needed),
        key=lambda key: (-votes[key], key[0] - key[1], key),
    )
    kept: list[_Key] = []
    for key in ranked:
        if not any(_overlap_keys(key, other) and not _together(samples, key, other) for other in kept):
            kept.append(key)
    entities = [_joined([sample[key] for sample in samples if key in sample], len(samples)) for key in sorted(kept)]
    return Alignment(tuple(entities), _unaligned(alignments, needed))


def _joined(found: Sequence[Entity], samples: int) -> Entity:
    agreement = len(found) / samples
    scores = [entity.score for entity in found if entity.score is not None]
    score = agreement * sum(scores) / len(scores) if scores else agreement
    best = min(found, key=lambda entity: _STATUSES.index(entity.status))
    return replace(best, score=score)


def _unaligned(alignments: Sequence[Alignment], needed: float) -> tuple[Mention, ...]:
    """Unaligned mentions that enough samples have; a repetition within a sample counts as a separate mention."""
    votes: Counter[tuple[str, str, int]] = Counter()
    first: dict[tuple[str, str, int], Mention] = {}
    for alignment in alignments:
        seen: Counter[tuple[str, str]] = Counter()
        for mention in alignment.unaligned:
            kind = mention.text, mention.label
            key = (*kind, seen[kind])
            seen[kind] += 1
            votes[key] += 1
            first.setdefault(key, mention)
    return tuple(mention for key, mention in first.items() if votes[key] >= needed)


def _key(entity: Entity) -> _Key:
    return entity.start, entity.end, entity.label


def _overlap(first: Entity, second: Entity) -> bool:
    return first.start < second.end and second.start < first.end


def _overlap_keys(first: _Key, second: _Key) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _together(samples: Sequence[dict[_Key, Entity]], first: _Key, second: _Key) -> bool:
    return any(first in sample and second in sample for sample in samples)
