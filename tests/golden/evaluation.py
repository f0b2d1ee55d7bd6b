"""Cases of the golden format for the published scorers and their answer parsers.

`FUNCTIONS` maps system and name of a released function to what runs a case of it here: it takes the whole case and
returns what is compared with the case's `reference_result`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ner_ray.evaluate.papers import b2ner, cascade, gner, ra_it, universal_ner
from ner_ray.evaluate.papers._matches import MatchSums, matches
from ner_ray.evaluate.papers.base import PaperScore

Case = dict[str, Any]


def _gner(case: Case) -> dict[str, Any]:
    given, answer = case["input"], case["output_text"] or ""
    words, labels = gner.read(answer)
    bio = gner.tags(given["words"], answer, given["label_list"], retokenize=_retokenizer(given.get("tokenizer")))
    return {
        "extracted_words": words,
        "extracted_labels": labels,
        "bio": bio,
        "len_ok": len(bio) == len(given["words"]),
        "entities_normalized": [list(pair) for pair in gner.pairs(given["words"], bio)],
    }


def _retokenizer(name: str | None) -> Callable[[str], str]:
    """Byte-level vocabularies lose nothing; for others, what is outside ASCII stands for the unknown."""
    if name is None or "gpt2" in name:
        return lambda word: word
    return lambda word: word.encode("ascii", "ignore").decode()


def _gner_alignment(case: Case) -> dict[str, Any]:
    raw, predicted = case["input"]["raw"], case["input"]["pred"]
    return {
        "lcs_solve(O(N^2))": _plain_lcs(raw, predicted),
        "lcs_solve_fast": gner.longest_common_subsequence(raw, predicted),
        "contains_in_order": _subsequence(case, gner.subsequence(raw, predicted)),
    }


def _subsequence(case: Case, places: list[int] | None) -> list[int] | bool | None:
    """The places themselves where a case expects a list, else whether there are any."""
    expected = case["reference_result"]["contains_in_order"]
    return places if isinstance(expected, list) or expected is None else places is not None


def _plain_lcs(raw: Sequence[str], predicted: Sequence[str]) -> list[int]:
    """The quadratic version that the released file keeps beside the fast one; it breaks ties otherwise."""
    length = [[0] * (len(predicted) + 1) for _ in range(len(raw) + 1)]
    for i, word in enumerate(raw, 1):
        for j, other in enumerate(predicted, 1):
            longest = max(length[i - 1][j], length[i][j - 1])
            length[i][j] = length[i - 1][j - 1] + 1 if word == other else longest
    places, i, j = [-1] * len(raw), len(raw), len(predicted)
    while i and j:
        if raw[i - 1] == predicted[j - 1]:
            i, j = i - 1, j - 1
            places[i] = j
        elif length[i][j - 1] >= length[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def _ra_it(case: Case) -> list[Any] | None:
    if case["input"].get("format") == "single_alpaca":
        return [list(pair) for pair in ra_it.read_pairs(case["output_text"])]
    return ra_it.read(case["output_text"])


def _universal_ner_evaluate(case: Case) -> dict[str, float]:
    rows = zip(case["output_text"], case["input"]["golds"], strict=True)
    total = sum((universal_ner.score(answer, gold) for answer, gold in rows), universal_ner.Sums())
    score = universal_ner.scores(total)
    return {"precision": score.precision, "recall": score.recall, "f1": score.f1}


def _gner_evaluate(case: Case) -> dict[str, float]:
    """Micro-averaged over examples: words, label set, BIO gold, and the answer."""
    total = MatchSums()
    for example, answer in zip(case["input"]["examples"], case["output_text"], strict=True):
        words = example["words"]
        predicted = gner.tags(words, answer, example["label_list"])
        total += matches(gner.pairs(words, predicted), gner.pairs(words, example["labels"]))
    return _fractions(gner.scores(total))


def _ra_it_evaluate(case: Case) -> dict[str, Any]:
    rows = zip(case["output_text"], case["input"]["golds"], strict=True)
    score = ra_it.scores(sum((ra_it.score(answer, gold) for answer, gold in rows), ra_it.Sums()))
    figures = {**_fractions(score), **score.counts}
    return {name: figures.get(name) for name in case["reference_result"]}


def _fractions(score: PaperScore) -> dict[str, float]:
    return {"precision": score.precision, "recall": score.recall, "f1": score.f1}


def _b2ner(case: Case) -> dict[str, Any]:
    gold, answer = case["input"]["ground_truth"], case["output_text"]
    sums = b2ner.score(answer, gold)
    return {
        "truth_set": sorted(b2ner.read(gold)),
        "pred_set": sorted(b2ner.read(answer)),
        "TP_FN_FP": [sums.correct, sums.gold - sums.correct, sums.predicted - sums.correct],
    }


def _b2ner_add(case: Case) -> dict[str, int]:
    """Their `add` returns inside its loop: of a list of pairs, only the first counts."""
    answer = case["output_text"][0]
    return {"sum_TP": b2ner.score(answer, answer).correct}


def _cascade_evaluate(case: Case) -> dict[str, Any] | str:
    try:
        return {
            name: _cascade_scores(case, categories=categories)
            for name, categories in (("entity+category P,R,F1", True), ("entity P,R,F1", False))
        }
    except ValueError as error:
        return f"ValueError: {error}"


def _cascade_scores(case: Case, *, categories: bool) -> list[float]:
    sums = cascade.compare_files(case["input"]["gold"], case["output_text"], categories=categories)
    score = cascade.scores(sums)
    return [score.precision, score.recall, score.f1]


def _cascade_read(case: Case) -> dict[str, Any]:
    sentence = case["input"]["sentence"]
    samples = [cascade.read(sentence, answer) for answer in case["output_text"]]
    return {
        "per_sample": [_spans(sentence, sample) for sample in samples],
        "merged": _spans(sentence, cascade.union(samples)),
    }


def _cascade_file(case: Case) -> dict[str, Any]:
    """The result file of the released pipeline; its scripted classifier answers `location` every time."""
    answers: dict[str, list[str]] = {}
    for sentence, samples in zip(case["input"]["queries_in_file_order"], case["output_text"], strict=True):
        answers.setdefault(sentence, []).extend(samples)
    found = {
        sentence: [sentence[start:end] for start, end in cascade.union(cascade.read(sentence, s) for s in samples)]
        for sentence, samples in answers.items()
    }
    kept = [(sentence, entities) for sentence, entities in found.items() if entities]
    return {
        f"sentence{number}": {
            "sentence": sentence,
            "entity": entities,
            "category": ["location"] * len(entities),
        }
        for number, (sentence, entities) in enumerate(kept, 1)
    }


def _spans(sentence: str, spans: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    return [{"text": sentence[start:end], "start": start, "end": end} for start, end in spans]


FUNCTIONS: dict[tuple[str, str], Callable[[Case], Any]] = {
    ("B2NER", "EvaluatorBase.add"): _b2ner_add,
    ("B2NER", "EvaluatorNER._extract + MetricF1"): _b2ner,
    ("UniversalNER", "NEREvaluator.evaluate"): _universal_ner_evaluate,
    ("GNER", "NEREvaluator.evaluate"): _gner_evaluate,
    ("RA-IT", "NEREvaluator.evaluate"): _ra_it_evaluate,
    ("B2NER", "b2ner_trainer.skip_instructions"): lambda case: [
        b2ner.response(text) for text in case["input"]["decoded"]
    ],
    ("B2NER", "calculate_f1.gpt_format_fix"): lambda case: b2ner.split_commas(case["output_text"]),
    ("GNER", "contains_in_order / lcs_solve / lcs_solve_fast"): _gner_alignment,
    ("CascadeNER", "evaluate.py"): _cascade_evaluate,
    ("RA-IT", "evaluation/evaluate.entity_parser"): _ra_it,
    ("GNER", "extract + extract_predictions + parser (evaluate.py)"): _gner,
    ("CascadeNER", "extract_entities_with_positions + merge_entities (infer.py)"): _cascade_read,
    ("CascadeNER", "process_json_input"): _cascade_file,
    ("UniversalNER", "src/eval/evaluate.parser"): lambda case: universal_ner.read(case["output_text"]),
    ("UniversalNER", "src/utils.get_response"): lambda case: [
        universal_ner.response(text) for text in case["output_text"]
    ],
}
