"""Answer formats and scorers of released outputs that no model family of the package has.

Each is described from the code that was released with the outputs; what a scorer forgives or spoils is said
where it matters for a figure.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ner_ray.types import Entity

Span = tuple[int, int]
Counts = tuple[float, float, float]
"""Right, annotated, predicted."""


def bio_spans(tags: Sequence[str]) -> Iterator[Entity]:
    """Entities over words, as conlleval reads tags: an I- that continues nothing begins an entity."""
    start, label = 0, ""
    for index, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if label and (prefix != "I" or name != label):
            yield Entity(start, index, "", label)
            label = ""
        if prefix != "O" and not label:
            start, label = index, name


def marked_spans(words: Sequence[str], answer: str) -> list[Span]:
    """GPT-NER's `@@ ... ##` marks on source words, as its `compute_f1.py` finds them.

    A marked run is searched from a cursor on, which every word outside the marks moves by one. A run that is
    not found takes the cursor to the end, so that all later ones are lost too.
    """
    found: list[Span] = []
    said, cursor, is_open = answer.split(), 0, False
    for index, word in enumerate(said):
        opens, closes = len(word) > 2 and word.startswith("@@"), len(word) > 2 and word.endswith("##")
        stop = next((i for i in range(index, len(said)) if len(said[i]) > 2 and said[i].endswith("##")), None)
        if opens and stop is not None:
            run, length = " ".join(said[index : stop + 1])[2:-2], stop - index + 1
            while cursor < len(words) and not _stands(words, cursor, length, run):
                cursor += 1
            if cursor < len(words):
                found.append((cursor, cursor + length))
        is_open = (is_open or opens) and not closes
        if not is_open and not closes:
            cursor += 1
    return found


def marked_counts(words: Sequence[str], gold: Iterable[Span], answer: str) -> Counts:
    """A prediction is right once for each gold span that it is; there is no other de-duplication."""
    left, found = list(gold), marked_spans(words, answer)
    wanted = len(left)
    for span in found:
        if span in left:
            left.remove(span)
    return wanted - len(left), wanted, len(found)


def dictionary_counts(
    sentence: str, labels: Iterable[str], gold: Mapping[str, str], predicted: Mapping[str, str]
) -> Counts:
    """Mentions by name: an invented mention counts as predicted, one with a label outside the set does not."""
    named = {mention: label for mention, label in predicted.items() if mention and label in set(labels)}
    right = sum(mention in sentence and gold.get(mention) == label for mention, label in named.items())
    return right, len(gold), len(named)


def word_counts(gold: Iterable[str], predicted: Iterable[str]) -> Counts:
    """Words of mentions. Repeated words count on both sides, so that there is no one number of right words.

    The released code has tp (gold words that are predicted), fn = gold - tp, fp (predicted words that are not
    gold) and F1 = tp / (tp + (fp + fn) / 2): as if tp + fp words had been predicted.
    """
    wanted = [word for mention in gold for word in mention.split(" ") if word]
    named = [word for mention in predicted for word in mention.split(" ") if word]
    right = sum(word in named for word in wanted)
    return right, len(wanted), right + sum(word not in wanted for word in named)


def link_counts(gold: Mapping[str, Sequence[str]], predicted: Mapping[str, Sequence[str]]) -> Counts:
    """Pairs of words; a repeated pair counts as often as it is named."""
    wanted, named = _pair_words(gold), _pair_words(predicted)
    return sum(pair in named for pair in wanted), len(wanted), len(named)


def _pair_words(links: Mapping[str, Sequence[str]]) -> list[str]:
    """Every word of a base material with every word of a dopant that is linked to it."""
    return [
        f"{base_word} {dopant_word}"
        for dopant, bases in links.items()
        for base in bases
        for base_word, dopant_word in itertools.product(base.split(" "), dopant.split(" "))
        if base_word and dopant_word
    ]


@dataclass(frozen=True, slots=True)
class Doping:
    """Base materials and dopants of a sentence, and which dopant is in which base material."""

    bases: tuple[str, ...] = ()
    dopants: tuple[str, ...] = ()
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)


def doping_json(answer: str) -> Doping:
    """NERRE's answer in JSON; nothing where it is cut."""
    try:
        graph = json.loads(answer)
    except json.JSONDecodeError:
        return Doping()
    bases, dopants = graph["basemats"], graph["dopants"]
    links = {dopants[d]: [bases[b] for b in bs] for d, bs in (graph["dopants2basemats"] or {}).items()}
    return Doping(tuple(bases.values()), tuple(dopants.values()), links)


def doping_sentences(answer: str) -> Doping:
    """NERRE's answer in English sentences. A dopant without a base material deletes all links, as in its code."""
    bases: dict[str, None] = {}
    dopants: dict[str, None] = {}
    links: dict[str, list[str]] = {}
    for line in answer.strip().split("\n"):
        host, _, rest = line.removesuffix(".").partition("was doped")
        base = " ".join(_quoted(host)) if "The host" in host else ""
        dopant = " ".join(_quoted(rest.removeprefix(" with"))) if base and rest.startswith(" with") else ""
        if rest.startswith(" with") and not (base and dopant):
            break
        if "is a dopant" in line:
            dopant = " ".join(_quoted(line.split("is a dopant")[0]))
        bases |= {base: None} if base else {}
        if dopant and base:
            links.setdefault(dopant, []).append(base)
        elif dopant and dopant not in links:
            links = {}
        dopants |= {dopant: None} if dopant else {}
    return Doping(tuple(bases), tuple(dopants), links)


def line_tags(sentence: str, answer: str) -> list[str]:
    """FsPONER's `mention: LABEL` lines as one tag a word, and one more, as its evaluation makes them.

    A mention that is not in the sentence tags the sentence's beginning; one that occurs several times changes
    only words that have a tag already. What stands before a mention is counted in words between blanks; the
    released code counts NLTK's tokens.
    """
    tags = ["O"] * (len(sentence.split(" ")) + 1)
    for line in answer.split("\n\n", maxsplit=1)[0].split("\n"):
        label = line.split(": ")[-1]
        mention = line.split(": " + label)[0]
        if ": " not in line or not mention:
            continue
        before = sentence.split(mention)[:-1] or [""]
        for start in (len(part.split()) for part in before):
            for index in range(start, min(start + len(mention.split()), len(tags))):
                if len(before) == 1 or tags[index] != "O":
                    tags[index] = label
    return tags


def weighted_scores(gold: Sequence[str], predicted: Sequence[str]) -> tuple[float, float, float]:
    """Precision and recall in percent and F1 as a fraction, each the mean over labels weighted by gold words."""
    total = sum(tag != "O" for tag in gold)
    sums = [0.0, 0.0, 0.0]
    for label in set(gold) - {"O"}:
        right = sum(a == b == label for a, b in zip(gold, predicted, strict=True))
        figures = ratios((right, gold.count(label), predicted.count(label)))
        for column, figure in enumerate(figures):
            sums[column] += figure * gold.count(label) / total
    return 100 * sums[0], 100 * sums[1], sums[2]


def ratios(counts: Counts) -> tuple[float, float, float]:
    """Precision, recall and F1; 0 where undefined."""
    right, gold, predicted = counts
    return (
        right / predicted if predicted else 0.0,
        right / gold if gold else 0.0,
        2 * right / (gold + predicted) if gold + predicted else 0.0,
    )


def total(items: Iterable[Counts]) -> Counts:
    """The sums of the counts."""
    columns = list(zip(*items, strict=True))
    return (sum(columns[0]), sum(columns[1]), sum(columns[2])) if columns else (0, 0, 0)


def _quoted(text: str) -> list[str]:
    return [part.strip() for part in text.split("'") if part.strip() and "The host" not in part]


def _stands(words: Sequence[str], start: int, length: int, run: str) -> bool:
    return start + length <= len(words) and " ".join(words[start : start + length]) == run
