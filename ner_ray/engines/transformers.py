"""Models run by Hugging Face transformers: those that vLLM does not serve (T5), and any decoder.

One thread takes all waiting requests, sorts them by length and answers them in batches. A batch takes as long as its
longest answer, so vLLM is faster for models that it serves. Runs on a GPU if there is one, otherwise on the CPU.

An answer that must be one of several choices is not generated: the likelihood of each choice, including its end
token, is computed, and the most likely choice is the answer. Its single log-probability is relative to the choices.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from typing import Any, Literal

from ner_ray.config import SamplingConfig
from ner_ray.engines._decoding import Decoded, Decoder, Rule
from ner_ray.engines._requests import CLOSED
from ner_ray.engines.base import PromptTooLongError
from ner_ray.errors import EngineError, ModelError, RequestError
from ner_ray.extras import is_installed, require
from ner_ray.models import checkpoints, tokenizers, weights
from ner_ray.models.likelihood import likelihoods
from ner_ray.models.options import CheckpointOptions, identity, prompt_counter, token_counter
from ner_ray.models.options import check as check_model
from ner_ray.types import Completion, Prompt

__all__ = ["Options", "TransformersEngine", "check", "create", "identity", "prompt_counter", "token_counter"]

_LOG = logging.getLogger(__name__)

_CLOSE_SECONDS = 30
_GATHER_SECONDS = 0.005  # requests that are sent together arrive one after another
_UNLIMITED = 10**9  # tokenizers without a maximum length report an even larger number
# The fields of a model's generation config without which it cannot decode, unlike temperature or penalties.
_NEEDED = ("decoder_start_token_id", "bos_token_id", "forced_bos_token_id", "forced_eos_token_id")


class Options(CheckpointOptions):
    """The settings of transformers; `extra` and `tuning` are further arguments of `from_pretrained`.

    A model that was saved quantized is loaded as it is; nothing is quantized here.
    """

    name: Literal["transformers"] = "transformers"

    def default_gpus(self, available: float) -> float:
        """See `EngineConfig.default_gpus`; without a GPU it runs on CPUs."""
        return float(available > 0 and is_installed("torch") and "cpu" not in version("torch"))


def check(options: Options) -> None:
    """See `EngineModule.check`."""
    needed = ("torch", "transformers", "peft") if options.adapter else ("torch", "transformers")
    require(*needed, extra="transformers", purpose="the engine transformers")
    check_model(options)


def create(options: Options, adapters: Sequence[str] = (), tensor_parallel: int = 1) -> TransformersEngine:
    """See `EngineModule.create`.

    Raises:
        ModelError: the model cannot be loaded; or tensor parallelism is asked for.
    """
    if tensor_parallel > 1:
        raise ModelError(
            "the engine transformers does not support tensor parallelism",
            hint="engine.tuning.device_map=auto spreads the layers of a large model over several GPUs",
        )
    return TransformersEngine(options, adapters)


@dataclass(frozen=True, slots=True)
class _Request:
    prompt: Prompt
    sampling: SamplingConfig
    adapter: str | None
    tokens: list[int]
    choices: list[list[int]]  # the token ids of each
    limit: int
    answer: Future[tuple[Completion, ...]] = field(default_factory=Future)


class TransformersEngine:
    """See `ner_ray.engines.base.Engine`."""

    def __init__(self, options: Options, adapters: Sequence[str]) -> None:
        self._tokenizer = tokenizers.load(options.checkpoint)
        self._model = _load(options)
        _set_decoding(self._model, self._tokenizer)
        _set_cache(self._model)
        self._ends = frozenset(self._model.generation_config.eos_token_id)
        self._names = {adapter: f"adapter_{number}" for number, adapter in enumerate(adapters)}
        if adapters:
            self._model = _with_adapters(self._model, self._names)
        self._source_room, self._answer_room = _rooms(self._model, self._tokenizer, options.max_model_len)
        self._rows = options.seats
        self._end: str | None = None  # why there are no more answers
        self._closed = threading.Event()
        self._inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="transformers", daemon=True)
        self._thread.start()

    async def generate(
        self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None = None
    ) -> tuple[Completion, ...]:
        """See `Engine.generate`."""
        if self._end:
            raise EngineError(self._end)
        if not prompt.content:
            raise RequestError("the prompt is empty")
        tokens = tokenizers.render(self._tokenizer, prompt)
        choices = [self._tokenizer.encode(choice, add_special_tokens=False) for choice in prompt.choices]
        room = self._room(tokens, max((len(choice) + 1 for choice in choices), default=1))
        limit = sampling.longest_answer(len(tokens), prompt.max_tokens, room)
        request = _Request(prompt, sampling, adapter, tokens, choices, limit)
        self._inbox.put(request)
        self._refuse_if_ended()  # now that the request is in the inbox: nobody may be left to take it out
        return await asyncio.wrap_future(request.answer)

    def close(self) -> None:
        """See `Engine.close`."""
        import torch

        self._closed.set()
        self._inbox.put(None)
        self._thread.join(_CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._model = None
            torch.cuda.empty_cache()

    def _room(self, tokens: Sequence[int], least: int) -> int:
        """The maximum length of an answer, in tokens; at least `least`."""
        shared = not self._model.config.is_encoder_decoder
        room = self._answer_room - (len(tokens) if shared else 0)
        if len(tokens) > self._source_room or room < least:
            what = "together with its answer" if shared else "as source"
            raise PromptTooLongError(f"the prompt has {len(tokens)} tokens, the model takes {self._source_room} {what}")
        if not tokens:
            raise RequestError("the prompt is empty")
        return room

    def _run(self) -> None:
        waiting: list[_Request] = []
        reason = CLOSED
        try:
            while not self._closed.is_set() and (waiting := self._take()):
                for batch in self._batches(waiting):
                    self._answer(batch)
        except Exception as error:  # noqa: BLE001  # passed on to every waiting request
            _LOG.error("engine.died error=%s", type(error).__name__)
            reason = f"the engine has died: {error}"
        self._end = reason
        self._refuse_all(waiting, reason)

    def _take(self) -> list[_Request]:
        """All waiting requests, once there is one; empty when the engine is closed."""
        live: list[_Request] = []
        while not live:
            taken = [self._inbox.get()]
            time.sleep(_GATHER_SECONDS)
            while not self._inbox.empty():
                taken.append(self._inbox.get())
            live = [request for request in taken if request and request.answer.set_running_or_notify_cancel()]
            if None in taken:
                self._inbox.put(None)
                break
        return live

    def _batches(self, requests: Sequence[_Request]) -> Iterator[list[_Request]]:
        """Groups requests by adapter and similar length, into batches of at most `_rows` rows or a single request."""
        ordered = sorted(requests, key=lambda request: (request.adapter or "", len(request.tokens)))
        for _, group in groupby(ordered, key=lambda request: request.adapter):
            batch: list[_Request] = []
            for request in group:
                if batch and _row_count(batch) + request.sampling.n > self._rows:
                    yield batch
                    batch = []
                batch.append(request)
            yield batch

    def _answer(self, batch: Sequence[_Request]) -> None:
        import torch

        if self._closed.is_set():
            return
        answers = None
        # The error must be released before retrying: its traceback keeps the tensors that did not fit.
        with contextlib.suppress(torch.OutOfMemoryError), torch.inference_mode(), self._adapted(batch[0].adapter):
            answers = self._answers(batch)
        if answers is None:
            self._answer_by_halves(batch)
            return
        if self._closed.is_set():  # the answers may be cut short
            return
        for request, answer in zip(batch, answers, strict=True):
            request.answer.set_result(answer)

    def _answer_by_halves(self, batch: Sequence[_Request]) -> None:
        """Splits a batch that does not fit into memory; later batches have no more rows than fit."""
        import torch

        torch.cuda.empty_cache()
        if len(batch) == 1:
            batch[0].answer.set_exception(
                RequestError(f"not enough memory for a prompt of {len(batch[0].tokens)} tokens")
            )
            return
        self._rows = max(1, _row_count(batch) // 2)
        _LOG.warning("engine.out_of_memory rows=%d", self._rows)
        middle = len(batch) // 2
        self._answer(batch[:middle])
        self._answer(batch[middle:])

    def _answers(self, batch: Sequence[_Request]) -> list[tuple[Completion, ...]]:
        open_ended = [request for request in batch if not request.choices]
        written = iter(self._write(open_ended) if open_ended else [])
        return [self._choose(request) if request.choices else next(written) for request in batch]

    def _write(self, batch: Sequence[_Request]) -> list[tuple[Completion, ...]]:
        from transformers import LogitsProcessorList, StoppingCriteriaList

        rules = [rule for request in batch for rule in _rules(request, self._tokenizer)]
        ids, mask = self._padded([request.tokens for request in batch for _ in range(request.sampling.n)])
        decoder = Decoder(rules, self._ends, self._text)
        self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max(rule.limit for rule in rules),
            logits_processor=LogitsProcessorList([decoder.choose]),
            stopping_criteria=StoppingCriteriaList([decoder.finished, self._is_closed]),
        )
        decoded = iter(decoder.decoded())
        return [self._completions(request, [next(decoded) for _ in range(request.sampling.n)]) for request in batch]

    def _is_closed(self, tokens: Any, scores: Any) -> Any:  # noqa: ARG002  # called as a stopping criterion
        """All rows are done when the engine is closed: a tensor of booleans [row]."""
        import torch

        return torch.full((len(tokens),), self._closed.is_set(), device=tokens.device)

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Token ids and attention mask, both [row, position]; padded on the left for decoders, right for encoders."""
        import torch

        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._model.generation_config.pad_token_id)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            place = slice(0, len(row)) if self._model.config.is_encoder_decoder else slice(width - len(row), width)
            ids[number, place] = torch.tensor(row)
            mask[number, place] = 1
        return ids.to(self._model.device), mask.to(self._model.device)

    def _completions(self, request: _Request, samples: Sequence[Decoded]) -> tuple[Completion, ...]:
        """One completion per sample; the prompt's tokens are counted on the first."""
        return tuple(
            self._completion(request, sample, 0 if number else len(request.tokens))
            for number, sample in enumerate(samples)
        )

    def _completion(self, request: _Request, sample: Decoded, prompt_tokens: int) -> Completion:
        text = self._text(sample.tokens).rstrip("\ufffd")  # a character that was cut off at the end
        stops = [start for start in (text.find(stop) for stop in request.sampling.stop) if start >= 0]
        text = text[: min(stops, default=len(text))]
        with_logprobs = request.sampling.logprobs
        return Completion(
            text=text,
            finish_reason=sample.finish_reason,
            token_ends=self._token_ends(sample.tokens, len(text)) if with_logprobs else (),
            logprobs=sample.logprobs if with_logprobs else (),
            prompt_tokens=prompt_tokens,
            output_tokens=len(sample.tokens),
        )

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _token_ends(self, tokens: Sequence[int], length: int) -> tuple[int, ...]:
        """Each token's end offset in the text; a token inside a split character ends where the character begins."""
        ends, end, start, settled = [], 0, 0, 0
        for stop in range(1, len(tokens) + 1):
            before = self._text(tokens[start:settled])
            piece = self._text(tokens[start:stop])[len(before) :]
            if not piece.endswith("\ufffd"):
                end += len(piece)
                # The next piece is decoded after this one's tokens: a token's text may depend on its neighbour.
                start, settled = settled, stop
            ends.append(min(end, length))
        return tuple(ends)

    def _choose(self, request: _Request) -> tuple[Completion, ...]:
        import torch

        # The log-probability of each choice among the choices.
        scores = likelihoods(self._model, request.tokens, request.choices, self._rows).log_softmax(0)
        sampling = request.sampling
        if sampling.temperature > 0:
            generator = torch.Generator()
            _ = generator.seed() if sampling.seed is None else generator.manual_seed(sampling.seed)
            weights = (scores / sampling.temperature).softmax(0)
            drawn = torch.multinomial(weights, sampling.n, replacement=True, generator=generator).tolist()
        else:
            drawn = [int(scores.argmax())] * sampling.n
        return tuple(
            Completion(
                text=request.prompt.choices[choice],
                token_ends=(len(request.prompt.choices[choice]),) if sampling.logprobs else (),
                logprobs=(float(scores[choice]),) if sampling.logprobs else (),
                prompt_tokens=0 if number else len(request.tokens),
                output_tokens=len(request.choices[choice]) + 1,
            )
            for number, choice in enumerate(drawn)
        )

    def _adapted(self, adapter: str | None) -> contextlib.AbstractContextManager[Any]:
        if not self._names:
            return contextlib.nullcontext()
        if adapter is None:
            without: contextlib.AbstractContextManager[Any] = self._model.disable_adapter()
            return without
        self._model.set_adapter(self._names[adapter])
        return contextlib.nullcontext()

    def _refuse_if_ended(self) -> None:
        if self._end:
            self._refuse_all([], self._end)

    def _refuse_all(self, requests: Sequence[_Request], reason: str) -> None:
        """Fails these requests, and all in the inbox, unless they are answered."""
        left = list(requests)
        with contextlib.suppress(queue.Empty):
            while True:
                request = self._inbox.get_nowait()
                left += [request] if request and request.answer.set_running_or_notify_cancel() else []
        for request in left:
            if not request.answer.done():
                request.answer.set_exception(EngineError(reason))


def _row_count(batch: Sequence[_Request]) -> int:
    """One row per sample."""
    return sum(request.sampling.n for request in batch)


def _rules(request: _Request, tokenizer: Any) -> list[Rule]:
    """One per sample; each sample of a request with a seed gets a different one."""
    sampling = request.sampling
    ends, stops = tokenizers.stop_tokens(tokenizer, sampling.stop)
    return [
        Rule(
            limit=request.limit,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=tuple(stops),
            ends=frozenset(ends),
            seed=None if sampling.seed is None else sampling.seed + number,
        )
        for number in range(sampling.n)
    ]


def _load(options: Options) -> Any:
    """The model, ready to answer; by default in float32 on a CPU, where smaller types are slower."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    source, folder = options.checkpoint.source, weights.fetch(options.checkpoint)
    dtype = "float32" if options.dtype == "auto" and device == "cpu" else options.dtype
    try:
        architecture = AutoConfig.from_pretrained(folder, **source)
        kind = AutoModelForSeq2SeqLM if architecture.is_encoder_decoder else AutoModelForCausalLM
        model = kind.from_pretrained(folder, dtype=dtype, **source, **options.passed_on)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise ModelError(f"transformers cannot load {options.model}: {error}") from error
    return (model if "device_map" in options.passed_on else model.to(device)).eval()


def _with_adapters(model: Any, names: dict[str, str]) -> Any:
    from peft import PeftModel

    try:
        (first, name), *others = [(checkpoints.fetch_folder(adapter), name) for adapter, name in names.items()]
        adapted = PeftModel.from_pretrained(model, first, adapter_name=name)
        for adapter, other in others:
            adapted.load_adapter(adapter, adapter_name=other)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"an adapter does not fit the model: {error}") from error
    return adapted.eval()


def _set_decoding(model: Any, tokenizer: Any) -> None:
    """Replaces the model's own generation config with greedy decoding and all known end tokens."""
    from transformers import GenerationConfig

    own = model.generation_config
    stated = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    ends = sorted({token for token in (*stated, tokenizer.eos_token_id) if token is not None})
    if not ends:
        raise ModelError("neither the model nor its tokenizer defines a token that ends an answer")
    pad = next(token for token in (tokenizer.pad_token_id, own.pad_token_id, ends[0]) if token is not None)
    kept = {name: getattr(own, name) for name in _NEEDED}
    if model.config.is_encoder_decoder and kept["decoder_start_token_id"] is None:
        kept["decoder_start_token_id"] = pad
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=pad, do_sample=False, **kept)


def _set_cache(model: Any) -> None:
    """Does without a key-value cache where code that comes with a model cannot use that of this transformers."""
    if not type(model).__module__.startswith("transformers_modules"):
        return
    import torch

    any_token = model.generation_config.pad_token_id
    try:
        with torch.inference_mode():
            model.generate(input_ids=torch.tensor([[any_token] * 2], device=model.device), max_new_tokens=2)
    except Exception as error:  # noqa: BLE001  # of foreign code
        model.generation_config.use_cache = False
        _LOG.warning("engine.without_cache model=%s reason=%s", type(model).__name__, error)


def _rooms(model: Any, tokenizer: Any, longest: int | None) -> tuple[int, int]:
    """The maximum lengths of prompt and answer, in tokens; those of a decoder share the same context.

    T5 has relative positions and so no limit of its own: its tokenizer's maximum length is used instead.
    """
    positions = getattr(model.config, "max_position_embeddings", None) or _UNLIMITED
    stated = min(_UNLIMITED, tokenizer.model_max_length)
    if model.config.is_encoder_decoder:
        return longest or min(stated, positions), positions
    room = min(longest or positions, positions)
    return room, room
