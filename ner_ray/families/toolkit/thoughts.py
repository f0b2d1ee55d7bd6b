"""Removes what a reasoning model thinks before it answers, once, before any family reads the answer.

Thought marks are recognised by the words in them (`think`, `thought`, `reasoning`, ...), whatever brackets the maker of
a model put around these; the channels of gpt-oss, the lines of `ollama`, tags of stages (`<plan>`, `<step>`), and
headings (`### Reasoning ... ### Answer`) are recognised, too. The text after the last thought is the answer; thoughts
that never end leave none.

A mark that also occurs in the passage is text, unless the answer begins with it and the passage does not.

What follows the answer goes, too: another example, another turn (`continuations`).
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ner_ray.families.toolkit.continuations import end_of_answer, is_echo
from ner_ray.families.toolkit.languages import headings, plain
from ner_ray.families.toolkit.questions import is_question
from ner_ray.types import Completion

_THOUGHT = (
    r"(?:think(?:ing)?|thoughts?|thought[_-]?process|reason(?:ing|s)?|rationale|reflect(?:ion|ions)?|scratch[_-]?pad"
    r"|analysis|monologue|inner[_-](?:monologue|thoughts?|prefix|suffix)|chain[_-]of[_-]thoughts?|cot|deliberation"
    r"|internal|planning|ponder(?:ing)?|brainstorm(?:ing)?|consider(?:ing|ations?)?|contemplat(?:e|ion|ing)"
    r"|critique|introspection|musings?|思考|思考过程)"
)
_TAG = re.compile(
    r"(?:[<＜◁〈【]|\[(?=(?-i:[/|A-Z_ ]{4,30}|/?(?:think|thinking|thought|reasoning))\]))\|?\s{0,2}"
    r"(?P<end>/\s{0,2}|end(?:[_-]?of)?[_-]?)?(?:begin(?:[_-]?of)?[_-]|start(?:[_-]?of)?[_-]?)?(?:\w{1,24}[:_-]){0,2}?(?:ant|deep|self)?[_-]?"
    rf"(?P<word>{_THOUGHT})(?P<close>[_-](?:end|suffix|close))?(?:[_-]\w{{1,16}})?(?:\s[^<>\[\]\n]{{0,80}})?/?\s{{0,2}}\|?[>\]▷＞〉】]",
    re.IGNORECASE,
)
_OTHER_TAG = re.compile(
    r"<unused94>\s*thought|\[unused16\]|(?P<end><unused95>|\[unused17\]|</details>)|<details[^<>\n]{0,80}(?:reason|think)[^<>\n]{0,40}>"
)
_ANSWER_TAG = re.compile(
    r"<\|?(?P<end>/|end_(?:of_)?)?(?:begin_(?:of_)?|start_(?:of_)?)?"
    r"(?:answer|final_?answer|final|response|output|solution|result)\|?>",
    re.IGNORECASE,
)
# gpt-oss writes to channels; if special tokens are stripped, only the names of the channels remain.
_CHANNEL = re.compile(
    r"(?:<\|end\|>\s*)?(?:<\|start\|>\s*assistant\s*)?<\|?channel\|?>\s*(?P<name>analysis|commentary|final|thought)\b[^<]{0,60}(?:<\|message\|>)?"
    r"|assistant(?P<bare>analysis|commentary|final)",
    re.IGNORECASE,
)
_BARE_CHANNEL = re.compile(r"\s*(?:assistant)?(?P<bare>analysis|commentary)(?=[A-Z\[{(\"'*\n])")
_TURN_END = re.compile(r"<\|end\|>(?:<\|(?:begin|start)\|>assistant)?(?:<\|(?:content|message)\|>)?")
_CHANNEL_END = re.compile(r"<\|(?:return|end|call)\|>|<channel\|>")
# Names of tags that hold thoughts only if an answer follows and they hold more than an entity.
_STAGE = re.compile(
    r"\s*<(?P<name>(?:plan|step|work|working|note|draft|explanation|observation|hypothesis|check|verification|review"
    r"|evidence|approach|strategy|assessment|interpretation|process|logic|understanding|breakdown|discussion|task"
    r"|self[_-]?check|context|problem|summary|outline|sketch|idea|notion|study|inner|meta|trace|steps|notes|checks)"
    r"s?(?:[_-]?\w{1,16})?)(?:\s[^<>\n]{0,40})?>(?P<held>.*?)</(?P=name)\s?>",
    re.IGNORECASE | re.DOTALL,
)
_NO_NAME = re.compile(r"[\[{:：?？=\n]")
_OPEN_STAGE = re.compile(_STAGE.pattern.partition(r"(?P<held>")[0], re.IGNORECASE)
_OLLAMA = re.compile(r"\s*Thinking(?:\.\.\.|…)\s*\n")
_OLLAMA_END = re.compile(r"(?:\.\.\.|…)\s*done thinking\.?", re.IGNORECASE)
_FENCED = re.compile(
    rf"\s*(?P<fence>```|~~~){_THOUGHT}[^\S\n]*(?:(?:\n.*?)?\n[^\S\n]*(?P<end>(?P=fence))|\n.*)",
    re.DOTALL | re.IGNORECASE,
)
_QUOTED = re.compile(r"(?:>[^\n]*(?:\n|\Z))+")
_LINE = re.compile(r"[^\n]+")
_INLINE_HEADING = re.compile(r"[*_#\s]*(?P<title>[^\W\d_][^\n:：*]{0,40}?)[*_]{0,3}\s*[:：][*_]{0,3}")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What remains of a completion.

    Attributes:
        completion: without its thoughts; its tokens are those of the answer, with offsets into the answer.
        lost: if nothing remains, the reason; otherwise empty.
        ran_on: whether something other than the answer followed it.
    """

    completion: Completion
    lost: str = ""
    ran_on: bool = False


def answer_of(completion: Completion, text: str = "") -> Answer:
    """A completion without its thoughts.

    >>> answer_of(Completion('<think>["Bo"]? No.</think>["Ann"]')).completion.text
    '["Ann"]'

    Args:
        completion: as the engine returned it.
        text: the passage that was asked about; marks that occur in it are not thought marks.
    """
    answer = completion.text
    spans, unfinished = _thoughts(completion, text)
    kept = [] if unfinished else _kept(answer, spans)
    kept = _inside_answer_tags(answer, kept, text)
    if any(answer[start:end].strip() for start, end in kept):
        return _without_continuation(completion if kept == [(0, len(answer))] else _only(completion, kept), text)
    if not spans and completion.finish_reason != "length":
        return Answer(completion)
    why = "all tokens were spent on thinking" if spans else "the limit was reached before any answer"
    return Answer(completion, lost=why)


def _without_continuation(completion: Completion, text: str) -> Answer:
    """A completion up to where its answer ends; that answer is whole, even if the limit was reached later."""
    end = end_of_answer(completion.text, text, cut=completion.finish_reason == "length")
    if not completion.text[end:].strip():
        return Answer(completion)
    return Answer(replace(_only(completion, [(0, end)]), finish_reason="stop"), ran_on=True)


def _kept(answer: str, spans: Sequence[Span]) -> list[Span]:
    """The text after the last thought or, if there is none, the text between thoughts."""
    if not spans:
        return [(0, len(answer))]
    last = spans[-1][1]
    if answer[last:].strip():
        return [(last, len(answer))]
    begins = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(answer)]
    return [(begin, end) for begin, end in zip(begins, ends, strict=True) if answer[begin:end].strip()]


def _only(completion: Completion, kept: Sequence[Span]) -> Completion:
    """A completion reduced to some stretches of its text, tokens included."""
    parts: list[str] = []
    token_ends: list[int] = []
    logprobs: list[float] = []
    length = 0
    ends = completion.token_ends
    for start, end in kept:
        first = bisect.bisect_right(ends, start)
        last = min(bisect.bisect_left(ends, end) + 1, len(completion.logprobs))
        token_ends += (length + min(stop, end) - start for stop in ends[first:last])
        logprobs += completion.logprobs[first:last]
        parts.append(completion.text[start:end])
        length += end - start + 1
    return replace(completion, text="\n".join(parts), token_ends=tuple(token_ends), logprobs=tuple(logprobs))


def _thoughts(completion: Completion, text: str) -> tuple[list[Span], bool]:
    """The spans of the thoughts, in order, and whether the last of them never ends."""
    for finder in (_channels, _ollama, _fenced, _tags):
        spans, unfinished = finder(completion.text, text)
        if spans:
            return spans, unfinished
    cut = completion.finish_reason == "length"
    spans, unfinished = _stages(completion.text, text, cut=cut)
    return (spans, unfinished) if spans else _headed(completion.text, text, cut=cut)


def _tags(answer: str, text: str) -> tuple[list[Span], bool]:
    spans: list[Span] = []
    opened: int | None = None
    behind = 0
    for start, end, closes in _marks(answer, text):
        if not closes:
            opened = start if opened is None else opened
            continue
        begin = behind if opened is None else opened
        spans.append((begin, end))
        opened, behind = None, end
    if opened is not None:
        spans.append((opened, len(answer)))
    return spans, opened is not None


def _marks(answer: str, text: str) -> list[tuple[int, int, bool]]:
    """Start, end, and whether it closes a thought, of every thought mark that is not the passage's own."""
    first = len(answer) - len(answer.lstrip())
    marks = []
    for match in (*_TAG.finditer(answer), *_OTHER_TAG.finditer(answer)):
        groups = match.groupdict()
        closes = bool(groups.get("end") or groups.get("close") or (groups.get("word") or "").lower().endswith("suffix"))
        marks.append((match.start(), match.end(), closes))
    if any(answer[start:end].startswith("<|") for start, end, _ in marks):
        marks += [(match.start(), match.end(), True) for match in _TURN_END.finditer(answer, marks[0][1])]
    marks.sort()
    if marks and marks[0][0] == first and not text.lstrip().startswith(answer[first : marks[0][1]]):
        return marks
    shared: dict[str, bool] = {}
    return [
        mark for mark in marks if not shared.setdefault(answer[mark[0] : mark[1]], answer[mark[0] : mark[1]] in text)
    ]


def _channels(answer: str, text: str) -> tuple[list[Span], bool]:
    """Everything outside the last channel `final`; if there is none, everything."""
    lowered = answer.lower()
    named = "channel" in lowered or "assistant" in lowered
    heads = [match for match in _CHANNEL.finditer(answer) if match[0] not in text] if named else []
    first = _BARE_CHANNEL.match(answer)
    begins_so = first is not None and not text.lstrip().startswith(first[0].strip())
    marked = any(head["name"] for head in heads)
    if not begins_so and not marked and not (heads and not answer[: heads[0].start()].strip()):
        return [], False
    finals = [head for head in heads if (head["name"] or head["bare"]).lower() == "final"]
    rest = _CHANNEL_END.search(answer, heads[-1].end()) if heads else None
    if finals:
        closing = _CHANNEL_END.search(answer, finals[-1].end())
        spans = [(0, finals[-1].end())]
        return ([*spans, (closing.start(), len(answer))] if closing else spans), False
    if rest is not None and answer[rest.end() :].strip():
        return [(0, rest.end())], False
    return [(0, len(answer))], True


def _ollama(answer: str, text: str) -> tuple[list[Span], bool]:
    start = _OLLAMA.match(answer)
    if start is None or text.lstrip().startswith("Thinking"):
        return [], False
    end = _OLLAMA_END.search(answer, start.end())
    return [(0, len(answer) if end is None else end.end())], end is None


def _fenced(answer: str, text: str) -> tuple[list[Span], bool]:
    match = _FENCED.match(answer)
    if match is None or match["fence"] in text:
        return [], False
    return [match.span()], match["end"] is None


def _stages(answer: str, text: str, *, cut: bool) -> tuple[list[Span], bool]:
    """The tags at the beginning of an answer that are named like stages of work and hold no entity of the passage."""
    spans: list[Span] = []
    at = 0
    while (match := _STAGE.match(answer, at)) and _is_thought(match["held"], text):
        spans.append(match.span())
        at = match.end()
    opened = _OPEN_STAGE.match(answer, at) if cut and not match else None
    if opened and _is_thought(answer[opened.end() :], text):
        return [*spans, (at, len(answer))], True
    return (spans, False) if cut or answer[at:].strip() else ([], False)


def _is_thought(held: str, text: str) -> bool:
    held = held.strip()
    if not held or held in text:
        return not held
    return _NO_NAME.search(held) is not None or (len(held.split()) > 1 and not is_echo(held, text))


def _headed(answer: str, text: str, *, cut: bool) -> tuple[list[Span], bool]:
    """Thoughts under a heading, up to one that announces the answer; without one, only if the answer is truncated."""
    first = _LINE.search(answer)
    while first is not None and not first[0].strip():
        first = _LINE.search(answer, first.end())
    if first is None or first[0].strip() in text or _title(first[0]) not in headings("thoughts"):
        return [], False
    quoted = _QUOTED.match(answer, first.start())
    if quoted and answer[quoted.end() :].strip():
        return [(0, quoted.end())], False
    lines = [line for line in _LINE.finditer(answer, first.end()) if line[0].strip() not in text]
    asked = [False, *(is_question(line[0]) for line in lines)]
    ends = [
        end
        for line, behind_question in zip(lines, asked, strict=False)
        if not behind_question and (end := _answer_heading(line, text)) is not None
    ]
    if ends:
        stop = ends[0] + end_of_answer(answer[ends[0] :], text, cut=cut)
        return [(0, max(end for end in ends if end <= stop))], False
    return ([(0, len(answer))], True) if cut else ([], False)


def _title(line: str) -> str:
    """The heading that a line consists of or begins with."""
    inline = _INLINE_HEADING.match(line)
    return plain(inline["title"]) if inline else plain(line) if len(line) < 80 else ""


def _answer_heading(match: re.Match[str], text: str) -> int | None:
    """Where the answer begins after a line that announces it; a word of the passage does not announce anything."""
    inline = _INLINE_HEADING.match(match[0])
    if inline and inline["title"] in text:
        return None
    if inline and plain(inline["title"]) in headings("answer"):
        return match.start() + inline.end()
    bare = match[0].strip()
    marked = (bare[:1] in "#*" or not inline) and not set(bare) & set("[]{}\"'")
    return match.end() if marked and len(bare) < 80 and plain(bare) in headings("answer") else None


def _inside_answer_tags(answer: str, kept: list[Span], text: str) -> list[Span]:
    """The last text enclosed by `<answer>` or a similar tag, if there is such a tag in what is kept."""
    if len(kept) != 1:
        return kept
    begin, end = kept[0]
    opened, closed = None, end
    for match in _ANSWER_TAG.finditer(answer, begin, end):
        if match[0] in text:
            continue
        if not match["end"]:
            opened, closed = match.end(), end
        elif closed == end:
            closed = match.start()
    return kept if opened is None else [(opened, closed)]
