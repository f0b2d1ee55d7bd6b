"""How likely a model finds each of some answers, its end included; exact, for decoders and encoder-decoders."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any


def likelihoods(model: Any, prompt: Sequence[int], choices: Sequence[Sequence[int]], rows: int) -> Any:
    """The log-likelihood of each choice, as a tensor of doubles on the CPU; the prompt is read once for all.

    Args:
        model: of transformers; its decoding settings say which tokens end an answer.
        prompt: its tokens, at least one.
        choices: the tokens of each, without an end.
        rows: how many choices to try at once.
    """
    import torch

    ends = model.generation_config.eos_token_id
    first, known = _read(model, prompt)
    found = []
    for at in range(0, len(choices), rows):
        some = choices[at : at + rows]
        width = max(map(len, some)) + 1
        # What stands behind a choice cannot be seen from within it, so any token will do to fill its row.
        asked = torch.tensor([[first, *one, *[first] * (width - 1 - len(one))] for one in some], device=model.device)
        chances = _logits(model, asked, known).float().log_softmax(-1)
        found += [
            row[range(len(one)), list(one)].sum() + row[len(one), ends].logsumexp(-1)
            for row, one in zip(chances, some, strict=True)
        ]
    return torch.stack(found).double().cpu()


def _read(model: Any, prompt: Sequence[int]) -> tuple[int, Any]:
    """The token that an answer follows, and what the model knows of all before it."""
    import torch

    ids = torch.tensor([list(prompt)], device=model.device)
    if model.config.is_encoder_decoder:
        encoded = model.get_encoder()(input_ids=ids, return_dict=True)
        return model.generation_config.decoder_start_token_id, encoded.last_hidden_state
    known = model(input_ids=ids[:, :-1], use_cache=True).past_key_values if len(prompt) > 1 else None
    return prompt[-1], known


def _logits(model: Any, asked: Any, known: Any) -> Any:
    if model.config.is_encoder_decoder:
        from transformers.modeling_outputs import BaseModelOutput

        encoded = BaseModelOutput(last_hidden_state=known.expand(len(asked), -1, -1))
        return model(encoder_outputs=encoded, decoder_input_ids=asked).logits
    cache = deepcopy(known)
    if cache is not None:
        cache.batch_repeat_interleave(len(asked))
    return model(input_ids=asked, past_key_values=cache).logits
