"""Whether a tokenizer can be trusted: a text in several scripts, with blanks and special tokens, must come back.

A tokenizer that is loaded by the wrong class still returns tokens, only not those that the model was trained on. The
model then answers worse, or learns nothing, and no error says so.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.models import spm
from ner_ray.models.checkpoints import Checkpoint

# None begins with a blank: transformers and SentencePiece differ there, and no prompt does.
TEXTS = (
    "Ada met Bob in Rome.",
    "a  b   c",
    "in the\nline\n\n below",
    "Grüße aus Köln, Ångström",
    "Владимир живёт в Москве",
    "安倍晋三出生于东京。",
    "القاهرة مدينة كبيرة",
    "दिल्ली भारत में है",
    "3.14 + 2026-11-29",
    '[["Ada", "person"]]; B-location(O)',
)
HINT = "name a folder with a tokenizer that fits, or check_tokenizer=false if you know better"


def check(tokenizer: Any, checkpoint: Checkpoint) -> None:  # transformers' tokenizer
    """Makes sure that a tokenizer has the tokens that its model was trained on, as far as its files tell.

    Texts that the vocabulary does not cover are left out. Blanks count, except their number where several stand in a
    row, which some vocabularies do not keep.

    Raises:
        ModelError: a text does not come back; its tokens are not those of the SentencePiece file; a special token is
            not one token; or what follows one is not what `checkpoint.legacy` asks for.
    """
    if complaint := _complaint(tokenizer, checkpoint):
        raise ModelError(f"the tokenizer of {checkpoint.model} cannot be trusted: {complaint}", hint=HINT)


def agrees(tokenizer: Any, checkpoint: Checkpoint) -> bool:
    """Whether a tokenizer has the tokens of the checkpoint's SentencePiece file; True if there is none."""
    return not _other_tokens(tokenizer, checkpoint)


def difference(one: Any, other: Any) -> str | None:
    """A text of the probe that two tokenizers encode differently; None if there is none."""
    ends = [name for name in (one.bos_token, one.eos_token) if name]
    texts = [*TEXTS, *(f"Ada{name}Bob met{name} Rex" for name in ends)]
    return next((text for text in texts if one.encode(text) != other.encode(text)), None)


def _complaint(tokenizer: Any, checkpoint: Checkpoint) -> str | None:
    return (
        _not_coming_back(tokenizer)
        or _other_tokens(tokenizer, checkpoint)
        or _split_special_token(tokenizer)
        or _wrong_blank(tokenizer, checkpoint.legacy)
    )


def _not_coming_back(tokenizer: Any) -> str | None:
    for text in _covered(tokenizer):
        back = tokenizer.decode(_tokens(tokenizer, text), clean_up_tokenization_spaces=False)
        if _plain(back) != _plain(text):
            return f"{text!r} comes back as {back!r}"
    return None


def _other_tokens(tokenizer: Any, checkpoint: Checkpoint) -> str | None:
    encode = spm.encoder(checkpoint)
    for text in _covered(tokenizer) if encode else ():
        assert encode is not None
        if (found := _tokens(tokenizer, text)) != (wanted := encode(text)):
            return f"{text!r} has the tokens {found[:8]}, but by the model's SentencePiece file {wanted[:8]}"
    return None


def _split_special_token(tokenizer: Any) -> str | None:
    for name, number in ((tokenizer.bos_token, tokenizer.bos_token_id), (tokenizer.eos_token, tokenizer.eos_token_id)):
        if name and number not in _tokens(tokenizer, f"Ada{name}Bob"):
            return f"the special token {name} is split when it stands in a text"
    return None


def _wrong_blank(tokenizer: Any, legacy: bool | None) -> str | None:
    if legacy is None or not tokenizer.eos_token:
        return None
    after = _tokens(tokenizer, f"Ada{tokenizer.eos_token}Bob")
    follower = tokenizer.convert_ids_to_tokens(after[after.index(tokenizer.eos_token_id) + 1])
    if follower.startswith("\u2581") is legacy:
        return None
    return f"after {tokenizer.eos_token} comes {follower!r}, which is not what legacy={str(legacy).lower()} asks for"


def _covered(tokenizer: Any) -> list[str]:
    unknown = tokenizer.unk_token_id
    return [text for text in TEXTS if unknown is None or unknown not in _tokens(tokenizer, text)]


def _tokens(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()
