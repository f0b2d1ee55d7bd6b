r"""The contract of a model family.

A family says how a model wants to be asked about entities and how its answers are read. It is a module of this package,
or one that another distribution registers as an entry point in the group `ner_ray.families`. `FamilyModule` lists what
the module defines; `ner_ray.families.toolkit` has what families are built from.

A single-pass family has one step, with the role `tagger`; CascadeNER has two, `extractor` and `classifier`. A step is a
pair of pure functions over the transcript of what was asked and answered. So an answer can be read again later without
a model, and follow-up questions need no state.

A complete family, which asks one question per label and expects one mention per line:

    class Options(FamilyOptions):
        polite: bool = Field(default=True, description="Begin with `Please`.")

    def steps(options: Options) -> tuple[Step, ...]:
        return (Lines(options),)

    @dataclass(frozen=True, slots=True)
    class Lines:
        options: Options
        role: str = "tagger"

        def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
            if transcript or not passage.text.strip():
                return []
            please = "Please list" if self.options.polite else "List"
            return [
                Prompt((Message("user", f"{please} every {name}, one per line:\n{passage.text}"),), subject=name)
                for name in names(passage.labels)
            ]

        def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
            return read_samples(transcript, self._read, text=passage.text)

        def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
            return listed(self, passage, gold, names(passage.labels), self._answer)

        def _read(self, prompt: Prompt, completion: Completion) -> Reading:
            lines = [line.strip() for line in completion.text.splitlines()]
            return Reading(tuple(Mention(line, prompt.subject) for line in lines if line), settle(completion))

        def _answer(self, prompt: Prompt, gold: Sequence[Entity]) -> str:
            return "\n".join(entity.text for entity in gold if entity.label == prompt.subject)

Two ways to name an entity

Listed mentions, as above, have a text and a label. Where they are in the passage is for the aligner to find.

An answer that repeats the passage with tags or marks tells places too. Its `Reading.copy` is the model's own copy of
the passage: the answer without its tags and marks, otherwise byte for byte as the model wrote it. The offsets of its
mentions point into that copy, so `copy[mention.start:mention.end] == mention.text` must hold. Do not correct the copy:
models skip words and change spelling, and the aligner maps their copy onto the passage.

Several prompts

A step may ask several prompts at once, and further ones once it sees the answers. `Prompt.subject` is how it
recognises them: the pipeline keeps it with each exchange and does not interpret it, so put there whatever it takes to
read the answer (UniversalNER: the label asked for; CascadeNER: the surface asked about). An engine may refuse a prompt,
which leaves its exchange without completions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field

from ner_ray import plugins
from ner_ray.config import Section
from ner_ray.errors import InputError
from ner_ray.types import Entity, Prompt, Reading, StepInput, Targets, Transcript

LabelPolicy = Literal["drop", "keep", "nearest"]


class FamilyOptions(Section):
    """The options that every family has. A family's own `Options` extend them."""

    outside_labels: LabelPolicy = Field(
        default="drop",
        description="What to do with a mention whose label is not in the set: drop it (and count it), keep it, or give "
        "it the nearest label.",
    )


class Step(Protocol):
    """One role's questions about a passage, and what its answers mean."""

    @property
    def role(self) -> str:
        """Which engine answers: `tagger`, `extractor` (mentions without labels) or `classifier` (labels for them)."""
        ...

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """The prompts to send next; an empty list when nothing is left to ask.

        Args:
            passage: the text, the labels, and for a classifier the entities that the extractor found. A text of white
                space alone asks nothing.
            transcript: what was asked and answered so far; empty at first. An exchange that the engine refused has no
                completions and must not be asked again.
        """
        ...

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """What the whole transcript says: one reading per sample, each over all prompts.

        Never fails: an answer that makes no sense gives a reading with the verdict `unparsable` and the answer in
        `errors`. A transcript without exchanges gives one empty reading.
        """
        ...

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """What a perfect model would answer: training data.

        Reading the answers gives back exactly the gold that is not in `Targets.left_out`. There goes what the format
        cannot express, with a reason, and nothing else: whole words that do not overlap, with labels of the set, can
        always be expressed. White space at the ends of an entity does not count.

        Args:
            passage: what is asked about. For a classifier, `gold` takes the place of `passage.entities`.
            gold: entities of the passage in any order; they may overlap.
        """
        ...


class FamilyModule(Protocol):
    """What the module of a family defines."""

    Options: type[FamilyOptions]
    """The family's options, each with a default."""

    def steps(self, options: Any) -> tuple[Step, ...]:
        """The steps in the order in which they run, with distinct roles. `options` is an instance of `Options`."""
        ...


@dataclass(frozen=True, slots=True)
class ChoiceList:
    """The notation of the list with which a question ends.

    >>> notation = ChoiceList(before="list: ", between=", ", after="?")
    >>> notation.split("Which entity in the list: person, place?")
    ('Which entity in the list: ', ('person', 'place'))
    >>> notation.join("Which entity in the list: ", ["ship"])
    'Which entity in the list: ship?'
    """

    before: str
    between: str
    after: str

    def split(self, question: str) -> tuple[str, tuple[str, ...]]:
        """The question up to its list, and the choices.

        Raises:
            InputError: it contains no list.
        """
        stem, found, choices = question.rpartition(self.before)
        if not found:
            hint = f"expected a list after {self.before!r}"
            raise InputError(f"not a classifier's question: {question[:80]!r}", hint=hint)
        listed = choices.removesuffix(self.after).split(self.between.strip())
        return stem + found, tuple(choice.strip() for choice in listed)

    def join(self, stem: str, choices: Sequence[str]) -> str:
        """The question with these choices."""
        return f"{stem}{self.between.join(choices)}{self.after}"

    def can_hold(self, choice: str) -> bool:
        """Whether a choice in the list is read as one choice."""
        return self.between.strip() not in choice and bool(choice.strip())


@dataclass(frozen=True, slots=True)
class ChoiceQuestions:
    """A classifier's questions for training that end with a list of choices.

    Attributes:
        classifier: the step that asks them.
        system: the system turn before each question; empty: none.
        show: returns a label's name as the list shows it.
        notation: of the list.
    """

    classifier: Step
    system: str
    show: Callable[[str], str]
    notation: ChoiceList


@runtime_checkable
class ChoiceModule(Protocol):
    """What a family also defines if its classifier's questions end with a list, which `ner-ray synth` can then vary."""

    def choice_questions(self, options: Mapping[str, Any]) -> ChoiceQuestions:
        """The questions under these options of the family; by default, in the wording of its training data."""
        ...


CONTRACT: plugins.Contract[FamilyModule] = plugins.Contract("families", "family", FamilyModule)


def load(name: str) -> FamilyModule:
    """The module of a family.

    Raises:
        ConfigError: there is no such family, or its module does not define what `FamilyModule` lists.
    """
    return CONTRACT.load(name)
