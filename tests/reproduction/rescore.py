"""Re-scores released model outputs and holds the figures against those that were published with them."""

from __future__ import annotations

import ast
import csv
import itertools
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ner_ray.align import align
from ner_ray.config import AlignConfig, labels
from ner_ray.evaluate import spans
from ner_ray.evaluate.papers import gner
from ner_ray.evaluate.papers.base import Case
from ner_ray.families import gner as gner_family
from ner_ray.types import Completion, Entity, Exchange, Prompt, StepInput
from tests.reproduction import formats

OUTPUTS = Path("data") / "released_outputs"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """Published figures, as printed, beside ours.

    Attributes:
        system: the folder of the outputs.
        run: which of its runs.
        scorer: what made the figures.
        published: precision, recall and F1 as they were printed.
        ours: the same, unrounded, in the same unit.
        note: why they differ, where that is known.
    """

    system: str
    run: str
    scorer: str
    published: tuple[str, ...]
    ours: tuple[float, ...]
    note: str = ""

    @property
    def verdict(self) -> str:
        """`same` to the last printed digit, `same, cut` where the release cuts digits off, or `differs`."""
        if all(
            math.isclose(_printed(ours, text), float(text), rel_tol=1e-12)
            for ours, text in zip(self.ours, self.published, strict=True)
        ):
            return "same"
        either = (
            float(text) in (_printed(ours, text), _cut(ours, text))
            for ours, text in zip(self.ours, self.published, strict=True)
        )
        return "same, cut" if all(either) else "differs"


def rescore(reference: Path) -> list[Result]:
    """All results, in the order of the folders of outputs."""
    folder = reference / OUTPUTS
    return [
        *_gpt_ner(folder / "gptner_marks_conll100"),
        *_masakhaner(folder / "masakhaner2_baselines"),
        *_nerre(folder / "nerre_gpt3"),
        *_zero_shot(folder / "zeroshot_chatgpt_msra5", "*_response.json"),
        *_zero_shot(folder / "self_improve_wikigold", "results/*_response.json"),
        *_fsponer(folder / "fsponer_assembly"),
        *_gner(folder / "gner_kind_it"),
    ]


def _gpt_ner(folder: Path) -> Iterator[Result]:
    gold = _lines(folder / "gold.jsonl")
    for run in json.loads((folder / "runs.json").read_text()):
        answers = (folder / "raw_files" / f"{run['run']}.txt").read_text().splitlines()
        counts = (
            formats.marked_counts(item["text"].split(), [(a, b + 1) for a, b in item["gold_tok"]], answer)
            for item, answer in zip(gold, answers, strict=False)
        )
        ours = tuple(100 * figure for figure in formats.ratios(formats.total(counts)))
        note = "answers of several lines shift all later ones" if run["lines"] > run["items"] else ""
        for published in run["published"].values():
            yield Result(folder.name, run["run"], "GPT-NER compute_f1.py", tuple(map(str, published)), ours, note)


def _masakhaner(folder: Path) -> Iterator[Result]:
    for run in json.loads((folder / "scores.json").read_text()):
        documents = pq.read_table(folder / f"{run['lang']}_{run['model']}.parquet").to_pylist()
        sums = spans.SpanSums()
        for document in documents:
            gold, predicted = (list(formats.bio_spans(document[side])) for side in ("gold_tags", "pred_tags"))
            sums += spans.count(gold, predicted)
        strict = spans.micro(sums)["strict"]
        published = tuple(
            re.search(rf"^{name} = (\S+)", run["result_file"], re.MULTILINE)[1]
            for name in ("precision", "recall", "f1")
        )
        name = f"{run['lang']} {run['model']}"
        yield Result(folder.name, name, "ner_ray strict", published, (strict.precision, strict.recall, strict.f1))


def _nerre(folder: Path) -> Iterator[Result]:
    published = (folder / "published_doping_scores.txt").read_text()
    for run, title, read in (
        ("doping_json", "GPT-3 Doping-JSON", formats.doping_json),
        ("doping_eng", "GPT-3 Doping-English", formats.doping_sentences),
        ("doping_engextra", "GPT-3 Doping-EngExtra", formats.doping_sentences),
    ):
        counts: dict[str, list[formats.Counts]] = {"basemats": [], "dopants": [], "triplets": []}
        for row in _lines(folder / f"{run}.jsonl"):
            if row["relevant"]:
                said = read(row["raw"] or "")
                counts["basemats"].append(formats.word_counts(row["gold_basemats"], said.bases))
                counts["dopants"].append(formats.word_counts(row["gold_dopants"], said.dopants))
                counts["triplets"].append(formats.link_counts(row["gold_links"], said.links))
        section = published[published.index(title + "\n") :]
        for what, parts in counts.items():
            printed = re.search(rf"^{what}: prec=(\S+), recall=(\S+), f1=(\S+)", section, re.MULTILINE).groups()
            ours = formats.ratios(formats.total(parts))
            yield Result(folder.name, f"{run} {what}", "NERRE step3_score.py (words)", printed, ours)


def _zero_shot(folder: Path, pattern: str) -> Iterator[Result]:
    for path in sorted(folder.glob(pattern)):
        table = path.with_name(path.name.replace("_response.json", "_metrics.csv"))
        lines = list(csv.DictReader(table.read_text().splitlines()))
        labels = [line["Type"] for line in lines if line["Type"] != "ToTal"]
        counts = (
            formats.dictionary_counts(item["sentence"], labels, _literal(item["label"]), _literal(item["prediction"]))
            for item in json.loads(path.read_text())
        )
        ours = tuple(100 * figure for figure in formats.ratios(formats.total(counts)))
        # The files were written from floats: 22.220000000000002 is a printed 22.22.
        printed = tuple(f"{float(lines[-1][name]):.2f}" for name in ("Prec", "Rec", "F1"))
        name = path.name.removesuffix("_response.json")
        yield Result(folder.name, name, "compute_metrics (mention names)", printed, ours)


def _fsponer(folder: Path) -> Iterator[Result]:
    gold = _lines(folder / "gold.jsonl")
    answers: dict[tuple[str, str], dict[int, str]] = {}
    for row in pq.read_table(folder / "outputs.parquet").to_pylist():
        answers.setdefault((row["model"], row["run"]), {})[row["idx"]] = row["raw"]
    wanted = list(_chained(formats.line_tags(item["sentence"], item["gold_raw"]) for item in gold))
    for run in json.loads((folder / "runs.json").read_text()):
        if not run["notebook_weighted_PRF"]:
            continue
        said = answers[run["model"], run["run"]]
        named = list(_chained(formats.line_tags(item["sentence"], said[item["idx"]]) for item in gold))
        precision, recall, f1 = run["notebook_weighted_PRF"][0]
        name = f"{run['model']} {run['run'].removeprefix('assembly_not_stratified_input_30_')}"
        note = (
            "1 to 4 of 3,370 words; the release counts the words before a mention with NLTK's word_tokenize "
            "and its Punkt model, we count them at blanks"
            if run["model"].startswith("gpt")
            else "the notebooks clean these models' answers before they score them, which is not released"
        )
        published = (f"{precision:.6f}", f"{recall:.6f}", f"{f1:.6f}")
        ours = formats.weighted_scores(wanted, named)
        yield Result(folder.name, name, "get_evaluation_without_o (words)", published, ours, note)


def _gner(folder: Path) -> Iterator[Result]:
    """No figure was printed with these; the check is against a re-scoring with the released matching code."""
    for run in json.loads((folder / "scores.json").read_text()):
        sums = spans.SpanSums()
        for row in _rows(folder, run):
            tags = gner.tags(row["words"], row["raw"], row["label_list"])
            sums += spans.count(list(formats.bio_spans(row["gold_tags"])), list(formats.bio_spans(tags)))
        strict = spans.micro(sums)["strict"]
        ours = (100 * strict.precision, 100 * strict.recall, 100 * strict.f1)
        published = tuple(f"{value:.2f}" for value in run["recomputed_PRF"])
        name = f"{run['model']} {run['chapter']}"
        yield Result(folder.name, name, "GNER's parser and alignment, ner_ray strict", published, ours)


def scored(reference: Path) -> Iterator[tuple[str, str, str, tuple[float, float, float]]]:
    """Runs of one of our families that no figure was printed for, by its paper's own parser and scorer."""
    folder = reference / OUTPUTS / "gner_kind_it"
    for run in json.loads((folder / "scores.json").read_text()):
        score = gner.scores(sum((gner.count(_case(row)) for row in _rows(folder, run)), gner.Sums()))
        figures = (100 * score.precision, 100 * score.recall, 100 * score.f1)
        yield folder.name, f"{run['model']} {run['chapter']}", "gner (own parser)", figures


def aligned(reference: Path) -> Iterator[tuple[str, float, float, int]]:
    """Strict F1 of runs of GNER: by the released parser and matching, and by our family and aligner.

    The number is that of the answers that leave a choice; in all others, any reader finds the same spans.
    """
    folder = reference / OUTPUTS / "gner_kind_it"
    (step,) = gner_family.steps(gner_family.Options())
    for run in json.loads((folder / "scores.json").read_text()):
        released, own = spans.SpanSums(), spans.SpanSums()
        open_answers = 0
        for row in _rows(folder, run):
            case = _case(row)
            open_answers += _leaves_a_choice(row["words"], row["raw"], row["label_list"])
            tags = gner.tags(row["words"], row["raw"], row["label_list"])
            released += spans.count(list(formats.bio_spans(row["gold_tags"])), list(formats.bio_spans(tags)))
            passage = StepInput(case.text, labels.parse(row["label_list"]))
            (reading,) = step.read(passage, [Exchange(Prompt(""), (Completion(row["raw"]),))])
            own += spans.count(list(case.gold), list(align(case.text, reading, AlignConfig()).entities))
        figures = (100 * spans.micro(sums)["strict"].f1 for sums in (released, own))
        yield f"{run['model']} {run['chapter']}", *figures, open_answers


def _leaves_a_choice(words: Sequence[str], answer: str, known: Sequence[str]) -> bool:
    """Whether two readers could find different spans in an answer of GNER.

    They cannot if its tags are well-formed BIO with known labels and the words of each tagged run stand as often in the
    text as in the answer.
    """
    source = [word.lower() for word in words]
    said, tags = gner.read(answer)
    copy = [word.lower() for word in said]
    begins = all(
        tag == "O" or (tag[2:] in known and (tag[0] == "B" or tag[2:] == before[2:]))
        for before, tag in itertools.pairwise(["O", *tags])
    )
    runs = (copy[span.start : span.end] for span in formats.bio_spans(tags))
    return not begins or any(_times(run, source) != _times(run, copy) for run in runs)


def _times(run: Sequence[str], words: Sequence[str]) -> int:
    return sum(words[start : start + len(run)] == run for start in range(len(words) - len(run) + 1))


def _rows(folder: Path, run: Row) -> list[Row]:
    rows: list[Row] = pq.read_table(folder / f"{run['model']}.{run['chapter']}.parquet").to_pylist()
    return rows


def _case(row: Row) -> Case:
    text, gold, starts = " ".join(row["words"]), [], []
    at = 0
    for word in row["words"]:
        starts.append(at)
        at += len(word) + 1
    for entity in formats.bio_spans(row["gold_tags"]):
        start, end = starts[entity.start], starts[entity.end - 1] + len(row["words"][entity.end - 1])
        gold.append(Entity(start, end, text[start:end], entity.label))
    answers = {"tagger": [Exchange(Prompt(""), (Completion(row["raw"]),))]}
    return Case(text, tuple(row["label_list"]), gold, answers=answers, words=row["words"])


def _lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _literal(value: Any) -> dict[str, str]:
    """A dictionary that the release wrote as Python would print it."""
    found = ast.literal_eval(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else {k: v for part in found for k, v in part.items()}


def _chained(parts: Iterator[Sequence[str]]) -> Iterator[str]:
    return itertools.chain.from_iterable(parts)


def _digits(text: str) -> int:
    return len(text.partition(".")[2])


def _printed(value: float, text: str) -> float:
    return round(value, _digits(text))


def _cut(value: float, text: str) -> float:
    scale = 10 ** _digits(text)
    return math.floor(value * scale) / scale
