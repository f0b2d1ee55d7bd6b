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
    """A text with its annotation; a notebook shows it with its entities marked.

    Attributes:
        text: the text. Offsets count its code points: `text[entity.start:entity.end] == entity.text`.
        chunks: how it was cut.
        conversations: what the model was asked about each chunk, and what it answered; parallel to `chunks`.

    >>> from ner_ray import Annotation, Entity
    >>> annotated = AnnotatedDocument.of("Ann left.", Annotation((Entity(0, 3, "Ann", "person"),)))
    >>> annotated.to_dict()["entities"]
    [{'start': 0, 'end': 3, 'text': 'Ann', 'label': 'person', 'score': None, 'status': 'exact'}]
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
        """Adds the text to an annotation."""
        values = {known.name: getattr(annotation, known.name) for known in fields(Annotation)}
        return cls(**values, text=text, chunks=tuple(chunks), conversations=tuple(conversations))

    def to_dict(self) -> dict[str, Any]:
        """As plain data: `text`, and the columns of the job's output."""
        return {"text": self.text, **schema.annotation_to_row(self)}

    def exchanges(self) -> list[schema.Row]:
        """All exchanges, including prompts, as in the `exchanges` column of the job's output."""
        return [
            schema.exchange_to_row(number, role, exchange, with_prompt=True)
            for number, conversation in enumerate(self.conversations)
            for role, transcript in conversation.transcripts.items()
            for exchange in transcript
        ]

    def _repr_html_(self) -> str:
        """The text with its entities marked, and the mentions that were not found in it, for Jupyter."""
        return markup.fragment(self.text, self)
