"""Tokenizers: loading one, counting tokens, turning a prompt into tokens, and an answer's tokens into text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.types import Prompt

TokenCounter = Callable[[Sequence[str]], list[int]]
PromptCounter = Callable[[Prompt], int]

_CHARACTERS_PER_TOKEN = 2  # a cautious average: English has about 4, Chinese 1 to 2


@lru_cache(maxsize=4)
def load(checkpoint: Checkpoint) -> Any:  # transformers' tokenizers have no types
    """The model's own tokenizer, a `transformers.PreTrainedTokenizerBase`; loaded once per process.

    Raises:
        ModelError: the model has no tokenizer, or one that runs code of its own without `trust_remote_code`.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            checkpoint.location, revision=checkpoint.revision, trust_remote_code=checkpoint.trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"cannot load the tokenizer of {checkpoint.location}: {error}",
            hint="if the model comes with code of its own that you trust: engine.trust_remote_code=true",
        ) from error


@lru_cache(maxsize=4)
def counter(checkpoint: Checkpoint) -> TokenCounter:
    """A function that counts the tokens of each of several texts, without special tokens.

    If the model has a `tokenizer.json`, only that file is loaded: importing transformers takes seconds, in every
    process that counts.

    Raises:
        ModelError: see `load`; or `tokenizer.json` is malformed.
    """
    file = checkpoint.file("tokenizer.json")
    if file is None:
        tokenizer = load(checkpoint)
        return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    from tokenizers import Tokenizer

    try:
        core = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(f"cannot load the tokenizer of {checkpoint.location}: {error}") from error
    core.no_truncation()
    core.no_padding()
    return lambda texts: [len(encoding) for encoding in core.encode_batch_fast(list(texts), add_special_tokens=False)]


def prompt_counter(checkpoint: Checkpoint) -> PromptCounter:
    """A function that counts the tokens of a rendered prompt, with special tokens and chat template.

    Raises:
        ModelError: see `load`.
    """
    tokenizer = load(checkpoint)
    return lambda prompt: len(render(tokenizer, prompt))


def estimate(texts: Sequence[str]) -> list[int]:
    """About how many tokens each text has, for a model whose tokenizer is not at hand: one per two characters.

    >>> estimate(["", "Ann met Rex."])
    [1, 7]
    """
    return [len(text) // _CHARACTERS_PER_TOKEN + 1 for text in texts]


def render(tokenizer: Any, prompt: Prompt) -> list[int]:  # transformers' tokenizers have no types
    """The token ids of a prompt.

    Chat turns go through the model's chat template. Plain text is encoded as it is, with the tokenizer's special
    tokens, unless the text already begins with the BOS token.
    """
    if isinstance(prompt.content, str):
        with_specials = not (tokenizer.bos_token and prompt.content.startswith(tokenizer.bos_token))
        ids: list[int] = tokenizer.encode(prompt.content, add_special_tokens=with_specials)
        return ids
    turns = [{"role": turn.role, "content": turn.content} for turn in prompt.content]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    templated: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return templated


def unrender(core: Any, prompt: Sequence[int], answer: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """The text of an answer, and the offset at which each of its tokens ends, in code points.

    Some decoders treat the beginning of a text specially (they drop a leading space), so the answer is decoded as a
    continuation of its prompt. A token that ends inside a multi-byte character ends where that character begins.
    Special tokens have no text, nor do the leading bytes of a character that is never completed.

    Args:
        core: a `tokenizers.Tokenizer`.
        prompt: token ids of the prompt.
        answer: token ids of the answer.
    """
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(list(prompt), skip_special_tokens=True)
    text, ends = "", []
    for token in answer:
        try:
            piece = stream.step(core, token)
        except Exception:  # noqa: BLE001  # raised where bytes do not form a character; the library has no narrower type
            stream = DecodeStream(skip_special_tokens=True)
            piece = stream.step(core, token)
        text += piece or ""
        ends.append(len(text))
    return text, tuple(ends)
