"""Documents per second that the starter model annotates on this machine, in whole runs over documents of 60 words.

    python tests/benchmarks/throughput.py texts.parquet --documents 3000

The texts are cut into documents of equal length, regardless of their own boundaries. Two rates are shown: while the
engines work, which is the rate of a long run, and over the whole command, including the start of Ray and the engines.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.config import AnnotateConfig
from ner_ray.config.load import load
from ner_ray.pipeline.annotate import annotate

ROWS = 300  # per row group


def documents(path: str, words: int) -> Iterator[str]:
    """Texts of exactly `words` words."""
    waiting: list[str] = []
    for batch in pq.ParquetFile(path).iter_batches(columns=["text"]):
        for text in batch["text"].to_pylist():
            waiting += (text or "").split()
            while len(waiting) >= words:
                yield " ".join(waiting[:words])
                del waiting[:words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", help="a Parquet file with a column `text`")
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("settings", nargs="*", help="settings of the job, such as resources.replicas=1")
    arguments = parser.parse_args()
    found = list(islice(documents(arguments.texts, arguments.words), arguments.documents))
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.parquet"
        pq.write_table(pa.table({"text": found}), corpus, row_group_size=ROWS)
        places = [f"input.path={corpus}", f"output.path={folder}/run"]
        summary = annotate(load(AnnotateConfig, "annotate/cascade", [*places, *arguments.settings]))
    engines, seconds = summary.counts["engines"], summary.seconds
    working = seconds["generate"] / engines
    print(f"documents            {len(found):,} of {arguments.words} words, {summary.counts['requests']:,} requests")
    print(f"engines              {engines}, which started in {seconds['start']:.1f} s")
    print(f"while they worked    {len(found) / working:.1f} documents/s, {working:.0f} s each on average")
    print(f"the whole run        {len(found) / seconds['total']:.1f} documents/s, {seconds['total']:.0f} s")


if __name__ == "__main__":
    main()
