"""The exact likelihood of given answers, each with its end token, for decoders and encoder-decoders."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any


def likelihoods(model: Any, prompt: Sequence[int], choices: Sequence[Sequence[int]], rows: int) -> Any:
    """The log-likelihood of each choice: a tensor of doubles [choice] on the CPU.

    The prompt is read only once, unless the generation config says that the model has no key-value cache.

    Args:
        model: a transformers model; its generation config says which tokens end an answer.
        prompt: token ids, at least one.
        choices: the token ids of each choice, without an end token.
        rows: the number of choices per forward pass.
    """
    import torch

    end_ids = model.generation_config.eos_token_id
    first, state = _read(model, prompt)
    totals = []
    for start in range(0, len(choices), rows):
        batch = choices[start : start + rows]
        width = max(map(len, batch)) + 1
        # Attention is causal: nothing to the right of a choice affects it, so any token pads its row.
        padded = [[first, *choice, *[first] * (width - 1 - len(choice))] for choice in batch]
        ids = torch.tensor(padded, device=model.device)  # [choice, width]
        log_probs = _logits(model, ids, state).float().log_softmax(-1)  # [choice, width, token]
        totals += [
            # Position t predicts token t of the choice; the position after the last one predicts the end.
            row[range(len(choice)), list(choice)].sum() + row[len(choice), end_ids].logsumexp(-1)
            for row, choice in zip(log_probs, batch, strict=True)
        ]
    return torch.stack(totals).double().cpu()


def _read(model: Any, prompt: Sequence[int]) -> tuple[int, Any]:
    """The token that precedes an answer, and what the model needs from before it.

    That is the encoder's output, the key-value cache (None if the prompt is one token), or else the tokens.
    """
    import torch

    ids = torch.tensor([list(prompt)], device=model.device)
    if model.config.is_encoder_decoder:
        encoded = model.get_encoder()(input_ids=ids, return_dict=True)
        return model.generation_config.decoder_start_token_id, encoded.last_hidden_state
    if model.generation_config.use_cache is False:
        return prompt[-1], ids[:, :-1]
    cache = model(input_ids=ids[:, :-1], use_cache=True).past_key_values if len(prompt) > 1 else None
    return prompt[-1], cache


def _logits(model: Any, ids: Any, state: Any) -> Any:
    """The logits [row, position, token] of `ids`, each row a continuation of the same state."""
    import torch

    if model.config.is_encoder_decoder:
        from transformers.modeling_outputs import BaseModelOutput

        encoded = BaseModelOutput(last_hidden_state=state.expand(len(ids), -1, -1))
        return model(encoder_outputs=encoded, decoder_input_ids=ids).logits
    if isinstance(state, torch.Tensor):
        whole = torch.cat([state.expand(len(ids), -1), ids], 1)
        return model(input_ids=whole, use_cache=False).logits[:, state.shape[1] :]
    cache = deepcopy(state)
    if cache is not None:
        cache.batch_repeat_interleave(len(ids))
    return model(input_ids=ids, past_key_values=cache).logits
