"""`python -m tests.reproduction REFERENCE_DATA`: measures again and writes `README.md` beside this file.

The folder of reference data may also be named by the environment variable NER_RAY_REFERENCE_DATA. Figures
only: no text of any corpus goes into the file. `--limit N` takes the first N documents of each corpus.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.reproduction import corpora
from tests.reproduction.chat import chat_table
from tests.reproduction.corpora import FAMILIES, Recovered
from tests.reproduction.rescore import Result, aligned, rescore, scored

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- {} -->", "<!-- end of {} -->"
RATE, SEED = 0.1, 0
READERS = ("gner, published", "gner, ner_ray", "cascade, published", "cascade, ner_ray")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", nargs="?", default=os.environ.get("NER_RAY_REFERENCE_DATA"))
    parser.add_argument("--limit", type=int, default=None)
    given = parser.parse_args(arguments)
    if not given.reference:
        parser.error("name the folder of reference data")
    reference = Path(given.reference)
    tables = {
        "published figures": published_table(rescore(reference)),
        "figures without a published one": scored_table(reference),
        "real answers": aligned_table(reference),
        "answers of chat models": chat_table(reference, given.limit),
        "ideal answers": round_trip_table(reference, given.limit),
        "corrupted answers": corruption_table(reference, given.limit),
    }
    README.write_text(filled(README.read_text(encoding="utf-8"), tables), encoding="utf-8")


def filled(text: str, tables: dict[str, Iterable[str]]) -> str:
    """The text with each table between its two comments."""
    for name, lines in tables.items():
        before, rest = text.split(BEGIN.format(name))
        after = rest.split(END.format(name))[1]
        body = "\n".join(lines)
        text = f"{before}{BEGIN.format(name)}\n\n{body}\n\n{END.format(name)}{after}"
    return text


def published_table(results: Iterable[Result]) -> Iterator[str]:
    """One line for each run: what was published, what we find, whether the digits are the same."""
    yield "| outputs | run | scorer | published P / R / F1 | ours | |"
    yield "|---|---|---|---|---|---|"
    for result in results:
        ours = " / ".join(_as_printed(value, text) for value, text in zip(result.ours, result.published, strict=True))
        verdict = result.verdict if result.verdict != "differs" or not result.note else f"differs: {result.note}"
        published = " / ".join(result.published)
        yield f"| {result.system} | {result.run} | {result.scorer} | {published} | {ours} | {verdict} |"


def scored_table(reference: Path) -> Iterator[str]:
    """Runs that no figure was printed for, by the scorer of their model."""
    yield "| outputs | run | scorer | P | R | F1 |"
    yield "|---|---|---|---|---|---|"
    for system, run, scorer, figures in scored(reference):
        yield f"| {system} | {run} | {scorer} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |"


def aligned_table(reference: Path) -> Iterator[str]:
    """Runs of GNER, by the released matching and by our aligner."""
    yield "| run | published matching | ner_ray | difference | answers that leave a choice |"
    yield "|---|---|---|---|---|"
    for run, released, own, open_answers in aligned(reference):
        yield f"| {run} | {released:.2f} | {own:.2f} | {own - released:+.2f} | {open_answers} |"


def round_trip_table(reference: Path, limit: int | None) -> Iterator[str]:
    """By language: flat gold spans, and how many of them each family's ideal answer brings back; then the others."""
    gold: Counter[str] = Counter()
    returned: Counter[tuple[str, str]] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    for path in corpora.files(reference):
        language = corpora.language(path)
        for document in corpora.documents(path, limit):
            gold[language] += len(document.gold)
            for family in FAMILIES:
                missing = list(corpora.lost(document, family))
                returned[language, family] += len(document.gold) - len(missing)
                lost.update((family, reason) for reason in missing)
    yield "| language | gold spans | " + " | ".join(FAMILIES) + " |"
    yield "|---|---|" + "---|" * len(FAMILIES)
    for language in sorted(gold):
        cells = (str(returned[language, family]) for family in FAMILIES)
        yield f"| {language} | {gold[language]} | " + " | ".join(cells) + " |"
    yield (
        f"| all | {gold.total()} | "
        + " | ".join(str(sum(returned[language, family] for language in gold)) for family in FAMILIES)
        + " |"
    )
    yield ""
    yield "Those that did not come back, by the reason for which the answer cannot say them:"
    yield ""
    yield "| reason | " + " | ".join(FAMILIES) + " |"
    yield "|---|" + "---|" * len(FAMILIES)
    for reason in (*corpora.REASONS, ""):
        cells = (str(lost[family, reason]) for family in FAMILIES)
        yield f"| {reason or 'no reason'} | " + " | ".join(cells) + " |"


def corruption_table(reference: Path, limit: int | None) -> Iterator[str]:
    """By language: gold spans, and the right and wrong spans of each reader."""
    totals: defaultdict[str, dict[str, Recovered]] = defaultdict(lambda: dict.fromkeys(READERS, Recovered()))
    gold: Counter[str] = Counter()
    for path in corpora.files(reference):
        language = corpora.language(path)
        for document in corpora.documents(path, limit):
            gold[language] += len(document.gold)
            for reader, found in corpora.corrupted(document, RATE, SEED).items():
                totals[language][reader] += found
    totals["all"] = {reader: sum((row[reader] for row in totals.values()), Recovered()) for reader in READERS}
    gold["all"] = gold.total()
    yield "| language | gold spans | " + " | ".join(READERS) + " |"
    yield "|---|---|" + "---|" * len(READERS)
    for language in [*sorted(totals.keys() - {"all"}), "all"]:
        cells = (
            f"{100 * totals[language][reader].right / gold[language]:.1f} % ({totals[language][reader].wrong} wrong)"
            for reader in READERS
        )
        yield f"| {language} | {gold[language]} | " + " | ".join(cells) + " |"


def _as_printed(value: float, text: str) -> str:
    return f"{value:.{len(text.partition('.')[2])}f}"


if __name__ == "__main__":
    main()
