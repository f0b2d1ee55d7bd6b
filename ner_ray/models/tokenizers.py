"""Tokenizers: loading one, counting tokens, turning a prompt into tokens, and an answer's tokens into text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ner_ray.errors import ModelError
from ner_ray.models import checkpoints, probe, smollm2, spm
from ner_ray.models.checkpoints import STARTER, Checkpoint
from ner_ray.types import Prompt

TokenCounter = Callable[[Sequence[str]], list[int]]
PromptCounter = Callable[[Prompt], int]

PLAIN = "TokenizersBackend"
"""Transformers' class of a tokenizer that only consists of its file."""

_CHARACTERS_PER_TOKEN = 2  # a cautious average: English has about 4, Chinese 1 to 2


def load(checkpoint: Checkpoint) -> Any:  # transformers' tokenizers have no types
    """The model's tokenizer, a `transformers.PreTrainedTokenizerBase`; loaded once per process.

    A tokenizer that comes as code with the model is replaced by what its SentencePiece file says, if the two differ:
    such code was written for earlier versions of transformers, and may lose every blank in this one.

    Raises:
        ModelError: the model has no tokenizer, or one that runs code of its own without `trust_remote_code`.
    """
    return _load(checkpoint)[0]


@lru_cache(maxsize=4)
def check(checkpoint: Checkpoint) -> None:
    """Makes sure that a tokenizer has the tokens that its model was trained on, and that `counter` counts them.

    The models that come with the package are trusted: loading transformers for them would take seconds.

    Raises:
        ModelError: it has others, as far as its files tell; see `probe.check`.
    """
    if checkpoint.model in (STARTER, smollm2.NAME):
        return
    tokenizer = load(checkpoint)
    probe.check(tokenizer, checkpoint)
    found, wanted = counter(checkpoint)(probe.TEXTS), _counter(tokenizer)(probe.TEXTS)
    if found != wanted:
        raise ModelError(
            f"the tokenizer.json of {checkpoint.model} does not belong to its tokenizer: the same texts have "
            f"{sum(found)} and {sum(wanted)} tokens",
            hint=probe.HINT,
        )


def save_changed(checkpoint: Checkpoint, folder: Path) -> bool:
    """Writes the tokenizer of `load` to a folder, if it is not the one that others get who load the checkpoint.

    Returns:
        Whether it was written.
    """
    tokenizer, is_changed = _load(checkpoint)
    if is_changed:
        save_plain(tokenizer, folder)
    return is_changed


def save_plain(tokenizer: Any, folder: Path) -> None:
    """Writes a tokenizer so that it is loaded as it is, by no class of its own.

    A class rebuilds its tokenizer from the vocabulary, and what was set beside it is lost.
    """
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    settings: dict[str, object] = {
        name: str(token) for name, token in tokenizer.special_tokens_map.items() if name.endswith("_token")
    }
    settings |= {
        "tokenizer_class": PLAIN,
        "chat_template": tokenizer.chat_template,
        "clean_up_tokenization_spaces": False,
        "model_max_length": tokenizer.model_max_length,
        "padding_side": tokenizer.padding_side,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    # Loaders want to know the model's type, but take the class above.
    (folder / "config.json").write_text('{"model_type": "llama"}\n', encoding="utf-8")


@lru_cache(maxsize=4)
def _load(checkpoint: Checkpoint) -> tuple[Any, bool]:
    """The tokenizer, and whether it is another than the checkpoint's files alone would give."""
    checkpoints.require_folder(checkpoint)
    from transformers import AutoTokenizer

    legacy = {} if checkpoint.legacy is None else {"legacy": checkpoint.legacy}
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.location, **checkpoint.source, **legacy)
        if _has_class_of_its_own(checkpoint) and not probe.agrees(tokenizer, checkpoint):
            return spm.rebuild(checkpoint), True
    except (OSError, ValueError) as error:
        raise ModelError(
            f"cannot load the tokenizer of {checkpoint.model}: {error}",
            hint="if the model comes with code of its own that you trust: engine.trust_remote_code=true",
        ) from error
    return tokenizer, bool(legacy)


def _has_class_of_its_own(checkpoint: Checkpoint) -> bool:
    """Whether the tokenizer's class comes as code with the model."""
    file = checkpoint.file("tokenizer_config.json")
    return file is not None and "auto_map" in json.loads(file.read_text(encoding="utf-8"))


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
        return _counter(load(checkpoint))
    from tokenizers import Tokenizer

    try:
        core = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(f"cannot load the tokenizer of {checkpoint.model}: {error}") from error
    core.no_truncation()
    core.no_padding()
    return lambda texts: [len(encoding) for encoding in core.encode_batch_fast(list(texts), add_special_tokens=False)]


def _counter(tokenizer: Any) -> TokenCounter:
    return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


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


def stop_tokens(tokenizer: Any, stops: Sequence[str]) -> tuple[list[int], list[str]]:
    """Divides the strings that end an answer: the ids of those that are tokens, and the others.

    Special tokens such as `<|eot_id|>` never appear in the text of an answer, where one would look for a string.
    """
    added: dict[str, int] = tokenizer.get_added_vocab()
    return [added[stop] for stop in stops if stop in added], [stop for stop in stops if stop not in added]


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
