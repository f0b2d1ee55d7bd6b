"""Inputs that people have reported to fail in other tools: each is read, or rejected with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ner_ray.data import read_all
from ner_ray.errors import InputError


def read(path: Path, content: str | bytes) -> tuple[list[list[tuple[str, str]]], list[str]]:
    """The entities of each text, and the reasons of rejects."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found, rejects = read_all(str(path))
    return [[(entity.text, entity.label) for entity in item.entities] for item in found], [
        reject.reason for reject in rejects
    ]


def conll(text: str) -> str:
    """Lines, blank where there is a semicolon."""
    return "".join("\n" if line.strip() == ";" else f"{line.strip()}\n" for line in text.split("|"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # synalp/NER#1, glample/tagger#85: CoNLL-2003 as it was released has no B- but between neighbours.
        (conll("LONDON NNP I-NP I-LOC|1996-08-30 CD I-NP O"), [[("LONDON", "LOC")]]),
        (
            conll("English NNP I-NP I-MISC|County NNP I-NP B-MISC|Championship NNP I-NP I-MISC"),
            [[("English", "MISC"), ("County Championship", "MISC")]],
        ),
        # spyysalo/conlleval.py#1: an E- ends a mention, also if a B- of the same type follows.
        (
            conll("North B-MISC|African E-MISC|Grand B-MISC|Prix E-MISC"),
            [[("North African", "MISC"), ("Grand Prix", "MISC")]],
        ),
        # mpsilfve/finer-data#2: I- without B-, and lines of blanks between sentences.
        ("520\tI-PRO\tO\n.\tO\tO\n  \nLumia\tI-PRO\tI-PRO\n", [[], [("Lumia", "PRO")]]),
        # HumanSignal/label-studio#556: its CoNLL export has `-X-` and `_` in between.
        (conll("-DOCSTART- -X- O|Pills -X- _ B-Drug|200mg -X- _ O"), [[("Pills", "Drug")]]),
    ],
)
def test_conll_as_it_is_found(tmp_path: Path, content: str, expected: list[Any]) -> None:
    assert read(tmp_path / "train.txt", content) == (expected, [])


def test_a_byte_that_is_not_utf_8_costs_its_sentence(tmp_path: Path) -> None:
    """stanfordnlp/stanza#347: one quotation mark in Latin-1."""
    found, reasons = read(tmp_path / "test.bio", b"Oggi B-x\n\n\xab O\n\nTrento B-LOC\n")

    assert (found, reasons) == ([[("Oggi", "x")], [("Trento", "LOC")]], ["not Unicode: half of a surrogate pair"])


def test_a_tag_without_a_label_costs_its_sentence(tmp_path: Path) -> None:
    """explosion/spaCy#5739: `U-`; explosion/spaCy#6267: `-` for what is misaligned."""
    found, reasons = read(tmp_path / "a.conll", "a U-\n\nb -\n\nc U-x\n")

    assert found == [[("c", "x")]]
    assert len(reasons) == 2


def test_json_lines_from_windows(tmp_path: Path) -> None:
    """wbolster/jsonlines#68, microsoft/promptflow#4172: a byte order mark, and CR LF."""
    line = json.dumps({"text": "Zoë ran", "entities": [{"start": 0, "end": 3, "label": "x"}]}, ensure_ascii=False)

    assert read(tmp_path / "a.jsonl", f"\ufeff{line}\r\n{line}\r\n") == ([[("Zoë", "x")]] * 2, [])


def test_files_of_ner_annotator(tmp_path: Path) -> None:
    """tecoholic/ner-annotator#44: pairs inside of an object, null for what nobody annotated."""
    content = {"classes": ["X"], "annotations": [["Ann ran", {"entities": [[0, 3, "X"]]}], None]}

    assert read(tmp_path / "a.json", json.dumps(content)) == ([[("Ann", "X")]], ["not a JSON object"])


def test_skipped_tasks_and_predictions_by_number(tmp_path: Path) -> None:
    """HumanSignal/label-studio#279: skipped completions; #5654: predictions are only their ids."""
    tasks = [
        {"id": 1, "data": {"text": "Ann"}, "completions": [{"id": 1, "skipped": True, "result": []}]},
        {"id": 2, "data": {"text": "Bo"}, "annotations": [], "predictions": [77]},
    ]

    assert read(tmp_path / "a.json", json.dumps(tasks)) == (
        [],
        ["its annotations were all cancelled", "it has neither annotations nor predictions"],
    )


def test_offsets_in_utf_16_are_rejected_and_named(tmp_path: Path) -> None:
    """HumanSignal/label-studio#1347: everything behind an emoji was off by one."""
    task = {
        "id": 1,
        "text": "💩This is an annotation.",
        "label": [{"start": 13, "end": 23, "text": "annotation", "labels": ["Annotation"]}],
        "annotator": "a",
        "annotation_id": 2,
        "lead_time": 8.416,
    }
    found, (reason,) = read(tmp_path / "a.json", json.dumps([task]))

    assert found == []
    assert reason.startswith("entity 'annotation' is not at 13:23")
    assert "UTF-16 code units" in reason


def test_a_dictionary_of_data_sets_is_not_one_data_set(tmp_path: Path) -> None:
    """huggingface/datasets#2424: what was saved as a dictionary cannot be loaded as a data set."""
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')

    with pytest.raises(InputError, match="holds the splits train, test"):
        read_all(str(tmp_path))
