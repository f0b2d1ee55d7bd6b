"""GNER: the model repeats the sentence word by word, with a BIO tag after each word.

Ding et al., "Rethinking Negative Instances for Generative Named Entity Recognition", 2024.
"""

from __future__ import annotations

import bisect
import collections
import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import regex
from pydantic import Field

from ner_ray.families.base import FamilyOptions, LabelPolicy, Step
from ner_ray.families.toolkit.labels import names, resolve
from ner_ray.families.toolkit.targets import in_label_set, verified, without_overlaps
from ner_ray.families.toolkit.template import render, template
from ner_ray.families.toolkit.transcript import read_samples, settle, unparsable
from ner_ray.text.tokens import BLANK, GRAPHEME, UNSPACED
from ner_ray.types import (
    Completion,
    Entity,
    Exchange,
    Mention,
    Message,
    Prompt,
    Reading,
    StepInput,
    Targets,
    Transcript,
)

# Words as the released demo splits them: a run of word characters, hyphenated or not, or any other character.
_RELEASED_WORD = regex.compile(r"\w+(?:[-_]\w+)*|\S")
# The same, but each grapheme of a script without spaces is a word of its own.
_SPACED = rf"[\w--[{UNSPACED}]]"
_WORD = regex.compile(rf"(?V1)(?=[{UNSPACED}]){GRAPHEME}|{_SPACED}+(?:[-_]{_SPACED}+)*|[^{BLANK}]")


class Options(FamilyOptions):
    """GNER's options; the defaults are those of GNER-LLaMA."""

    wrapper: Literal["llama", "t5", "chat"] = Field(
        default="llama",
        description="llama: [INST] ... [/INST]; t5: the bare prompt; chat: a turn in the model's template.",
    )
    dataset: str = Field(default="", description="The name on the `Dataset:` line; empty: no such line, as released.")
    words: Literal["hybrid", "released"] = Field(
        default="hybrid",
        description="hybrid: each character of Chinese, Japanese, Korean, Thai, ... is a word of its own; "
        "released: a whole run of such characters is one word, as in the released demo.",
    )


def steps(options: Options) -> tuple[Step, ...]:
    """One step, `tagger`."""
    return (_Tagger(options),)


@dataclass(frozen=True, slots=True)
class _Tagger:
    options: Options
    role: str = "tagger"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """One prompt, without demonstrations, since the model was trained without them."""
        words = [word for word, _, _ in _words(passage.text, self.options.words)]
        if transcript or not words or not passage.labels:
            return []
        return [self._prompt(passage, words)]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """The words of the answer joined by spaces as `copy`, and the tagged runs in it as mentions.

        A mention's score is the probability of its words and tags.
        """
        known = names(passage.labels)
        return read_samples(
            transcript,
            lambda _, completion: _read(passage.text, completion, known, self.options.outside_labels, self.role),
            text=passage.text,
            role=self.role,
        )

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """Every word with its tag. If gold begins or ends inside a word, prompt and answer cut the word there.

        Tags cannot overlap: an entity that overlaps an earlier one is left out.
        """
        asked, unasked = in_label_set(gold, names(passage.labels))
        kept, overlapping = without_overlaps(asked)
        return verified(
            lambda some: self._tagged(passage, some),
            lambda exchanges: self.read(passage, exchanges),
            passage.text,
            (kept, unasked + overlapping),
        )

    def _tagged(self, passage: StepInput, entities: Sequence[Entity]) -> list[Exchange]:
        if not self.ask(passage, ()):
            return []
        tagged = _tag(list(_cut(_words(passage.text, self.options.words), entities)), entities)
        prompt = self._prompt(passage, [word for word, _ in tagged])
        return [Exchange(prompt, (Completion(" ".join(f"{word}({tag})" for word, tag in tagged)),))]

    def _prompt(self, passage: StepInput, words: Sequence[str]) -> Prompt:
        dataset = self.options.dataset
        text = render(
            template("gner", "prompt"),
            labels=", ".join(names(passage.labels)),
            dataset=render(template("gner", "dataset"), name=dataset) if dataset else "",
            sentence=" ".join(words),
        )
        if self.options.wrapper == "chat":
            return Prompt((Message("user", text),))
        return Prompt(render(template("gner", "wrapper", self.options.wrapper), prompt=text))


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A word of the answer with its tag; `start` and `end` are the offsets in the answer of the two together."""

    word: str
    prefix: str
    label: str
    start: int
    end: int
    odd: bool


@dataclass(slots=True)
class _Run:
    """A run of tagged words that becomes one entity, with offsets into the copy and into the answer."""

    label: str
    start: int
    end: int
    answer_start: int
    answer_end: int


def _read(text: str, completion: Completion, known: Mapping[str, str], policy: LabelPolicy, role: str) -> Reading:
    answer = completion.text
    source = " ".join(word for word, _, _ in _words(text, "hybrid"))
    tagged = list(_tagged_words(answer, source, tuple(known)))
    if not tagged:
        return unparsable(role, completion)
    copy, runs, odd = _runs(tagged, known)
    repairs = {"tags"} if odd or any(word.odd for word in tagged) else set()
    mentions: list[Mention] = []
    dropped: list[Mention] = []
    for run in runs:
        resolved = resolve(run.label, known, policy)
        repairs |= set() if resolved.exact else {"label"}
        mention = Mention(
            text=copy[run.start : run.end],
            label=run.label if resolved.label is None else resolved.label,
            score=completion.probability(run.answer_start, run.answer_end),
            start=run.start,
            end=run.end,
        )
        (dropped if resolved.label is None else mentions).append(mention)
    tail = answer[tagged[-1].end :].strip()
    repairs |= {"surroundings"} if tail else set()
    cut = re.search(r"[(（][^()（）]*$", tail) is not None
    verdict = settle(completion, cut=cut, recovered=bool(repairs))
    return Reading(tuple(mentions), verdict, copy, tuple(dropped), repairs=tuple(sorted(repairs)))


def _tagged_words(answer: str, source: str, labels: tuple[str, ...]) -> Iterator[_Tagged]:
    """The words of an answer with their tags.

    This is more tolerant than the model's own code: it accepts labels with parentheses, words that look like tags (a
    tag is part of the word if another one follows immediately), full-width parentheses, `(o)`, a label without `B-`,
    words that begin with the comma that the prompt shows, and words in brackets.
    """
    matches = list(_tag_pattern(labels).finditer(answer))
    begin = 0
    starts = {match.start() for match in matches}
    for match in matches:
        if match.end() in starts:
            continue
        between = answer[begin : match.start()]
        word, odd = _clean(between, source)
        if word:
            bare = match["bare"]
            prefix = "" if bare else (match["prefix"] or "O").upper()
            odd |= match[0] not in ("(O)", f"({prefix}-{match['label']})")
            start = begin + len(between) - len(between.lstrip())
            yield _Tagged(word, prefix, (bare or match["label"] or "").strip(), start, match.end(), odd)
        begin = match.end()


@functools.lru_cache(maxsize=1024)
def _tag_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    known = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True)) or r"(?!)"
    anything = r"[^()（）\n]*(?:\([^()（）\n]*\)[^()（）\n]*)*"
    return re.compile(
        rf"[(（]\s*(?:[Oo]|(?P<prefix>[BIbi])-(?P<label>(?:{known})(?=\s*[)）])|{anything})|(?P<bare>{known}))\s*[)）]",
        re.IGNORECASE,
    )


def _clean(between: str, source: str) -> tuple[str, bool]:
    """The word between two tags, and whether it had to be freed from a comma, from brackets, or from other words."""
    word = between.strip()
    cleaned = word[1:].lstrip() or word if word.startswith(",") else word
    if len(cleaned) > 2 and cleaned[0] == "[" and cleaned[-1] == "]" and cleaned not in source:
        cleaned = cleaned[1:-1].strip() or cleaned
    if re.search(r"\s", cleaned):
        return _known_suffix(cleaned.split(), source), True
    return cleaned, cleaned != word


def _known_suffix(words: Sequence[str], source: str) -> str:
    """Of the words that share one tag, the longest suffix that occurs in the source; the rest is chatter."""
    padded = f" {source} ".casefold()
    for begin in range(len(words) - 1):
        candidate = " ".join(words[begin:])
        if f" {candidate} ".casefold() in padded:
            return candidate
    return words[-1]


def _runs(tagged: Sequence[_Tagged], known: Mapping[str, str]) -> tuple[str, list[_Run], bool]:
    """The copy, its entities, and whether the tags deviated from well-formed BIO.

    An `I-` that continues nothing begins an entity: after `O`, and after an entity of another type.
    """
    runs: list[_Run] = []
    current: _Run | None = None
    odd = False
    length = 0
    for word in tagged:
        start, length = length, length + len(word.word) + 1
        end = length - 1
        if word.prefix == "O":
            current = None
        elif current is not None and word.prefix != "B" and _same(current.label, word.label, known):
            odd |= word.label != current.label
            current.end, current.answer_end = end, word.end
        else:
            odd |= word.prefix == "I"
            current = _Run(word.label, start, end, word.start, word.end)
            runs.append(current)
    return " ".join(word.word for word in tagged), runs, odd


def _same(left: str, right: str, known: Mapping[str, str]) -> bool:
    """Whether two labels, as written in the answer, mean the same type."""
    return left == right or resolve(left, known, "keep").label == resolve(right, known, "keep").label


def _words(text: str, mode: Literal["hybrid", "released"]) -> list[tuple[str, int, int]]:
    pattern = _WORD if mode == "hybrid" else _RELEASED_WORD
    return [(match[0], match.start(), match.end()) for match in pattern.finditer(text)]


def _cut(words: Sequence[tuple[str, int, int]], entities: Sequence[Entity]) -> Iterator[tuple[str, int, int]]:
    """Words cut where an entity begins or ends inside them."""
    cuts = sorted({offset for entity in entities for offset in (entity.start, entity.end)})
    for word, start, end in words:
        inside = cuts[bisect.bisect_right(cuts, start) : bisect.bisect_left(cuts, end)]
        for begin, stop in itertools.pairwise((start, *inside, end)):
            yield word[begin - start : stop - start], begin, stop


def _tag(words: Sequence[tuple[str, int, int]], entities: Sequence[Entity]) -> list[tuple[str, str]]:
    """Words with BIO tags, for entities that do not overlap and end where words end."""
    tagged = []
    pending = collections.deque(entities)
    begun = False
    for word, start, end in words:
        while pending and pending[0].end <= start:
            pending.popleft()
            begun = False
        if pending and pending[0].start <= start and end <= pending[0].end:
            tagged.append((word, f"{'I' if begun else 'B'}-{pending[0].label}"))
            begun = True
        else:
            tagged.append((word, "O"))
    return tagged
