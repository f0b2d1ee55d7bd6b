"""What an `Annotator` returns: an annotation together with its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from ner_ray import markup, schema
from ner_ray.annotator.document import Conversation
from ner_ray.types import Annotation, Chunk


@dataclass(frozen=True, slots=True)
class AnnotatedDocument(Annotation):
    """A text with its entities; draws itself in a notebook.

    Attributes:
        text: the text, in whose code points offsets count: `text[entity.start:entity.end] == entity.text`.
        chunks: how it was cut.
        conversations: parallel to the chunks: what the model was asked, and what it answered.
    """

    text: str = ""
    chunks: tuple[Chunk, ...] = field(default=(), repr=False)
    conversations: tuple[Conversation, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        text: str,
        annotation: Annotation,
        chunks: Sequence[Chunk] = (),
        conversations: Sequence[Conversation] = (),
    ) -> Self:
        """An annotation with its text."""
        values = {known.name: getattr(annotation, known.name) for known in fields(Annotation)}
        return cls(**values, text=text, chunks=tuple(chunks), conversations=tuple(conversations))

    def to_dict(self) -> dict[str, Any]:
        """As plain data: `text`, and the columns that the job's output has."""
        return {"text": self.text, **schema.annotation_to_row(self)}

    def exchanges(self) -> list[schema.Row]:
        """What was asked and answered, prompts included, as the job's output keeps it on request."""
        return [
            schema.exchange_to_row(number, role, exchange, with_prompt=True)
            for number, conversation in enumerate(self.conversations)
            for role, transcript in conversation.transcripts.items()
            for exchange in transcript
        ]

    def _repr_html_(self) -> str:
        """What Jupyter shows: the text with its entities marked, and what could not be placed."""
        return markup.fragment(self.text, self)
