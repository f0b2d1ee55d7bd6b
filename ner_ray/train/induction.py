"""Initial weights that copy: a decoder whose first two layers are an induction head before any training.

A model that has to repeat its input learns, late and suddenly, a circuit of two layers: one head looks one token back,
another one finds where the last tokens occurred before and copies what came next (Elhage et al. 2021, "A Mathematical
Framework for Transformer Circuits"; Olsson et al. 2022, "In-context Learning and Induction Heads"). Until then it
learns nothing else. Starting from weights with the structure that training would find is the idea of mimetic
initialisation (Trockman and Kolter 2023); here the circuit is written down directly:

- The residual stream is divided into regions: A holds the token's embedding, B and C those of the tokens one and two
  back.
- Layer 0, heads 0 and 1, attend by position alone. Query and key are biases, so that their product after the rotation
  is a sum of cosines with its maximum at a distance of one (two). They write a projection of A into B (C).
- Layer 1, heads 0 and 1, look for places where B is like their own A and C like their own B, and add A of what they
  find, so that the tied output layer predicts that token. Head 2 looks for B like B and C like C: the place that the
  copy has reached. They use only dimensions that rotate slowly, since equal tokens must match at any distance.

Everything else is random as usual, and training is free to change it all.
"""

from __future__ import annotations

from typing import Any

from ner_ray.errors import ConfigError

_LOGIT = 13.0  # roughly the output logit of a token that is alone in the residual stream
_SHARP = 7.0  # of the positional heads: a neighbour gets exp(-0.7 * sharp^2 / sqrt(head width))
_MATCH = 8.0  # what one equal token adds to an attention logit
_LOUD = 3.0  # how much louder the copied token is than the current one
_SLOW = 0.006  # radians per position: half a turn over 500 tokens
_FAST_PAIRS = 4


def install_induction(model: Any, seed: int) -> None:
    """Writes the circuit into a new Qwen2 model, in place.

    Args:
        model: a `Qwen2ForCausalLM` with tied embeddings, at least two layers, and as many key heads as query heads.
        seed: of the random projections.

    Raises:
        ConfigError: the model is too small for it.
    """
    import torch

    config = model.config
    if config.num_hidden_layers < 2 or config.num_attention_heads not in (3, 4) or _head_width(config) < 32:
        raise ConfigError(
            "induction needs at least 2 layers, and 3 or 4 heads of at least 32 dimensions",
            hint="set model.scratch.induction to false, or make the model larger",
        )
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        content = _embed(model, random)
        kept = _orthogonal(min(content // 2, _head_width(config)), content, random)
        _look_back(model, kept)
        _find_and_copy(model, kept, random)


def _head_width(config: Any) -> int:
    return int(config.hidden_size // config.num_attention_heads)


def _loudness(config: Any) -> float:
    """The norm of an embedding."""
    return float(_LOGIT / config.hidden_size**0.5)


def _orthogonal(rows: int, columns: int, random: Any) -> Any:
    """A matrix with orthonormal rows."""
    import torch

    return torch.linalg.qr(torch.randn(columns, rows, generator=random))[0].T


def _embed(model: Any, random: Any) -> int:
    """Puts the embeddings into region A, half of the width, and almost nothing into the rest; returns A's width.

    Shape of the weights: (vocabulary, hidden).
    """
    import torch

    weight = model.model.embed_tokens.weight
    content = weight.shape[1] // 2
    weight.copy_(torch.randn(weight.shape, generator=random) * 0.005)
    weight[:, :content] = (
        torch.randn((weight.shape[0], content), generator=random) * _loudness(model.config) / content**0.5
    )
    return int(content)


def _look_back(model: Any, kept: Any) -> None:
    import torch

    config, attention = model.config, model.model.layers[0].self_attn
    width, hidden = _head_width(config), config.hidden_size
    content, region = hidden // 2, hidden // 4
    angles = _angles(config)
    for head, back in ((0, 1), (1, 2)):
        rows = slice(head * width, (head + 1) * width)
        for projection in (attention.q_proj, attention.k_proj):
            projection.weight[rows] *= 0.05
            projection.bias[rows] = 0
        for pair in range(min(_FAST_PAIRS, width // 2)):
            # After the rotation: sharp^2 * cos((distance - back) * angle).
            attention.k_proj.bias[rows.start + pair] = _SHARP
            attention.q_proj.bias[rows.start + pair] = _SHARP * torch.cos(-back * angles[pair])
            attention.q_proj.bias[rows.start + width // 2 + pair] = _SHARP * torch.sin(-back * angles[pair])
        values = torch.zeros(width, hidden)
        values[: len(kept), :content] = kept
        attention.v_proj.weight[rows] = values
        place = content + head * region
        outputs = torch.zeros(hidden, width)
        # A normalised input has norm sqrt(hidden), all of it in A, and `kept` takes half of A.
        gain = _loudness(config) / (hidden**0.5 * (len(kept) / content) ** 0.5)
        outputs[place : place + len(kept), : len(kept)] = torch.eye(len(kept)) * gain
        attention.o_proj.weight[:, rows] = outputs


def _angles(config: Any) -> Any:
    import torch

    width = _head_width(config)
    base = config.rope_parameters["rope_theta"]
    return base ** (-torch.arange(width // 2) / (width // 2))


def _find_and_copy(model: Any, kept: Any, random: Any) -> None:
    import torch

    config, attention = model.config, model.model.layers[1].self_attn
    width, hidden = _head_width(config), config.hidden_size
    content, region, size = hidden // 2, hidden // 4, len(kept)
    own, one_back, two_back = (torch.zeros(size, hidden) for _ in range(3))
    own[:, :content] = kept
    one_back[:, content : content + size] = torch.eye(size)
    two_back[:, content + region : content + region + size] = torch.eye(size)
    slow = [pair for pair, angle in enumerate(_angles(config)) if angle < _SLOW]
    dimensions = [*slow, *(pair + width // 2 for pair in slow)]
    split = len(dimensions) * 11 // 20
    for head in (0, 1, 2):
        rows = slice(head * width, (head + 1) * width)
        asked = (own, one_back) if head < 2 else (one_back, two_back)
        query, key = torch.zeros(width, hidden), torch.zeros(width, hidden)
        for part, ask, offer in (
            (dimensions[:split], asked[0], one_back),
            (dimensions[split:], asked[1], two_back),
        ):
            # Each region has a third of the normalised input's squared norm `hidden`, and `kept` half of that.
            gain = (_MATCH * width**0.5 * 6 * size / (hidden * len(part))) ** 0.5
            mix = gain * _orthogonal(min(len(part), size), size, random)
            query[part[: len(mix)]], key[part[: len(mix)]] = mix @ ask, mix @ offer
        attention.q_proj.weight[rows], attention.k_proj.weight[rows] = query, key
        attention.q_proj.bias[rows] = attention.k_proj.bias[rows] = 0
    turned = _orthogonal(content, content, random)
    for head in (0, 1):
        rows = slice(head * width, (head + 1) * width)
        said = turned[head * width : min((head + 1) * width, content)]
        values, outputs = torch.zeros(width, hidden), torch.zeros(hidden, width)
        values[: len(said), :content] = said
        outputs[:content, : len(said)] = said.T * _LOUD * _loudness(config) / (hidden**0.5 * 0.7)
        attention.v_proj.weight[rows], attention.o_proj.weight[:, rows] = values, outputs
