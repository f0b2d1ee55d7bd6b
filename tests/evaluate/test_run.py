"""Evaluations from files to figures: one process or many batches, predictions or raw answers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import plugins, schema
from ner_ray.errors import ConfigError, InputError
from ner_ray.evaluate import run
from ner_ray.evaluate.command import evaluate_files
from ner_ray.evaluate.config import Columns, EvaluateConfig, ScoringConfig
from ner_ray.evaluate.read import side_by_side
from ner_ray.evaluate.run import Sums
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.types import Annotation, Entity, Label, StepInput

from . import data

SCORERS = tuple(plugins.names("evaluate.papers"))
PLAN = ScoringConfig(scorers=SCORERS, samples=50, examples=3)


def score(rows, plan=PLAN):
    return run.score_rows(side_by_side(data.records(rows), ("id",)), plan)


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def test_sums_of_batches_add_to_those_of_the_whole_and_survive_json():
    """What a cluster does: score files anywhere, carry plain data, add in any order."""
    rows = data.rows(60)
    parts = (rows[40:], rows[:10], rows[10:40])
    carried = [Sums.from_dict(json.loads(json.dumps(score(part).to_dict()))) for part in parts]
    merged = sum(carried, run.zero(PLAN))

    assert score(rows).to_dict() == merged.to_dict()
    assert run.summarize(score(rows), PLAN) == run.summarize(merged, PLAN)


def test_two_files_in_any_order_give_what_one_file_gives(tmp_path):
    """The gold column of the one may bear the name of the prediction column of the other."""
    rows = data.rows(40)
    gold = [{"id": r["id"], "text": r["text"], "labels": r["labels"], "entities": r["gold"]} for r in rows]
    predictions = [{"id": r["id"], "entities": r["entities"]} for r in reversed(rows)]
    settings = dict(PLAN)
    apart = evaluate_files(
        EvaluateConfig(
            gold=write(tmp_path / "g.parquet", gold),
            predictions=write(tmp_path / "p.parquet", predictions),
            **settings | {"columns": Columns(gold="entities")},
        )
    )
    together = evaluate_files(EvaluateConfig(gold=write(tmp_path / "both.parquet", rows), **settings))

    assert together == apart


def test_gold_of_any_format_and_a_run_as_predictions(tmp_path):
    """A run's rows are found through its manifests: the superseded one does not count."""
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["Ada sat .", "Bo ran ."]}), tmp_path / "in.parquet")
    directory = RunDirectory(str(tmp_path / "run"))
    (wave,) = directory.plan_waves(list_shards(str(tmp_path / "in.parquet")), 10)
    write_wave(directory, wave, [[], []])
    write_wave(directory, directory.plan_retry(wave.row_ids()[:1], []), [[Entity(0, 3, "Ada", "person")]])
    (tmp_path / "gold.conll").write_text("# id = a\nAda B-person\nsat O\n. O\n\n# id = b\nBo B-person\nran O\n. O\n")

    found = evaluate_files(EvaluateConfig(gold=str(tmp_path / "gold.conll"), predictions=directory.uri, samples=0))

    assert (found.documents, found.micro["strict"].recall, found.micro["strict"].precision) == (2, 0.5, 1.0)
    assert "without_prediction" not in found.counts
    with pytest.raises(InputError, match=f"give the run directory itself, {directory.uri}"):
        evaluate_files(EvaluateConfig(gold=str(tmp_path / "gold.conll"), predictions=f"{directory.uri}/data"))


def write_wave(directory, wave, entities):
    rows = [
        {schema.ROW_ID: row_id, "doc_id": "ab"[row_id & 1], **schema.annotation_to_row(Annotation(tuple(found)))}
        for row_id, found in zip(wave.row_ids().tolist(), entities, strict=True)
    ]
    fields = pa.schema([(schema.ROW_ID, pa.int64()), ("doc_id", pa.string()), *schema.OUTPUT])
    Path(directory.data_path(wave)).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, fields), Path(directory.data_path(wave)) / "part.parquet")
    directory.commit(wave, {})


def test_gold_that_cannot_be_used_is_counted_and_shown():
    """An entity that is not where it is said to be is left out, a row of another shape whole."""
    rows = data.rows(4)
    rows[1]["gold"][0] = {**rows[1]["gold"][0], "text": "Nobody"}
    rows[2]["gold"] = "none"
    rows[3]["text"] = None
    found = run.summarize(score(rows), PLAN)

    assert (found.documents, found.counts["invalid_gold"], found.counts["rejected_gold"]) == (2, 1, 2)
    assert [(reject.row, reject.example_id) for reject in found.rejects] == [(n, f"doc-{n}") for n in (1, 2, 3)]
    assert "entity 'Nobody' is not at" in found.rejects[0].reason


def test_gold_of_which_nothing_can_be_used_is_refused():
    rows = [row | {"gold": "none"} for row in data.rows(2)]

    with pytest.raises(InputError, match="none of 2 rows of gold can be used; for example row 0 of rows: no list"):
        run.summarize(score(rows), PLAN)


def test_a_missing_column_is_named_with_those_that_there_are(tmp_path):
    """All of them, though only what is needed is read."""
    path = write(tmp_path / "g.parquet", [{"body": "Ada", "gold": [], "note": 1}])

    with pytest.raises(InputError, match=r"no column 'text'\n.*columns are: body, gold, note; .* columns\.text"):
        evaluate_files(EvaluateConfig(gold=path))
    with pytest.raises(InputError, match=r"no column 'gold'\n.*columns are: text; .* columns\.gold"):
        evaluate_files(EvaluateConfig(gold=write(tmp_path / "g.parquet", [{"text": "Ada"}])))


def test_a_label_that_maps_to_nothing_is_left_out_and_one_that_no_row_has_is_refused():
    rows = [row | {"entities": row["gold"]} for row in data.rows(20)]
    without = ScoringConfig(label_map={"place": None}, samples=0)
    dropped = run.summarize(score(rows, without), without)
    places = sum(entity["label"] == "place" for row in rows for entity in row["gold"])

    assert "place" not in dropped.labels
    assert dropped.counts["dropped_gold"] == dropped.counts["dropped_predictions"] == places > 0
    wrong = ScoringConfig(label_map={"plaice": "place"}, samples=0)
    with pytest.raises(ConfigError, match="no label 'plaice'"):
        run.summarize(score(rows, wrong), wrong)


def test_documents_without_prediction_are_scored_and_those_without_gold_are_counted(tmp_path):
    """A missing row is a document in which nothing was found."""
    rows = data.rows(10)
    gold = write(tmp_path / "g.parquet", [{k: r[k] for k in ("id", "text", "gold")} for r in rows[:8]])
    predictions = write(tmp_path / "p.parquet", [{"id": r["id"], "entities": r["gold"]} for r in rows[4:]])

    found = evaluate_files(EvaluateConfig(gold=gold, predictions=predictions, samples=0))

    assert (found.documents, found.micro["strict"].recall, found.micro["strict"].precision) == (8, 0.5, 1.0)
    assert found.counts == {"without_gold": 2, "without_prediction": 4}


def test_gold_and_prediction_may_not_be_the_same_column(tmp_path):
    """It would score 100."""
    path = write(tmp_path / "both.parquet", data.rows(2))

    with pytest.raises(InputError, match="at once"):
        evaluate_files(EvaluateConfig(gold=path, columns=Columns(gold="entities")))


def test_perfect_predictions_score_one_with_every_scorer():
    """Ours in all modes, theirs all five, with intervals of no width."""
    rows = [row | {"entities": row["gold"]} for row in data.rows(20)]
    found = run.summarize(score(rows), PLAN)

    assert all(score.f1 == 1.0 for score in (*found.micro.values(), *found.macro.values()))
    assert (found.intervals["strict"]["f1"].low, found.intervals["strict"]["f1"].high) == (1.0, 1.0)
    assert found.examples.items == ()
    for result in found.papers:
        scale = 100 if result.score.unit == "percent" else 1
        assert result.score.f1 / scale == pytest.approx(1.0)
        assert (result.read_by, result.intervals == {}) == ("spans", result.scorer == "cascade")


def test_intervals_hold_the_score():
    """Of ours and of the published scorers that just add."""
    found = run.summarize(score(data.rows(80), PLAN.model_copy(update={"samples": 300})), PLAN)

    for mode, interval in found.intervals.items():
        assert interval["f1"].low < found.micro[mode].f1 < interval["f1"].high
    gner = next(result for result in found.papers if result.scorer == "gner")
    assert gner.intervals["f1"].low < gner.score.f1 < gner.intervals["f1"].high


def test_a_scorer_that_refuses_says_so():
    """CascadeNER's code raises where no sentence has a prediction."""
    rows = [row | {"entities": []} for row in data.rows(3)]
    found = run.summarize(score(rows), PLAN)

    cascade = next(result for result in found.papers if result.scorer == "cascade")
    assert cascade.score is None
    assert "empty input array" in cascade.refusal


def test_texts_and_ids_that_are_no_unicode_are_scored():
    """JSON may hold lone surrogates."""
    row = {"id": "\ud800", "text": "Ada \udfff", "gold": [], "entities": [{"start": 0, "end": 3, "label": "x"}]}

    assert score([row]).examples.items[0].sentences[0].text == "Ada \udfff"


def test_repeated_predictions_are_counted():
    """And do not count twice for the score."""
    rows = [row | {"entities": row["gold"] * 2} for row in data.rows(3)]
    found = run.summarize(score(rows), PLAN)

    assert (found.counts["repeated_predictions"], found.micro["strict"].precision) == (6, 1.0)


def test_examples_are_the_same_sample_however_the_rows_are_batched():
    """At most as many as asked for, each with an error."""
    rows = data.rows(60)
    parts = score(rows[:7]) + score(rows[7:])

    assert score(rows).examples == parts.examples
    assert len(parts.examples.items) == 3
    assert all(sentence.faults for item in parts.examples.items for sentence in item.sentences)


def answers_of(family, row, change=lambda text: text):
    """The answers that an ideal model would give, changed."""
    module = plugins.load("families", family)
    gold = [Entity(e["start"], e["end"], e["text"], e["label"]) for e in row["gold"]]
    passage = StepInput(row["text"], tuple(Label(name) for name in row["labels"]))
    answers = []
    for step in module.steps(module.Options()):
        exchanges = step.targets(passage, gold).exchanges
        answers += [change(completion.text) for exchange in exchanges for completion in exchange.completions]
        passage = StepInput(passage.text, passage.labels, entities=tuple(gold))
    return answers


@pytest.mark.parametrize("family", ["gner", "b2ner", "universal_ner", "ra_it", "cascade"])
def test_raw_answers_are_read_by_the_family_and_by_the_paper_s_own_parser(family):
    """Ideal answers score 1 either way; the report says who read them."""
    rows = [row | {"raw": answers_of(family, row)} for row in data.rows(12)]
    plan = ScoringConfig(columns=Columns(answers="raw"), family={"name": family}, scorers=SCORERS, samples=0)
    found = run.summarize(score(rows, plan), plan)

    assert found.micro["strict"].f1 == 1.0
    for result in found.papers:
        scale = 100 if result.score.unit == "percent" else 1
        assert ("own parser" if result.scorer == family else "spans") == result.read_by
        assert result.score.f1 / scale == pytest.approx(1.0)
    assert not {"answers.missing", "answers.unused"} & found.counts.keys()
    assert found.counts["document.ok"] == 12


def test_a_label_tree_is_asked_level_by_level_and_scored_by_its_leaves():
    """CascadeNER's classifier gets one question a surface and level."""
    row = {"id": "1", "text": "Ada saw Rome", "gold": [data.entity("Ada saw Rome", "Rome", "city")]}
    answers = ["Ada saw ##Rome##", "place", "city"]
    plan = ScoringConfig(
        columns=Columns(answers="raw"),
        family={"name": "cascade"},
        labels={"person": None, "place": {"city": None, "country": None}},
        scorers=("cascade",),
        samples=0,
    )
    found = run.summarize(score([row | {"raw": answers}], plan), plan)

    assert found.micro["strict"].f1 == found.papers[0].score.f1 == 1.0
    assert "answers.missing" not in found.counts


def test_the_family_recovers_what_the_paper_s_own_parser_loses():
    """Commas between the words: GNER's code reads nothing, we read all, and say that we recovered."""
    rows = [row | {"raw": answers_of("gner", row, lambda text: text.replace(") ", "), "))} for row in data.rows(5)]
    plan = ScoringConfig(columns=Columns(answers="raw"), family={"name": "gner"}, scorers=("gner",), samples=0)
    found = run.summarize(score(rows, plan), plan)

    assert found.micro["strict"].f1 == 1.0
    assert found.papers[0].score.f1 < 0.6
    assert found.counts["verdict.recovered"] == 5


def test_missing_and_unused_answers_are_counted():
    """One label too few, one too many."""
    row = data.rows(1)[0]
    plan = ScoringConfig(columns=Columns(answers="raw"), family={"name": "universal_ner"}, samples=0)

    assert score([row | {"raw": ["[]"]}], plan).counts["answers.missing"] == 2
    assert score([row | {"raw": ["[]"] * 4}], plan).counts["answers.unused"] == 1
    assert score([row | {"raw": None}], plan).counts["without_prediction"] == 1


def test_raw_answers_without_a_label_set_are_refused():
    """Read by the labels of each row's own gold, an answer could not name a wrong label."""
    row = {"id": 1, "text": "Nothing in Oslo here.", "gold": [], "raw": " location: Oslo; person: Nothing"}
    plan = ScoringConfig(columns=Columns(answers="raw"), family={"name": "b2ner"}, samples=0)

    with pytest.raises(InputError, match="need the label set"):
        score([row], plan)

    given = plan.model_copy(update={"labels": ["person", "location"]})
    assert run.summarize(score([row], given), given).micro["strict"].precision == 0


def test_kept_exchanges_of_several_chunks_are_read_and_merged():
    """Each chunk's answers give entities in the document's offsets."""
    row = data.rows(1)[0]
    middle = row["text"].index("Nobody")
    bounds = [(0, middle), (middle, len(row["text"]))]
    exchanges, chunks = [], []
    for number, (start, end) in enumerate(bounds):
        gold = [
            {**entity, "start": entity["start"] - start, "end": entity["end"] - start}
            for entity in row["gold"]
            if start <= entity["start"] < end
        ]
        part = {**row, "text": row["text"][start:end], "gold": gold}
        exchanges += [
            {"chunk": number, "completions": [{"text": a, "finish_reason": "stop"}]} for a in answers_of("gner", part)
        ]
        chunks.append({"start": start, "end": end, "core_start": start, "core_end": end})
    plan = ScoringConfig(columns=Columns(answers="exchanges"), family={"name": "gner"}, scorers=("gner",), samples=0)
    found = run.summarize(score([row | {"exchanges": exchanges, "chunks": chunks}], plan), plan)

    assert (1.0, pytest.approx(1.0)) == (found.micro["strict"].f1, found.papers[0].score.f1)


def test_wrong_names_are_refused_before_anything_is_read():
    """Scorer, family, option."""
    answers = Columns(answers="raw")

    with pytest.raises(ConfigError, match="known: b2ner"):
        score([], ScoringConfig(scorers=("bleu",)))
    with pytest.raises(ConfigError, match="a model family reads the answers"):
        score([], ScoringConfig(columns=answers))
    with pytest.raises(ConfigError, match="no family named"):
        score([], ScoringConfig(columns=answers, family={"name": "nothing"}))
    with pytest.raises(ConfigError, match=r"family gner.*\n.*speed: no such setting"):
        score([], ScoringConfig(columns=answers, family={"name": "gner", "speed": 3}))


def test_counts_hold_only_what_occurred():
    """No zeros in the report."""
    assert all(score(data.rows(5)).counts.values())
    assert Counter() == score([]).counts
