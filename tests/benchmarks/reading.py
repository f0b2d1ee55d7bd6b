"""The cost of reading a long document's answers: CPU seconds by number of chunks.

    python tests/benchmarks/reading.py [--family universal_ner] [--chunks 1250 2500 5000 10000]

A document's answers are read in one pass, so the time per chunk must not grow with the document. There are ten labels;
`universal_ner` has one answer per label and chunk, `gner` one per chunk.
"""

from __future__ import annotations

import argparse
import time

from ner_ray import schema
from ner_ray.annotator.rows import merge_row, read_row
from ner_ray.annotator.spec import Spec, resolve
from ner_ray.config import AnnotateConfig
from ner_ray.types import Completion, Exchange, Prompt

LABELS = [f"type {number}" for number in range(10)]
SENTENCE = "Ada met Bo in Rome on Monday. "


def spec_of(family: str) -> Spec:
    plain = {"input": {"path": "in"}, "labels": LABELS, "family": family, "replay": True, "output": {"path": "out"}}
    return resolve(AnnotateConfig.model_validate(plain))


def row_of(family: str, chunks: int) -> schema.Row:
    """A document of `chunks` chunks with all their answers."""
    size = len(SENTENCE)
    spans = [(number * size, (number + 1) * size) for number in range(chunks)]
    if family == "gner":
        answers = [("", "Ada(B-type 0) met(O) Bo(B-type 1) in(O) Rome(B-type 2) on(O) Monday(O) .(O)")]
    else:
        answers = [(label, '["Ada", "Rome"]' if label == LABELS[0] else "[]") for label in LABELS]
    exchanges = [
        schema.exchange_to_row(
            number, "tagger", Exchange(Prompt("", subject=subject), (Completion(text),)), with_prompt=False
        )
        for number in range(chunks)
        for subject, text in answers
    ]
    return {
        schema.TEXT: SENTENCE * chunks,
        schema.ERRORS: [],
        schema.CHUNKS: [{"start": start, "end": end, "core_start": start, "core_end": end} for start, end in spans],
        schema.EXCHANGES: exchanges,
    }


def seconds(family: str, chunks: int) -> float:
    spec, row = spec_of(family), row_of(family, chunks)
    began = time.process_time()
    annotation = merge_row(row, read_row(spec, row, spec.steps))
    took = time.process_time() - began
    assert len(annotation.entities) >= 2 * chunks
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="universal_ner", choices=["gner", "universal_ner"])
    parser.add_argument("--chunks", type=int, nargs="+", default=[1250, 2500, 5000, 10_000])
    arguments = parser.parse_args()
    seconds(arguments.family, 50)  # imports and caches
    for chunks in arguments.chunks:
        took = seconds(arguments.family, chunks)
        print(f"{chunks:7,} chunks: {took:6.2f} s of CPU, {1000 * took / chunks:.3f} ms per chunk")


if __name__ == "__main__":
    main()
