"""Gold spans of real annotated corpora, written as a model would write them, and put back onto their texts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from ner_ray.align import align_copy, align_mentions
from ner_ray.config import AlignConfig
from ner_ray.text import tokens
from ner_ray.types import Mention
from tests.align import gner_oracle
from tests.align.test_words import assert_verbatim

CONFIG = AlignConfig()
CORPORA = {
    "de": "wikineural/de_test",
    "de_pages": "hipe2022_docs/hipe2020_de_dev",
    "en": "wikineural/en_test",
    "en_documents": "uner_en_ewt_docs/dev",
    "en_genes": "bc5cdr/devel",
    "es": "wikineural/es_test",
    "hau": "masakhaner2/hau_test",
    "it": "kind_it/FIC_test",
    "ja": "stockmark_ja/part_a",
    "ko": "klue_ner/part_a",
    "swa": "masakhaner2/swa_test",
    "zh": "boson/test",
    "zh_natural": "uner_zh_gsdsimp/dev",
}
ROWS = 300

Span = tuple[int, int, str]


class Row(NamedTuple):
    text: str
    spans: list[Span]  # gold, flat and in order
    words: list[tuple[int, int]]


def rows(folder: Path, corpus: str) -> Iterator[Row]:
    table = pq.read_table(folder / "data" / "corpora" / f"{corpus}.parquet").slice(0, ROWS)
    for row in table.to_pylist():
        spans = flat(row["text"], row["entities"])
        yield Row(row["text"], spans, words_around(row["text"], spans))


def flat(text: str, entities: Sequence[dict[str, Any]]) -> list[Span]:
    """The outermost spans, without the blanks that one in two thousand has at its ends: an entity never has."""
    kept: list[Span] = []
    for entity in sorted(entities, key=lambda entity: (entity["start"], -entity["end"])):
        surface = text[entity["start"] : entity["end"]]
        start = entity["start"] + len(surface) - len(surface.lstrip())
        if not kept or start >= kept[-1][1]:
            kept.append((start, start + len(surface.strip()), entity["label"]))
    return kept


def words_around(text: str, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Tokens, cut where a gold span begins or ends inside one, as the tokens of a corpus would be."""
    cuts = sorted({cut for start, end, _ in spans for cut in (start, end)})
    words = []
    for start, end in tokens.spans(text):
        inner = [start, *(cut for cut in cuts if start < cut < end), end]
        words.extend(pairwise(inner))
    return words


def tagged(row: Row) -> list[tuple[str, str]]:
    """Words with BIO labels."""
    labels = []
    for start, end in row.words:
        inside = next(((a, label) for a, b, label in row.spans if a <= start and end <= b), None)
        labels.append("O" if inside is None else f"{'B' if inside[0] == start else 'I'}-{inside[1]}")
    return [(row.text[start:end], label) for (start, end), label in zip(row.words, labels, strict=True)]


def answer(words: Sequence[tuple[str, str]]) -> tuple[str, list[Mention]]:
    """The copy that tagged words make, joined by blanks, and its mentions."""
    copy, mentions, at = " ".join(word for word, _ in words), [], 0
    for word, label in words:
        end = at + len(word)
        if label != "O" and (label[0] == "B" or not mentions or mentions[-1].label != label[2:]):
            mentions.append(Mention(word, label[2:], None, at, end))
        elif label != "O":
            mentions[-1] = Mention(copy[mentions[-1].start : end], label[2:], None, mentions[-1].start, end)
        at = end + 1
    return copy, mentions


def corrupted(words: Sequence[tuple[str, str]], rng: random.Random, share: float) -> list[tuple[str, str]]:
    """A tenth of the words omitted, changed, repeated, or followed by a strange one."""
    changed: list[tuple[str, str]] = []
    for index, (word, label) in enumerate(words):
        kind = rng.choice(["omit", "add", "substitute", "repeat"]) if rng.random() < share else "keep"
        follows = words[index + 1][1] if index + 1 < len(words) else "O"
        changed += {
            "keep": [(word, label)],
            "omit": [],
            "add": [(word, label), (rng.choice(words)[0], follows if follows[0] == "I" else "O")],
            "substitute": [(rng.choice(words)[0], label)],
            "repeat": [(word, label), (word, label.replace("B-", "I-"))],
        }[kind]
    return changed


def spans_by_the_paper(row: Row, words: Sequence[tuple[str, str]]) -> set[Span]:
    """What GNER's alignment and its reading of labels make of tagged words."""
    matched = gner_oracle.match_words(
        [row.text[start:end].lower() for start, end in row.words], [word.lower() for word, _ in words]
    )
    spans: list[Span] = []
    is_open = False
    for (start, end), index in zip(row.words, matched, strict=True):
        label = words[index][1] if index >= 0 else "O"
        if label == "O" or label[0] == "B":
            is_open = False
        if label != "O":
            spans = [*spans[:-1], (spans[-1][0], end, label[2:])] if is_open else [*spans, (start, end, label[2:])]
            is_open = True
    return set(spans)


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA)
def test_a_perfect_copy_gives_back_every_gold_span(reference_data: Path, corpus: str) -> None:
    for row in rows(reference_data, corpus):
        copy, mentions = answer(tagged(row))
        placement = align_copy(row.text, copy, mentions, CONFIG)

        assert [(entity.start, entity.end, entity.label) for entity in placement.entities] == row.spans
        assert_verbatim(row.text, placement)


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA)
def test_a_list_in_order_places_every_surface_and_nearly_every_span(reference_data: Path, corpus: str) -> None:
    total = right = lost = 0
    for row in rows(reference_data, corpus):
        mentions = [Mention(row.text[start:end], label) for start, end, label in row.spans]
        placement = align_mentions(row.text, mentions, CONFIG)
        total += len(row.spans)
        right += len({(entity.start, entity.end, entity.label) for entity in placement.entities} & set(row.spans))
        lost += len(placement.unaligned)

    print(f"{corpus}: {right} of {total} spans where they stand, {lost} surfaces without a place")
    assert lost == 0
    assert right >= 0.95 * total


def test_of_corrupted_copies_more_spans_return_than_by_the_paper(reference_data: Path) -> None:
    rng = random.Random(20)
    total: Counter[str] = Counter()
    for language, corpus in CORPORA.items():
        score: Counter[str] = Counter()
        for row in rows(reference_data, corpus):
            words = corrupted(tagged(row), rng, 0.1)
            placement = align_copy(row.text, *answer(words), CONFIG)
            ours = {(entity.start, entity.end, entity.label) for entity in placement.entities}
            theirs = spans_by_the_paper(row, words)
            gold = set(row.spans)
            score.update(gold=len(gold), ours=len(ours & gold), theirs=len(theirs & gold))
            score.update(our_errors=len(ours - gold), their_errors=len(theirs - gold))
        print(language, dict(score))
        total += score

        assert score["ours"] >= score["theirs"]
        assert score["our_errors"] <= score["their_errors"]
    assert total["ours"] > 1.02 * total["theirs"]
    assert total["our_errors"] < 0.6 * total["their_errors"]
