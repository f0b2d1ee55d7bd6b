"""What holds for every family, a new one included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray import plugins
from ner_ray.align import align
from ner_ray.config import AlignConfig
from ner_ray.families.base import FamilyOptions, Step
from ner_ray.families.toolkit.labels import leaves
from ner_ray.types import (
    Completion,
    Entity,
    Exchange,
    LabelSet,
    LeftOutReason,
    Reading,
    SpanStatus,
    StepInput,
    Targets,
    Verdict,
)
from tests.families.data import (
    DEMONSTRATIONS,
    LABELS,
    TREE,
    annotated,
    answers,
    distorted,
    family_steps,
    plain,
    shown,
    texts,
)

FAMILIES = plugins.names("families")
POLICIES = ["drop", "keep", "nearest"]


every_family = pytest.mark.parametrize("family", FAMILIES)
every_label_set = pytest.mark.parametrize("labels", [LABELS, TREE], ids=["flat", "tree"])


def _passage(text: str, role: str) -> StepInput:
    """A classifier sees entities, here every blank-separated word."""
    return StepInput(text, LABELS, entities=tuple(_words(text, "")) if role == "classifier" else ())


def _words(text: str, label: str) -> list[Entity]:
    entities = []
    start = 0
    for word in text.split():
        start = text.index(word, start)
        entities.append(Entity(start, start + len(word), word, label))
        start += len(word)
    return entities


@every_family
def test_options_have_defaults_refuse_unknown_keys_and_know_the_label_policy(family: str) -> None:
    options = plugins.load("families", family).Options()

    assert isinstance(options, FamilyOptions)
    assert options.outside_labels == "drop"
    with pytest.raises(ValueError, match="extra"):
        type(options)(no_such_option=1)


@every_family
def test_a_step_has_a_role_and_asks_nothing_about_a_blank_text(family: str) -> None:
    for step in family_steps(family):
        assert step.role in {"tagger", "extractor", "classifier"}
        assert step.ask(_passage(" \n", step.role), ()) == []
        assert step.targets(_passage(" \n", step.role), []) == Targets(())


@every_family
def test_nothing_asked_is_one_empty_reading(family: str) -> None:
    for step in family_steps(family):
        (reading,) = step.read(StepInput("", LABELS), ())

        assert reading.mentions == ()
        assert reading.verdict == Verdict.OK


@every_family
def test_what_is_answered_is_not_asked_again(family: str) -> None:
    text = "Ann saw Lee."
    for step in family_steps(family):
        passage = _passage(text, step.role)
        transcript = [Exchange(prompt, (Completion("?"),)) for prompt in step.ask(passage, ())]

        assert transcript
        assert step.ask(passage, transcript) == []


@every_family
def test_a_prompt_that_was_refused_costs_only_itself(family: str) -> None:
    """An engine that refuses a prompt leaves an exchange without completions."""
    for step in family_steps(family):
        passage = _passage("Ann saw Lee.", step.role)
        transcript = [Exchange(prompt, ()) for prompt in step.ask(passage, ())]

        assert step.ask(passage, transcript) == []
        assert [reading.mentions for reading in step.read(passage, transcript)] in ([], [()])


@every_family
def test_a_users_text_is_never_a_template(family: str) -> None:
    text = "a {text} b {0} c {{labels}} d {} %s {sentence}"
    for step in family_steps(family):
        (prompt, *_) = step.ask(_passage(text, step.role), ())
        said = shown(prompt).replace(" ", "")

        assert text.replace(" ", "") in said


@every_family
@given(data=st.data())
def test_any_answer_gives_a_reading(family: str, data: st.DataObject) -> None:
    """Parsers are total: one reading a sample, offsets that hold, scores in range, raw text of what is lost."""
    text = data.draw(texts, label="text")
    policy = data.draw(st.sampled_from(POLICIES), label="policy")
    for step in family_steps(family, outside_labels=policy):
        passage = _passage(text, step.role)
        prompts = step.ask(passage, ())
        own = [exchange.completions[0].text for exchange in step.targets(passage, _words(text, "person")).exchanges]
        likely = answers | distorted(own or [""])
        drawn = data.draw(st.lists(likely, min_size=len(prompts), max_size=len(prompts)), label="answers")
        reason = data.draw(st.sampled_from(["stop", "length"]), label="finish_reason")
        transcript = [
            Exchange(prompt, (_scored(answer, reason),)) for prompt, answer in zip(prompts, drawn, strict=True)
        ]

        (reading,) = step.read(passage, transcript)

        for mention in (*reading.mentions, *reading.dropped):
            assert mention.text.strip()
            assert mention.score is None or 0 <= mention.score <= 1
            if mention.start is not None and mention.end is not None:
                assert reading.copy is not None
                assert reading.copy[mention.start : mention.end] == mention.text
        if policy != "keep" and step.role != "extractor":
            assert {mention.label for mention in reading.mentions} <= {label.name for label in LABELS}
        assert (reading.verdict == Verdict.UNPARSABLE) <= bool(reading.errors)
        assert (reading.verdict == Verdict.RECOVERED) <= bool(reading.repairs), "what was recovered says how"
        assert all(problem.message.endswith(tuple(drawn)) for problem in reading.errors)


@every_family
def test_every_sample_is_read(family: str) -> None:
    for step in family_steps(family):
        if step.role == "classifier":
            continue
        passage = _passage("Ann saw Lee.", step.role)
        samples = (Completion("?"), Completion("[]"), Completion("Ann saw Lee."))

        transcript = [Exchange(prompt, samples) for prompt in step.ask(passage, ())]

        assert len(step.read(passage, transcript)) == len(samples)


@every_family
@every_label_set
@given(data=st.data())
def test_targets_give_back_the_gold_that_is_not_left_out_and_nothing_else(
    family: str, labels: LabelSet, data: st.DataObject
) -> None:
    text, gold = data.draw(annotated([*leaves(labels).values(), "nobody asks for this"], nested=True))
    for step in family_steps(family):
        passage = _gold_passage(step, text, labels, gold)
        targets = step.targets(passage, gold)
        kept = _kept(gold, targets)

        (reading,) = step.read(replace(passage, entities=_only(step, kept)), targets.exchanges)

        assert reading.verdict in {Verdict.OK, Verdict.RECOVERED}
        assert not reading.dropped
        assert _found(text, reading) == Counter(_said(step, reading, entity) for entity in kept)


@every_family
@every_label_set
@given(data=st.data())
def test_plain_gold_is_never_left_out_and_comes_back_where_it_stands(
    family: str, labels: LabelSet, data: st.DataObject
) -> None:
    """Whole words, none of them twice, with labels of the set: what every format can say."""
    text, gold = data.draw(plain(list(leaves(labels).values())))
    for step in family_steps(family):
        passage = _gold_passage(step, text, labels, gold)
        targets = step.targets(passage, gold)
        (reading,) = step.read(passage, targets.exchanges)
        alignment = align(text, reading, AlignConfig())

        assert targets.left_out == ()
        assert alignment.unaligned == ()
        assert _places(step, alignment.entities) == _places(step, gold)


@every_family
@pytest.mark.parametrize(("text", "piece"), [("aspirin 100mg daily", "100"), ("ذهبت وباريس معي", "باريس")])
def test_a_piece_of_a_word_has_the_same_status_in_every_family(family: str, text: str, piece: str) -> None:
    """Whether an answer lists the piece or marks it in a copy of the text."""
    start = text.index(piece)
    gold = [Entity(start, start + len(piece), piece, "person")]
    for step in family_steps(family):
        passage = _gold_passage(step, text, LABELS, gold)
        (reading,) = step.read(passage, step.targets(passage, gold).exchanges)
        (entity,) = align(text, reading, AlignConfig()).entities

        assert (entity.start, entity.text, entity.status) == (start, piece, SpanStatus.INSIDE_WORD)


@every_family
@every_label_set
@given(data=st.data())
def test_what_is_left_out_is_left_out_for_the_reason_given(family: str, labels: LabelSet, data: st.DataObject) -> None:
    names = [*leaves(labels).values()]
    text, gold = data.draw(annotated([*names, "nobody asks for this"], nested=True))
    for step in family_steps(family):
        passage = _gold_passage(step, text, labels, gold)
        targets = step.targets(passage, gold)
        kept = _kept(gold, targets)

        for entity, reason in ((left_out.entity, left_out.reason) for left_out in targets.left_out):
            if reason == LeftOutReason.OVERLAPS:
                assert any(entity.start < other.end and other.start < entity.end for other in gold if other != entity)
            elif reason == LeftOutReason.LABEL_CONFLICT:
                assert any(entity.text == other.text and entity.label != other.label for other in gold)
            elif reason == LeftOutReason.LABEL_NOT_IN_SET:
                assert entity.label not in names
            elif reason == LeftOutReason.BLANK:
                assert not entity.text.strip()
            else:
                beside = [other for other in gold if other == entity or other in kept]
                again = step.targets(_gold_passage(step, text, labels, beside), beside)
                assert entity in [left_out.entity for left_out in again.left_out]
                assert re.fullmatch("[a-z_]+", reason)


@every_family
def test_the_targets_answer_what_is_asked(family: str) -> None:
    """Follow-up questions included: after them, there is nothing more to ask."""
    text = "Ann saw Rex."
    gold = [Entity(0, 3, "Ann", "person"), Entity(8, 11, "Rex", "dog")]
    for step in family_steps(family):
        passage = _gold_passage(step, text, TREE, gold)
        transcript = step.targets(passage, gold).exchanges

        assert transcript[0].prompt in step.ask(passage, ())
        assert step.ask(passage, transcript) == []


def _gold_passage(step: Step, text: str, labels: LabelSet, gold: Sequence[Entity]) -> StepInput:
    return StepInput(text, labels, DEMONSTRATIONS, entities=_only(step, gold))


def _only(step: Step, gold: Sequence[Entity]) -> tuple[Entity, ...]:
    """What the steps before have found: a classifier's are the gold, without labels."""
    return tuple(replace(entity, label="") for entity in gold) if step.role == "classifier" else ()


def _kept(gold: Sequence[Entity], targets: Targets) -> list[Entity]:
    """The gold that the targets claim to say; together with what is left out it must be all of the gold."""
    rest = Counter(gold)
    rest.subtract(left_out.entity for left_out in targets.left_out)
    assert min(rest.values(), default=0) >= 0
    return list(rest.elements())


def _said(step: Step, reading: Reading, entity: Entity) -> tuple[object, ...]:
    """What a reading should hold of an entity: label and text, and where it says places, the place."""
    start = entity.start + len(entity.text) - len(entity.text.lstrip())
    surface = entity.text.strip()
    place = () if reading.copy is None else (start, start + len(surface))
    return (*place, "".join(surface.split()), "" if step.role == "extractor" else entity.label)


def _found(text: str, reading: Reading) -> Counter[tuple[object, ...]]:
    """What a reading holds, with places in the text, onto which the aligner puts a copy."""
    if reading.copy is None:
        return Counter(("".join(mention.text.split()), mention.label) for mention in reading.mentions)
    alignment = align(text, reading, AlignConfig())
    assert alignment.unaligned == ()
    return Counter(
        (entity.start, entity.end, "".join(entity.text.split()), entity.label) for entity in alignment.entities
    )


def _places(step: Step, entities: Iterable[Entity]) -> list[tuple[int, int, str]]:
    labelled = step.role != "extractor"
    return [(entity.start, entity.end, entity.label if labelled else "") for entity in entities]


def _scored(text: str, reason: str) -> Completion:
    """A completion of one token a character, each as likely as not."""
    ends = tuple(range(1, len(text) + 1))
    return Completion(text, reason, ends, (-0.7,) * len(ends))
