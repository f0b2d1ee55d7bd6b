"""Cases of the golden format for making training data.

`FUNCTIONS` maps system and name of a published function to what runs a case of it here. Two published functions have no
use in the package, whose own ways are better (`DIFFERENCES.md`); they are written out here, to show what they do.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ner_ray.align import align_mentions
from ner_ray.config import AlignConfig
from ner_ray.config.labels import parse
from ner_ray.evaluate.papers import cascade as cascade_scorer
from ner_ray.families import b2ner, cascade
from ner_ray.synth import dynamic, passages, questions
from ner_ray.synth.config import PUBLISHED_FILTERS, PUBLISHED_TYPES, FilterOptions, LabelSetOptions
from ner_ray.synth.filters import apply
from ner_ray.synth.label_sets import regularize
from ner_ray.synth.statistics import Statistics, count
from ner_ray.types import Entity, Label, Mention, StepInput

Case = dict[str, Any]

# The part of DynamicNER's categories (`DynamicNER.json`) that the cases show.
_PERSON = {
    "real person": [
        *("politician", "artist", "author", "athlete", "director", "actor", "scholar", "military", "musician"),
        *("business executive", "other person"),
    ],
    "fictional figure": None,
}
_TYPES = ("location", "product", "facility", "art", "group", "miscellaneous", "science entity")
CATEGORIES = parse({"person": _PERSON, **dict.fromkeys(_TYPES)})


# RA-IT


def _annotation(case: Case) -> list[dict[str, str]]:
    """Their parser of a teacher's answer, with a literal where they evaluate code.

    It reads the last list; where there is none, or it is no list of dictionaries, every `{...}` for itself.
    """
    answer = case["output_text"].translate(str.maketrans("，。：", ",.:")).replace("\n", "")
    if case["output_text"] in ("", "[]", "[{}]", "A: []", "{}"):
        return []
    lists = [_literal(f"[{inner}]") for inner in re.findall(r"\[(.*?)\]", answer)[-1:]]
    if lists and lists[0] is not None and all(isinstance(item, dict) and item for item in lists[0]):
        return [pair for pair in _pairs(lists[0]) if next(iter(pair.values())) != "O"]
    found = (_literal(f"{{{inner}}}") for inner in re.findall(r"\{(.*?)\}", answer))
    return [pair for item in found if isinstance(item, dict) for pair in _pairs([item])]


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text.replace("null", '"O"'))
    except (ValueError, SyntaxError):
        return None


def _pairs(items: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    if items and ({"entity 1", "type of entity 1"} <= items[0].keys() or {"实体1", "实体1的类别"} <= items[0].keys()):
        return [dict([tuple(item.values())[:2]]) for item in items]
    if len(items) == 1:
        return [{name: label} for name, label in items[0].items()]
    return [dict(item) for item in items]


def _filter(case: Case) -> dict[str, Any]:
    unit = "characters" if case["input"]["lang"] == "zh" else "words"
    options = FilterOptions(steps=PUBLISHED_FILTERS, invalid_types=PUBLISHED_TYPES, length_unit=unit)
    total, filtered = Statistics(), []
    for item in case["input"]["items"]:
        mentions = [Mention(name, label) for pair in item["prediction"] for name, label in pair.items()]
        kept = apply(item["text"], mentions, options).kept
        total += count(kept)
        filtered.append(
            [
                {mention.text: mention.label}
                for mention in sorted(kept, key=lambda mention: (mention.text, mention.label))
            ]
        )
    return {
        "filtered_predictions(sorted)": filtered,
        "statistics": total.summary(),
        "type2freq": total.lowered().frequencies(),
    }


def _ends(case: Case) -> list[str]:
    chunks = case["input"]["chunks"]
    text = "".join(chunks)
    ends = [len("".join(chunks[:number])) for number in range(len(chunks) + 1)]
    return [text[start:end] for start, end in passages.move_sentence_ends(text, list(pairwise(ends)), whole=False)]


# CascadeNER


def _extractor_target(case: Case) -> dict[str, Any]:
    """Theirs, which marks marked text again, and what their reader makes of it."""
    sentence = marked = case["input"]["sentence"]
    for entity in sorted(case["input"]["entities"], key=len, reverse=True):
        marked = marked.replace(entity, f"##{entity}##")
    spans = cascade_scorer.read(sentence, marked)
    found = [{"text": sentence[start:end], "start": start, "end": end} for start, end in spans]
    return {"target": marked, "re-extracted": found}


def own_extractor_target(case: Case) -> str:
    """Ours, with every place of every entity marked, where none lies in another."""
    sentence = case["input"]["sentence"]
    mentions = [Mention(entity) for entity in dict.fromkeys(case["input"]["entities"])]
    placed = align_mentions(sentence, mentions, AlignConfig(occurrences="all")).entities
    extractor, _ = cascade.steps(cascade.Options(system=""))
    (exchange,) = extractor.targets(StepInput(sentence, ()), placed).exchanges
    return exchange.completions[0].text


def _classifier_rows(case: Case) -> list[dict[str, Any]]:
    sentence, entity = case["input"]["sentence"], case["input"]["entity"]
    start = sentence.index(entity)
    gold = Entity(start, start + len(entity), entity, case["input"]["category"])
    asking = cascade.choice_questions({"system": ""})
    rows = questions.to_rows("row", questions.ask(sentence, [gold], CATEGORIES, asking)[0][0], asking)
    return [{"conversations": [{"from": turn.role, "value": turn.content} for turn in row.turns]} for row in rows]


def _characters(case: Case) -> list[list[str]]:
    """A character and its tag a row; ours places entities first, so that the first place of each is tagged."""
    sentence = case["input"]["sentence"]
    pairs = zip(case["input"]["entity"], case["input"]["category"], strict=True)
    placed = align_mentions(sentence, [Mention(name, label) for name, label in pairs], AlignConfig()).entities
    return [*map(list, zip(sentence, _tags(len(sentence), placed), strict=True)), ["", ""]]


def _tags(length: int, entities: Sequence[Entity]) -> Iterator[str]:
    for place in range(length):
        inside = next((entity for entity in entities if entity.start <= place < entity.end), None)
        prefix = "B" if inside and inside.start == place else "I"
        yield f"{prefix}-{inside.label.replace(' ', '_')}" if inside else "O"


def _dynamic_helpers(case: Case) -> dict[str, Any]:
    """The case tells the input of the first helpers alone; those of the last two are made up to fit."""
    notation = cascade.choice_questions({}).notation
    stem, options = notation.split(case["input"]["user_message"])
    return {
        "d1.extract_list": list(options),
        "d2.extract_options": list(options),
        "d2.rebuild": notation.join(stem, ["a", "b"]),
        "d4.remove_duplicate_special": dynamic.one_special(["other person", "x", "other", "miscellaneous"]),
        "d2.normalize_text": dynamic.synonym_key("Café-Bar Éa"),
    }


def _merge_lists(case: Case) -> list[str]:
    hierarchy = dynamic.Hierarchy.of(CATEGORIES)
    return list(dynamic.merge_options(case["input"]["first_list"], case["input"]["new_types"], hierarchy))


# B2NER


def _b2ner_instances(case: Case) -> Any:
    given = {"instances": [_instance_of(case["reference_result"])], **case["input"]}
    present = [entity["type"] for entity in given["instances"][0]["entities"]]
    labels = given.get("labels") or [f"label {number}" for number in range(given.get("n_labels", 0))] or present
    named = dict(re.findall(r"(subset|seed)=(\w+)", case["case"]))
    options = LabelSetOptions(
        dropout=given.get("droplabel_rate", 0),
        shuffle=given.get("label_shuffle", False),
        max_labels=given.get("max_label_in_prompt"),
    )
    rng = random.Random(int(named.get("seed", 0)))
    rows = []
    for number, instance in enumerate(given["instances"]):
        gold = [Entity(*entity["pos"], entity["name"], entity["type"]) for entity in instance["entities"]]
        types = [entity.label for entity in gold]
        offered = labels if named.get("subset") == "test" else regularize(labels, types, options, rng)
        rows.append(_b2ner_row(str(number), instance["sentence"], gold, offered))
    if isinstance(case["reference_result"], list):
        return rows
    shown = rows[0]["instruction"].split("Label Set: ")[1].split(" \n")[0].split(", ")
    return {"n_labels_in_prompt": len(shown), "label": rows[0]["label"]}


def _b2ner_row(number: str, sentence: str, gold: Sequence[Entity], offered: Sequence[str]) -> dict[str, str]:
    (step,) = b2ner.steps(b2ner.Options(max_labels=max(1, len(offered))))
    (exchange,) = step.targets(StepInput(sentence, tuple(map(Label, offered))), gold).exchanges
    answer = exchange.completions[0].text
    row = {"id": number, "sentence": sentence, "label": answer, "ground_truth": answer}
    return {**row, "instruction": str(exchange.prompt.content)}


def _instance_of(result: Any) -> dict[str, Any]:
    """The instance that a case leaves out, from the answer it expects."""
    answer = result[0]["label"] if isinstance(result, list) else result["label"]
    pairs = [item.split(": ") for item in answer.strip().split("; ")]
    sentence = " ".join(name for _, name in pairs)
    places = [sentence.index(name) for _, name in pairs]
    entities = [
        {"name": name, "type": label, "pos": [start, start + len(name)]}
        for (label, name), start in zip(pairs, places, strict=True)
    ]
    return {"sentence": sentence, "entities": entities}


FUNCTIONS: dict[tuple[str, str], Callable[[Case], Any]] = {
    ("B2NER", "B2NERInstructions.load_NER_dataset"): _b2ner_instances,
    ("RA-IT", "batch_move_ending_punc + batch_strip"): _ends,
    ("CascadeNER", "categorization/dynamic*.py"): _dynamic_helpers,
    ("CascadeNER", "dynamic1.merge_lists"): _merge_lists,
    ("RA-IT", "filter_entity"): _filter,
    ("RA-IT", "response_2_prediction_of_dict_json (uses eval())"): _annotation,
    ("CascadeNER", "stage1_trans.convert_to_conversation_format"): _extractor_target,
    ("CascadeNER", "stage2_trans.convert_to_complex_conversation_format"): _classifier_rows,
    ("CascadeNER", "transformation/BIO_trans_zh.py"): _characters,
}
