"""Tokenizers as released: what each preset's prompt is in tokens, and which tokenizers are mended or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.annotator.spec import resolve
from ner_ray.config import AnnotateConfig
from ner_ray.config.load import load as load_config
from ner_ray.errors import ModelError
from ner_ray.models import probe, tokenizers
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.types import StepInput
from tests.released import save_flan_t5, save_internlm2, save_llama, save_llama_3, save_qwen
from tests.released.presets import PRESETS, replacement
from tests.released.vocabularies import sentencepiece_model

# The tokens of each preset's prompt about "Ada met Bob.", put together: `▁` and `Ġ` are blanks, `Ċ` is a line break.
# Where they are long, `…` stands for the middle.
_B2NER = "<s>▁Given▁the▁label▁set▁of▁entities,▁please…▁Ada▁met▁Bob.▁<0x0A>Answer:"
_GNER_T5 = "▁Please▁analyze▁the…▁person▁and▁O.▁Sentence:▁Ada▁met▁Bob▁.</s>"
_UNINER = (
    "<s>▁A▁virtual▁assistant▁answers▁questions▁from▁a▁user▁based▁on▁the▁provided▁text.▁USER:▁Text:▁Ada▁met▁Bob."
    "▁ASSISTANT:▁I've▁read▁this▁text.</s>▁USER:▁What▁describes▁person▁in▁the▁text?▁ASSISTANT:"
)
GOLDEN = {
    "b2ner-internlm2-20b": _B2NER,
    "b2ner-internlm2.5-7b": _B2NER,
    "cascade-qwen2.5-1.5b": "<|im_start|>systemĊYouĠareĠaĠhelpfulĠassistant.<|im_end|>Ċ<|im_start|>userĊAdaĠmetĠBob."
    "<|im_end|>Ċ<|im_start|>assistantĊ",
    "gner-llama-7b": "<s>▁[INST]▁Please▁analyze…O.<0x0A>Sentence:▁Ada▁met▁Bob▁.▁[/INST]",
    "gner-t5-base": _GNER_T5,
    "gner-t5-large": _GNER_T5,
    "gner-t5-xl": _GNER_T5,
    "gner-t5-xxl": _GNER_T5,
    "ra-it-ner-8b": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>ĊĊText:ĠAdaĠmetĠBob.<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>ĊĊI'veĠreadĠthisĠtext.<|eot_id|><|start_header_id|>user"
    "<|end_header_id|>ĊĊWhatĠdescribesĠpersonĠinĠtheĠtext?<|eot_id|><|start_header_id|>assistant<|end_header_id|>ĊĊ",
    "ra-it-ner-zh-7b": "<|im_start|>systemĊYouĠareĠaĠhelpfulĠassistant.<|im_end|>Ċ<|im_start|>user…<|im_end|>Ċ"
    "<|im_start|>assistantĊ",
    "uniner-7b-all": _UNINER,
    "uniner-7b-type": _UNINER,
}
TEXT = "Angela Merkel met\nBob in Köln. 安倍晋三 saw 12 USER"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_prompt_has_the_tokens_that_its_model_was_tuned_on(preset: str, tmp_path: Path) -> None:
    settings = [f"{key}={value}" for key, value in replacement(preset, tmp_path).items()]
    rest = ["labels=[person]", "input.path=x", "output.path=y"]
    spec = resolve(load_config(AnnotateConfig, f"families/{preset}", [*settings, *rest]))
    [prompt, *_] = spec.steps[0].ask(StepInput("Ada met Bob.", spec.labels, ()), ())
    tokenizer = tokenizers.load(spec.pools[0].engine.checkpoint)

    tokens = "".join(tokenizer.convert_ids_to_tokens(tokenizers.render(tokenizer, prompt)))

    head, _, tail = GOLDEN[preset].partition("…")
    assert (tokens[: len(head)], tokens[len(tokens) - len(tail) :]) == (head, tail)
    assert tail or tokens == head
    tokenizers.check(spec.pools[0].engine.checkpoint)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("written", [None, False, True])
@pytest.mark.parametrize("asked", [None, False, True])
def test_a_blank_follows_a_special_token_of_llama_if_its_files_or_the_settings_say_so(
    fast: bool, written: bool | None, asked: bool | None, tmp_path: Path
) -> None:
    """As in reports of `</s>Human is Here` and of `abs</s>USER`."""
    checkpoint = Checkpoint(str(save_llama(tmp_path, fast=fast, legacy=written)), legacy=asked)
    tokenizer = tokenizers.load(checkpoint)

    follower = tokenizer.tokenize("Ada</s>USER")[2 if tokenizer.tokenize("Ada")[1:] else 1 :]

    expected = written if asked is None else asked
    assert "".join(follower).endswith("</s>▁USER") is bool(expected)
    tokenizers.check(checkpoint)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("dummy_prefix", [False, True])
def test_internlm2_keeps_its_blanks(trusted: bool, dummy_prefix: bool, tmp_path: Path) -> None:
    """Its own fast class loses every blank under transformers 5; the class in its place, the one before a text."""
    import sentencepiece

    folder = save_internlm2(tmp_path, dummy_prefix=dummy_prefix)
    checkpoint = Checkpoint(str(folder), trust_remote_code=trusted)
    tokenizer = tokenizers.load(checkpoint)
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))

    ids = tokenizer.encode(TEXT, add_special_tokens=False)

    assert ids == model.encode(TEXT)
    assert tokenizer.decode(ids) == TEXT
    assert tokenizers.counter(checkpoint)([TEXT]) == [len(ids)]
    assert tokenizer.encode(TEXT)[0] == tokenizer.bos_token_id == 1
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") > 500
    tokenizers.check(checkpoint)


@pytest.fixture(scope="module")
def internlm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_internlm2(tmp_path_factory.mktemp("internlm2"))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\u2581"), max_size=40))
def test_internlm2_has_sentencepieces_tokens_for_any_text(internlm2: Path, text: str) -> None:
    from ner_ray.models import spm

    checkpoint = Checkpoint(str(internlm2), trust_remote_code=True)
    encode = spm.encoder(checkpoint)

    assert encode
    assert tokenizers.load(checkpoint).encode(f"a{text}", add_special_tokens=False) == encode(f"a{text}")


def test_a_tokenizer_that_loses_blanks_is_refused(tmp_path: Path) -> None:
    """As a conversion leaves it that goes wrong."""
    folder = save_llama_3(tmp_path)
    without = {"type": "Replace", "pattern": {"String": " "}, "content": ""}
    _change(folder / "tokenizer.json", normalizer=without)

    with pytest.raises(ModelError, match=r"cannot be trusted: 'Ada met Bob in Rome\.' comes back as 'AdametBobinRome"):
        tokenizers.check(Checkpoint(str(folder)))


def test_a_tokenizer_of_another_model_is_refused_by_the_sentencepiece_file(tmp_path: Path) -> None:
    folder = save_llama(tmp_path, fast=True, legacy=True)
    (folder / "tokenizer.model").write_bytes(sentencepiece_model("bpe", 440, dummy_prefix=True))

    with pytest.raises(ModelError, match="but by the model's SentencePiece file"):
        tokenizers.check(Checkpoint(str(folder)))


def test_a_file_that_counts_otherwise_is_refused(tmp_path: Path) -> None:
    """Chunks would be cut by a count that is not the engine's."""
    folder = save_llama(tmp_path, legacy=True)
    shutil.copy(save_llama_3(tmp_path / "other") / "tokenizer.json", folder)
    _change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["slow.Slow", None]})
    (folder / "slow.py").write_text(_SLOW, encoding="utf-8")

    with pytest.raises(ModelError, match=r"the tokenizer\.json of .* does not belong to its tokenizer"):
        tokenizers.check(Checkpoint(str(folder), trust_remote_code=True))


def test_a_special_token_that_is_split_is_refused() -> None:
    class Letters:
        unk_token_id = bos_token = bos_token_id = None
        eos_token, eos_token_id = "<end>", 0

        def encode(self, text: str, **_: object) -> list[int]:
            return [*map(ord, text)]

        def decode(self, ids: list[int], **_: object) -> str:
            return "".join(map(chr, ids))

    with pytest.raises(ModelError, match="the special token <end> is split"):
        probe.check(Letters(), Checkpoint("letters"))


@pytest.mark.parametrize("save", [save_llama, save_llama_3, save_qwen, save_flan_t5])
def test_released_tokenizers_are_trusted(save, tmp_path: Path) -> None:
    tokenizers.check(Checkpoint(str(save(tmp_path))))


def test_what_others_would_load_differently_is_written_for_them(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    checkpoints = {
        "internlm2": Checkpoint(str(save_internlm2(tmp_path / "internlm2")), trust_remote_code=True),
        "legacy": Checkpoint(str(save_llama(tmp_path / "llama")), legacy=True),
        "as it is": Checkpoint(str(save_llama(tmp_path / "plain"))),
    }
    for name, checkpoint in checkpoints.items():
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        written = tokenizers.save_changed(checkpoint, folder)

        assert written is (name != "as it is")
        if written:
            read = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
            assert probe.difference(read, tokenizers.load(checkpoint)) is None
            assert read.encode(TEXT) == tokenizers.load(checkpoint).encode(TEXT)


def test_strings_that_end_an_answer_are_divided_into_tokens_and_others(tmp_path: Path) -> None:
    tokenizer = tokenizers.load(Checkpoint(str(save_llama_3(tmp_path))))

    ids, strings = tokenizers.stop_tokens(tokenizer, ["\n\n", "<|eot_id|>"])

    assert tokenizer.convert_ids_to_tokens(ids) == ["<|eot_id|>"]
    assert strings == ["\n\n"]


_SLOW = """
import os
import sentencepiece as spm
from transformers import PreTrainedTokenizer

class Slow(PreTrainedTokenizer):
    vocab_files_names = {"vocab_file": "tokenizer.model"}
    def __init__(self, vocab_file, **kwargs):
        self.sp_model = spm.SentencePieceProcessor(model_file=vocab_file)
        super().__init__(**kwargs)
    vocab_size = property(lambda self: self.sp_model.get_piece_size())
    def get_vocab(self):
        return {self.sp_model.id_to_piece(i): i for i in range(self.vocab_size)}
    def _tokenize(self, text):
        return self.sp_model.encode(text, out_type=str)
    def _convert_token_to_id(self, token):
        return self.sp_model.piece_to_id(token)
    def _convert_id_to_token(self, index):
        return self.sp_model.id_to_piece(index)
    def convert_tokens_to_string(self, tokens):
        return self.sp_model.decode(tokens)
"""


def _change(path: Path, **keys: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | keys), encoding="utf-8")
