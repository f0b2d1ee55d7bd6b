"""Where our own parsers read an answer otherwise than the published code: the cases, found by running both.

The published result is still what the paper's scorer gives (`runner` checks it). `DIFFERENCES.md` lists these
cases with the reason for each; a test holds the list against what is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ner_ray.align import align
from ner_ray.config import AlignConfig
from ner_ray.evaluate.papers import b2ner as b2ner_scorer
from ner_ray.evaluate.papers._matches import normalize, unique
from ner_ray.families import b2ner, cascade, gner, instruct, ra_it, universal_ner
from ner_ray.families.base import Step
from ner_ray.synth import teacher
from ner_ray.types import Completion, Entity, Exchange, Label, Prompt, Reading, StepInput
from tests.golden.synthesis import own_extractor_target
from tests.transcript import said

Case = dict[str, Any]


def differing(cases: Iterable[Case]) -> list[Case]:
    """The cases of published parsers that ours read otherwise."""
    return [case for case in cases if _is_ours(case) and _OURS[case["function"]](case) != _theirs(case)]


def _is_ours(case: Case) -> bool:
    """Whether the case is an answer in a format that a family of ours reads."""
    return case["function"] in _OURS and case["input"].get("format") != "single_alpaca"


def _theirs(case: Case) -> Any:
    result = case["reference_result"]
    if case["function"].startswith("extract + "):
        return sorted(map(tuple, result["entities_normalized"]))
    if case["function"].startswith("EvaluatorNER"):
        return result["pred_set"]
    if case["function"].startswith("extract_entities"):
        return [sorted({(entity["start"], entity["end"]) for entity in sample}) for sample in result["per_sample"]]
    if case["function"].startswith("apps."):
        return [(entity["start"], entity["end"], entity["label"]) for entity in result["entities"]]
    if case["function"].startswith("stage1_trans"):
        return result["target"]
    return result


def _read(step: Step, passage: StepInput, *answers: str, subject: str = "") -> list[Reading]:
    completions = tuple(Completion(answer) for answer in answers)
    return step.read(passage, [Exchange(Prompt("", subject=subject), completions)])


def _placed(passage: StepInput, reading: Reading) -> tuple[Entity, ...]:
    return align(passage.text, reading, AlignConfig()).entities


def _labels(names: Sequence[str]) -> tuple[Label, ...]:
    return tuple(Label(name) for name in names)


def _gner(case: Case) -> list[tuple[str, str]]:
    passage = StepInput(" ".join(case["input"]["words"]), _labels(case["input"]["label_list"]))
    (step,) = gner.steps(gner.Options())
    (reading,) = _read(step, passage, case["output_text"] or "")
    found = _placed(passage, reading)
    return sorted(unique([(normalize(entity.text), normalize(entity.label)) for entity in found]))


def _gner_demo(case: Case) -> list[tuple[int, int, str]]:
    passage = StepInput(case["input"]["text"], _labels(case["input"]["labels"]))
    (step,) = gner.steps(gner.Options())
    (reading,) = _read(step, passage, case["output_text"])
    return [(entity.start, entity.end, entity.label) for entity in _placed(passage, reading)]


def _listed(family: Any) -> Callable[[Case], list[str]]:
    def ours(case: Case) -> list[str]:
        (step,) = family.steps(family.Options())
        (reading,) = _read(step, StepInput("x", _labels("t")), case["output_text"], subject="t")
        return unique([normalize(mention.text) for mention in reading.mentions])

    return ours


def _b2ner(case: Case) -> list[str]:
    gold = [item.split(":", 1) for item in b2ner_scorer.read(case["input"]["ground_truth"])]
    passage = StepInput(" ".join(entity for _, entity in gold), _labels([label for label, _ in gold]))
    (step,) = b2ner.steps(b2ner.Options(outside_labels="keep"))
    (reading,) = _read(step, passage, case["output_text"])
    items = [f"{mention.label}: {mention.text}" for mention in reading.mentions]
    return sorted(b2ner_scorer.read("; ".join(items)))


def _cascade(case: Case) -> list[list[tuple[int, int]]]:
    passage = StepInput(case["input"]["sentence"], ())
    step, _ = cascade.steps(cascade.Options())
    readings = _read(step, passage, *case["output_text"])
    return [sorted((entity.start, entity.end) for entity in _placed(passage, reading)) for reading in readings]


def _teacher(case: Case) -> list[dict[str, str]]:
    options = instruct.Options(prompt="annotation", language="zh")
    answer = teacher.read("x", said(case["output_text"]), options)
    return [{mention.text: mention.label} for mention in answer.mentions]


_OURS: dict[str, Callable[[Case], Any]] = {
    "EvaluatorNER._extract + MetricF1": _b2ner,
    "apps.predict_entities (fake model)": _gner_demo,
    "evaluation/evaluate.entity_parser": _listed(ra_it),
    "extract + extract_predictions + parser (evaluate.py)": _gner,
    "extract_entities_with_positions + merge_entities (infer.py)": _cascade,
    "response_2_prediction_of_dict_json (uses eval())": _teacher,
    "src/eval/evaluate.parser": _listed(universal_ner),
    "stage1_trans.convert_to_conversation_format": own_extractor_target,
}
