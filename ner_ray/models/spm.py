"""SentencePiece model files: what the tokens of a text are, whatever class or code loads the tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ner_ray.models.checkpoints import Checkpoint

Encode = Callable[[str], list[int]]

_FILES = ("tokenizer.model", "spiece.model")
_BLANK = "\u2581"


def encoder(checkpoint: Checkpoint) -> Encode | None:
    """A function that gives a text's tokens by the checkpoint's SentencePiece file; None if it has no such file.

    Files of that name in another format, such as tiktoken's, do not count.
    """
    processor = _processor(checkpoint)
    return processor.encode if processor else None


def rebuild(checkpoint: Checkpoint) -> Any:  # transformers' tokenizer
    """The tokenizer that a checkpoint's SentencePiece file and `tokenizer_config.json` describe, without its own code.

    Transformers reads the file, but not whether it puts a blank before a text.
    """
    from tokenizers import decoders, normalizers
    from transformers import TokenizersBackend

    tokenizer = TokenizersBackend.from_pretrained(checkpoint.location, revision=checkpoint.wanted)
    if _processor(checkpoint).encode("a", out_type=str)[0].startswith(_BLANK):
        core = tokenizer.backend_tokenizer
        core.normalizer = normalizers.Sequence([normalizers.Prepend(_BLANK), core.normalizer])
        core.decoder = decoders.Sequence([core.decoder, decoders.Strip(" ", 1, 0)])
    return tokenizer


def _processor(checkpoint: Checkpoint) -> Any:  # sentencepiece.SentencePieceProcessor, or None
    file = next((file for name in _FILES if (file := checkpoint.file(name))), None)
    if file is None:
        return None
    try:
        from sentencepiece import SentencePieceProcessor

        return SentencePieceProcessor(model_file=str(file))
    except (ImportError, RuntimeError):  # not installed; or the file has another format
        return None
