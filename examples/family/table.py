"""A model family of your own: asks for a table with a row `entity | type` per entity."""

from dataclasses import dataclass

from ner_ray.families.base import FamilyOptions
from ner_ray.families.toolkit.labels import names, resolve
from ner_ray.families.toolkit.targets import listed
from ner_ray.families.toolkit.transcript import read_samples, settle
from ner_ray.types import Mention, Message, Prompt, Reading

ASK = "List all entities, one `entity | type` per line. Types: "


class Options(FamilyOptions):
    """Nothing to set but what every family has."""


def steps(options):
    return (Table(options),)


@dataclass(frozen=True)
class Table:
    options: Options
    role: str = "tagger"

    def ask(self, passage, transcript):
        if transcript or not passage.text.strip():
            return []
        question = f"{ASK}{', '.join(names(passage.labels))}\n\n{passage.text}"
        return [Prompt((Message("user", question),))]

    def read(self, passage, transcript):
        known = names(passage.labels)
        return read_samples(transcript, lambda _, completion: self._read(completion, known), text=passage.text)

    def targets(self, passage, gold):
        return listed(self, passage, gold, names(passage.labels), self._answer)

    def _read(self, completion, known):
        found, dropped = [], []
        for surface, bar, name in (row.rpartition(" | ") for row in completion.text.splitlines()):
            label = resolve(name, known, self.options.outside_labels).label
            if bar and surface.strip():
                (found if label else dropped).append(Mention(surface.strip(), label or name))
        return Reading(tuple(found), settle(completion), dropped=tuple(dropped))

    def _answer(self, prompt, gold):
        return "\n".join(f"{entity.text} | {entity.label}" for entity in gold)
