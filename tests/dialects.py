r"""Gold, written as an answer in the dialects in which models answer: what the parsers' tests draw from.

A dialect is a function from gold to an answer, with the families whose models could write it:

    @dialect("instruct")
    def arrows(gold: Gold, pick: Pick) -> str:
        return "\\n".join(f"{surface} {pick(['->', '=>'])} {label}" for surface, label in gold)

What stands around the answer (thoughts, preambles, drafts, fences, postscripts) are the `FEATURES`; `answers` draws a
dialect and two features at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

Gold = Sequence[tuple[str, str]]
Pick = Callable[[Sequence[Any]], Any]
Writer = Callable[[Gold, Pick], str]

LABEL_SETS = (
    ("person", "place", "work of art"),
    ("PER", "LOC", "ORG", "MISC"),
    ("name", "position", "company", "address"),
    ("人名", "地名", "组织机构"),
    ("film: sequel", "real-person", "B-cell"),
)
NAMES = (
    "Ann Smith",
    "Paris",
    "Acme Corp.",
    "O'Neil",
    "L'Oréal",
    "Jean-Luc",
    "Bo",
    "北京大学",
    "서울",
    "Zürich",
    "Lee & Sons",
    "AC/DC",
    "C++",
    "Иван Петров",
    "محمد",
    "New York",
    "U.S.",
    "3M",
    "東京タワー",
    "Dr. Who",
    "10 Downing Street",
    "Ana María",
)
FILLERS = ("met", "went to", "in", "，", "然后", "and then", "was at", "—", "with", "그리고", "wrote about", "near")


@dataclass(frozen=True, slots=True)
class Case:
    """A passage, its label set, and its entities in the order of the text."""

    text: str
    labels: tuple[str, ...]
    gold: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that says the gold of a case, and how it was made."""

    case: Case
    text: str
    dialect: str
    features: tuple[str, ...] = ()


@st.composite
def cases(draw: st.DrawFn, labels: tuple[str, ...] | None = None, min_size: int = 0) -> Case:
    """A passage of names and what is between them; every name once."""
    chosen = labels or draw(st.sampled_from(LABEL_SETS))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=min_size, max_size=4, unique=True))
    gold = tuple((name, draw(st.sampled_from(chosen))) for name in names)
    words = [word for name in names for word in (name, draw(st.sampled_from(FILLERS)))]
    return Case(" ".join(["Once", *words, "it rained"]), chosen, gold)


DIALECTS: dict[str, tuple[frozenset[str], Writer]] = {}
"""Name of a dialect -> the families whose models could write it, and what writes it."""


def dialect(*families: str) -> Callable[[Writer], Writer]:
    """Registers a dialect of some families."""

    def register(writer: Writer) -> Writer:
        DIALECTS[writer.__name__] = (frozenset(families), writer)
        return writer

    return register


LABELLED = ("instruct", "b2ner")
"""Families whose answers name labels."""
ASKED = ("universal_ner", "ra_it")
"""Families that ask for one label: their gold has no other."""
OPEN = (*LABELLED, "teacher")
"""The same, and the open question of a teacher, without a label set."""

# Lists and objects.

KEYS = (
    ("entity", "type"), ("text", "label"), ("value", "type"), ("name", "category"), ("span", "label"), ("word",
    "entity"),
    ("entity_text", "entity_type"), ("mention", "class"), ("word", "entity_group"), ("实体", "类型"), ("text", "tag"),
    ("extraction_text", "extraction_class"), ("token", "ner_tag"), ("surface", "entity type"), ("value", "entity"),
)  # fmt: skip
MORE = (
    {}, {"start": 0, "end": 3}, {"score": 0.98}, {"confidence": "high"}, {"reason": "It is a name."}, {"id": 7},
    {"context": "Once"}, {"offset": [0, 3]},
)  # fmt: skip


@dialect("instruct", "teacher")
def pairs_in_objects(gold: Gold, pick: Pick) -> str:
    return _json([{surface: label} for surface, label in gold], pick)


@dialect(*OPEN)
def tuples(gold: Gold, pick: Pick) -> str:
    opening, closing = pick(["()", "[]"])
    more = pick(["", ", 0, 3", ", 0.9"])
    return "[" + ", ".join(f"{opening}{_q(s)}, {_q(label)}{more}{closing}" for s, label in gold) + "]"


@dialect(*LABELLED)
def tuples_label_first(gold: Gold, pick: Pick) -> str:
    return "[" + ", ".join(f"({_q(label)}, {_q(surface)})" for surface, label in gold) + "]"


@dialect(*OPEN)
def records(gold: Gold, pick: Pick) -> str:
    (entity, kind), more = pick(KEYS), pick(MORE)
    return _json([{entity: surface, kind: label, **more} for surface, label in gold], pick)


@dialect(*OPEN)
def records_label_first(gold: Gold, pick: Pick) -> str:
    entity, kind = pick(KEYS)
    return _json([{kind: label, entity: surface} for surface, label in gold], pick)


@dialect(*OPEN)
def records_in_a_container(gold: Gold, pick: Pick) -> str:
    (entity, kind), container = pick(KEYS), pick(["entities", "named_entities", "results", "output"])
    return _json({container: [{entity: surface, kind: label} for surface, label in gold]}, pick)


@dialect(*OPEN)
def records_line_by_line(gold: Gold, pick: Pick) -> str:
    entity, kind = pick(KEYS)
    lines = [json.dumps({entity: surface, kind: label}, ensure_ascii=False) for surface, label in gold]
    return "\n".join(lines) or "[]"


@dialect(*LABELLED)
def records_under_names_of_their_own(gold: Gold, pick: Pick) -> str:
    entity, kind = pick([("my_ent", "my_kind"), ("x1", "x2"), ("found_string", "belongs_to")])
    return _json([{entity: surface, kind: label} for surface, label in gold], pick)


@dialect(*LABELLED)
def records_with_lists(gold: Gold, pick: Pick) -> str:
    return _json([{"entity": surface, "type": [label]} for surface, label in gold], pick)


@dialect(*OPEN)
def records_of_a_type(gold: Gold, pick: Pick) -> str:
    kind, values = pick(["type", "label", "entity_type"]), pick(["entities", "mentions", "values"])
    return _json([{kind: label, values: surfaces} for label, surfaces in _by_label(gold)], pick)


@dialect(*LABELLED)
def types_with_strings(gold: Gold, pick: Pick) -> str:
    return _json(dict(_by_label(gold)), pick)


@dialect(*LABELLED)
def types_with_records(gold: Gold, pick: Pick) -> str:
    entity, more = pick(["text", "name", "entity", "value"]), pick(MORE)
    return _json({label: [{entity: s, **more} for s in surfaces] for label, surfaces in _by_label(gold)}, pick)


@dialect(*LABELLED)
def types_with_places(gold: Gold, pick: Pick) -> str:
    return _json({label: {s: [[0, 3]] for s in surfaces} for label, surfaces in _by_label(gold)}, pick)


@dialect(*LABELLED)
def types_with_nulls(gold: Gold, pick: Pick) -> str:
    nothing = pick([None, [], "None", ["N/A"]])
    return _json({**dict(_by_label(gold)), "no such type": []} if gold else {"a type": nothing}, pick)


@dialect(*LABELLED)
def entities_with_types_and_more(gold: Gold, pick: Pick) -> str:
    return _json({surface: {"type": label, **pick(MORE)} for surface, label in gold}, pick)


@dialect(*LABELLED)
def types_with_numbers(gold: Gold, pick: Pick) -> str:
    separator = pick(["_", "", " "])
    return _json({f"{label}{separator}{n}": s for n, (s, label) in enumerate(gold, 1)}, pick)


@dialect(*LABELLED)
def records_with_numbers(gold: Gold, pick: Pick) -> str:
    key = pick(["entity_", "", "Entity "])
    return _json({f"{key}{n}": {"name": s, "type": label} for n, (s, label) in enumerate(gold, 1)}, pick)


@dialect(*LABELLED)
def numbered_records_in_a_container_of_any_name(gold: Gold, pick: Pick) -> str:
    groups = {str(n): [{"entity": s, "label": label}] for n, (s, label) in enumerate(gold, 1)}
    return _json({pick(["extracted_terms", "structured_information", "all_concepts"]): groups}, pick)


@dialect(*OPEN)
def arguments_of_a_tool(gold: Gold, pick: Pick) -> str:
    key = pick(["arguments", "parameters"])
    called = json.dumps(
        {"name": "extract", key: {"entities": [{"text": s, "label": label} for s, label in gold]}}, ensure_ascii=False
    )
    return pick(["{}", "<tool_call>\n{}\n</tool_call>"]).format(called) if gold else "[]"


@dialect(*OPEN)
def tuples_with_offsets_in_a_list(gold: Gold, pick: Pick) -> str:
    return _json([[surface, label, [0, 3]] for surface, label in gold], pick)


@dialect(*LABELLED)
def calls_with_arguments(gold: Gold, pick: Pick) -> str:
    kind = pick(["{!r}", "<Type.X: {!r}>"])
    calls = [f"Entity(text={surface!r}, label={kind.format(label)})" for surface, label in gold]
    return pick(["[{}]", "Entities(items=[{}])"]).format(", ".join(calls)) if gold else "[]"


@dialect(*LABELLED)
def records_encoded_twice(gold: Gold, pick: Pick) -> str:
    written = json.dumps([{"entity": s, "type": label} for s, label in gold], ensure_ascii=False)
    return pick(["{}", '"{}"']).format(written.replace('"', '\\"')) if gold else "[]"


@dialect(*LABELLED)
def words_with_bio(gold: Gold, pick: Pick) -> str:
    tagged = [
        (word, f"{'I' if number else 'B'}-{label}") for s, label in gold for number, word in enumerate(s.split(" "))
    ]
    return _json([[word, tag] for word, tag in tagged] + ([["rained", "O"]] if pick([True, False]) else []), pick)


@dialect(*LABELLED)
def a_list_for_each_type(gold: Gold, pick: Pick) -> str:
    opening = pick(["", "### ", "**", "1. ", "Entities of type "])
    closing = pick([":", ":**" if opening == "**" else ":\n"])
    blocks = [f"{opening}{label}{closing} {json.dumps(s, ensure_ascii=False)}" for label, s in _by_label(gold)]
    return "\n".join(blocks) or "[]"


@dialect(*LABELLED)
def a_fence_for_each_type(gold: Gold, pick: Pick) -> str:
    blocks = [f"{label}:\n```json\n{json.dumps(s, ensure_ascii=False)}\n```" for label, s in _by_label(gold)]
    return "\n\n".join(blocks) or "```json\n[]\n```"


FIELDS = (
    ("Entity", "Type"),
    ("text", "label"),
    ("Mention", "Category"),
    ("**Entity**", "**Type**"),
    ("entity_name", "entity_type"),
)
# Lines.


@dialect(*LABELLED)
def lines_with_parentheses(gold: Gold, pick: Pick) -> str:
    bullet, bold = pick(BULLETS), pick(["", "**", "`"])
    return "\n".join(f"{bullet(n)}{bold}{s}{bold} ({label})" for n, (s, label) in enumerate(gold, 1)) or "None"


@dialect(*LABELLED)
def lines_entity_first(gold: Gold, pick: Pick) -> str:
    bullet, separator = pick(BULLETS), pick([": ", " - ", " -> ", " | ", "\t", "：", " – "])
    return "\n".join(f"{bullet(n)}{s}{separator}{label}" for n, (s, label) in enumerate(gold, 1)) or "None"


@dialect(*LABELLED)
def lines_label_first(gold: Gold, pick: Pick) -> str:
    bullet, bold, quote = pick(BULLETS), pick(["", "**", "*"]), pick(["", '"', "'", "`"])
    lines = [f"{bullet(n)}{bold}{label}{bold}: {quote}{s}{quote}" for n, (s, label) in enumerate(gold, 1)]
    return "\n".join(lines) or "None"


@dialect(*LABELLED)
def lines_of_a_type(gold: Gold, pick: Pick) -> str:
    bullet, nothing = pick(BULLETS), pick(["None", "N/A", "无", "-"])
    lines = [f"{label}: {', '.join(surfaces)}" for label, surfaces in _by_label(gold)] or [f"entities: {nothing}"]
    return "\n".join(f"{bullet(n)}{line}" for n, line in enumerate(lines, 1))


@dialect(*LABELLED)
def bullets_under_headings(gold: Gold, pick: Pick) -> str:
    opening, closing = pick([("### ", ""), ("**", "**"), ("", ":"), ("**", ":**"), ("1. **", "**")])
    bullet = pick(["- ", "* ", "  - ", "• "])
    blocks = ["\n".join([f"{opening}{label}{closing}", *(f"{bullet}{s}" for s in ss)]) for label, ss in _by_label(gold)]
    return "\n\n".join(blocks) or "None"


@dialect(*LABELLED)
def a_table(gold: Gold, pick: Pick) -> str:
    rows = [f"| {surface} | {label} |" for surface, label in gold]
    return "\n".join([pick(["| Entity | Type |", "| Mention | Label |"]), "|---|---|", *rows]) if gold else "None"


@dialect(*LABELLED)
def items_in_one_line(gold: Gold, pick: Pick) -> str:
    return ", ".join(f"{surface} ({label})" for surface, label in gold) or "none"


@dialect("instruct")
def several_labels_in_one_line(gold: Gold, pick: Pick) -> str:
    return "; ".join(f"{label}: {', '.join(surfaces)}" for label, surfaces in _by_label(gold)) or "none"


@dialect(*LABELLED)
def fields_on_lines(gold: Gold, pick: Pick) -> str:
    (entity, kind), (opening, indent) = pick(FIELDS), pick([("- ", "  "), ("1. ", "   "), ("", ""), ("* ", "* ")])
    return "\n".join(f"{opening}{entity}: {s}\n{indent}{kind}: {label}" for s, label in gold) or "None"


@dialect(*LABELLED)
def fields_in_a_line(gold: Gold, pick: Pick) -> str:
    (entity, kind), bullet = pick(FIELDS), pick(BULLETS)
    return "\n".join(f"{bullet(n)}{entity}: {s}, {kind}: {label}" for n, (s, label) in enumerate(gold, 1)) or "None"


@dialect(*LABELLED)
def rows_with_a_judgement(gold: Gold, pick: Pick) -> str:
    rows = [f"{n}. {s} | True | {label} | it is one" for n, (s, label) in enumerate(gold, 1)]
    return "\n".join([*rows, f"{len(rows) + 1}. rained | False | ==NONE== | is a verb"])


@dialect(*LABELLED)
def cells_of_graphs(gold: Gold, pick: Pick) -> str:
    return "##\n".join(f'("entity"<|>{s}<|>{label}<|>somebody)' for s, label in gold) or "None"


@dialect(*LABELLED)
def tags_with_labels(gold: Gold, pick: Pick) -> str:
    return "\n".join(f'<entity type="{label}">{s}</entity>' for s, label in gold) or "None"


@dialect(*LABELLED)
def tags_with_attributes(gold: Gold, pick: Pick) -> str:
    return "\n".join(f'<entity type="{label}" text="{s}"/>' for s, label in gold if '"' not in s) or "None"


@dialect(*LABELLED)
def tags_as_fields(gold: Gold, pick: Pick) -> str:
    gap = pick(["\n  ", ""])
    return (
        "\n".join(f"<entity>{gap}<text>{s}</text>{gap}<type>{label}</type>{gap}</entity>" for s, label in gold)
        or "None"
    )


@dialect(*LABELLED)
def labels_in_brackets_before(gold: Gold, pick: Pick) -> str:
    assume(not any(":" in label for _, label in gold))  # `[film: sequel]` is an entity with its label
    return "\n".join(f"- [{label}] {surface}" for surface, label in gold) or "None"


@dialect(*LABELLED)
def a_type_above_its_entities(gold: Gold, pick: Pick) -> str:
    kind, bullet = pick(["Type", "Label", "Entity type"]), pick(["- ", "* "])
    blocks = ["\n".join([f"{kind}: {label}", *(f"{bullet}{s}" for s in ss)]) for label, ss in _by_label(gold)]
    return "\n\n".join(blocks) or "None"


@dialect(*LABELLED)
def entities_above_their_fields(gold: Gold, pick: Pick) -> str:
    return "\n".join(f"{n}. **{s}**\n   - **Type:** {label}" for n, (s, label) in enumerate(gold, 1)) or "None"


@dialect(*LABELLED)
def sentences(gold: Gold, pick: Pick) -> str:
    quote, states = pick(["", '"', "'"]), pick([" is a ", " is an ", " is classified as ", " refers to a ", " is the "])
    return " ".join(f"{quote}{surface}{quote}{states}{label}." for surface, label in gold) or "None"


@dialect(*LABELLED)
def sentences_label_first(gold: Gold, pick: Pick) -> str:
    assume(not any(surface.endswith(".") for surface, _ in gold))  # the full stop of the sentence, as it seems
    named = pick([" entities mentioned in the text are ", " is ", " found here are "])
    return " ".join(f"The {label}{named}{' and '.join(ss)}." for label, ss in _by_label(gold)) or "None"


@dialect(*LABELLED)
def questions_and_answers(gold: Gold, pick: Pick) -> str:
    lead = pick([("Q: ", "A: "), ("Question: ", "Answer: "), ("**Q1:** ", "**A1:** ")])
    blocks = [f"{lead[0]}Which {label} is there?\n{lead[1]}{', '.join(ss)}" for label, ss in _by_label(gold)]
    return "\n".join(blocks) or "None"


@dialect(*LABELLED)
def questions_answered_with_yes(gold: Gold, pick: Pick) -> str:
    return "\n".join(f"Q: Is {s} a {label}?\nA: {pick(['Yes', 'Yes.', 'yes, it is'])}" for s, label in gold) or "None"


@dialect(*OPEN)
def tuples_without_quotes(gold: Gold, pick: Pick) -> str:
    (opening, closing), separator, between = pick(["[]", "()"]), pick([" | ", ", "]), pick([", ", "\n", " "])
    return between.join(f"{opening}{s}{separator}{label}{closing}" for s, label in gold) or "[]"


@dialect(*LABELLED)
def records_in_a_string(gold: Gold, pick: Pick) -> str:
    written = json.dumps([{"entity": s, "type": label} for s, label in gold], ensure_ascii=pick([True, False]))
    return json.dumps({pick(["result", "entities", "answer"]): written}, ensure_ascii=pick([True, False]))


@dialect("b2ner")
def b2ner_items(gold: Gold, pick: Pick) -> str:
    return pick(["", " "]) + (pick(["; ", ";", "；"]).join(f"{label}: {surface}" for surface, label in gold) or "None")


# One label at a time.


@dialect(*ASKED)
def strings(gold: Gold, pick: Pick) -> str:
    return _json([surface for surface, _ in gold], pick)


@dialect(*ASKED)
def strings_in_a_container(gold: Gold, pick: Pick) -> str:
    return _json({pick(["entities", "answer", gold[0][1] if gold else "result"]): [s for s, _ in gold]}, pick)


@dialect(*ASKED)
def records_of_strings(gold: Gold, pick: Pick) -> str:
    key, more = pick(["name", "text", "entity", "value", "mention"]), pick(MORE)
    return _json([{key: surface, **more} for surface, _ in gold], pick)


@dialect(*ASKED)
def records_with_the_label(gold: Gold, pick: Pick) -> str:
    entity, kind = pick(KEYS)
    return _json([{entity: surface, kind: label} for surface, label in gold], pick)


@dialect(*ASKED)
def strings_line_by_line(gold: Gold, pick: Pick) -> str:
    return "\n".join(json.dumps([surface], ensure_ascii=False) for surface, _ in gold) or "[]"


@dialect(*ASKED)
def bullets(gold: Gold, pick: Pick) -> str:
    bullet, bold = pick(BULLETS[1:]), pick(["", "**", "`"])
    return "\n".join(f"{bullet(n)}{bold}{surface}{bold}" for n, (surface, _) in enumerate(gold, 1)) or "None"


@dialect(*ASKED)
def the_label_and_its_entities(gold: Gold, pick: Pick) -> str:
    separator = pick([", ", "; ", "、"])
    return f"{gold[0][1]}: {separator.join(surface for surface, _ in gold)}" if gold else "None"


@dialect(*ASKED)
def marks(gold: Gold, pick: Pick) -> str:
    return pick([" and ", " ", "\n"]).join(f"@@{surface}##" for surface, _ in gold) or "None"


@dialect(*ASKED)
def an_answer_to_a_question(gold: Gold, pick: Pick) -> str:
    return pick(["A: ", "Answer: "]) + (", ".join(surface for surface, _ in gold) or "None")


BULLETS: tuple[Callable[[int], str], ...] = (
    lambda _: "",
    lambda _: "- ",
    lambda _: "* ",
    lambda number: f"{number}. ",
    lambda number: f"{number}) ",
    lambda _: "• ",
)

# What models say instead of an empty list.

NOTHING = (
    "[]", "{}", "[{}]", "[null]", "null", "None", "none.", "N/A", "No entities found.", '{"entities": []}',
    '{"entities": null}',
    '["None"]', '[{"entity": null, "type": null}]', "```json\n[]\n```", "**None**", "(none)", "Answer: None", "-",
    "There are no named entities in the text.", "The text does not contain any of the given entity types.",
    "I could not find any entities in this passage.", "Based on the text, no entities of these types are mentioned.",
    "没有实体", "无", "文本中没有找到任何实体。", "なし", "該当するエンティティはありません。",
    "해당하는 개체명이 없습니다.",
    "없음",
    "Keine", "Im Text wurden keine Entitäten gefunden.", "Ninguna", "No se encontraron entidades en el texto.",
    "Aucune entité nommée dans ce texte.", "Nessuna entità trovata.", "Nenhuma entidade foi encontrada.",
    "В тексте нет именованных сущностей.", "لا توجد كيانات مسماة في النص.", "Geen entiteiten gevonden.",
    "Brak encji w tekście.", "<entities/>", "| Entity | Type |\n|---|---|", "undefined",
    '{"message": "No entities found"}',
    "Nu există entități în text.", "Nincs", "Няма намерени обекти.", "Nema entiteta.", "Olemeid ei leitud.",
    "Cap entitat.",
    "কোনো সত্তা নেই।", "Walang entidad.", "Tiada entiti.",
    "Metinde herhangi bir varlık bulunamadı.", "Inga entiteter hittades.", "Hakuna", "Không có thực thể nào.", "ไม่มี",
)  # fmt: skip

# What stands around an answer.

THOUGHTS = (
    ("<think>", "</think>"), ("<think>\n", "\n</think>\n\n"), ("", "</think>"), ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"), ("<reasoning>", "</reasoning>"), ("<seed:think>", "</seed:think>"), ("[THINK]",
    "[/THINK]"),
    ("◁think▷", "◁/think▷"), ("<scratchpad>", "</scratchpad>"), ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"), ("<unused94>thought\n", "<unused95>"), ("<ant_thinking>",
    "</ant_thinking>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysisWell: ", "assistantfinal"), ("Thinking...\n", "\n...done thinking.\n\n"), ("<mm:think>", "</mm:think>"),
    ("### Reasoning\n", "\n\n### Answer\n"), ("**Reasoning:**\n", "\n\n**Final Answer:**\n"), ("Thought process:\n",
    "\nAnswer:\n"),
    ("```thinking\n", "\n```\n"), ("[unused16]", "[unused17]"), ("【思考】", "【/思考】\n"),
    ("<antThinking>", "</antThinking>"),
    ("<planning>", "</planning>"), ("[think]", "[/think]"),
    ("<longcat_think>", "</longcat_think>"), ("<|inner_prefix|>", "<|inner_suffix|>"), ('<details type="reasoning">',
    "</details>"),
    ("<plan>", "</plan>"), ("<step>", "</step>\n"), ("<work_notes>", "</work_notes>"),
)  # fmt: skip
PREAMBLES = (
    "Sure! Here are the entities:\n", "Here is the answer:\n\n", "Based on the given label set:\n", "Answer:\n",
    "以下是识别结果：\n",
    "Here's the JSON you asked for.\n\n",
)  # fmt: skip
POSTSCRIPTS = ("\n\nLet me know if you need anything else!", "\n\nNote that only the given types were used.", "\n")
# Formats and drafts that come before the answer; the draft names what the passage does not hold, too.
DRAFTS = (
    'In the form [{"entity 1": "type of entity 1"}, ...]: ', 'Draft: ["it rained"]. Final answer: ',
    'First attempt:\n[{"Once": "type"}]\n\nWait, that is wrong. Corrected:\n',
)  # fmt: skip
# What models that are shown examples write behind the answer, and what chat templates put there.
CONTINUATIONS = (
    "\n\nText: Nobody knew where the old lighthouse stood.\nEntities: lighthouse",
    '\n\nSentence: Carl sang loudly in Rome.\nAnswer: [{"Carl": "PER"}]', "<|im_end|>\n<|im_start|>user\nAnd now?",
    "</s>[INST] Which others?", "\n\n### Input:\nEverybody slept until seven o'clock.\n\n### Response:\nNone",
)  # fmt: skip

Feature = Callable[[str, Pick], str]


def _thinks(answer: str, pick: Pick) -> str:
    opening, closing = pick(THOUGHTS)
    draft = pick(
        ["Perhaps it rained.", '["it rained"]? No.', '[{"Once": "PER"}], or rather not', "", "- it rained: LOC"]
    )
    return f"{opening}{draft}{closing}{answer}"


FEATURES: dict[str, Feature] = {
    "thoughts": _thinks,
    "preamble": lambda answer, pick: pick(PREAMBLES) + answer,
    "postscript": lambda answer, pick: answer + pick(POSTSCRIPTS),
    "fence": lambda answer, pick: f"```{pick(['', 'json', 'text'])}\n{answer}\n```",
    "draft": lambda answer, pick: pick(DRAFTS) + answer,
    "answer tags": lambda answer, pick: f"<answer>{answer}</answer>",
    "continuation": lambda answer, pick: answer + pick(CONTINUATIONS),
}
_OUTERMOST = ("fence", "draft", "preamble", "postscript", "answer tags", "continuation", "thoughts")
# A draft of brackets before lines, or fences around blocks that have fences, are no dialect of any model.
_ONLY_LISTS = frozenset({"draft"})


@st.composite
def answers(draw: st.DrawFn, family: str, case: Case) -> Answer:
    """The gold of a case in a dialect of the family, with at most two features around it."""
    pick: Pick = lambda options: options[draw(st.integers(0, len(options) - 1))]  # noqa: E731 - short and used once
    name = draw(st.sampled_from(sorted(name for name, (families, _) in DIALECTS.items() if family in families)))
    text = DIALECTS[name][1](case.gold, pick)
    features = draw(st.lists(st.sampled_from(sorted(features_of(text))), max_size=2, unique=True))
    ordered = sorted(features, key=_OUTERMOST.index)
    for feature in ordered:
        text = FEATURES[feature](text, pick)
    return Answer(case, text, name, tuple(ordered))


def features_of(text: str) -> Iterator[str]:
    """The features that can stand around an answer."""
    for name in FEATURES:
        fenced = name == "fence" and "```" in text
        lines = name in _ONLY_LISTS and not text.startswith(('["', "['", "[{", "[(", "[[", "[]", "{"))
        if not fenced and not lines:
            yield name


@st.composite
def cut_answers(draw: st.DrawFn, family: str, case: Case) -> tuple[Answer, str]:
    """An answer, and a beginning of it."""
    answer = draw(answers(family, case))
    cut = answer.text[: draw(st.integers(0, len(answer.text) - 1))]
    # Thoughts whose beginning the prompt holds cannot be told from an answer until they end.
    assume("</think>" in cut or "</think>" not in answer.text or "<think>" in answer.text)
    return answer, cut


def _by_label(gold: Gold) -> list[tuple[str, list[str]]]:
    ordered = sorted(gold, key=lambda pair: pair[1])
    return [(label, [s for s, _ in group]) for label, group in groupby(ordered, key=lambda pair: pair[1])]


def _json(value: Any, pick: Pick) -> str:
    """JSON on one line or several, or Python's notation of it."""
    style = pick(["line", "line", "block", "python"])
    if style == "python":
        return repr(value)
    return json.dumps(value, ensure_ascii=False, indent=2 if style == "block" else None)


def _q(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
