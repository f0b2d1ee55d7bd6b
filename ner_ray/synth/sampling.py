"""Which passages go to the teacher: by rate or by count, seeded, and on request evenly over sources.

Every passage has a fixed number in [0, 1), determined by its id and the seed, and the smallest numbers are taken. So
the choice depends neither on the order nor on the number of machines, and a larger sample contains the smaller one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal


def lot(passage_id: str, seed: int) -> float:
    """The passage's number in [0, 1); a sample with a given rate has the passages whose numbers are below that rate."""
    content = f"{seed}:{passage_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) / 2**64


def quotas(
    sizes: Mapping[str, int], count: int, spread: Literal["proportional", "even"] = "proportional"
) -> dict[str, int]:
    """How many passages to take from each source, `count` in total or all there are.

    proportional: by the source's size; the remainder goes to the largest fractions. even: equally many from each;
    small sources give all they have, and the others share the rest.

    >>> quotas({"a": 3, "b": 100, "c": 100}, 43, "even")
    {'a': 3, 'b': 20, 'c': 20}
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


def _even(sizes: Mapping[str, int], wanted: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for left, name in zip(
        range(len(sizes), 0, -1), sorted(sizes, key=lambda source: (sizes[source], source)), strict=True
    ):
        found[name] = min(sizes[name], (wanted - sum(found.values())) // left)
    return found
