"""Model families side by side on annotated text: scores, tokens and speed, as a Markdown table.

Every system is asked for the same labels of the same sentences, through the whole pipeline (prompt, engine, parser,
alignment). The corpora are read from a folder in the layout of `ner-ray train mixture train/data/tagger`; those that
are not there are left out, and said so. Held-out rows are those that that configuration leaves out of training.

    python tests/benchmarks/families.py DATA --systems annotate/starter families/b2ner-smollm2 spacy
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ner_ray import Annotator, Entity
from ner_ray.data import AnnotatedText, Reject, read
from ner_ray.evaluate import spans
from ner_ray.evaluate.spans import SpanSums
from ner_ray.types import Usage, Verdict

COARSE = {"PER": "person", "ORG": "organization", "LOC": "location"}
CORE = ("person", "organization", "location")


@dataclass(frozen=True)
class Corpus:
    """Sentences to annotate: every `step`-th row of a file, with the labels to ask for."""

    file: str
    labels: tuple[str, ...] = CORE
    label_map: Mapping[str, str | None] | None = None
    step: int = 1

    def rows(self, folder: Path, limit: int) -> list[AnnotatedText]:
        found = read(str(folder / self.file), self.label_map)
        texts = (row for number, row in enumerate(found) if number % self.step == 0 and not isinstance(row, Reject))
        return list(islice(filter(_is_plain, texts), limit))


def _is_plain(text: AnnotatedText) -> bool:
    """Whether no entity is a mere `@`: in some tweets it is one, and the name behind it another."""
    return all(entity.text != "@" for entity in text.entities)


CORPORA = {
    "encyclopaedia": Corpus("corpora/wikineural/en_test.parquet", label_map=COARSE | {"MISC": None}),
    "encyclopaedia, held out": Corpus("corpora/wikigold/all.parquet", label_map=COARSE | {"MISC": None}, step=10),
    "news": Corpus("corpora/finer_ord/val.parquet", label_map=COARSE),
    "web": Corpus("corpora/uner_en_ewt/dev.parquet", label_map=COARSE),
    "web, whole documents": Corpus("corpora/uner_en_ewt_docs/dev.parquet", label_map=COARSE),
    "tweets, held out": Corpus("corpora/btc/h.parquet", label_map=COARSE, step=20),
    "tweets, other": Corpus(
        "corpora/wnut17/train.parquet",
        label_map={
            "person": "person", "location": "location", "corporation": "organization", "group": "organization",
            "product": None, "creative-work": None,
        },
        step=20,
    ),
}  # fmt: skip


@dataclass
class Row:
    """What a system did on a corpus."""

    strict: float
    boundaries: float
    texts: int
    seconds: float
    usage: Usage = field(default_factory=Usage)
    unparsable: float = 0.0
    unaligned: int = 0


def by_pipeline(
    system: str, overrides: Sequence[str]
) -> tuple[Callable[[Corpus, list[AnnotatedText]], Row], Callable[[], None]]:
    config = system if system.startswith("annotate/") else {"defaults": [system], "labels": list(CORE)}
    annotator = Annotator(config, overrides)

    def work(corpus: Corpus, rows: list[AnnotatedText]) -> Row:
        began = time.monotonic()
        done = list(annotator.stream((row.text for row in rows), labels=list(corpus.labels)))
        seconds = time.monotonic() - began
        strict, boundaries = scores(rows, [annotated.entities for annotated in done], corpus.labels)
        verdicts = [verdict for annotated in done for verdict in annotated.verdicts]
        return Row(
            strict,
            boundaries,
            len(rows),
            seconds,
            sum((annotated.usage for annotated in done), Usage()),
            verdicts.count(Verdict.UNPARSABLE) / max(1, len(verdicts)),
            sum(len(annotated.unaligned) for annotated in done),
        )

    return work, annotator.close


def by_spacy(
    _system: str, _overrides: Sequence[str]
) -> tuple[Callable[[Corpus, list[AnnotatedText]], Row], Callable[[], None]]:
    import spacy

    model = spacy.load("en_core_web_sm")
    names = {"PERSON": "person", "ORG": "organization", "GPE": "location", "LOC": "location", "FAC": "location"}

    def work(corpus: Corpus, rows: list[AnnotatedText]) -> Row:
        began = time.monotonic()
        done = list(model.pipe(row.text for row in rows))
        seconds = time.monotonic() - began
        found = [
            [Entity(e.start_char, e.end_char, e.text, names[e.label_]) for e in one.ents if e.label_ in names]
            for one in done
        ]
        return Row(*scores(rows, found, corpus.labels), len(rows), seconds)

    return work, lambda: None


def scores(
    rows: Iterable[AnnotatedText], found: Iterable[Sequence[Entity]], labels: Sequence[str]
) -> tuple[float, float]:
    """Strict F1 over some labels, and the F1 of boundaries whatever the label, both from 0 to 1."""
    total = SpanSums()
    for row, entities in zip(rows, found, strict=True):
        wanted = [entity for entity in row.entities if entity.label in labels]
        total += spans.count(wanted, [entity for entity in entities if entity.label in labels])
    micro = spans.micro(total)
    return micro["strict"].f1, micro["exact"].f1


def table(rows: Iterator[tuple[str, str, Row]]) -> Iterator[str]:
    yield "| system | corpus | strict F1 | boundaries | unparsable | unaligned | tokens in | tokens out | texts/s |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for system, corpus, row in rows:
        tokens = row.usage
        yield (
            f"| {system} | {corpus} ({row.texts}) | {row.strict:.3f} | {row.boundaries:.3f} | {row.unparsable:.1%} "
            f"| {row.unaligned} | {tokens.prompt_tokens / row.texts:.0f} | {tokens.output_tokens / row.texts:.1f} "
            f"| {row.texts / row.seconds:.1f} |"
        )


def measured(
    folder: Path, systems: Sequence[str], limit: int, overrides: Sequence[str]
) -> Iterator[tuple[str, str, Row]]:
    for system in systems:
        work, close = (by_spacy if system == "spacy" else by_pipeline)(system, overrides)
        for name, corpus in CORPORA.items():
            if not (folder / corpus.file).exists():
                sys.stderr.write(f"left out: {name}, since {folder / corpus.file} is not there\n")
                continue
            yield system, name, work(corpus, corpus.rows(folder, limit))
        close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of the corpora")
    parser.add_argument("--systems", nargs="+", default=["families/b2ner-smollm2"], help="configurations, or `spacy`")
    parser.add_argument("--limit", type=int, default=300, help="texts of each corpus")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings for all systems")
    arguments = parser.parse_args()
    for line in table(measured(arguments.data, arguments.systems, arguments.limit, arguments.set)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
