"""The figures of a run's committed documents, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ner_ray.store.tally import Tally


def figures(tally: Tally) -> dict[str, str]:
    """Counts by name."""
    counts = {
        "documents": tally.documents,
        "entities": tally.entities,
        "failed": tally.statuses["failed"],
        "partial": tally.statuses["partial"],
        "unaligned": tally.unaligned,
    }
    shares = {name: f" ({tally.share(name):.1%})" for name in ("failed", "partial") if tally.statuses[name]}
    return {name: f"{number:,}{shares.get(name, '')}" for name, number in counts.items()}
