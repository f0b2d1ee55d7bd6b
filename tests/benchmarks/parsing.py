"""What it costs to read answers that are garbage: `python -m tests.benchmarks.parsing [KILOBYTES]`.

CPU seconds for each family and shape of garbage, and the ratio to an answer of a quarter of the size: 4 is linear.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from ner_ray import plugins
from ner_ray.families.base import Step
from ner_ray.types import Completion, Exchange, Label, StepInput

FAMILIES = ("instruct", "b2ner", "universal_ner", "ra_it", "gner", "cascade")
PASSAGE = StepInput("Ann Smith met Bo in Paris. " * 20, tuple(map(Label, ("person", "place", "work of art"))))


def _filled(unit: str) -> Callable[[int], str]:
    return lambda size: unit * (size // len(unit))


def _numbered(unit: str) -> Callable[[int], str]:
    return lambda size: "".join(unit.format(number) for number in range(size // len(unit)))


SHAPES: dict[str, Callable[[int], str]] = {
    "open brackets": _filled("["),
    "open objects": _filled('{"a":'),
    "closed pairs": _filled('[["Ann", "person"]] '),
    "json lines": _filled('{"Ann": "person"}\n'),
    "json lines that differ": _numbered('{{"Ann {}": "person"}}\n'),
    "lists behind labels": _filled('person: ["Ann"]\n'),
    "nested pairs": _filled('[{"a":'),
    "quotes before commas": lambda size: '["' + 'a" ,b' * (size // 5),
    "one long list": lambda size: "[" + '{"Ann": "person"}, ' * (size // 19) + "]",
    "records of distinct values": lambda size: (
        "[" + ", ".join(f'{{"entity": "x{n}", "type": "y{n}"}}' for n in range(size // 36)) + "]"
    ),
    "one long object": lambda size: "{" + ", ".join(f'"entity": "x{n}"' for n in range(size // 20)) + "}",
    "double quotes": lambda size: "[" + '"' * size,
    "quotes and letters": lambda size: "['" + "a'b" * (size // 3),
    "backslashes": lambda size: '["' + "\\" * size,
    "bare words": lambda size: "[" + "a b " * (size // 4),
    "brackets and spaces": lambda size: "[" + " " * size + "[",
    "thoughts never closed": _filled("<think>"),
    "thoughts opened and closed": _filled("<think>x</think>"),
    "thoughts almost opened": _filled("<think "),
    "answer tags": _filled("<answer>"),
    "harmony channels": _filled("<|channel|>analysis<|message|>"),
    "bullets": _filled("- Ann\n"),
    "bullets with labels": _filled("- Ann (person)\n"),
    "bullets with comments": _filled("- Ann: who met Bo - in Paris\n"),
    "bullets that differ": _numbered("- Ann {}\n"),
    "lines that differ": _numbered("Ann {}: person\n"),
    "headings": _filled("### person\n"),
    "headings of answers": _filled("Answer:\n"),
    "one line of colons": _filled("a: "),
    "one line of commas": _filled("Ann, "),
    "one line of parentheses": _filled("Ann (person), "),
    "one line of open parentheses": _filled("Ann ("),
    "one line of dashes": _filled(" - "),
    "one line of pipes": _filled("|"),
    "tables": _filled("| Ann | person |\n"),
    "semicolons": _filled("person: Ann; "),
    "line breaks": _filled("\n"),
    "blanks": _filled(" "),
    "prose": _filled("There are no entities in this text, said Ann. "),
    "negations": _filled("no not none "),
    "fences": _filled("```json\n"),
    "one word": _filled("a"),
    "cjk": _filled("没有实体，安"),
    "stars": _filled("*"),
    "hashes": _filled("#"),
    "tags": _filled("Ann(B-person) "),
}


def seconds(step: Step, answer: str) -> float:
    """CPU seconds for one reading, the least of three."""
    prompts = step.ask(PASSAGE, ())[:1]
    transcript = [Exchange(prompt, (Completion(answer),)) for prompt in prompts]
    return min(_timed(step, transcript) for _ in range(3))


def _timed(step: Step, transcript: list[Exchange]) -> float:
    start = time.process_time()
    step.read(PASSAGE, transcript)
    return time.process_time() - start


def main(kilobytes: int) -> None:
    """Prints the slowest shapes of each family first."""
    size = kilobytes * 1000
    for family in FAMILIES:
        module = plugins.load("families", family)
        step = module.steps(module.Options())[0]
        figures = {name: (seconds(step, make(size)), seconds(step, make(size // 4))) for name, make in SHAPES.items()}
        for name, (whole, quarter) in sorted(figures.items(), key=lambda item: -item[1][0])[:6]:
            print(f"{family:14}{name:32}{whole:8.3f} s{whole / max(quarter, 1e-4):8.1f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
