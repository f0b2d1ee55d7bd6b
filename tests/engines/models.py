"""What the tests of engines ask, and the small models that they ask beside the tiny decoder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ner_ray.config import SamplingConfig
from ner_ray.engines.base import Engine
from ner_ray.errors import EngineError
from ner_ray.types import Completion, Message, Prompt

TEXT = "kalo mitan vidosen ra bune os peltigra um kalo mitan vidosen"
CHAT = (Message("system", "mi ka lo"), Message("user", TEXT))
TEXTS = tuple(TEXT[start : start + length] for start, length in ((0, 4), (3, 40), (11, 9), (0, 60), (20, 25)))
CHOICES = ("person", "per", "place", "place name", "人名", "地名", "組織の名前")


def ask(
    engine: Engine, *prompts: Prompt | str, adapter: str | None = None, **sampling: object
) -> list[tuple[Completion, ...]]:
    """The answers to prompts that are sent at the same time; an error is raised."""

    async def all_of_them() -> list[tuple[Completion, ...]]:
        asked = [prompt if isinstance(prompt, Prompt) else Prompt(prompt) for prompt in prompts]
        settings = SamplingConfig(**sampling)
        return await asyncio.gather(*(engine.generate(prompt, settings, adapter) for prompt in asked))

    return asyncio.run(all_of_them())


def texts(answers: Sequence[tuple[Completion, ...]]) -> list[str]:
    """Of the first sample of each answer."""
    return [samples[0].text for samples in answers]


def save_tiny_t5(folder: Path) -> Path:
    """A T5 with random weights; its tokenizer puts its end token behind what it encodes, as T5's does."""
    import torch
    from tokenizers import processors
    from transformers import T5Config, T5ForConditionalGeneration

    from tests.tiny_models import _tokenizer

    tokenizer = _tokenizer()
    end = tokenizer.eos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", end)]
    )
    torch.manual_seed(2)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        initializer_factor=4.0,  # answers that depend on the source
        eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_random_adapter(model: Path, folder: Path, seed: int) -> Path:
    """A LoRA adapter for a model, with weights that change its answers (a fresh adapter's B is zero)."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(model)
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, weights in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weights, std=0.5)
    adapted.save_pretrained(folder)
    return folder


def refused_on_closing(engine: Engine, **sampling: object) -> list[str]:
    """What requests are told when the engine is closed, from another thread, while they wait; then a later one.

    Those that are answered before are left out. The engine is closed a second time, too.
    """

    async def requests() -> list[object]:
        settings = SamplingConfig(**sampling)
        waiting = [asyncio.create_task(engine.generate(Prompt(text), settings, None)) for text in TEXTS * 4]
        await asyncio.sleep(0.02)
        await asyncio.to_thread(engine.close)
        ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
        engine.close()
        return ends + await asyncio.gather(engine.generate(Prompt(TEXT), settings, None), return_exceptions=True)

    *waited, late = asyncio.run(requests())
    refused = [end for end in (*waited, late) if not isinstance(end, tuple)]
    assert len(refused) > 1
    assert all(isinstance(end, EngineError) for end in refused)
    return [str(end) for end in refused]
