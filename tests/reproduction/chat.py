"""Real answers of chat models in lines and lists, read by `instruct` and by a reader of a few lines."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ner_ray.align import align, align_mentions
from ner_ray.config import AlignConfig
from ner_ray.families import instruct
from ner_ray.types import Completion, Exchange, Label, Mention, Prompt, StepInput, Verdict

BIODIVERSITY = ("ENVIRONMENT", "LOCATION", "MATTER", "ORGANISM", "PHENOMENA", "QUALITY")
Pairs = list[tuple[str, str]]
Row = tuple[str, str, Sequence[str], str, Pairs, Pairs]
"""Run, text, label set, raw answer, gold, and what the plain reader finds."""


@dataclass(slots=True)
class _Sums:
    answers: int = 0
    unparsable: int = 0
    spans: Counter[str] = field(default_factory=Counter)

    def f1(self, reader: str) -> float:
        """Strict F1 over places and labels, in percent."""
        return 200 * self.spans[f"{reader} right"] / max(1, self.spans["gold"] + self.spans[reader])


def chat_table(reference: Path, limit: int | None = None) -> Iterator[str]:
    """By model: the share of answers that cannot be read, and strict F1 of both readers."""
    yield "| outputs | model | answers | unparsable | strict F1, `instruct` | strict F1, a reader of a few lines |"
    yield "|---|---|---|---|---|---|"
    outputs = reference / "data" / "released_outputs"
    for name, rows in (("fsponer_assembly", _fsponer(outputs)), ("biodivner_4llm", _biodivner(outputs))):
        sums: defaultdict[str, _Sums] = defaultdict(_Sums)
        for number, row in enumerate(rows):
            if limit is None or number < limit:
                _add(sums[row[0]], row)
                _add(sums["all"], row)
        for run, found in sorted(sums.items(), key=lambda item: item[0] == "all"):
            share = f"{100 * found.unparsable / max(1, found.answers):.1f} %"
            cells = (name, run, str(found.answers), share, f"{found.f1('ours'):.2f}", f"{found.f1('plain'):.2f}")
            yield f"| {' | '.join(cells)} |"


def _add(sums: _Sums, row: Row) -> None:
    _, text, labels, raw, gold, plain = row
    (step,) = instruct.steps(instruct.Options())
    passage = StepInput(text, tuple(map(Label, labels)))
    (reading,) = step.read(passage, [Exchange(Prompt(""), (Completion(raw),))])
    wanted = _placed(text, gold)
    found = {(entity.start, entity.end, entity.label) for entity in align(text, reading, AlignConfig()).entities}
    sums.answers += 1
    sums.unparsable += reading.verdict is Verdict.UNPARSABLE
    sums.spans["gold"] += len(wanted)
    for reader, spans in (("ours", found), ("plain", _placed(text, plain))):
        sums.spans[reader] += len(spans)
        sums.spans[f"{reader} right"] += len(spans & wanted)


def _placed(text: str, pairs: Pairs) -> set[tuple[int, int, str]]:
    mentions = [Mention(surface, label) for surface, label in pairs if surface.strip()]
    return {
        (entity.start, entity.end, entity.label) for entity in align_mentions(text, mentions, AlignConfig()).entities
    }


def _fsponer(outputs: Path) -> Iterator[Row]:
    """`mention: LABEL` lines, which the plain reader splits at the last colon of each line of the first paragraph."""
    lines = (outputs / "fsponer_assembly" / "gold.jsonl").read_text(encoding="utf-8").splitlines()
    gold: list[dict[str, Any]] = [json.loads(line) for line in lines]
    labels = sorted({label for sentence in gold for _, label in sentence["gold"]})
    for row in pq.read_table(outputs / "fsponer_assembly" / "outputs.parquet").to_pylist():
        one = gold[row["idx"]]
        split = [line.rpartition(": ") for line in row["raw"].split("\n\n")[0].split("\n")]
        plain = [(surface, label) for surface, colon, label in split if colon]
        yield row["model"], one["sentence"], labels, row["raw"], [(s, label) for s, label in one["gold"]], plain


def _biodivner(outputs: Path) -> Iterator[Row]:
    """`mention (LABEL)` lines and lists of four; the plain reader is the release's own."""
    for row in pq.read_table(outputs / "biodivner_4llm" / "outputs.parquet").to_pylist():
        gold = [(span[0], span[1]) for span in json.loads(row["gold_spans"])]
        plain = [(span[0], span[1]) for span in json.loads(row["repo_predicted_spans"]) or [] if len(span) > 1]
        run = f"{row['model']}, {row['format']}"
        yield run, row["sentence"], BIODIVERSITY, row["raw_output"], gold, plain
