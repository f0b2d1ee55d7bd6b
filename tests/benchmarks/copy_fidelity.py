"""How faithfully a model that marks entities copies its text, measured on a run that kept its answers.

The extractor's answer to each chunk, without its marks, is compared with the chunk: the figure is the share of the
chunk's characters that lie in blocks matching the answer, in the same order. Line ends, tabs and no-break spaces count
as blanks, which is how the starter's tokenizer reads them.

    ner-ray annotate annotate/cascade input.path=corpus.parquet output.completions=true output.path=run
    python tests/benchmarks/copy_fidelity.py run
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator

import ner_ray

MARK = "##"
BLANKS = str.maketrans("\t\n\r\u00a0", "    ")


def copies(run: str, role: str) -> Iterator[tuple[str, str]]:
    """Chunks, each with the copy of it in the answer."""
    for batch in ner_ray.open_run(run).to_batches(columns=["text", "chunks", "exchanges"]):
        for row in batch.to_pylist():
            for exchange in row["exchanges"]:
                if exchange["role"] == role:
                    chunk = row["chunks"][exchange["chunk"]]
                    text = row["text"][chunk["start"] : chunk["end"]]
                    yield text.translate(BLANKS), exchange["completions"][0]["text"].replace(MARK, "")


def shared(text: str, copy: str) -> int:
    if text == copy:
        return len(text)
    matcher = difflib.SequenceMatcher(None, text, copy, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run of `ner-ray annotate` with output.completions=true")
    parser.add_argument("--role", default="extractor")
    arguments = parser.parse_args()
    made = list(copies(arguments.run, arguments.role))
    characters = sum(len(text) for text, _ in made)
    print(f"chunks              {len(made):,}, of {characters / max(1, len(made)):.0f} characters")
    print(f"copied exactly      {sum(text == copy for text, copy in made) / max(1, len(made)):.1%}")
    print(f"characters copied   {sum(shared(*pair) for pair in made) / max(1, characters):.2%}")


if __name__ == "__main__":
    main()
