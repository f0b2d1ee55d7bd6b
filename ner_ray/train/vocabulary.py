"""A small byte-level BPE tokenizer that gives a word the same tokens wherever it occurs.

A model that marks entities copies its input. In an ordinary byte-level BPE, `Paris` after a space is one token and
`Paris` after a mark (`in ##Paris##`) another, so copying becomes translating. Here words are learnt without the space
before them. The space joins a word's first token in a merge that comes after all others, and never before a capital
letter: `in Paris` is `in`, space, `Paris`, and `in ##Paris##` is `in`, space, `##`, `Paris`, `##`.
Tabs, line breaks and no-break spaces are read as spaces.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import regex

PAD, START, END = "<|pad|>", "<|start|>", "<|end|>"
MARK = "##"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] in ('user', 'assistant') -%}"
    "{{- '<|start|>' + message['content'] + '<|end|>' -}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start|>' -}}{%- endif -%}"
)
"""Question and answer have the same markup, so that even the end of a copy is copied. System turns are dropped."""

_WORDS = r"##| ?'(?:s|t|re|ve|m|ll|d)(?!\p{L})| ?\p{L}+| ?\p{N}{1,4}| ?[^\s\p{L}\p{N}]|\s"
_BLANKS = "[\t\n\r\u00a0]"
_MOST_OFTEN = 4000


def build_tokenizer(texts: Iterable[str], size: int, spaced: int, positions: int, phrases: Sequence[str] = ()) -> Any:
    """A transformers tokenizer.

    Args:
        texts: to learn it from.
        size: maximum number of tokens.
        spaced: how many of them, at most, include the space before a word.
        positions: the longest sequence that its model takes, in tokens.
        phrases: texts to make one token each, wherever they occur.
    """
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    words = Counter(word for text in texts for word in regex.findall(_WORDS, regex.sub(_BLANKS, " ", text)))
    merges, alphabet = _learn(words, size - spaced - 4 - len(phrases))
    core = _assemble(words, merges, alphabet, spaced)
    core.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        bos_token=None,
        clean_up_tokenization_spaces=False,
        model_max_length=positions,
        chat_template=CHAT_TEMPLATE,
    )


def _learn(words: Counter[str], size: int) -> tuple[list[tuple[str, str]], list[str]]:
    """The merges and tokens of words without the space before them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bare: Counter[str] = Counter()
    for word, times in words.items():
        bare[word.lstrip(" ")] += times
    bare.pop(MARK, None)
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    # A word is one pre-token; this many occurrences are enough for it to be learnt whole.
    learner.train_from_iterator((word for word in sorted(bare) for _ in range(min(bare[word], _MOST_OFTEN))), trainer)
    model = json.loads(learner.to_str())["model"]
    merges = [(left, right) for left, right in model["merges"] if left + right != MARK]
    return [("#", "#"), *merges], sorted(model["vocab"], key=model["vocab"].__getitem__)


def _assemble(words: Counter[str], merges: list[tuple[str, str]], tokens: list[str], spaced: int) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def tokenizer(merges: list[tuple[str, str]], tokens: list[str]) -> Any:
        ordered = dict.fromkeys([PAD, START, END, *tokens])
        core = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate(ordered)}, merges=merges))
        core.normalizer = normalizers.Replace(Regex(_BLANKS), " ")
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(MARK), "isolated"),
                pre_tokenizers.Split(Regex(_WORDS), "isolated"),
                byte_level,
            ]
        )
        core.decoder = decoders.ByteLevel()
        core.add_special_tokens([PAD, START, END])
        return core

    tokens = [*tokens, MARK]
    fused = _joined_to_a_blank(tokenizer(merges, tokens), words, spaced)
    return tokenizer([*merges, *(("Ġ", token) for token in fused)], [*tokens, *("Ġ" + token for token in fused)])


def _joined_to_a_blank(core: Any, words: Counter[str], spaced: int) -> list[str]:
    """The tokens that most often begin a word after a space, except those that start with a capital letter."""
    first: Counter[str] = Counter()
    for word, times in words.items():
        if word.startswith(" ") and word.strip():
            first[core.encode(word[1:]).tokens[0]] += times
    return [token for token, _ in first.most_common() if not regex.match(r"\p{Lu}", token)][:spaced]
