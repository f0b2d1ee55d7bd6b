"""Every format gives the same annotated texts; what cannot be read is a reject with its reason."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.data import AnnotatedText, Reject, read, read_all
from ner_ray.errors import InputError

TEXT = "Ann met Rex in Ghent ."
ENTITIES = [("Ann", "person"), ("Rex", "person"), ("Ghent", "place")]
TAGS = ["B-person", "O", "B-person", "O", "B-place", "O"]


def spans(annotated: AnnotatedText) -> list[tuple[str, str]]:
    assert all(annotated.text[entity.start : entity.end] == entity.text for entity in annotated.entities)
    return [(entity.text, entity.label) for entity in annotated.entities]


def one(path: Path) -> AnnotatedText:
    """The only text at a path."""
    (found,), rejects = read_all(str(path))
    assert rejects == []
    return found


def reasons(path: Path) -> list[str]:
    """Why nothing at a path can be used."""
    found, rejects = read_all(str(path))
    assert found == []
    return [reject.reason for reject in rejects]


def row(**more: Any) -> dict[str, Any]:
    entities = [
        {"start": TEXT.index(text), "end": TEXT.index(text) + len(text), "text": text, "label": label}
        for text, label in ENTITIES
    ]
    return {"id": "a", "text": TEXT, "entities": entities} | more


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def task(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"text": TEXT, "doc_id": "a"}, "annotations": list(annotations)} | more


def regions(*found: tuple[str, str], **more: Any) -> dict[str, Any]:
    """An annotation as Label Studio exports it."""
    values = [
        {"start": TEXT.index(text), "end": TEXT.index(text) + len(text), "text": text, "labels": [label]}
        for text, label in found
    ]
    result = [
        {"id": f"r{at}", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual", "value": value}
        for at, value in enumerate(values)
    ]
    return {"id": 1, "completed_by": 1, "result": result, "was_cancelled": False, "ground_truth": False} | more


class TestJson:
    @pytest.mark.parametrize(
        "content",
        [
            json.dumps(row()),
            json.dumps(row()) + "\r\n\r\n",
            json.dumps([row()]),
            json.dumps([row()], indent=1),
            json.dumps(row(), indent=1),
            "\ufeff" + json.dumps(row()),
            "\ufeff" + json.dumps([row()]),
            json.dumps([TEXT, {"id": "a", "entities": [[0, 3, "person"], [8, 11, "person"], [15, 20, "place"]]}]),
            json.dumps([[TEXT, {"id": "a", "entities": [[0, 3, "person"], [8, 11, "person"], [15, 20, "place"]]}]]),
            json.dumps({"id": "a", "text": TEXT, "label": [[0, 3, "person"], [8, 11, "person"], [15, 20, "place"]]}),
            json.dumps({"id": "a", "tokens": TEXT.split(), "ner_tags": TAGS}),
        ],
        ids=[
            "line",
            "crlf",
            "array",
            "indented array",
            "indented",
            "bom",
            "bom array",
            "pair",
            "pairs",
            "doccano",
            "tags",
        ],
    )
    def test_lines_arrays_and_other_tools_records_are_read_alike(self, tmp_path: Path, content: str) -> None:
        found = one(write(tmp_path / "a.json", content))

        assert (found.text_id, found.text, spans(found)) == ("a", TEXT, ENTITIES)

    def test_compressed_files_are_read(self, tmp_path: Path) -> None:
        content = json.dumps(row()).encode()
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))
        (tmp_path / "b.json.bz2").write_bytes(bz2.compress(b"[" + content + b"]"))

        assert [spans(found) for found in read_all(str(tmp_path))[0]] == [ENTITIES] * 2

    def test_a_broken_line_costs_itself(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        path.write_bytes(json.dumps(row()).encode() + b'\n{"text": \n\xff\xfe\n' + json.dumps(row(id="b")).encode())

        found, rejects = read_all(str(path))

        assert [item.text_id for item in found] == ["a", "b"]
        assert [(reject.row, reject.reason.split(":")[0]) for reject in rejects] == [(1, "not JSON"), (2, "not UTF-8")]

    def test_a_broken_array_is_refused(self, tmp_path: Path) -> None:
        for content in (json.dumps([row()])[:-1], json.dumps([row()])[:-9], '[{"text": }]'):
            with pytest.raises(InputError, match=r"a\.json"):
                read_all(str(write(tmp_path / "a.json", content)))

    def test_an_array_is_read_record_by_record_whatever_its_size(self, tmp_path: Path) -> None:
        rows = [row(id=str(number), note="é" * 40_000) for number in range(100)]
        path = write(tmp_path / "a.json", json.dumps(rows, ensure_ascii=False))

        assert [found.text_id for found in read_all(str(path))[0]] == [str(number) for number in range(100)]

    def test_utf_16_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="UTF-16"):
            read_all(str(write(tmp_path / "a.jsonl", json.dumps(row()), "utf-16")))

    def test_prodigy_s_rejected_answers_are_rejects(self, tmp_path: Path) -> None:
        marked = {"text": TEXT, "spans": [{"start": 0, "end": 3, "label": "person", "token_start": 0}], "tokens": [{}]}
        lines = [json.dumps(marked | {"answer": answer}) for answer in ("accept", "reject", "ignore")]

        found, rejects = read_all(str(write(tmp_path / "a.jsonl", "\n".join(lines))))

        assert [spans(item) for item in found] == [[("Ann", "person")]]
        assert len(rejects) == 2


class TestConll:
    @pytest.mark.parametrize(
        "content",
        [
            "".join(f"{token} {tag}\n" for token, tag in zip(TEXT.split(), TAGS, strict=True)),
            "".join(f"{token}\t{tag}\r\n" for token, tag in zip(TEXT.split(), TAGS, strict=True)),
            "-DOCSTART- -X- O O\n\n" + "".join(f"{t} NNP I-NP {g}\n" for t, g in zip(TEXT.split(), TAGS, strict=True)),
            "\ufeff" + "".join(f"{token} {tag}\n" for token, tag in zip(TEXT.split(), TAGS, strict=True)),
        ],
        ids=["two columns", "tabs, CR LF", "four columns", "bom"],
    )
    @pytest.mark.parametrize("name", ["a.conll", "a.txt", "train"])
    def test_two_and_four_columns_under_any_name(self, tmp_path: Path, content: str, name: str) -> None:
        found = one(write(tmp_path / name, content))

        assert (found.text, found.tokens, spans(found)) == (TEXT, tuple(TEXT.split()), ENTITIES)

    @pytest.mark.parametrize(
        ("tags", "expected"),
        [
            ("I-x I-x B-x O", ["a b", "c"]),
            ("B-x I-x B-x O", ["a b", "c"]),
            ("B-x E-x S-x O", ["a b", "c"]),
            ("B-x L-x U-x O", ["a b", "c"]),
            ("B-x M-x E-x O", ["a b c"]),
            ("B-x I-y O B-x", ["a", "b", "d"]),
            ("I-x I-y I-y E-y", ["a", "b c d"]),
            ("E-x E-x O I-x", ["a", "b", "d"]),
        ],
    )
    def test_tags_of_all_schemes(self, tmp_path: Path, tags: str, expected: list[str]) -> None:
        lines = "".join(f"{token} {tag}\n" for token, tag in zip("abcd", tags.split(), strict=True))

        assert [text for text, _ in spans(one(write(tmp_path / "a.conll", lines)))] == expected

    def test_sentences_and_documents_have_the_ids_that_comments_give(self, tmp_path: Path) -> None:
        content = "# id 5d1 domain=train\na B-x\n\n# doc_id = d\nb O\n\nc O\n\n# sent_id = s\n# text = d\nd O\n# O\n"

        found, rejects = read_all(str(write(tmp_path / "a.conll", content)))

        assert rejects == []
        assert [(item.text_id, item.text) for item in found] == [
            ("5d1 domain=train", "a"), ("d:0", "b"), ("d:1", "c"), ("s", "d #"),
        ]  # fmt: skip

    def test_tokens_with_places_give_the_document_back(self, tmp_path: Path) -> None:
        lines = "# doc_id = d\nAnn\t0\t3\tB-person\n\nmet\t5\t8\tO\nRex\t9\t12\tB-person\n"

        found = one(write(tmp_path / "a.conll", lines + "\n"))

        assert (found.text_id, found.text) == ("d", "Ann  met Rex")
        assert [(entity.start, entity.end) for entity in found.entities] == [(0, 3), (9, 12)]

    def test_ids_of_documents_may_be_in_a_file_beside_it(self, tmp_path: Path) -> None:
        write(tmp_path / "a.conll", "Ann\t0\t3\tO\n\nran\t5\t8\tO\n\n-DOCSTART- -X- O O\n\nBo\t0\t2\tB-x\n")
        write(tmp_path / "a.conll.ids", "first\nsecond\n")

        for path in (tmp_path / "a.conll", tmp_path):
            assert [(item.text_id, item.text) for item in read_all(str(path))[0]] == [
                ("first", "Ann  ran"), ("second", "Bo"),
            ]  # fmt: skip

    def test_a_line_that_is_no_token_with_a_tag_costs_its_sentence(self, tmp_path: Path) -> None:
        content = "a B-x\nb ?\n\nc O\n\nd B-\n\ne 1\n"

        found, rejects = read_all(str(write(tmp_path / "a.conll", content)))

        assert [item.text for item in found] == ["c"]
        assert [reject.row for reject in rejects] == [0, 2, 3]
        assert all("not a token and a tag" in reject.reason for reject in rejects)

    def test_prose_is_not_conll(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="it is in no known format"):
            read_all(str(write(tmp_path / "a.txt", "Ann met Rex.\n\nThey left.\n")))


class TestLabelStudio:
    def test_annotations_are_gold_and_predictions_are_not(self, tmp_path: Path) -> None:
        predictions = [regions(("Ann", "wrong"))]
        content = json.dumps([task(regions(*ENTITIES), predictions=predictions)])

        assert spans(one(write(tmp_path / "a.json", content))) == ENTITIES

    def test_a_task_that_nobody_annotated_has_its_prediction(self, tmp_path: Path) -> None:
        content = json.dumps([task(predictions=[regions(*ENTITIES)])])

        found = one(write(tmp_path / "a.json", content))

        assert (found.text_id, spans(found)) == ("a", ENTITIES)

    def test_an_annotation_without_regions_says_that_there_is_nothing(self, tmp_path: Path) -> None:
        assert (
            spans(one(write(tmp_path / "a.json", json.dumps([task(regions(), predictions=[regions(*ENTITIES)])]))))
            == []
        )

    def test_cancelled_ones_do_not_count_and_ground_truth_counts_alone(self, tmp_path: Path) -> None:
        wrong = regions(("Ann", "wrong"))
        content = [
            task(regions(*ENTITIES), wrong | {"was_cancelled": True}),
            task(wrong, regions(*ENTITIES, ground_truth=True)),
            task(regions(*ENTITIES), regions(*reversed(ENTITIES))),
        ]
        found, rejects = read_all(str(write(tmp_path / "a.json", json.dumps(content))))

        assert rejects == []
        assert [sorted(spans(item)) for item in found] == [sorted(ENTITIES)] * 3

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (task(regions(was_cancelled=True), predictions=[regions(*ENTITIES)]), "all cancelled"),
            (task(regions(*ENTITIES), regions(("Ann", "x"))), "2 annotations disagree"),
            (task(predictions=[12, 13]), "neither annotations nor predictions"),
            (task(predictions=[]), "neither annotations nor predictions"),
            ({"data": {"text": TEXT, "status": "partial"}, "predictions": [regions(*ENTITIES)]}, "partial"),
            ({"data": {"html": "<p>Ann"}, "annotations": [{"result": [{"type": "hypertextlabels"}]}]}, "HTML"),
            (task({"result": [{"type": "labels", "value": {"start": 0, "end": 3, "labels": []}}]}), "without a label"),
            ({"data": {"a": "x", "b": "y"}, "annotations": [regions()]}, "no text"),
        ],
    )
    def test_what_does_not_count_is_rejected(self, tmp_path: Path, content: Any, reason: str) -> None:
        (found,) = reasons(write(tmp_path / "a.json", json.dumps([content])))

        assert reason in found

    def test_the_text_may_have_any_name(self, tmp_path: Path) -> None:
        content = {"data": {"r_TEXT": TEXT, "url": "x"}, "annotations": [regions(*ENTITIES)]}

        assert one(write(tmp_path / "a.json", json.dumps([content]))).text == TEXT

    def test_offsets_are_code_points_and_others_are_named(self, tmp_path: Path) -> None:
        text = "💩This is an annotation."
        content = [
            {"data": {"text": text}, "annotations": [{"result": [{"type": "labels", "value": value}]}]}
            for value in (
                {"start": 12, "end": 22, "text": "annotation", "labels": ["x"]},
                {"start": 13, "end": 23, "text": "annotation", "labels": ["x"]},
            )
        ]
        found, rejects = read_all(str(write(tmp_path / "a.json", json.dumps(content))))

        assert [spans(item) for item in found] == [[("annotation", "x")]]
        assert "UTF-16 code units" in rejects[0].reason

    def test_json_min_is_read(self, tmp_path: Path) -> None:
        values = [region["value"] for region in regions(*ENTITIES)["result"]]
        common = {"annotator": 1, "annotation_id": 5, "lead_time": 3.1, "created_at": "", "updated_at": ""}
        content = [{"id": 7, "text": TEXT, "label": values, **common}, {"id": 8, "text": "Rain.", **common}]

        found, _ = read_all(str(write(tmp_path / "a.json", json.dumps(content))))

        assert [(item.text_id, spans(item)) for item in found] == [("7", ENTITIES), ("8", [])]


class TestHuggingFace:
    @pytest.fixture
    def dataset(self) -> Any:
        datasets = pytest.importorskip("datasets", reason="the extra `export` is not installed")
        datasets.disable_progress_bars()
        names = ["O", "B-person", "I-person", "B-place", "I-place"]
        features = datasets.Features(
            {
                "id": datasets.Value("string"),
                "tokens": datasets.Sequence(datasets.Value("string")),
                "ner_tags": datasets.Sequence(datasets.ClassLabel(names=names)),
            }
        )
        rows = {"id": ["a"], "tokens": [TEXT.split()], "ner_tags": [[names.index(tag) for tag in TAGS]]}
        return datasets.Dataset.from_dict(rows, features=features)

    @pytest.mark.parametrize("form", ["folder", "arrow", "parquet", "json", "one split"])
    def test_class_labels_become_names(self, dataset: Any, tmp_path: Path, form: str) -> None:
        import datasets

        path = tmp_path / "set"
        if form == "parquet":
            dataset.to_parquet(path := tmp_path / "a.parquet")
        elif form == "json":
            names = dataset.features["ner_tags"].feature.names
            dataset.map(
                lambda row: {"tags": [names[tag] for tag in row["ner_tags"]]}, remove_columns="ner_tags"
            ).to_json(path := tmp_path / "a.jsonl")
        elif form == "one split":
            datasets.DatasetDict({"train": dataset}).save_to_disk(path)
        else:
            dataset.save_to_disk(path)
            path = next(path.glob("*.arrow")) if form == "arrow" else path

        assert (one(path).text_id, spans(one(path))) == ("a", ENTITIES)

    def test_the_names_of_tags_are_the_label_set(self, dataset: Any, tmp_path: Path) -> None:
        dataset.save_to_disk(tmp_path / "set")

        assert [label.name for label in one(tmp_path / "set").labels or ()] == ["person", "place"]

    def test_of_several_splits_one_must_be_named(self, dataset: Any, tmp_path: Path) -> None:
        import datasets

        datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(tmp_path / "set")

        with pytest.raises(InputError, match=r"splits train, test\n.*/set/train"):
            read_all(str(tmp_path / "set"))
        assert spans(one(tmp_path / "set" / "test")) == ENTITIES

    def test_a_number_without_a_name_is_a_reject(self, dataset: Any, tmp_path: Path) -> None:
        table = dataset.data.table
        bad = pa.array([[1, 0, 9, -1, 3, 0]], table.schema.field("ner_tags").type)
        pq.write_table(table.set_column(2, table.schema.field("ner_tags"), bad), tmp_path / "a.parquet")

        assert reasons(tmp_path / "a.parquet") == ["class label 9 has no name; there are 5, from 0"]

    def test_numbers_without_any_names_are_a_reject(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"tokens": [["a", "b"]], "ner_tags": [[1, 0]]}), tmp_path / "a.parquet")

        assert "tags that are numbers need names" in reasons(tmp_path / "a.parquet")[0]

    def test_entities_as_a_mapping_of_lists_with_class_labels(self, tmp_path: Path) -> None:
        features = {
            "text": {"dtype": "string", "_type": "Value"},
            "entities": {"feature": {"label": {"names": ["person"], "_type": "ClassLabel"}}, "_type": "Sequence"},
        }
        table = pa.table({"text": [TEXT], "entities": [{"start": [0, 8], "end": [3, 11], "label": [0, 0]}]})
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")

        assert spans(one(tmp_path / "a.parquet")) == [("Ann", "person"), ("Rex", "person")]


class TestSpacy:
    @pytest.fixture
    def doc(self) -> Any:
        spacy = pytest.importorskip("spacy", reason="the extra `export` is not installed")
        doc = spacy.blank("en")(TEXT)
        doc.ents = [
            doc.char_span(*(TEXT.index(text) + at for at in (0, len(text))), label=label) for text, label in ENTITIES
        ]
        return doc

    def test_a_docbin_is_read(self, doc: Any, tmp_path: Path) -> None:
        from spacy.tokens import DocBin

        DocBin(docs=[doc]).to_disk(tmp_path / "a.spacy")

        assert (one(tmp_path / "a.spacy").text, spans(one(tmp_path / "a.spacy"))) == (TEXT, ENTITIES)

    def test_a_document_that_is_not_annotated_is_a_reject(self, doc: Any, tmp_path: Path) -> None:
        import spacy
        from spacy.tokens import DocBin

        DocBin(docs=[spacy.blank("en")(TEXT)]).to_disk(tmp_path / "a.spacy")

        assert reasons(tmp_path / "a.spacy") == ["its tokens are marked as not annotated"]

    def test_another_file_of_that_name_is_refused(self, tmp_path: Path) -> None:
        pytest.importorskip("spacy", reason="the extra `export` is not installed")

        with pytest.raises(InputError, match="not a DocBin"):
            read_all(str(write(tmp_path / "a.spacy", "no")))


class TestParquet:
    def test_rows_are_read_in_their_order(self, tmp_path: Path) -> None:
        pq.write_table(pa.Table.from_pylist([row(id=str(number)) for number in range(3000)]), tmp_path / "a.parquet")

        assert [item.text_id for item in read_all(str(tmp_path))[0]] == [str(number) for number in range(3000)]

    def test_a_stream_holds_no_more_than_it_gives(self, tmp_path: Path) -> None:
        pq.write_table(pa.Table.from_pylist([row()] * 5000), tmp_path / "a.parquet")

        assert isinstance(next(read(str(tmp_path))), AnnotatedText)


def test_a_folder_may_hold_several_formats_and_other_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.jsonl", json.dumps(row()))
    write(tmp_path / "b.conll", "".join(f"{token} {tag}\n" for token, tag in zip(TEXT.split(), TAGS, strict=True)))
    write(tmp_path / "c.json", json.dumps([task(regions(*ENTITIES))]))
    write(tmp_path / "notes.txt", "Not one of them.")
    write(tmp_path / "_draft.jsonl", "left over")

    found, rejects = read_all(str(tmp_path))

    assert rejects == []
    assert [(item.source, spans(item)) for item in found] == [
        (name, ENTITIES) for name in ("a.jsonl", "b.conll", "c.json")
    ]
    assert "notes.txt" in caplog.text
    assert "_draft" not in caplog.text


@pytest.mark.parametrize(("text", "reason"), [("Ann\r\nmet Rex", "CR LF"), ("é Ann met Rex", "bytes of UTF-8")])
def test_offsets_in_other_units_are_rejected_with_the_unit(tmp_path: Path, text: str, reason: str) -> None:
    other = text.replace("\r\n", "\n") if "\r" in text else None
    start = other.index("Rex") if other else len(text[: text.index("Rex")].encode())
    entity = {"start": start, "end": start + 3, "text": "Rex", "label": "person"}

    (found,) = reasons(write(tmp_path / "a.jsonl", json.dumps({"text": text, "entities": [entity]})))

    assert reason in found


def test_nothing_and_unknown_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "a.csv", "text,label\nAnn,person\n")

    for path in ("absent", "empty", "a.csv"):
        with pytest.raises(InputError, match=path):
            read_all(str(tmp_path / path))


def test_a_reject_says_where_it_was(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", json.dumps(row(id=5, entities=[{"start": 1, "end": 4, "text": "Ann", "label": "x"}]))
    )

    assert read_all(str(path))[1] == [Reject("a.jsonl", 0, "5", "entity 'Ann' is not at 1:4, where 'nn ' is")]


def collection(folder: Path, **files: str) -> Path:
    """A folder of brat's, files by their names with `_` for the dot."""
    folder.mkdir()
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        write(folder / f"{stem}.{ending}", content)
    return folder


def test_standoff_files_of_brat_are_read_without_what_is_no_entity(tmp_path: Path) -> None:
    annotations = """T1\tperson 0 3\tAnn
#1\tAnnotatorNotes T1\tsure
T2\tperson 8 11\tRex
R1\tknows Arg1:T1 Arg2:T2
*\tEquiv T1 T2
T3\tplace 15 20\tGhent
"""
    folder = collection(tmp_path / "c", a_txt=TEXT, a_ann=annotations, later_txt="Not yet annotated.")

    assert spans(one(folder)) == ENTITIES
    assert one(folder).text_id == "a"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("Foo\n  Bar left", "T1\tperson 0 3;6 9\tFoo Bar", "Foo\n  Bar"),
        ("Foo\n  Bar left", "T1\tperson 0 3;4 9\tFoo   Bar", "Foo\n  Bar"),
        ("Foo\r\nBar left", "T1\tperson 0 3;5 8\tFoo Bar\r", "Foo\r\nBar"),
        ("Foo Bar left", "T1\tperson 0 7\tFoo Bar", "Foo Bar"),
    ],
)
def test_an_entity_of_brat_in_fragments_over_lines_is_one_entity(
    tmp_path: Path, text: str, line: str, found: str
) -> None:
    assert spans(one(collection(tmp_path / "c", a_txt=text, a_ann=line))) == [(found, "person")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("T1\torg 0 3;15 20\tAnn Ghent", "T1 is discontinuous: 'Ann Ghent'"),
        ("T32 Organization", "not a text-bound annotation: 'T32 Organization'"),
        ("T1\torg 0 2\tAnn", "entity 'Ann' is not at 0:2, where 'An' is"),
        ("T1\torg 0 99\tAnn", "entity 'Ann' is not at 0:99; the text has 22 characters"),
    ],
)
def test_what_brat_has_no_single_place_for_is_rejected_with_the_line(tmp_path: Path, line: str, reason: str) -> None:
    assert reasons(collection(tmp_path / "c", a_txt=TEXT, a_ann=line)) == [reason]


def record(*spans: dict[str, Any], text: str = TEXT, suggested: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A record of Argilla, as `records.to_json` writes it, with a response for each span list."""
    responses = [{"value": list(given), "user_id": str(number)} for number, given in enumerate(spans)]
    suggestion = {"value": suggested, "score": None, "agent": "m"}
    return {
        "id": "a",
        "fields": {"text": text},
        "metadata": {},
        "suggestions": {} if suggested is None else {"entities": suggestion},
        "responses": {"entities": responses} if responses else {},
        "vectors": {},
        "status": "completed",
        "_server_id": None,
    }


ANN = {"start": 0, "end": 3, "label": "person"}
REX = {"start": 8, "end": 11, "label": "person"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (record([ANN, REX], suggested=[ANN]), ["Ann", "Rex"]),
        (record([REX], [REX], suggested=[ANN]), ["Rex"]),
        (record(suggested=[ANN]), ["Ann"]),
        (record([], suggested=[ANN]), []),
    ],
    ids=["a response", "two that agree", "a suggestion", "a response that nothing is there"],
)
def test_responses_of_argilla_count_and_suggestions_where_there_are_none(
    tmp_path: Path, given: dict[str, Any], found: list[str]
) -> None:
    path = write(tmp_path / "records.json", json.dumps([given]))

    assert [text for text, _ in spans(one(path))] == found


EMOJI = "🚀 Ann met Rex"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (record([ANN], [REX]), "2 responses disagree"),
        (record(), "nobody has annotated it"),
        (record([{"start": 3, "end": 6, "label": "person"}], text=EMOJI), "Argilla counts an emoji as two characters"),
    ],
)
def test_records_of_argilla_that_are_no_gold_are_rejected(tmp_path: Path, given: dict[str, Any], reason: str) -> None:
    (found,) = reasons(write(tmp_path / "records.json", json.dumps([given])))

    assert found.startswith(reason)


def test_a_suggestion_of_argilla_that_a_person_has_kept_is_certain_whatever_stands_before_it(tmp_path: Path) -> None:
    kept = {"start": 2, "end": 5, "label": "person"}
    path = write(tmp_path / "records.json", json.dumps([record([kept], text=EMOJI, suggested=[kept])]))

    assert spans(one(path)) == [("Ann", "person")]
