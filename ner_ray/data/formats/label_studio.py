"""An export of Label Studio, JSON or JSON-MIN, or tasks that wait to be imported there.

What people annotated is gold. An annotation that was cancelled ("skipped") does not count; if one is marked as ground
truth, the others do not. Where several are left and they disagree, the task is rejected: which one is right is for
people to say. A task without annotations has the entities of its prediction.

Only regions of type `labels` are entities; a region with several labels is one entity for each. Offsets are code
points. Formats: https://labelstud.io/guide/export and https://labelstud.io/guide/task_format.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ner_ray.data.formats.base import Match, Unreadable
from ner_ray.data.json_rows import json_rows
from ner_ray.data.source import Source
from ner_ray.errors import InputError

_ANNOTATIONS = ("annotations", "completions")  # the latter before version 1.0
_MINIMAL = frozenset({"annotation_id", "annotator", "lead_time", "updated_at"})


def recognizes(source: Source) -> Match:
    """By the keys of its first task."""
    head = b"" if source.is_folder else source.head()
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"[", b"{"):
        return Match.NO
    try:
        task = next(json_rows(source), None)
    except InputError:
        return Match.NO
    return Match.SPECIFIC if isinstance(task, Mapping) and (_is_task(task) or _is_minimal(task)) else Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:  # noqa: ARG001 - tasks are read whole
    """The tasks, each with the entities that count."""
    for task in json_rows(source):
        if isinstance(task, Mapping) and _is_task(task):
            yield _row(task)
        elif isinstance(task, Mapping):
            yield _minimal_row(task)
        else:
            yield task


def _is_task(task: Mapping[str, Any]) -> bool:
    return isinstance(task.get("data"), Mapping) and any(name in task for name in (*_ANNOTATIONS, "predictions"))


def _is_minimal(task: Mapping[str, Any]) -> bool:
    return len(_MINIMAL & task.keys()) > 1


def _row(task: Mapping[str, Any]) -> object:
    data = task["data"]
    text_id = next((data[name] for name in ("id", "doc_id") if data.get(name) is not None), task.get("id"))
    chosen = _chosen(task)
    if isinstance(chosen, str):
        return Unreadable(chosen, str(text_id))
    if any(region.get("type") == "hypertextlabels" for region in chosen):
        return Unreadable("its regions are places in HTML, not in a text", str(text_id))
    entities = [entity for region in chosen if region.get("type") == "labels" for entity in _entities(region["value"])]
    text = _text(data, entities)
    return {**data, "id": text_id, "entities": entities} | ({} if text is None else {"text": text})


def _minimal_row(task: Mapping[str, Any]) -> object:
    """A row of JSON-MIN: regions are in a list under the name of the labelling configuration's tag."""
    regions = [region for value in task.values() if isinstance(value, list) for region in value if _is_region(region)]
    entities = [entity for region in regions for entity in _entities(region)]
    text = _text(task, entities)
    text_id = next((task[name] for name in ("doc_id", "id") if task.get(name) is not None), None)
    return {**task, "id": text_id, "entities": entities} | ({} if text is None else {"text": text})


def _is_region(value: object) -> bool:
    return isinstance(value, Mapping) and "start" in value and "labels" in value


def _chosen(task: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | str:
    """The regions that count, or why none do."""
    annotations = [found for name in _ANNOTATIONS for found in task.get(name) or () if isinstance(found, Mapping)]
    valid = [found for found in annotations if not (found.get("was_cancelled") or found.get("skipped"))]
    if annotations and not valid:
        return "its annotations were all cancelled"
    true = [annotation for annotation in valid if annotation.get("ground_truth")]
    predictions = [found for found in task.get("predictions") or () if isinstance(found, Mapping)]
    if not valid and not predictions:
        return "it has neither annotations nor predictions"
    if not valid and (status := task["data"].get("status")) in ("failed", "partial"):
        return f"nobody has annotated it, and the run's own annotation is {status}"
    candidates = true or valid or predictions
    if any(_spans(candidate) != _spans(candidates[0]) for candidate in candidates):
        kind = "annotations" if valid else "predictions"
        return f"{len(candidates)} {kind} disagree; mark the right one as ground truth"
    regions: Sequence[Mapping[str, Any]] = candidates[0].get("result") or ()
    return regions


def _spans(annotation: Mapping[str, Any]) -> set[tuple[object, object, tuple[str, ...]]]:
    regions = (region.get("value") or {} for region in annotation.get("result") or ())
    return {(value.get("start"), value.get("end"), tuple(value.get("labels") or ())) for value in regions}


def _entities(value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """An entity for each label of a region; one without a label, which is rejected later, where it has none."""
    placed = {name: value[name] for name in ("start", "end", "text") if value.get(name) is not None}
    for label in value.get("labels") or [None]:
        yield {**placed, "label": label}


def _text(data: Mapping[str, Any], entities: Sequence[Mapping[str, Any]]) -> str | None:
    """The text that was annotated: `text`, else the one string of the task that holds all regions."""
    if isinstance(data.get("text"), str):
        return str(data["text"])
    strings = [value for value in data.values() if isinstance(value, str)]
    fitting = [
        value
        for value in strings
        if all(value[entity["start"] : entity["end"]] == entity.get("text") for entity in entities)
    ]
    return fitting[0] if entities and len(fitting) == 1 else strings[0] if len(strings) == 1 else None
