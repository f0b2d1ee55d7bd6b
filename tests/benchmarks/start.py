"""Seconds to import the package and to print the help, compared with the bare interpreter in the same run.

The figures are medians of several starts, including the first, which reads the files from disk.

    python tests/benchmarks/start.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import ner_ray": [sys.executable, "-c", "import ner_ray"],
    "ner-ray --help": [sys.executable, "-m", "ner_ray.cli", "--help"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    rounds = range(parser.parse_args().repeats)
    measured = {name: statistics.median(seconds(command) for _ in rounds) for name, command in COMMANDS.items()}
    for name, median in measured.items():
        print(f"{name:15} {median:.3f} s, {median / measured['python']:.1f} times the bare interpreter")


if __name__ == "__main__":
    main()
