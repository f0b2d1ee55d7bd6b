"""Small vocabularies, of the kinds that the released checkpoints have: SentencePiece models and byte-level BPE."""

from __future__ import annotations

import io
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

_TEXT = """USER ASSISTANT INST Text: Sentence: Label Set: Answer: What describes person organization in the text? I've
read this text. A virtual assistant answers questions from a user based on the provided Angela Merkel met Bob in Berlin
Ada Lovelace saw Jaws Grüße aus Köln 安倍晋三 出生 于 东京 。 文本 实体 : ; , . O(O) Berlin(B-location)"""


@cache
def sentences() -> tuple[str, ...]:
    """Text to learn vocabularies from."""
    draw = random.Random(0)
    words = _TEXT.split()
    letters = "".join(map(chr, range(33, 127)))
    return (" ".join(letters),) * 3 + tuple(" ".join(draw.choice(words) for _ in range(12)) for _ in range(300))


@cache
def sentencepiece_model(
    kind: str, size: int, *, dummy_prefix: bool, names: tuple[str, ...] = ("<unk>", "<s>", "</s>"), pads: bool = False
) -> bytes:
    """A SentencePiece model file: `bpe` with single bytes, as LLaMA's and InternLM2's are, or `unigram`, as T5's is."""
    import sentencepiece

    file = io.BytesIO()
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1} if pads else {"unk_id": 0, "bos_id": 1, "eos_id": 2}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()),
        model_writer=file,
        model_type=kind,
        vocab_size=size,
        byte_fallback=kind == "bpe",
        add_dummy_prefix=dummy_prefix,
        remove_extra_whitespaces=kind == "unigram",
        normalization_rule_name="nmt_nfkc" if kind == "unigram" else "identity",
        split_digits=kind == "bpe",
        unk_piece=names[0],
        bos_piece=names[1],
        eos_piece=names[2],
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **ids,
    )
    return file.getvalue()


def converted(model: bytes, *, legacy: bool) -> Any:  # a `tokenizers.Tokenizer`
    """A SentencePiece BPE as the `tokenizer.json` that transformers 4 made of it, before 4.40 (legacy) or after."""
    import sentencepiece
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    spm = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = {spm.id_to_piece(number): number for number in range(spm.vocab_size())}
    core = Tokenizer(models.BPE(pieces, _merges(pieces), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.add_special_tokens([AddedToken(name, normalized=legacy) for name in ("<unk>", "<s>", "</s>")])
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return core


def _merges(pieces: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to make a piece of two others, in the order of the pieces."""
    found = [
        (number, pieces[whole[:cut]], pieces[whole[cut:]], whole[:cut], whole[cut:])
        for whole, number in pieces.items()
        for cut in range(1, len(whole))
        if whole[:cut] in pieces and whole[cut:] in pieces
    ]
    return [(left, right) for *_, left, right in sorted(found)]


def byte_level(pattern: str | None, specials: list[str], size: int = 600) -> Any:  # a `tokenizers.Tokenizer`
    """A byte-level BPE, as Llama-3 and Qwen have; special tokens come last, as theirs do."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    words = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [*words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern)]
    )
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(sentences(), trainer)
    core.add_special_tokens([AddedToken(name, normalized=False) for name in specials])
    return core


def added(name: str, **settings: Any) -> dict[str, Any]:
    """A token as it stands in `tokenizer_config.json`."""
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {"content": name, **plain, **settings}


def write_json(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
