"""A training file for any family: varied sentences of several corpora, asked for label sets drawn anew for each line.

A family that finds entities first and classifies them then (`cascade`) is asked for both: for the entities of any type
in most lines, and for the label of one entity in the others.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ner_ray.annotator.spec import family_steps
from ner_ray.data.training import TrainingRow, json_line
from ner_ray.families.base import Step
from ner_ray.train.mixture.config import MixtureConfig
from ner_ray.train.mixture.label_sets import LabelSets
from ner_ray.train.mixture.pools import Pools
from ner_ray.train.mixture.practice import Practice
from ner_ray.train.prepare import Prepared
from ner_ray.types import Entity, Label, StepInput

_CLASSIFIER = "classifier"


def prepare_mixture(config: MixtureConfig) -> Prepared:
    """Writes the training file; the same configuration and sources give the same bytes.

    Raises:
        ConfigError: no such family or option.
        InputError: a source cannot be read.
    """
    mixture = _Mixture(config)
    counts: Counter[str] = Counter()
    target = Path(config.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    with unfinished.open("w", encoding="utf-8") as file:
        while counts.total() < config.examples:
            for kind, line in mixture.draw():
                counts[kind] += 1
                file.write(line + "\n")
    unfinished.replace(target)
    found = mixture.pools.counts
    return Prepared(
        output=str(target),
        rows=mixture.pools.size,
        rejected=found.rejected,
        too_long=found.left_out,
        dropped=found.dropped,
        examples=dict(sorted(counts.items())),
        left_out=dict(mixture.unsaid),
    )


class _Mixture:
    """The lines of a training file, without end."""

    def __init__(self, config: MixtureConfig) -> None:
        steps = {step.role: step for step in family_steps(config.family)}
        self._classifier = steps.pop(_CLASSIFIER, None)
        self._tagger = next(iter(steps.values()))
        self._config = config
        self._rng = random.Random(config.seed)  # noqa: S311 - data, not secrets
        self.pools = Pools(config, self._rng)
        self._label_sets = LabelSets(config, self._rng)
        self._practice = Practice(config, self.pools, self._rng)
        self.unsaid: Counter[str] = Counter()

    def draw(self) -> Iterator[tuple[str, str]]:
        """The lines of one text, each with its kind; none where the text has nothing to ask about."""
        chance, config = self._rng.random(), self._config
        if chance < config.copying_share:
            text = self._practice.draw()
            return self._lines("copying", self._tagger, text.text, (), text.entities)
        if self._classifier and chance < config.copying_share + config.classifier_share:
            return self._question(self._classifier)
        source, sentence = self.pools.draw_joined()
        if self._classifier:  # which finds out the type, so the tagger is not asked for any
            return self._lines(self._tagger.role, self._tagger, sentence.text, (), sentence.entities)
        labels, entities = self._label_sets.draw(source, sentence)
        return self._lines(self._tagger.role, self._tagger, sentence.text, labels, entities)

    def _question(self, classifier: Step) -> Iterator[tuple[str, str]]:
        source, sentence = self.pools.draw()
        if not sentence.entities:
            return iter(())
        labels, entities = self._label_sets.draw(source, sentence)
        if not entities or len(labels) < 2:
            return iter(())
        one = (self._rng.choice(entities),)
        return self._lines(_CLASSIFIER, classifier, sentence.text, labels, one, self._config.classifier_weight)

    def _lines(
        self,
        kind: str,
        step: Step,
        text: str,
        labels: Sequence[str],
        entities: Sequence[Entity],
        weight: float = 1.0,
    ) -> Iterator[tuple[str, str]]:
        """The lines that teach a step's answers; what the answers cannot say is counted."""
        targets = step.targets(StepInput(text, tuple(map(Label, labels))), entities)
        self.unsaid.update(left_out.reason for left_out in targets.left_out)
        for exchange in targets.exchanges:
            answer = exchange.completions[0].text
            yield kind, json_line(TrainingRow.question(exchange.prompt.content, answer, weight=weight))
