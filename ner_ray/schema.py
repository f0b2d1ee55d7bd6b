"""How the project's types look in Arrow: dataclasses to rows and back, and the names of all columns.

Every document is one row, from reading to writing. What belongs to its chunks travels in nested list columns, parallel
to those. Columns that exist between stages only have names with a reserved prefix, so that they never meet a column of
the input; the others are in the output, some of them on request.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ner_ray.types import (
    Annotation,
    Chunk,
    Completion,
    Demonstration,
    DocumentStatus,
    Entity,
    ErrorRecord,
    Exchange,
    Findings,
    Mention,
    Message,
    Prompt,
    SpanStatus,
    Usage,
    Verdict,
)

Row = dict[str, Any]  # a row as pyarrow converts it to and from Python

ROW_ID = "row_id"  # int64: the shard's ordinal in the upper bits, the row's number in the lower 40 (see store.run)
DOC_ID = "doc_id"

RESERVED = "__ner_ray_"  # prefix of all columns between stages
TEXT = f"{RESERVED}text"  # the document's text; empty if it cannot be annotated
LABELS = f"{RESERVED}labels"  # the row's own label set, if rows have their own
ERRORS = f"{RESERVED}errors"  # the document's errors so far
CHUNKS = f"{RESERVED}chunks"
DEMONSTRATIONS = f"{RESERVED}demonstrations"  # parallel to the chunks
EXCHANGES = f"{RESERVED}exchanges"  # prompts and answers, each with its chunk and role
FINDINGS = f"{RESERVED}findings"  # parallel to the chunks: the findings of the roles so far
TEXT_HASH = f"{RESERVED}text_hash"
REUSED = f"{RESERVED}reused"  # the annotation of an earlier document with the same text
BETWEEN_STAGES = (TEXT, LABELS, ERRORS, CHUNKS, EXCHANGES, DEMONSTRATIONS, FINDINGS, TEXT_HASH, REUSED)

KEPT_TEXT = "text"  # in an output with completions, as are the next two
KEPT_CHUNKS = "chunks"
KEPT_EXCHANGES = "exchanges"
KEPT_HASH = "text_hash"  # in the output of a run that reuses annotations

HASH = pa.binary(16)
CHUNK = pa.struct([(name, pa.int64()) for name in ("start", "end", "core_start", "core_end")])
ENTITY = pa.struct(
    [
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("score", pa.float32()),
        ("status", pa.string()),
    ]
)
MENTION = pa.struct([("text", pa.string()), ("label", pa.string()), ("score", pa.float32())])
ERROR = pa.struct([("code", pa.string()), ("stage", pa.string()), ("message", pa.string())])
USAGE = pa.struct([(name, pa.int64()) for name in ("requests", "prompt_tokens", "cached_tokens", "output_tokens")])
VERDICTS = pa.struct([(verdict.value, pa.int32()) for verdict in Verdict])
COMPLETION = pa.struct(
    [
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("token_ends", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float32())),
        ("prompt_tokens", pa.int32()),
        ("cached_tokens", pa.int32()),
        ("output_tokens", pa.int32()),
    ]
)
EXCHANGE = pa.struct(
    [
        ("chunk", pa.int32()),
        ("role", pa.string()),
        ("subject", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("prompt", pa.string()),
        ("completions", pa.list_(COMPLETION)),
        ("error", ERROR),
    ]
)
ANSWERS = {KEPT_CHUNKS: pa.list_(CHUNK), KEPT_EXCHANGES: pa.list_(EXCHANGE)}
"""The columns of recorded answers, which are read again by `replay`."""

CHUNK_FINDINGS = pa.struct(
    [
        ("entities", pa.list_(ENTITY)),
        ("unaligned", pa.list_(MENTION)),
        ("dropped", pa.list_(MENTION)),
        ("errors", pa.list_(ERROR)),
        ("verdicts", pa.list_(pa.string())),
        ("repairs", pa.list_(pa.string())),
        ("usage", USAGE),
        ("status", pa.string()),
    ]
)
PLACED_MENTION = pa.struct([("text", pa.string()), ("label", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
DEMONSTRATION = pa.struct(
    [
        ("example_id", pa.string()),
        ("text", pa.string()),
        ("mentions", pa.list_(PLACED_MENTION)),
        ("score", pa.float32()),
    ]
)

OUTPUT = pa.schema(
    [
        ("entities", pa.list_(ENTITY)),
        ("unaligned", pa.list_(MENTION)),
        ("dropped", pa.list_(MENTION)),
        ("status", pa.string()),
        ("errors", pa.list_(ERROR)),
        ("verdicts", VERDICTS),
        ("repairs", pa.list_(pa.string())),
        ("usage", USAGE),
    ]
)


def output_schema(kept: pa.Schema, *, hashes: bool, completions: bool) -> pa.Schema:
    """The columns of a job's output.

    Args:
        kept: columns of the input.
        hashes: whether hashes of the texts are written, for `reuse`.
        completions: whether texts and answers are written, for `replay`.
    """
    fields = {ROW_ID: pa.int64(), DOC_ID: pa.string()}
    fields |= {field.name: field.type for field in kept if field.name not in fields}
    fields |= {field.name: field.type for field in OUTPUT}
    if hashes:
        fields[KEPT_HASH] = HASH
    if completions:
        fields.setdefault(KEPT_TEXT, pa.large_string())
        fields |= ANSWERS
    return pa.schema(list(fields.items()))


def chunk_to_row(chunk: Chunk) -> Row:
    return {
        "start": chunk.start,
        "end": chunk.end,
        "core_start": chunk.core_start,
        "core_end": chunk.core_end,
    }


def chunk_from_row(row: Row) -> Chunk:
    return Chunk(**row)


def entity_to_row(entity: Entity) -> Row:
    return {
        "start": entity.start,
        "end": entity.end,
        "text": entity.text,
        "label": entity.label,
        "score": entity.score,
        "status": entity.status.value,
    }


def entity_from_row(row: Row) -> Entity:
    """An entity from a row that may come from elsewhere: `text`, `score` and `status` may be absent."""
    return Entity(
        start=row["start"],
        end=row["end"],
        text=row.get("text") or "",
        label=row.get("label") or "",
        score=row.get("score"),
        status=SpanStatus(row.get("status") or SpanStatus.EXACT),
    )


def mention_to_row(mention: Mention) -> Row:
    return {"text": mention.text, "label": mention.label, "score": mention.score}


def mention_from_row(row: Row) -> Mention:
    return Mention(row["text"], row["label"], row.get("score"))


def error_to_row(error: ErrorRecord) -> Row:
    return {"code": error.code, "stage": error.stage, "message": error.message}


def error_from_row(row: Row) -> ErrorRecord:
    return ErrorRecord(**row)


def usage_to_row(usage: Usage) -> Row:
    return {
        "requests": usage.requests,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


def exchange_to_row(chunk: int, role: str, exchange: Exchange, *, with_prompt: bool) -> Row:
    """An exchange as a row; includes the prompt's text, which can be made again, only on request."""
    return {
        "chunk": chunk,
        "role": role,
        "subject": exchange.prompt.subject,
        "choices": list(exchange.prompt.choices),
        "prompt": _prompt_text(exchange.prompt) if with_prompt else None,
        "completions": [_completion_to_row(completion) for completion in exchange.completions],
        "error": error_to_row(exchange.error) if exchange.error else None,
    }


def readable_prompt(prompt: str) -> str:
    """The prompt of an exchange's row as people read it: chat turns, which are kept as JSON, one below the other."""
    try:
        turns = json.loads(prompt)
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
    except (ValueError, TypeError, KeyError):
        return prompt


def exchange_from_row(row: Row) -> Exchange:
    """An exchange from its row; earlier versions wrote neither `choices` nor `error`."""
    prompt = Prompt(row["prompt"] or "", subject=row["subject"], choices=tuple(row.get("choices") or ()))
    error = error_from_row(row["error"]) if row.get("error") else None
    return Exchange(prompt, tuple(_completion_from_row(completion) for completion in row["completions"]), error)


def findings_to_row(findings: Findings) -> Row:
    return {
        "entities": [entity_to_row(entity) for entity in findings.entities],
        "unaligned": [mention_to_row(mention) for mention in findings.unaligned],
        "dropped": [mention_to_row(mention) for mention in findings.dropped],
        "errors": [error_to_row(error) for error in findings.errors],
        "verdicts": [verdict.value for verdict in findings.verdicts],
        "repairs": list(findings.repairs),
        "usage": usage_to_row(findings.usage),
        "status": findings.status.value,
    }


def findings_from_row(row: Row) -> Findings:
    return Findings(
        entities=tuple(entity_from_row(entity) for entity in row["entities"]),
        unaligned=tuple(mention_from_row(mention) for mention in row["unaligned"]),
        dropped=tuple(mention_from_row(mention) for mention in row["dropped"]),
        errors=tuple(error_from_row(error) for error in row["errors"]),
        verdicts=tuple(Verdict(verdict) for verdict in row["verdicts"]),
        repairs=tuple(row["repairs"]),
        usage=Usage(**row["usage"]),
        status=DocumentStatus(row["status"]),
    )


def demonstration_to_row(demonstration: Demonstration) -> Row:
    return {
        "example_id": demonstration.example_id,
        "text": demonstration.text,
        "mentions": [_placed_mention_to_row(mention) for mention in demonstration.mentions],
        "score": demonstration.score,
    }


def demonstration_from_row(row: Row) -> Demonstration:
    mentions = [
        Mention(mention["text"], mention["label"], start=mention["start"], end=mention["end"])
        for mention in row["mentions"]
    ]
    return Demonstration(row["text"], tuple(mentions), row["score"], row["example_id"])


def demonstrations_from_table(table: pa.Table) -> list[Demonstration]:
    """The demonstrations of a whole table, converted by columns: several times as fast as by rows."""
    mentions = table["mentions"].combine_chunks()
    flat = mentions.flatten()  # the mentions of all rows, one after the other
    fields = (flat.field(name).to_pylist() for name in ("text", "label", "start", "end"))
    all_mentions = [Mention(text, label, start=start, end=end) for text, label, start, end in zip(*fields, strict=True)]
    # Row i has the mentions bounds[i] to bounds[i + 1]; the offsets of a slice do not begin at 0, so they are shifted.
    bounds = (mentions.offsets.to_numpy() - mentions.offsets[0].as_py()).tolist() if len(mentions) else [0]
    columns = (table[name].to_pylist() for name in ("text", "score", "example_id"))
    return [
        Demonstration(text, tuple(all_mentions[begin:end]), score, example_id)
        for text, score, example_id, begin, end in zip(*columns, bounds[:-1], bounds[1:], strict=True)
    ]


def annotation_to_row(annotation: Annotation) -> Row:
    """The output columns of a document (see `OUTPUT`)."""
    counts = Counter(verdict.value for verdict in annotation.verdicts)
    return {
        "entities": [entity_to_row(entity) for entity in annotation.entities],
        "unaligned": [mention_to_row(mention) for mention in annotation.unaligned],
        "dropped": [mention_to_row(mention) for mention in annotation.dropped],
        "status": annotation.status.value,
        "errors": [error_to_row(error) for error in annotation.errors],
        "verdicts": {verdict.value: counts[verdict.value] for verdict in Verdict},
        "repairs": list(annotation.repairs),
        "usage": usage_to_row(annotation.usage),
    }


def annotation_from_row(row: Row) -> Annotation:
    """The annotation in a row's output columns."""
    return Annotation(
        entities=tuple(entity_from_row(entity) for entity in row["entities"]),
        unaligned=tuple(mention_from_row(mention) for mention in row["unaligned"]),
        status=DocumentStatus(row["status"]),
        errors=tuple(error_from_row(error) for error in row["errors"]),
        usage=Usage(**row["usage"]),
        dropped=tuple(mention_from_row(mention) for mention in row["dropped"]),
        verdicts=tuple(verdict for verdict in Verdict for _ in range(row["verdicts"][verdict.value])),
        repairs=tuple(row.get("repairs") or ()),
    )


def with_column(table: pa.Table, name: str, kind: pa.DataType, values: Sequence[Any]) -> pa.Table:
    """The table with a column added, or replaced if there is one of that name."""
    column = pa.array(values, type=kind)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def _placed_mention_to_row(mention: Mention) -> Row:
    return {"text": mention.text, "label": mention.label, "start": mention.start, "end": mention.end}


def _prompt_text(prompt: Prompt) -> str:
    if isinstance(prompt.content, str):
        return prompt.content
    return json.dumps([_turn(message) for message in prompt.content], ensure_ascii=False)


def _turn(message: Message) -> Row:
    return {"role": message.role, "content": message.content}


def _completion_to_row(completion: Completion) -> Row:
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "token_ends": completion.token_ends,
        "logprobs": completion.logprobs,
        "prompt_tokens": completion.prompt_tokens,
        "cached_tokens": completion.cached_tokens,
        "output_tokens": completion.output_tokens,
    }


def _completion_from_row(row: Row) -> Completion:
    return Completion(
        text=row["text"],
        finish_reason=row["finish_reason"],
        token_ends=tuple(row["token_ends"]),
        logprobs=tuple(row["logprobs"]),
        prompt_tokens=row["prompt_tokens"],
        cached_tokens=row["cached_tokens"],
        output_tokens=row["output_tokens"],
    )
