"""Which passages go to the teacher: by rate or by count, seeded, evenly over sources where asked for.

Every passage has a fixed number in [0, 1) that its id and the seed decide, and the smallest numbers are taken. So a
passage's fate depends neither on the order nor on the number of machines, and a larger sample holds the smaller one.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal


def lot(passage_id: str, seed: int) -> float:
    """The passage's number in [0, 1); one below a rate is in a sample of that rate."""
    content = f"{seed}:{passage_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) / 2**64


def quotas(
    sizes: Mapping[str, int], count: int, spread: Literal["proportional", "even"] = "proportional"
) -> dict[str, int]:
    """How many passages each source gives so that they are `count` together, or all there are.

    proportional: by a source's size, what is left over to the largest remainders. even: the same of each, where small
    sources give all they have and the others share what is left.
    """
    wanted = min(count, sum(sizes.values()))
    if spread == "even":
        return _even(sizes, wanted)
    total = sum(sizes.values()) or 1
    found = {name: wanted * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(wanted * sizes[name] % total), name))
    for name in by_remainder[: wanted - sum(found.values())]:
        found[name] += 1
    return found


def sample(
    passages: Iterable[tuple[str, str]],
    count: int,
    seed: int,
    spread: Literal["proportional", "even"] = "proportional",
) -> set[str]:
    """The ids of the passages that are taken.

    Args:
        passages: id and source of each; one source for all means that they are not stratified.
        count: how many to take.
        seed: decides which.
        spread: how they are divided among the sources.
    """
    by_source: dict[str, list[str]] = defaultdict(list)
    for passage_id, source in passages:
        by_source[source].append(passage_id)
    share = quotas(Counter({source: len(ids) for source, ids in by_source.items()}), count, spread)
    return {
        passage_id
        for source, ids in by_source.items()
        for passage_id in heapq.nsmallest(share[source], ids, key=lambda one: (lot(one, seed), one))
    }


def _even(sizes: Mapping[str, int], wanted: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for left, name in zip(range(len(sizes), 0, -1), sorted(sizes, key=lambda one: (sizes[one], one)), strict=True):
        found[name] = min(sizes[name], (wanted - sum(found.values())) // left)
    return found
