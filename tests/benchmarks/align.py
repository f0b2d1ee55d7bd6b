"""Speed of matching words, compared with GNER's own algorithm on the same texts in the same run.

    python -m tests.benchmarks.align

There are two kinds of generated text: sentences as long as those of news, and texts of 2,000 words, both copied with
9 % of the words corrupted (a quarter each omitted, added, substituted, repeated). Words are drawn from a Zipf
distribution about as repetitive as English news: two words are the same with a probability of 0.7 %; in news, 0.8 % to
1.1 %, which is harder for GNER's algorithm, whose work grows with the number of pairs of equal words.

The oracle is our own implementation of GNER's three levels (equal, subsequence, longest common subsequence by patience
sorting). It searches its piles in Python, as the released code does; a second line shows it with the search in C. What
is timed is matching lists of words; the last line adds everything else that `align_copy` does: tokenizing both texts,
normal forms, gaps, and entities. The repetitions of all lines alternate; each line shows its fastest. The exit status
is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from ner_ray.align import align_copy, match_words
from ner_ray.config import AlignConfig
from ner_ray.types import Mention
from tests.align import gner_oracle

Pair = tuple[list[str], list[str]]
Method = Callable[[list[str], list[str]], object]

VOCABULARY = 20_000
NEWS_LENGTHS = (15, 40)
LONG_LENGTH = 2000
TARGETS = {"news": 5.0, "long": 40.0}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    rng = random.Random(options.seed)
    news = [_pair(rng, rng.randint(*NEWS_LENGTHS), options.share) for _ in range(options.sentences)]
    long = [_pair(rng, LONG_LENGTH, options.share) for _ in range(options.texts)]
    print(f"{options.share:.0%} of the words corrupted, best of {options.repeats}, seed {options.seed}\n")
    print(f"{'text':<6}{'method':<34}{'microseconds':>14}{'texts/s':>12}{'ratio':>9}{'target':>9}")
    missed = [name for name, pairs in (("news", news), ("long", long)) if not _compare(name, pairs, options.repeats)]
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nboth targets are met")
    return 1 if missed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.align",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--share", type=float, default=0.09, help="share of corrupted words (default: 0.09)")
    parser.add_argument(
        "--sentences", type=int, default=4000, help="number of sentences as long as those of news (default: 4000)"
    )
    parser.add_argument("--texts", type=int, default=20, help="number of texts of 2,000 words (default: 20)")
    parser.add_argument(
        "--repeats", type=int, default=7, help="number of repetitions, the best of which counts (default: 7)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the generated texts (default: 0)")
    return parser.parse_args(arguments)


def _pair(rng: random.Random, length: int, share: float) -> Pair:
    source = _draw(rng, length)
    copy: list[str] = []
    for word in source:
        if rng.random() >= share:
            copy.append(word)
            continue
        kind = rng.choice(["omit", "add", "substitute", "repeat"])
        stranger = _draw(rng, 1)[0]
        copy += {"omit": [], "add": [word, stranger], "substitute": [stranger], "repeat": [word, word]}[kind]
    return source, copy


_CUMULATED = list(accumulate(1 / (rank + 2) for rank in range(VOCABULARY)))


def _draw(rng: random.Random, length: int) -> list[str]:
    return [f"word{rank}" for rank in rng.choices(range(VOCABULARY), cum_weights=_CUMULATED, k=length)]


def _compare(name: str, pairs: list[Pair], repeats: int) -> bool:
    """Prints the lines of one kind of text; returns whether the target is met."""
    lines: dict[str, Method] = {
        "GNER's algorithm (oracle)": gner_oracle.match_words,
        "the same, search in C": partial(gner_oracle.match_words, search=bisect_left),
        "match_words": match_words,
    }
    jobs = {method: (function, pairs) for method, function in lines.items()}
    jobs["align_copy, from text to entities"] = _align, [(" ".join(left), " ".join(right)) for left, right in pairs]
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(repeats):
        for method, (function, texts) in jobs.items():
            best[method] = min(best[method], _seconds(function, texts))
    oracle = next(iter(best.values()))
    for method, seconds in best.items():
        target = f"{TARGETS[name]:.0f}x" if method == "match_words" else ""
        print(
            f"{name:<6}{method:<34}{seconds / len(pairs) * 1e6:>14,.1f}{len(pairs) / seconds:>12,.0f}"
            f"{oracle / seconds:>8.1f}x{target:>9}"
        )
    return oracle / best["match_words"] >= TARGETS[name]


def _seconds(function: Callable[..., object], texts: Sequence[tuple[object, object]]) -> float:
    started = time.perf_counter()
    for source, copy in texts:
        function(source, copy)
    return time.perf_counter() - started


_CONFIG = AlignConfig()


def _align(source: str, copy: str) -> object:
    """Words with a mention of two words in about every ten."""
    mentions: list[Mention] = []
    at = 0
    while (start := copy.find(" ", at)) >= 0 and (end := copy.find(" ", copy.find(" ", start + 1) + 1)) > start:
        mentions.append(Mention(copy[start + 1 : end], "x", None, start + 1, end))
        at = end + 60
    return align_copy(source, copy, mentions, _CONFIG)


if __name__ == "__main__":
    sys.exit(main())
