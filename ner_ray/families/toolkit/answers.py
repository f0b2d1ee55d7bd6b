"""From an answer in any dialect to mentions: brackets are tried first, then lines, then "there is nothing".

thoughts   removed before a family sees the answer (`transcript.read_samples`)
copies     copies of the passage with marks in them, tried first
lists      brackets and their content
records    which strings in brackets are entities, and which are labels
lines      the same for answers without brackets
prose      the same for sentences
answers    which lists are the answer and which are drafts; resolved labels; a verdict with its reasons
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from ner_ray.families.base import LabelPolicy
from ner_ray.families.toolkit.copies import marked
from ner_ray.families.toolkit.guide import Guide, Item, bio_prefix
from ner_ray.families.toolkit.labels import resolve
from ner_ray.families.toolkit.languages import announces, headings, plain, says_nothing
from ner_ray.families.toolkit.lines import read_lines
from ner_ray.families.toolkit.lists import Root, Text, groups, is_empty, roots, texts
from ner_ray.families.toolkit.prose import read_prose
from ner_ray.families.toolkit.records import items, on_one_side
from ner_ray.families.toolkit.transcript import cut_short, settle, unparsable
from ner_ray.types import Completion, Mention, Reading

# Number of characters before a list in which its heading is searched for.
_LEAD = 200
# The beginning of a tuple in GraphRAG's notation, after the end of the one before: `##("entity"<|>`.
_GRAPH_ENTITY = re.compile(
    r"(?:[\s)#‡|(]|<\|>){0,16}+(?:\A|(?<=[\s)#‡|(>]))[\"']?entity[\"']?\s?(?P<delimiter><\|#?\|?>|‡|\|{2,3})",
    re.IGNORECASE,
)
_FENCES = re.compile(r"```\w*|~~~\w*")
_HEADING = re.compile(
    r"^[*_#\s]{0,9}(?P<title>[^\W\d_][^\n:：*]{0,60}?)[*_]{0,3}[ \t]{0,3}(?:[:：][*_]{0,3}|$)", re.MULTILINE
)
_SHELL = re.compile(r"(?:\s|```\w*|~~~\w*|</?[A-Za-z][\w-]{0,40}\s?/?>|\|[^\n]*\|[ \t]*\n[ \t]*\|[ \t|:+-]+\|)*+")
_IN_A_STRING = re.compile(r'[:,]\s?"\s*[\[{]')  # `lists` reads a list in a string of a list
_ESCAPED_LIST = re.compile(r'[\[{(](?:\s|\\n|[\[{(]){0,32}\\"')  # bounded, so that a search takes linear time
_TWICE = re.compile(r'\\(["n])')
_NO_LABEL = frozenset(
    {"o", "none", "null", "n/a", "na", "no label", "not an entity", "no entity", "outside", "other:none"}
)
_CONTINUES = frozenset("IEML")


@dataclass(frozen=True, slots=True)
class Listed:
    """What an answer lists.

    Attributes:
        items: the entities, in order.
        repairs: what had to be done to read them; see `Reading.repairs`.
        cut: whether the end of a list is missing.
        understood: whether there are entities, or the answer says that there are none.
    """

    items: tuple[Item, ...]
    repairs: frozenset[str] = frozenset()
    cut: bool = False
    understood: bool = True


@dataclass(frozen=True, slots=True)
class _Content:
    """What a list says; lists that repeat each other share it."""

    items: tuple[Item, ...]
    empty: bool
    aside: bool
    repairs: frozenset[str]


class _Part(NamedTuple):
    """A list in an answer, with the prose before it and the label at the end of that prose."""

    root: Root
    content: _Content
    lead: str
    heading: str

    @property
    def items(self) -> tuple[Item, ...]:
        return self.content.items

    @property
    def empty(self) -> bool:
        return self.content.empty

    @property
    def pairs(self) -> Counter[tuple[str, str]]:
        return Counter((item.entity.value, item.label.value if item.label else "") for item in self.items)

    def placed(self) -> Iterator[Item]:
        """The items with their own offsets."""
        shift = self.root.shift
        return (item.moved(shift) for item in self.items) if shift else iter(self.items)


def read_answer(
    completion: Completion, guide: Guide, known: Mapping[str, str], policy: LabelPolicy, role: str
) -> Reading:
    """The mentions of an answer, with a verdict.

    A mention's score is the probability of its entity and label, or of its entity alone if several share the label.

    Args:
        completion: the answer, without thoughts.
        guide: the label set that was offered, the passage, and the label that was asked for.
        known: offered name -> label; empty for an open question.
        policy: how labels outside the set are treated.
        role: the step's role, for errors.
    """
    listed = list_entities(completion.text, guide, cut=completion.finish_reason == "length")
    if not listed.understood:
        return cut_short(role, completion) if completion.finish_reason == "length" else unparsable(role, completion)
    return to_reading(listed, completion, guide, known, policy)


def list_entities(answer: str, guide: Guide, *, cut: bool = False) -> Listed:
    """The entities that an answer lists, and how they were found.

    >>> found = list_entities("Ann (person), Bo (dog)", Guide(("person", "dog"), "Ann saw Bo."))
    >>> [(item.entity.value, item.label.value) for item in found.items]
    [('Ann', 'person'), ('Bo', 'dog')]
    """
    answer = _decoded(answer)
    if entities := _marked(answer, guide):
        return Listed(tuple(entities[: -1 if cut else None]), frozenset({"marks"}))
    rows = _as_rows(answer)
    found = list(roots(answer)) if rows is answer else []
    answer = rows
    parts = _parts(answer, found, guide)
    kept = _without_drafts(parts, cut=cut)
    if cut and parts and not kept:
        return Listed((), frozenset({"draft"}), cut=True)
    listed = _from_brackets(answer, parts, kept, guide)
    has_list = any(part.items or part.empty or (part.root.cut and part.root.likely) for part in kept)
    if any(part.heading and _is_inline(part, answer) for part in kept):
        listed = _with_lines(answer, listed, kept, guide, cut=cut)
    usable = _usable(listed, guide)
    if (usable and any(part.root.likely for part in kept)) or (has_list and not listed.items):
        return listed
    lines = _from_lines(answer, guide, cut=cut)
    if usable and _placeable(lines, guide) <= _placeable(listed, guide):
        return listed
    if lines.items or (lines.understood and not listed.items):
        return lines
    return replace(listed, understood=listed.cut)


def _as_rows(answer: str) -> str:
    """Tuples in GraphRAG's notation, whatever the delimiter, as rows of a table, in a string of the same length."""
    first = _GRAPH_ENTITY.search(answer)
    if not first:
        return answer
    rows = _GRAPH_ENTITY.sub(lambda match: "\n" + " " * (len(match[0]) - 2) + "|", " " + answer)[1:]
    return rows.replace(first["delimiter"], "|".center(len(first["delimiter"])))


def _marked(answer: str, guide: Guide) -> list[Item]:
    """The entities marked in a copy of the passage, if it is known which label they have."""
    subject = guide.subject or (guide.names[0] if len(guide.names) == 1 else "")
    label = None if guide.subject else Text(subject, 0, 0)
    return [Item(entity, label) for entity in marked(answer, guide)] if subject else []


def _decoded(answer: str) -> str:
    """An answer that was encoded twice, so that all quotes are escaped, without the escapes; of the same length."""
    first = None if _IN_A_STRING.search(answer) else _ESCAPED_LIST.search(answer)
    begin = first.start() if first else len(answer)
    escaped = answer.count('\\"', begin)
    if escaped < 2 or answer.count('"', begin) - escaped > 2:
        return answer
    return answer[:begin] + _TWICE.sub(lambda match: "  " if match[1] == "n" else " " + match[1], answer[begin:])


def to_reading(
    listed: Listed, completion: Completion, guide: Guide, known: Mapping[str, str], policy: LabelPolicy
) -> Reading:
    """The listed entities as mentions with labels of the set; those without such a label are in `dropped`."""
    repairs = set(listed.repairs)
    shared = Counter(item.label.start for item in listed.items if item.label)
    mentions: list[Mention] = []
    dropped: list[Mention] = []
    cut = listed.cut or completion.finish_reason == "length"
    for item in _joined(listed.items, guide, repairs, cut=cut):
        label, refused = _label(item, guide, known, policy, repairs)
        score = completion.probability(*_extent(item, shared))
        (dropped if refused else mentions).append(Mention(item.entity.value, label, score))
    if guide.subject and any(item.label or item.why for item in listed.items):
        repairs.add("shape")
    verdict = settle(completion, cut=listed.cut, recovered=bool(repairs))
    return Reading(tuple(mentions), verdict, dropped=tuple(dropped), repairs=tuple(sorted(repairs)))


def _label(
    item: Item, guide: Guide, known: Mapping[str, str], policy: LabelPolicy, repairs: set[str]
) -> tuple[str, bool]:
    """The label of an item, and whether the item is refused."""
    if item.label is None and not guide.subject:
        repairs.add("untyped")
        return "", True
    written = item.label.value if item.label else guide.subject
    if written in known and not guide.subject:
        return known[written], False
    if guide.subject:
        named = guide.label(written)
        return (guide.subject, False) if named in (None, guide.subject) else (named or "", True)
    named = guide.label(written)
    if known and named is None and policy == "drop":
        return written, True
    resolved = resolve(named or _without_bio(written, guide), known, policy if known else "keep")
    if known and not (resolved.exact and written in known):
        repairs.add("label")
    return (written if resolved.label is None else resolved.label), resolved.label is None


def _without_bio(written: str, guide: Guide) -> str:
    return written[2:] if bio_prefix(written, guide) and guide.names else written


def _extent(item: Item, shared: Counter[int]) -> tuple[int, int]:
    if item.label is None or shared[item.label.start] > 1:
        return item.entity.start, item.entity.end
    return min(item.entity.start, item.label.start), max(item.entity.end, item.label.end)


def _joined(found: Sequence[Item], guide: Guide, repairs: set[str], *, cut: bool) -> list[Item]:
    """The items, with entities joined whose words were tagged one by one (`B-person`, `I-person`).

    The last entity may be incomplete.
    """
    prefixes = [bio_prefix(item.label.value, guide) if item.label else "" for item in found]
    if not any(prefix in _CONTINUES for prefix in prefixes) and not (guide.names and any(prefixes)):
        return list(found)
    repairs.add("bio")
    joined: list[Item] = []
    for item, prefix in zip(found, prefixes, strict=True):
        label = item.label
        bare = item._replace(label=label._replace(value=label.value[2:])) if label and prefix else item
        last = joined[-1] if joined else None
        if prefix in _CONTINUES and last and last.label and bare.label and last.label.value == bare.label.value:
            joined[-1] = last._replace(entity=_together(last.entity, bare.entity, guide))
        else:
            joined.append(bare)
    return joined[:-1] if cut else joined


def _together(first: Text, second: Text, guide: Guide) -> Text:
    glued = first.value + second.value
    value = glued if guide.has(glued) else f"{first.value} {second.value}"
    return Text(value, first.start, second.end)


def _parts(answer: str, found: Sequence[Root], guide: Guide) -> list[_Part]:
    """The lists of an answer, apart from those that say nothing about it."""
    contents: dict[tuple[int, str], _Content] = {}
    parts: list[_Part] = []
    begin = 0
    for root in found:
        lead = answer[max(begin, root.start - _LEAD) : root.start]
        heading = _heading(lead, guide)
        key = id(root.group), heading
        if key not in contents:
            contents[key] = _content(root, heading, guide)
        if not contents[key].aside or len(found) == 1:
            parts.append(_Part(root, contents[key], lead, heading))
        begin = root.end
    return parts


def _content(root: Root, heading: str, guide: Guide) -> _Content:
    begin = root.start - root.shift
    listed = on_one_side(items(root.group, guide, Text(heading, begin, begin) if heading else None), guide)
    kept = [item for item in listed if not _is_void(item, guide)]
    real = [item for item in kept if not _is_echo(item, guide)]
    only_labels = bool(real) and all(
        item.label is None and guide.label(item.entity.value) and not guide.has(item.entity.value) for item in real
    )
    in_prose = root.group.bracket == "(" and len(texts(root.group)) < 2
    aside = in_prose or only_labels or (bool(kept) and not real)
    empty = not kept and (is_empty(root.group) or (bool(listed) and not root.cut))
    return _Content(tuple(real), empty, aside, frozenset(item.why for item in listed if item.why))


def _is_void(item: Item, guide: Guide) -> bool:
    """Whether an item says that there is nothing: it has no entity, or a label that means none."""
    if guide.is_nothing(item.entity.value):
        return True
    label = item.label
    return label is not None and label.value.casefold() in _NO_LABEL and guide.label(label.value) is None


def _is_echo(item: Item, guide: Guide) -> bool:
    """Whether an item merely repeats the format that was asked for."""
    return guide.is_placeholder(item.entity.value) and (
        item.label is None or guide.label(item.label.value) is None or item.entity.value.startswith(("<", "{", "."))
    )


def _heading(lead: str, guide: Guide) -> str:
    """The label at the end of the prose before a list; empty if there is none."""
    if not lead.strip():
        return ""
    bare = _FENCES.sub("", lead).rstrip(" \t\r\n:：*_`\"'(=->").rpartition("\n")[2]
    title = re.split(r"[.;；。,，]\s*", plain(bare))[-1]
    words = title.split()
    tails = [title, *(" ".join(words[-size:]) for size in range(min(4, len(words) - 1), 0, -1))]
    return next((name for tail in tails if tail and (name := guide.heading(tail))), "")


def _is_inline(part: _Part, answer: str) -> bool:
    """Whether a list is on the same line as its label: `person: ["Ann"]`."""
    return bool(answer[max(0, part.root.start - _LEAD) : part.root.start].rpartition("\n")[2].strip(" `"))


def _without_drafts(parts: Sequence[_Part], *, cut: bool) -> list[_Part]:
    """The lists that form the answer: without earlier drafts, examples of the format, and repetitions."""
    if cut and parts and _is_draft(parts[-1]):
        return []
    begin = 0
    titles = Counter(_title(part) for part in parts)
    for index, part in enumerate(parts):
        if index and (part.items or part.empty) and _is_final(part, titles):
            begin = index
    kept = [part for part in parts[begin:] if part is parts[-1] or not _is_draft(part)]
    kept = kept or list(parts[begin:])
    last = kept[-1:] and kept[-1]
    if not last or len(kept) < 2:
        return list(kept)
    if last.root.cut and last.pairs and last.pairs <= kept[-2].pairs:
        return kept[:-1]
    again = last.pairs
    surfaces = {item.entity.value for item in last.items}
    prose = len(_prose(last.lead).split()) > 2 and not last.heading
    return [part for part in kept[:-1] if not _superseded(part, again, surfaces, prose=prose)] + [last]


def _superseded(part: _Part, again: Counter[tuple[str, str]], surfaces: set[str], *, prose: bool) -> bool:
    if not part.items:
        return False
    repeated = (len(part.items) > 1 or prose) and part.pairs <= again
    return repeated or (prose and any(item.entity.value in surfaces for item in part.items))


def _is_draft(part: _Part) -> bool:
    return bool(part.lead.strip()) and announces("draft", _last_lines(part.lead))


def _is_final(part: _Part, titles: Counter[str]) -> bool:
    """Whether the prose before a list says that the list replaces what was said before."""
    if not part.lead.strip():
        return False
    title = _title(part)
    alone = bool(title) and titles[title] == 1
    return announces("final", _prose(part.lead)) or (
        alone and (title in headings("answer") or title.split()[-1] in headings("answer"))
    )


def _title(part: _Part) -> str:
    return plain(_prose(part.lead).rpartition("\n")[2])


@lru_cache(4096)
def _prose(lead: str) -> str:
    return _FENCES.sub("", lead).strip(" \t\r\n,;:：*_`#-")


def _last_lines(lead: str) -> str:
    return "\n".join(_prose(lead).splitlines()[-2:])[-120:]


def _from_brackets(answer: str, parts: Sequence[_Part], kept: Sequence[_Part], guide: Guide) -> Listed:
    repairs: set[str] = set()
    if len(kept) < len(parts):
        repairs.add("draft")
    if len([part for part in kept if part.items]) > 1:
        repairs.add("lists")
    if any(part.root.odd for part in kept):
        repairs.add("syntax")
    if _outside(answer, kept):
        repairs.add("surroundings")
    found = tuple(item for part in kept for item in part.placed())
    repairs = repairs.union(*(part.content.repairs for part in kept))
    if guide.subject and any(part.root.group.bracket != "[" or groups(part.root.group) for part in kept):
        repairs.add("shape")
    cut = bool(kept) and kept[-1].root.cut and kept[-1].root.likely
    understood = cut or any(part.items or part.empty for part in kept)
    return Listed(found, frozenset(repairs), cut=cut, understood=understood)


def _outside(answer: str, kept: Sequence[_Part]) -> bool:
    """Whether there is anything other than white space around the lists."""
    ends = [0, *(part.root.end for part in kept)]
    starts = [*(part.root.start for part in kept), len(answer)]
    return any(answer[end:start].strip() for end, start in zip(ends, starts, strict=True))


def _usable(listed: Listed, guide: Guide) -> bool:
    """Whether the brackets contain the answer: entities with labels."""
    return bool(listed.items) and (bool(guide.subject) or any(item.label is not None for item in listed.items))


def _placeable(listed: Listed, guide: Guide) -> int:
    """How many entities are in the passage and have a label of the set, if there is one."""
    placed = [item for item in listed.items if guide.has(item.entity.value)]
    return sum(item.label is None or not guide.names or guide.label(item.label.value) is not None for item in placed)


def _with_lines(answer: str, listed: Listed, kept: Sequence[_Part], guide: Guide, *, cut: bool) -> Listed:
    """The lists that follow labels on their lines, together with the lines that have no list."""
    pieces, at = [], 0
    for part in kept:
        pieces += [answer[at : part.root.start], " " * (part.root.end - part.root.start)]
        at = part.root.end
    rest = "".join([*pieces, answer[at:]])
    lines = read_lines(rest.replace(";", "\n"), guide, cut=cut or listed.cut)
    items_of_lines = [item for item in lines.items if item.label is not None and not _is_void(item, guide)]
    found = sorted([*listed.items, *items_of_lines], key=lambda item: item.entity.start)
    return replace(listed, items=tuple(found), repairs=listed.repairs | {"lines"})


def _from_lines(answer: str, guide: Guide, *, cut: bool) -> Listed:
    sections = [*_sections(answer, guide), answer]
    for section in sections:
        lines = read_lines(section, guide, cut=cut)
        found = tuple(item for item in lines.items if not _is_void(item, guide) and not _is_echo(item, guide))
        if found:
            repairs = {"lines", *(item.why for item in found if item.why)}
            return Listed(found, frozenset(repairs))
        if lines.denied or len(found) < len(lines.items):
            return Listed((), frozenset({"words"}))
    if not cut and (stated := read_prose(answer, guide)):
        return Listed(tuple(stated), frozenset({"prose"}))
    return Listed((), frozenset({"words"}), understood=says_nothing(answer) or _is_shell(answer))


def _is_shell(answer: str) -> bool:
    """Whether an answer is nothing but fences, empty tags, or the head of a table."""
    return bool(answer.strip()) and _SHELL.fullmatch(answer) is not None


def _sections(answer: str, guide: Guide) -> Iterator[str]:
    """The text under the heading that announces the answer, preceded by spaces, so that offsets stay the same.

    A word of the passage, such as `Output`, does not count as a heading.
    """
    found = [
        match
        for match in _HEADING.finditer(answer)
        if plain(match["title"]) in headings("answer") and not guide.has(match["title"])
    ]
    if found and (len(found) == 1 or announces("final", found[-1]["title"])):
        end = found[-1].end()
        yield " " * end + answer[end:]
