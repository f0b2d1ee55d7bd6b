"""Answers of a model in training: greedy, in batches of prompts of similar length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ner_ray.models.likelihood import likelihoods
from ner_ray.models.tokenizers import render
from ner_ray.train.config import JudgeConfig
from ner_ray.train.judge import Answer
from ner_ray.types import Prompt


def answer_with(model: Any, tokenizer: Any, config: JudgeConfig) -> Answer:
    """A function that answers prompts: the most likely choice where there are choices, else greedy decoding."""

    def answer(prompts: Sequence[Prompt]) -> list[str]:
        import torch

        was_training = model.training
        model.eval()
        with torch.inference_mode():
            answers = _answers(model, tokenizer, prompts, config)
        model.train(was_training)
        return answers

    return answer


def _answers(model: Any, tokenizer: Any, prompts: Sequence[Prompt], config: JudgeConfig) -> list[str]:
    encoded = [render(tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda at: (bool(prompts[at].choices), len(encoded[at])))
    answers = [""] * len(prompts)
    for first in range(0, len(order), config.batch):
        batch = order[first : first + config.batch]
        free = [at for at in batch if not prompts[at].choices]
        if free:
            texts = _generate(model, tokenizer, [encoded[at] for at in free], config.max_tokens)
            for at, text in zip(free, texts, strict=True):
                answers[at] = text
        for at in batch:
            if prompts[at].choices:
                answers[at] = _choose(model, tokenizer, encoded[at], prompts[at].choices)
    return answers


def _generate(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], longest: int) -> list[str]:
    import torch

    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    made = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        max_new_tokens=longest,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    answers = made if model.config.is_encoder_decoder else made[:, width:]
    texts: list[str] = tokenizer.batch_decode(answers, skip_special_tokens=True)
    return texts


def _choose(model: Any, tokenizer: Any, prompt: Sequence[int], choices: Sequence[str]) -> str:
    encoded = [tokenizer.encode(choice, add_special_tokens=False) for choice in choices]
    return choices[int(likelihoods(model, prompt, encoded, rows=len(choices)).argmax())]
