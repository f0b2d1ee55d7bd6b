"""Sky-NER's sample, step by step: what is made here of the released teacher answers, against what was released.

`python -m tests.reproduction.sky FOLDER` measures again and rewrites the table of `sky.md`. FOLDER holds the sample of
github.com/Emma1066/Retrieval-Augmented-IT-OpenNER (commit f4b177b).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ner_ray.families import instruct, ra_it
from ner_ray.synth import filters, passages, statistics, teacher
from ner_ray.synth.config import PUBLISHED_FILTERS, PUBLISHED_TYPES, FilterOptions
from ner_ray.synth.rows import conversation
from ner_ray.types import Label, Mention, StepInput
from tests.transcript import said

Row = dict[str, Any]

REPORT = Path(__file__).with_name("sky.md")
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
QUESTION = instruct.Options(prompt="annotation", language="zh")
PUBLISHED = FilterOptions(steps=PUBLISHED_FILTERS, invalid_types=PUBLISHED_TYPES)


@dataclass(frozen=True, slots=True)
class Compared:
    """One step: of so many things so many are as released, and why the others are not."""

    step: str
    what: str
    same: int
    total: int
    note: str = ""


def compare(folder: Path) -> list[Compared]:
    """Every step of the sample, in order."""
    parsed, filtered = _lines(folder / "5_gpt35_llm_response_parsed.jsonl"), _lines(folder / _FILTERED)
    answers = [teacher.read(row["text"], said(row["response"]), QUESTION).mentions for row in parsed]
    kept = [filters.apply(row["text"], found, PUBLISHED).kept for row, found in zip(parsed, answers, strict=True)]
    placed = [teacher.ground(row["text"], mentions) for row, mentions in zip(parsed, kept, strict=True)]
    total = sum((statistics.count(mentions) for mentions in kept), statistics.Statistics())
    return [
        _borders(folder),
        _compared(
            "parse", "passages with the same pairs in the same order", map(_pairs, answers), map(_released, parsed)
        ),
        _compared(
            "filter", "passages with the same set of pairs", map(_set, kept), [set(_released(r)) for r in filtered]
        ),
        Compared(
            "ground",
            "pairs with at least one place in their passage",
            sum(len(mentions) for mentions in kept) - sum(len(alignment.unaligned) for alignment in placed),
            sum(len(mentions) for mentions in kept),
        ),
        *_statistics(folder, total),
        *_conversations(folder, kept),
    ]


def table(compared: Sequence[Compared]) -> str:
    """The rows in Markdown."""
    lines = [
        f"| {comparison.step} | {comparison.what} | {comparison.same} of {comparison.total} | {comparison.note} |"
        for comparison in compared
    ]
    return "\n".join(["| step | what | as released | why not all |", "|---|---|---|---|", *lines])


_FILTERED = "5_gpt35_llm_response_parsed_filtered.jsonl"


def _lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _pairs(mentions: Sequence[Mention]) -> list[tuple[str, str]]:
    return [(mention.text, mention.label) for mention in mentions]


def _set(mentions: Sequence[Mention]) -> set[tuple[str, str]]:
    return set(_pairs(mentions))


def _released(row: Row) -> list[tuple[str, str]]:
    return [pair for item in row["prediction"] for pair in item.items()]


def _compared(step: str, what: str, ours: Any, theirs: Any) -> Compared:
    same = [own == other for own, other in zip(ours, theirs, strict=True)]
    return Compared(step, what, sum(same), len(same))


def _borders(folder: Path) -> Compared:
    """Whether released passages begin and end where ours can: their tokenizer is not at hand, so no budget is kept."""
    documents = [row["text"] for row in _lines(folder / "1_raw_documents.jsonl")]
    chunks = [row["text"] for row in _lines(folder / "3_chunks_256.jsonl")]
    same = number = 0
    for text in documents:
        cut = passages.split(text, lambda texts: [len(text) for text in texts], 1, passages.SEPARATORS["zh"])
        spans = passages.move_sentence_ends(text, cut, whole=False)
        starts, ends = {start for start, _ in spans}, {end for _, end in spans}
        at = 0
        while number < len(chunks) and (found := text.find(chunks[number], at)) >= 0:
            at = found + len(chunks[number])
            same += found in starts and at in ends
            number += 1
    return Compared("passages", "passages that begin and end where ours may", same, len(chunks))


def _statistics(folder: Path, total: statistics.Statistics) -> Iterator[Compared]:
    released = _json(folder / "5_gpt35_entity_statistics.json")
    yield Compared(
        "statistics", "totals", sum(total.summary()[name] == value for name, value in released.items()), len(released)
    )
    frequencies = _json(folder / "5_gpt35_type2freq.json")
    ours = total.lowered().frequencies()
    yield Compared(
        "statistics",
        "types with the same frequency",
        sum(ours.get(name) == value for name, value in frequencies.items()),
        len(frequencies.keys() | ours.keys()),
    )
    mentions = {name: sorted(listed) for name, listed in _json(folder / "5_gpt35_type2mentions.json").items()}
    found: dict[str, list[str]] = {}
    for (label, surface), times in sorted(total.lowered().pairs.items()):
        found.setdefault(label, []).extend([surface] * times)
    yield Compared(
        "statistics",
        "types with the same mentions",
        sum(found.get(name) == listed for name, listed in mentions.items()),
        len(mentions.keys() | found.keys()),
    )


def _conversations(folder: Path, kept: Sequence[Sequence[Mention]]) -> Iterator[Compared]:
    """Ours for the types that were asked for, in their order, which is random like the negative types."""
    (step,) = ra_it.steps(ra_it.Options(language="zh", wrapper="chat", wording="generator", system=""))
    rows = zip(_json(folder / "5_gpt35_ner_it_data_conversation.json"), _lines(folder / _FILTERED), kept, strict=True)
    turns = same = negatives = positives = missing = sensible = total = 0
    for released, row, mentions in rows:
        theirs = [turn["value"] for turn in released["conversations"]]
        asked = [question.split('"')[1] for question in theirs[2::2]]
        own = {mention.label for mention in mentions}
        total += 1
        positives += len(own & set(asked))
        missing += len(own - set(asked))
        negatives += len(set(asked) - own)
        sensible += len(set(asked) - own) <= len(own) and len(asked) == len(set(asked))
        turns += len(theirs)
        gold = {
            (entity.text, entity.label): entity for entity in reversed(teacher.ground(row["text"], mentions).entities)
        }
        exchanges = step.targets(StepInput(row["text"], tuple(map(Label, asked))), list(gold.values())).exchanges
        ours = [turn.content for turn in conversation(exchanges)] if exchanges else theirs[:2]
        same += sum(_answer(own) == _answer(other) for own, other in zip(ours, theirs, strict=True))
    note = "answers are compared as sets: within them, as among the questions, the released order is random"
    yield Compared("conversations", "turns", same, turns, note)
    yield Compared("conversations", "types of a passage that are asked for", positives, positives + missing)
    note = f"{negatives} negative types in all; a coin for each type of a passage, unseeded"
    yield Compared("conversations", "passages with no more negative types than types", sensible, total, note)


def _answer(turn: str) -> Any:
    return sorted(json.loads(turn)) if turn.startswith("[") else turn


def filled(text: str, measured: str) -> str:
    """The text with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    REPORT.write_text(filled(REPORT.read_text(encoding="utf-8"), table(compare(Path(sys.argv[1])))), encoding="utf-8")
