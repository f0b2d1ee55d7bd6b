"""Make the starter model's training file from several annotated corpora, varied by swaps, case and noise.

For example:

    ner-ray train mixture train/data/starter folder=data output=starter.jsonl
"""

from __future__ import annotations

from ner_ray.commands.train.prepare import Result, show
from ner_ray.train.mixture import MixtureConfig

__all__ = ["Config", "Result", "run", "show"]

Config = MixtureConfig


def run(config: MixtureConfig) -> Result:
    """Writes the training file; raises what `ner_ray.train.mixture.prepare_mixture` raises."""
    from ner_ray.train.mixture import prepare_mixture

    return Result(prepare_mixture(config))
