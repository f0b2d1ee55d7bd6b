"""The fast tokenizer of the replica: it registers a converter under the slow class's name and has an `__init__`."""

from tokenizers import Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS, SentencePieceExtractor, SpmConverter

from .tokenization_internlm2 import InternLM2Tokenizer

VOCAB_FILES_NAMES = {"vocab_file": "./tokenizer.model"}


class InternLM2Converter(SpmConverter):
    handle_byte_fallback = True

    def normalizer(self, proto):
        before = [normalizers.Prepend(prepend="\u2581")] if proto.normalizer_spec.add_dummy_prefix else []
        return normalizers.Sequence([*before, normalizers.Replace(pattern=" ", content="\u2581")])

    def tokenizer(self, proto):
        found = SentencePieceExtractor(self.original_tokenizer.vocab_file).extract(BPE)
        return Tokenizer(BPE(found["vocab"], found["merges"], unk_token="<unk>", fuse_unk=True, byte_fallback=True))

    def pre_tokenizer(self, replacement, add_prefix_space):
        return None

    def decoder(self, replacement, add_prefix_space):
        return decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])


SLOW_TO_FAST_CONVERTERS["InternLM2Tokenizer"] = InternLM2Converter


class InternLM2TokenizerFast(PreTrainedTokenizerFast):
    vocab_files_names = VOCAB_FILES_NAMES
    slow_tokenizer_class = InternLM2Tokenizer
    padding_side = "left"
    _auto_class = "AutoTokenizer"

    def __init__(
        self,
        vocab_file,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        sp_model_kwargs=None,
        add_bos_token=True,
        add_eos_token=False,
        decode_with_prefix_space=False,
        clean_up_tokenization_spaces=False,
        **kwargs,
    ):
        super().__init__(
            vocab_file=vocab_file,
            unk_token=unk_token,
            bos_token=bos_token,
            eos_token=eos_token,
            pad_token=pad_token,
            sp_model_kwargs=sp_model_kwargs,
            add_bos_token=add_bos_token,
            add_eos_token=add_eos_token,
            decode_with_prefix_space=decode_with_prefix_space,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            **kwargs,
        )
        self._add_bos_token = add_bos_token
        self._add_eos_token = add_eos_token
        self.update_post_processor()

    def update_post_processor(self):
        begin = f"{self.bos_token}:0 " if self._add_bos_token else ""
        special = [(self.bos_token, self.bos_token_id)] if self._add_bos_token else []
        self._tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin}$A:0", special_tokens=special)
