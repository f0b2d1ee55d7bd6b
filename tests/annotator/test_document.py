"""The core: what is asked, what is read, and how chunks are merged without duplicates or losses."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ner_ray.annotator.calibration import Calibration
from ner_ray.annotator.document import ReadingRules, Round, converse, merge, read_step, step_input
from ner_ray.annotator.rounds import converse_alone
from ner_ray.annotator.spec import family_steps
from ner_ray.errors import ErrorCode
from ner_ray.text.chunks import split
from ner_ray.types import (
    Chunk,
    Completion,
    DocumentStatus,
    Entity,
    ErrorRecord,
    Exchange,
    Findings,
    Label,
    Prompt,
    StepInput,
    Verdict,
)

LABELS = (Label("person"), Label("place"))
RULES = ReadingRules()


def words_as_tokens(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


@given(
    st.lists(st.sampled_from(["Ada", "met", "Bo.", "Then", "Cy", "went", "on.", "\n"]), max_size=120).map(" ".join),
    st.integers(4, 20),
    st.integers(0, 8),
)
def test_a_name_that_several_chunks_find_is_kept_once_with_its_text(text: str, budget: int, overlap: int) -> None:
    """Each chunk finds every `Ada` it sees; merging yields each `Ada` of the document exactly once."""
    chunks = split(text, words_as_tokens, budget, min(overlap, budget // 2))
    adas = [tuple(ada_in(text[chunk.start : chunk.end])) for chunk in chunks]
    findings = [Findings(entities=entities) for entities in adas]

    merged = merge(text, chunks, findings)

    assert [entity.start for entity in merged.entities] == [entity.start for entity in ada_in(text)]
    assert all(text[entity.start : entity.end] == entity.text == "Ada" for entity in merged.entities)


def ada_in(text: str) -> list[Entity]:
    starts = [place for place in range(len(text)) if text.startswith("Ada", place)]
    return [Entity(start, start + 3, "Ada", "person") for start in starts]


def test_a_family_is_asked_until_it_has_no_more_questions() -> None:
    extractor, classifier = family_steps({"name": "cascade"})
    tree = (Label("person", children=(Label("poet"), Label("king"))), Label("place"))
    asked: list[str] = []

    def answer(wanted: Round) -> list[Exchange]:
        asked.extend(prompt.subject for prompt in wanted.prompts)
        answers = ["poet" if "poet" in str(prompt.content) else "person" for prompt in wanted.prompts]
        completions = [Completion(text, prompt_tokens=5, output_tokens=1) for text in answers]
        return [Exchange(prompt, (said,)) for prompt, said in zip(wanted.prompts, completions, strict=True)]

    given = StepInput("Ada saw Ada.", tree)
    known = Findings(entities=(Entity(0, 3, "Ada", ""), Entity(8, 11, "Ada", "")))
    findings = converse_alone(converse([classifier], given, RULES, known), answer).findings

    assert asked == ["Ada", "Ada"], "one question per level, although the name occurs twice"
    assert [(entity.start, entity.label) for entity in findings.entities] == [(0, "poet"), (8, "poet")]
    assert (findings.usage.requests, findings.usage.prompt_tokens, findings.usage.output_tokens) == (2, 10, 2)
    assert extractor.role == "extractor"


def test_only_the_scores_that_come_out_at_the_end_are_calibrated() -> None:
    extractor, classifier = family_steps({"name": "cascade"})
    rules = ReadingRules(calibration=Calibration((0.0, 1.0), (0.25, 0.75)), last=classifier.role)

    def answer(wanted: Round) -> list[Exchange]:
        text = "##Ada## ran." if wanted.role == extractor.role else "person"
        ends = tuple(range(1, len(text) + 1))
        said = Completion(text, logprobs=(0.0,) * len(text), token_ends=ends)
        return [Exchange(prompt, (said,)) for prompt in wanted.prompts]

    given = StepInput("Ada ran.", LABELS)
    found = converse_alone(converse([extractor], given, rules), answer).findings
    named = converse_alone(converse([classifier], given, rules, found), answer).findings

    assert [entity.score for entity in found.entities] == [1.0]
    assert [entity.score for entity in named.entities] == [0.75]


def test_a_chunk_whose_only_sample_cannot_be_parsed_has_failed() -> None:
    (tagger,) = family_steps({"name": "universal_ner"})
    chunk = StepInput("Ada saw Bo.", LABELS)
    transcript = [Exchange(Prompt("", subject="person"), (Completion("I cannot help with that."),))]

    findings = read_step(tagger, chunk, transcript, RULES)

    assert findings.status is DocumentStatus.FAILED
    assert [(error.code, error.message) for error in findings.errors] == [("unparsable", "I cannot help with that.")]


def test_a_chunk_that_the_engine_refused_has_failed() -> None:
    (tagger,) = family_steps({"name": "gner"})
    refused = [Exchange(Prompt(""), ())]

    findings = read_step(tagger, StepInput("Ada", LABELS), refused, RULES)

    assert findings.status is DocumentStatus.FAILED


def test_one_unparsable_sample_of_three_makes_a_chunk_partial() -> None:
    (tagger,) = family_steps({"name": "gner"})
    good, bad = Completion("Ada(B-person) ran(O)"), Completion("")
    transcript = [Exchange(Prompt(""), (good, bad, good))]

    findings = read_step(tagger, StepInput("Ada ran", LABELS), transcript, RULES)

    assert [entity.text for entity in findings.entities] == ["Ada"]
    assert findings.status is not DocumentStatus.FAILED
    assert len(findings.verdicts) == 3


def test_a_document_is_partial_when_some_chunks_failed_and_failed_when_all_did() -> None:
    text = "Ada ran. Bo sat."
    chunks = split(text, words_as_tokens, 2, 0)
    good, bad = Findings(verdicts=(Verdict.OK,)), Findings(status=DocumentStatus.FAILED)

    assert len(chunks) == 2
    assert merge(text, chunks, [good, good]).status is DocumentStatus.OK
    assert merge(text, chunks, [good, bad]).status is DocumentStatus.PARTIAL
    assert merge(text, chunks, [bad, bad]).status is DocumentStatus.FAILED


def test_a_document_with_only_an_error_has_failed_and_a_blank_one_has_not() -> None:
    problem = ErrorRecord("null_text", "read")

    assert merge("", [], [], [problem]).status is DocumentStatus.FAILED
    assert merge("  ", [], []).status is DocumentStatus.OK


def test_a_mention_that_an_overlap_holds_too_is_found_in_the_core() -> None:
    """The model lists each surface once per chunk; the occurrence in the overlap is the neighbour's."""
    text = "Alpha beta gamma delta epsilon. Rome fell at dawn that day. Rome rose up."
    (step,) = family_steps({"name": "instruct"})
    chunks = split(text, words_as_tokens, 12, 6)
    findings = []
    for chunk in chunks:
        given_chunk = step_input(text, chunk, (Label("place"),))
        answer = '[{"Rome": "place"}]' if "Rome" in given_chunk.text else "[]"
        transcript = [Exchange(prompt, (Completion(answer),)) for prompt in step.ask(given_chunk, ())]
        findings.append(read_step(step, given_chunk, transcript, RULES))

    assert [entity.start for entity in merge(text, chunks, findings).entities] == [32, 60]


def test_answers_that_were_cut_before_they_began_are_lost_and_one_that_was_cut_later_is_not() -> None:
    (tagger,) = family_steps({"name": "instruct"})
    given = StepInput("Ada saw Bo.", LABELS)
    thinking = Completion("<think>Who is in the text? There is", finish_reason="length")
    cut = Completion('[{"Ada": "person"}, {"B', finish_reason="length")

    lost = read_step(tagger, given, [Exchange(Prompt(""), (thinking,))], RULES)
    partly = read_step(tagger, given, [Exchange(Prompt(""), (cut,))], RULES)
    both = read_step(tagger, given, [Exchange(Prompt(""), (thinking, cut))], RULES)

    assert (lost.status, [error.code for error in lost.errors]) == (DocumentStatus.FAILED, ["truncated"])
    assert (partly.status, [entity.text for entity in partly.entities]) == (DocumentStatus.PARTIAL, ["Ada"])
    assert both.status is DocumentStatus.PARTIAL


WRITTEN = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["[]", '[{"Ada": "person"}]', '[{"Ada": "person"}, {"B', "Ada(B-person) saw(O) Bo(O).", "<think>", "None"]
    ),
)
COMPLETIONS = st.builds(Completion, WRITTEN, st.sampled_from(["stop", "length"]))
REFUSALS = st.sampled_from([None, *(ErrorRecord(code, "tagger") for code in (ErrorCode.FILTERED, ErrorCode.REQUEST))])
ANSWERED = st.builds(Exchange, st.just(Prompt("", subject="person")), st.lists(COMPLETIONS, min_size=1).map(tuple))
EXCHANGES = ANSWERED | st.builds(Exchange, st.just(Prompt("", subject="person")), st.just(()), REFUSALS)


@given(
    st.sampled_from(["gner", "instruct", "universal_ner", "b2ner", "ra_it"]),
    st.lists(st.lists(EXCHANGES, max_size=3), min_size=1, max_size=3),
)
@example("instruct", [[Exchange(Prompt(""), (Completion('[{"Ada": "person"}, {"B', "length"),))]])
def test_a_document_that_is_not_ok_says_why_in_a_known_code(family: str, transcripts: list[list[Exchange]]) -> None:
    """Whatever an engine answers or refuses."""
    (step,) = family_steps({"name": family})
    text = "Ada saw Bo. " * len(transcripts)
    chunks = [Chunk(begin, begin + 12, begin, begin + 12) for begin in range(0, len(text), 12)]
    findings = [
        read_step(step, step_input(text, chunk, LABELS), transcript, RULES)
        for chunk, transcript in zip(chunks, transcripts, strict=True)
    ]

    document = merge(text, chunks, findings)

    assert document.status is DocumentStatus.OK or document.errors
    assert {error.code for error in document.errors} <= set(ErrorCode)
    nothing_came = any(not exchange.completions for transcript in transcripts for exchange in transcript)
    assert document.status is not DocumentStatus.OK or not nothing_came
