"""Cases of the golden format for what the families ask: prompts, conversations, training instances."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ner_ray.evaluate.papers import gner as gner_scorer
from ner_ray.evaluate.papers import ra_it as ra_it_scorer
from ner_ray.families import b2ner, cascade, gner, ra_it, universal_ner
from ner_ray.families.toolkit.template import template, wrap
from ner_ray.types import (
    Completion,
    Demonstration,
    Entity,
    Exchange,
    Label,
    LabelSet,
    Mention,
    Message,
    StepInput,
)

Case = dict[str, Any]
Turns = list[dict[str, str]]


def _labels(names: Sequence[str]) -> LabelSet:
    return tuple(Label(name) for name in names)


def _messages(turns: Turns) -> list[Message]:
    roles = {"human": "user", "gpt": "assistant"}
    return [Message(roles[turn["from"]], turn["value"]) for turn in turns]


def _turns(messages: Sequence[Message]) -> Turns:
    roles = {"user": "human", "assistant": "gpt"}
    return [{"from": roles[message.role], "value": message.content} for message in messages if message.role != "system"]


# GNER


def _gner_demo(case: Case) -> dict[str, Any]:
    """The released demo: our prompt, the tags as their scorer reads them, places in our words.

    Unlike their scorer the demo drops an I- that follows no B-.
    """
    (step,) = gner.steps(gner.Options(words="released"))
    passage = StepInput(case["input"]["text"], _labels(case["input"]["labels"]))
    (prompt,) = step.ask(passage, ())
    words = gner._words(passage.text, "released")
    tags = gner_scorer.tags([word for word, _, _ in words], case["output_text"], case["input"]["labels"])
    spans: list[tuple[int, int, str]] = []
    is_open = False
    for (_, start, end), tag in zip(words, tags, strict=True):
        if tag.startswith("B-"):
            spans.append((start, end, tag[2:]))
        elif tag.startswith("I-") and is_open:
            spans[-1] = (spans[-1][0], end, spans[-1][2])
        is_open = tag.startswith("B-") or (is_open and tag.startswith("I-"))
    entities = [
        {"start": start, "end": end, "text": passage.text[start:end], "label": label} for start, end, label in spans
    ]
    return {"prompt": prompt.content, "entities": entities}


def _gner_instances(case: Case) -> list[dict[str, Any]]:
    """Training instances; the released code shuffles one list of labels again and again."""
    shuffled = random.Random(case["input"]["random.seed"])
    labels = list(case["input"]["labels"])
    dataset = "toy" if "add_dataset_name=True" in case["case"] else ""
    (step,) = gner.steps(gner.Options(wrapper="t5", dataset=dataset))
    instances = []
    for number, sentence in enumerate(case["input"]["conll"].split(" // ")):
        rows = [row.rsplit(" ", 1) for row in sentence.split(" / ")]
        words, tags = [word for word, _ in rows], [tag for _, tag in rows]
        shuffled.shuffle(labels)
        passage = StepInput(" ".join(words), _labels(labels))
        (exchange,) = step.targets(passage, list(_tagged(words, tags))).exchanges
        instances.append(
            {
                "id": str(number),
                "words": words,
                "labels": tags,
                "instruction_inputs": exchange.prompt.content,
                "prompt_labels": exchange.completions[0].text,
                "label_list": list(labels),
            }
        )
    return instances


def _tagged(words: Sequence[str], tags: Sequence[str]) -> Iterator[Entity]:
    """The entities of BIO tags over words joined by blanks."""
    text = " ".join(words)
    start, begun = 0, -1
    for word, tag, following in zip(words, tags, [*tags[1:], "O"], strict=True):
        begun = start if tag.startswith("B-") else begun
        end = start + len(word)
        if tag != "O" and not following.startswith("I-"):
            yield Entity(begun, end, text[begun:end], tag[2:])
        start = end + 1


# UniversalNER and RA-IT


def _universal_ner_prompt(case: Case) -> str:
    """The conversation in the wrapper, which the family's own prompt must equal where it asks the same."""
    turns = case["input"]["conversations"]
    system = Message("system", template("universal_ner", "system", "text"))
    wrapped = wrap("universal_ner", "vicuna", [system, *_messages(turns)[:-1]])
    text, asked = turns[0]["value"], turns[-2]["value"]
    if len(turns) != 4 or not text.startswith("Text: ") or not asked.startswith("What describes "):
        return wrapped
    (step,) = universal_ner.steps(universal_ner.Options())
    label = asked.removeprefix("What describes ").removesuffix(" in the text?")
    (prompt,) = step.ask(StepInput(text.removeprefix("Text: "), _labels([label])), ())
    return wrapped if prompt.content == wrapped else str(prompt.content)


def _ra_it_prompt(case: Case) -> str:
    wrapper = "llama-3" if "llama-3" in case["case"] else "qwen"
    system = template("ra_it", "system", "training", wrapper)
    opening = [Message("system", system)] if system else []
    return wrap("ra_it", wrapper, [*opening, *_messages(case["input"]["conversations"])[:-1]])


def _ra_it_serve(case: Case) -> dict[str, Any]:
    """The demo takes its examples as one string, so their turns are put in here."""
    given = case["input"]
    language = given["language"]
    wrapper = "llama-3" if language == "en" else "qwen"
    (step,) = ra_it.steps(ra_it.Options(language=language, wrapper="chat", wording="serve"))
    (prompt,) = step.ask(StepInput(given["text"], _labels([given["entity_type"]])), ())
    turns = list(prompt.content)
    if given["examples"]:
        intro = template("ra_it", "serve", language, "examples").replace("{examples}", given["examples"])
        received = template("ra_it", "serve", language, "examples_acknowledgement")
        turns[1:1] = [Message("user", intro), Message("assistant", received)]
    conversations = [*_turns(turns), {"from": "gpt", "value": "[]"}]
    return {"conversations": conversations, "prompt": wrap("ra_it", wrapper, turns)}


def _ra_it_demonstrations(case: Case) -> dict[str, str]:
    demos = tuple(
        Demonstration(
            demo["text"],
            tuple(Mention(name, label) for pair in demo["entity"] for name, label in pair.items()),
        )
        for demo in case["input"]["demos"]
    )
    (step,) = ra_it.steps(ra_it.Options(language=case["input"]["lang"], wrapper="chat", system=""))
    (prompt,) = step.ask(StepInput("x", _labels(["y"]), demos), ())
    human, gpt, *_ = prompt.content
    return {"human": human.content, "gpt": gpt.content}


def _ra_it_conversations(case: Case) -> Any:
    """Evaluation rows as conversations; answers as the released generator writes them, without escapes."""
    rows = case["input"].get("rows") or _rows_of(case["reference_result"], case["input"]["labels"])
    language = "zh" if "(zh)" in case["case"] else "en"
    (step,) = ra_it.steps(ra_it.Options(language=language, wrapper="chat", wording="generator", system=""))
    conversations, golds = [], []
    for row in rows:
        for prompt in step.ask(StepInput(row["sentence"], _labels(case["input"]["labels"])), ()):
            named = [name for name, label in row["label"].items() if label == prompt.subject]
            answer = "[" + ", ".join(f'"{name}"' for name in named) + "]"
            turns = [*_turns(prompt.content), {"from": "gpt", "value": answer}]
            conversations.append({"id": row["id"], "conversations": turns})
            golds.append(ra_it_scorer.read(answer))
    if isinstance(case["reference_result"], list):
        return conversations
    return {"conversations": conversations, "gold_parsed": golds}


def _rows_of(conversations: list[dict[str, Any]], labels: list[str]) -> list[dict[str, Any]]:
    """The row that a case leaves out, from the text turn and the answers it expects."""
    sentence = conversations[0]["conversations"][0]["value"].removeprefix("文本： ").removeprefix("Text: ")
    answers = [ra_it_scorer.read(example["conversations"][-1]["value"]) or [] for example in conversations]
    label = {name: labels[number] for number, names in enumerate(answers) for name in names}
    return [{"id": conversations[0]["id"], "sentence": sentence, "label": label}]


# B2NER


def _b2ner_prompt(case: Case) -> dict[str, str]:
    """The prompt, and what the released collator makes of it: it formats the text a second time."""
    given = case["input"]
    (step,) = b2ner.steps(b2ner.Options(language=given["lang"]))
    (prompt,) = step.ask(StepInput(given["text"], _labels(given["labels"])), ())
    rendered = str(prompt.content)
    try:
        formatted = rendered.format(given["text"])
    except Exception:  # noqa: BLE001 - theirs returns from `finally`, which swallows all
        formatted = rendered
    return {"rendered_by_dataset": rendered, "after_collator_get_instruction": formatted}


# CascadeNER


def _cascade_questions(case: Case) -> dict[str, Any]:
    """The classifier's questions, answered by script.

    Their code gives the whole sentence up where an answer has no list on the next level, and takes any answer
    on the last one.
    """
    given = case["input"]
    levels = list(given["category_tree"].values())
    _, step = cascade.steps(cascade.Options(constrained=False, outside_labels="keep"))
    passage = StepInput(given["sentence"], _tree(levels, 0), entities=tuple(_found(given)))
    script = iter(given["scripted_answers"])
    transcript: list[Exchange] = []
    queries: list[str] = []
    answers: list[str] = []
    for depth, level in enumerate(levels):
        prompts = {prompt.subject: prompt for prompt in step.ask(passage, transcript)}
        parents, answers = answers, []
        for number, entity in enumerate(given["entities"]):
            if depth and parents[number] not in level:
                return {"queries": queries, "categories": []}
            queries.append(prompts[entity].content[-1].content)
            answers.append(next(script).strip().lower())
        transcript += [
            Exchange(prompt, (Completion(answers[given["entities"].index(entity)]),))
            for entity, prompt in prompts.items()
        ]
    return {"queries": queries, "categories": answers}


def _tree(levels: Sequence[Any], depth: int, parent: str = "") -> LabelSet:
    """Label trees of the lists of all levels: a string, then dictionaries by parent."""
    level = levels[depth] if depth < len(levels) else {}
    listed = level if isinstance(level, str) else level.get(parent.lower(), "")
    return tuple(Label(name, children=_tree(levels, depth + 1, name)) for name in listed.split(", ") if name)


def _found(given: dict[str, Any]) -> Iterator[Entity]:
    for text in given["entities"]:
        start = max(given["sentence"].find(text), 0)
        yield Entity(start, start + len(text), text, "")


FUNCTIONS: dict[tuple[str, str], Callable[[Case], Any]] = {
    ("RA-IT", "4.gen_it_data.benchmark_test_set_to_conversation"): _ra_it_conversations,
    ("GNER", "apps.predict_entities (fake model)"): _gner_demo,
    ("CascadeNER", "categorize_entities"): _cascade_questions,
    ("RA-IT", "evaluation/evaluate.preprocess_instance"): _ra_it_prompt,
    ("GNER", "gner_dataset.GNERDataset._generate_examples"): _gner_instances,
    ("B2NER", "instruction_config_ml.json + DataCollatorForB2NER.get_instruction"): _b2ner_prompt,
    ("RA-IT", "prompt_utils templates as used in 5.gen_rag_it_data.py"): _ra_it_demonstrations,
    ("RA-IT", "serve/utils.get_conversations + preprocess_instance"): _ra_it_serve,
    ("UniversalNER", "src/utils.preprocess_instance"): _universal_ner_prompt,
}
