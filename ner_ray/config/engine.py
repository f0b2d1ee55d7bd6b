"""What turns prompts into completions, and how an answer is drawn."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ner_ray.config.section import Section, operational


class SamplingConfig(Section):
    """How an answer is drawn."""

    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    n: int = Field(default=1, ge=1, description="Samples a prompt; joined by `vote`.")
    max_tokens: int = Field(default=640, ge=1, description="The longest answer, in tokens.")
    tokens_per_prompt_token: float | None = Field(
        default=None, gt=0, description="Also at most 16 tokens and so many for each of the prompt's: stops loops."
    )
    stop: list[str] = Field(default_factory=list, description="Strings that end an answer.")
    seed: int | None = Field(default=None, description="Makes sampling repeatable where the engine can.")
    logprobs: bool = Field(default=True, description="Ask for log-probabilities, from which scores are made.")

    def longest_answer(self, prompt_tokens: int, wanted: int | None, room: int) -> int:
        """The bound on an answer's tokens: of the configuration, the prompt's own wish, its length, and the model."""
        bounds = [wanted or self.max_tokens, room]
        if self.tokens_per_prompt_token:
            bounds.append(16 + round(self.tokens_per_prompt_token * prompt_tokens))
        return min(bounds)


class EngineConfig(Section):
    """What turns prompts into completions. Another engine is one module more in `ner_ray/engines`."""

    name: str = Field(default="vllm", description="The engine's module: vllm, transformers, openai, replay.")
    model: str = Field(default="", description="A folder, or a model id on a hub.")
    revision: str | None = Field(default=None, description="The model's revision on the hub.")
    adapter: str | None = Field(default=None, description="A LoRA adapter: a folder, or an id on a hub.")
    dtype: str = Field(
        default="auto",
        description="auto (the checkpoint's; on a CPU what it is fastest in), float32, bfloat16, float16.",
    )
    quantization: str | None = Field(default=None, description="As the engine names it: awq, gptq, fp8, ...")
    max_model_len: int | None = Field(default=None, gt=0, description="Prompt and answer, in tokens; else the model's.")
    trust_remote_code: bool = Field(default=False, description="Run code that comes with the model. Off unless asked.")
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    max_num_seqs: int = operational(128, ge=1, description="Requests that the engine runs at once.")
    memory_gib: float | None = operational(
        None, gt=0, description="Memory of the KV cache on a CPU, in GiB; default 1."
    )
    gpu_memory_utilization: float = operational(0.9, gt=0, le=1, description="Share of a GPU's memory to take.")
    prefix_caching: bool = operational(True, description="Compute what prompts share once.")
    ngram_speculation: int = operational(
        0,
        ge=0,
        description="Tokens proposed from the prompt a step; lossless. Good for answers that copy (GPU).",
    )
    enforce_eager: bool | None = operational(None, description="No compiled graphs; default: on a CPU only.")
    own_process: bool | None = operational(
        None, description="Run the engine's core in a process of its own; default: on a GPU only."
    )
    stall_seconds: float = operational(
        600, gt=0, description="An engine that has requests and finishes none for so long is taken for dead."
    )
    journal: bool | None = operational(
        None,
        description="Write each answer down as it comes, until its wave is committed, so that a run that was killed "
        "asks for none again; default: for engines behind a URL.",
    )
    url: str | None = operational(None, description="Of an OpenAI-compatible server (engine `openai`).")
    extra: dict[str, Any] = Field(default_factory=dict, description="Passed on to the engine as it is.")
    tuning: dict[str, Any] = operational(
        default_factory=dict,
        description="Passed on beside `extra`: what changes no answer, such as rate limits, and may change in a run.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """What is passed on to the engine."""
        return {**self.extra, **self.tuning}

    def base(self) -> EngineConfig:
        """Without what may differ between roles that share one engine."""
        return self.model_copy(update={"adapter": None, "sampling": SamplingConfig()})
