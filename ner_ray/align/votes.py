"""Several samples of an answer merged into one placement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ner_ray.align._entity import ROUNDING
from ner_ray.config import VoteConfig
from ner_ray.types import Alignment, Entity, Mention, SpanStatus

_Key = tuple[int, int, str]
_STATUSES = list(SpanStatus)  # from the most to the least certain


def join(placements: Sequence[Alignment], config: VoteConfig) -> Alignment:
    """The placement that the samples yield together, sorted by place.

    agreement: a span with its label is kept if and only if at least the fraction `min_agreement` of the samples have
    it; its score is the mean of their scores times its agreement. Of two kept spans that overlap and that no sample
    has together, the one with the greater agreement stays, then the longer one; spans that some sample has together
    (from a family that nests) both stay. A single sample is returned unchanged.

    longest: the union of CascadeNER (`merge_entities` in its `infer.py`): spans are added in the order of the samples;
    a span that overlaps one already there replaces the first such span if it is longer, and is dropped otherwise.
    Votes are ignored, scores are left as they are, and overlaps may remain.

    Unaligned mentions are voted on in the same way under `agreement`, and all kept under `longest`.
    """
    if len(placements) <= 1 and config.method == "agreement":
        return placements[0] if placements else Alignment(())
    if config.method == "longest":
        return _longest(placements)
    return _agreed(placements, config.min_agreement)


def _longest(placements: Sequence[Alignment]) -> Alignment:
    merged: list[Entity] = []
    for entity in (entity for placement in placements for entity in placement.entities):
        rival = next((k for k, other in enumerate(merged) if _overlap(entity, other)), None)
        if rival is None:
            merged.append(entity)
        elif entity.end - entity.start > merged[rival].end - merged[rival].start:
            merged[rival] = entity
    unaligned = tuple(mention for placement in placements for mention in placement.unaligned)
    return Alignment(tuple(sorted(merged, key=_key)), unaligned)


def _agreed(placements: Sequence[Alignment], least: float) -> Alignment:
    samples = [{_key(entity): entity for entity in placement.entities} for placement in placements]
    votes = Counter(key for sample in samples for key in sample)
    needed = least * len(placements) - ROUNDING
    ranked = sorted(
        (key for key, count in votes.items() if count >= needed),
        key=lambda key: (-votes[key], key[0] - key[1], key),
    )
    kept: list[_Key] = []
    for key in ranked:
        if not any(_overlap_keys(key, other) and not _together(samples, key, other) for other in kept):
            kept.append(key)
    entities = [_joined([sample[key] for sample in samples if key in sample], len(samples)) for key in sorted(kept)]
    return Alignment(tuple(entities), _unaligned(placements, needed))


def _joined(found: Sequence[Entity], samples: int) -> Entity:
    agreement = len(found) / samples
    scores = [entity.score for entity in found if entity.score is not None]
    score = agreement * sum(scores) / len(scores) if scores else agreement
    best = min(found, key=lambda entity: _STATUSES.index(entity.status))
    return replace(best, score=score)


def _unaligned(placements: Sequence[Alignment], needed: float) -> tuple[Mention, ...]:
    """Unaligned mentions that enough samples have; a repetition within a sample counts as a separate mention."""
    votes: Counter[tuple[str, str, int]] = Counter()
    first: dict[tuple[str, str, int], Mention] = {}
    for placement in placements:
        seen: Counter[tuple[str, str]] = Counter()
        for mention in placement.unaligned:
            kind = mention.text, mention.label
            key = (*kind, seen[kind])
            seen[kind] += 1
            votes[key] += 1
            first.setdefault(key, mention)
    return tuple(mention for key, mention in first.items() if votes[key] >= needed)


def _key(entity: Entity) -> _Key:
    return entity.start, entity.end, entity.label


def _overlap(one: Entity, other: Entity) -> bool:
    return one.start < other.end and other.start < one.end


def _overlap_keys(one: _Key, other: _Key) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _together(samples: Sequence[dict[_Key, Entity]], one: _Key, other: _Key) -> bool:
    return any(one in sample and other in sample for sample in samples)
