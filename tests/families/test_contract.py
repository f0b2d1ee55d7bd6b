"""What holds for every family, a new one included."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ner_ray import plugins
from ner_ray.families.base import FamilyOptions
from ner_ray.families.toolkit.marks import delimitable
from ner_ray.types import Completion, Entity, Exchange, Label, Reading, StepInput, Verdict
from tests.families.data import DEMONSTRATIONS, LABELS, TREE, annotated, answers, family_steps, shown, texts

FAMILIES = plugins.names("families")
POLICIES = ["drop", "keep", "nearest"]


every_family = pytest.mark.parametrize("family", FAMILIES)


def _passage(text: str, role: str) -> StepInput:
    """A classifier sees entities, here every blank-separated word."""
    entities = []
    start = 0
    for word in text.split() if role == "classifier" else []:
        start = text.index(word, start)
        entities.append(Entity(start, start + len(word), word, ""))
        start += len(word)
    return StepInput(text, LABELS, entities=tuple(entities))


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
        assert step.demonstrate(_passage(" \n", step.role), []) == []


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
        drawn = data.draw(st.lists(answers, min_size=len(prompts), max_size=len(prompts)), label="answers")
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
        assert all(problem.message in drawn for problem in reading.errors)


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
@pytest.mark.parametrize("labels", [LABELS, TREE], ids=["flat", "tree"])
@given(data=st.data())
def test_gold_comes_back_from_its_ideal_answer(family: str, labels: tuple[Label, ...], data: st.DataObject) -> None:
    names = ["person", "place", "work of art"] if labels is LABELS else ["person", "dog", "city", "place->other"]
    text, gold = data.draw(annotated(names))
    for step in family_steps(family):
        passage = StepInput(text, labels, DEMONSTRATIONS)
        if step.role == "classifier":
            passage = StepInput(text, labels, entities=tuple(gold))
        expressible = _expressible(family, step.role, text, gold)

        (reading,) = step.read(passage, step.demonstrate(passage, gold))

        assert reading.verdict in {Verdict.OK, Verdict.RECOVERED}
        assert _found(reading) == expressible


@every_family
def test_the_ideal_transcript_answers_what_is_asked(family: str) -> None:
    """Follow-up questions included: after it, there is nothing more to ask."""
    text = "Ann saw Rex."
    gold = [Entity(0, 3, "Ann", "person"), Entity(8, 11, "Rex", "dog")]
    for step in family_steps(family):
        passage = StepInput(text, TREE, entities=tuple(gold) if step.role == "classifier" else ())
        transcript = step.demonstrate(passage, gold)

        assert transcript[0].prompt in step.ask(passage, ())
        assert step.ask(passage, transcript) == []


def _found(reading: Reading) -> Counter[tuple[object, ...]]:
    """Mentions with their place in the copy, white space aside."""
    copy = reading.copy or ""
    return Counter(
        ("".join(mention.text.split()), mention.label)
        if mention.start is None
        else (len("".join(copy[: mention.start].split())), "".join(mention.text.split()), mention.label)
        for mention in (*reading.mentions, *reading.dropped)
    )


def _expressible(family: str, role: str, text: str, gold: list[Entity]) -> Counter[tuple[object, ...]]:
    """What of the gold a family can say, as its docstrings have it."""
    if family == "b2ner":
        assume(not any(sign in entity.text for entity in gold for sign in ";；:：\n"))
    if role == "extractor":
        kept = delimitable(text, [(one.start, one.end) for one in gold])
        gold = [replace(one, label="") for one in gold if (one.start, one.end) in kept]
    if role == "classifier":
        first = {one.text: one.label for one in reversed(gold)}
        gold = [replace(one, label=first[one.text]) for one in gold]
    place = family in {"gner", "cascade"}
    return Counter(
        (*([len("".join(text[: one.start].split()))] if place else []), "".join(one.text.split()), one.label)
        for one in gold
    )


def _scored(text: str, reason: str) -> Completion:
    """A completion of one token a character, each as likely as not."""
    ends = tuple(range(1, len(text) + 1))
    return Completion(text, reason, ends, (-0.7,) * len(ends))
