"""`python -m tests.golden FILE.jsonl`: runs a file of golden cases and says what passed.

Exit status 0 if every case passed, 1 if one failed or is not covered by any check.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.golden.differences import differing
from tests.golden.runner import load, run


def main(arguments: list[str]) -> int:
    """Runs the file named in the arguments."""
    if len(arguments) != 1:
        print("usage: python -m tests.golden FILE.jsonl", file=sys.stderr)
        return 2
    cases = load(Path(arguments[0]))
    outcomes = run(cases)
    for outcome in outcomes:
        if outcome.state != "passed":
            print(outcome)
    counts = Counter(outcome.state for outcome in outcomes)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['not covered']} not covered")
    ours = differing(cases)
    print(f"{len(ours)} of them our own parsers read otherwise on purpose: see tests/golden/DIFFERENCES.md")
    return 0 if counts["passed"] == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
