"""A small replica of InternLM2, with the released code's parameter names and its key-value cache of plain tuples."""

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_internlm2 import InternLM2Config


class RMSNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, states):
        wide = states.float()
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)).to(states.dtype)


def rotated(states, positions, theta):
    """Rotary positions; states [batch, head, position, dim]."""
    half = states.shape[-1] // 2
    rates = theta ** (-torch.arange(half, device=states.device).float() / half)
    angles = positions[:, None, :, None].float() * rates
    left, right = states[..., :half], states[..., half:]
    turned = torch.cat([left * angles.cos() - right * angles.sin(), right * angles.cos() + left * angles.sin()], -1)
    return turned.to(states.dtype)


class InternLM2Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.size = config.hidden_size // self.heads
        self.theta = config.rope_theta
        self.wqkv = nn.Linear(config.hidden_size, (self.heads + 2 * self.kv_heads) * self.size, bias=config.bias)
        self.wo = nn.Linear(self.heads * self.size, config.hidden_size, bias=config.bias)

    def forward(self, states, positions, mask, past):
        batch, length, _ = states.shape
        groups = self.heads // self.kv_heads
        # Each key-value head's queries, key and value lie side by side.
        fused = self.wqkv(states).view(batch, length, self.kv_heads, groups + 2, self.size)
        query = fused[..., :groups, :].reshape(batch, length, self.heads, self.size).transpose(1, 2)
        key, value = fused[..., -2, :].transpose(1, 2), fused[..., -1, :].transpose(1, 2)
        query, key = rotated(query, positions, self.theta), rotated(key, positions, self.theta)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        present = (key, value)
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        weights = query @ key.transpose(2, 3) / self.size**0.5 + mask
        mixed = weights.float().softmax(-1).to(query.dtype) @ value
        return self.wo(mixed.transpose(1, 2).reshape(batch, length, -1)), present


class InternLM2MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.w3 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.w2 = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, states):
        return self.w2(nn.functional.silu(self.w1(states)) * self.w3(states))


class InternLM2DecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = InternLM2Attention(config)
        self.feed_forward = InternLM2MLP(config)
        self.attention_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.ffn_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, states, positions, mask, past):
        attended, present = self.attention(self.attention_norm(states), positions, mask, past)
        states = states + attended
        return states + self.feed_forward(self.ffn_norm(states)), present


class InternLM2PreTrainedModel(PreTrainedModel):
    config_class = InternLM2Config
    base_model_prefix = "model"
    supports_gradient_checkpointing = False


class InternLM2Model(InternLM2PreTrainedModel):
    _auto_class = "AutoModel"

    def __init__(self, config):
        super().__init__(config)
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([InternLM2DecoderLayer(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def get_input_embeddings(self):
        return self.tok_embeddings

    def set_input_embeddings(self, value):
        self.tok_embeddings = value

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, inputs_embeds=None):
        states = self.tok_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        length, before = states.shape[1], past_key_values[0][0].shape[2] if past_key_values is not None else 0
        if position_ids is None:
            position_ids = torch.arange(before, before + length, device=states.device)[None]
        mask = torch.full((length, before + length), torch.finfo(states.dtype).min, device=states.device)
        mask = mask.triu(before + 1)[None, None]
        if attention_mask is not None:
            hidden = attention_mask[:, None, None, :] == 0
            mask = mask.masked_fill(hidden, torch.finfo(states.dtype).min)
        presents = []
        for number, layer in enumerate(self.layers):
            past = past_key_values[number] if past_key_values is not None else None
            states, present = layer(states, position_ids, mask, past)
            presents.append(present)
        return self.norm(states), tuple(presents)


class InternLM2ForCausalLM(InternLM2PreTrainedModel, GenerationMixin):
    _auto_class = "AutoModelForCausalLM"

    def __init__(self, config):
        super().__init__(config)
        self.model = InternLM2Model(config)
        self.output = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.tok_embeddings

    def get_output_embeddings(self):
        return self.output

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        **kwargs,
    ):
        states, presents = self.model(input_ids, attention_mask, position_ids, past_key_values, inputs_embeds)
        logits = self.output(states).float()
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=presents if use_cache else None)

    def prepare_inputs_for_generation(self, input_ids, past_key_values=None, attention_mask=None, **kwargs):
        if past_key_values is not None:
            input_ids = input_ids[:, past_key_values[0][0].shape[2] :]
        position_ids = None
        if attention_mask is not None:
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -input_ids.shape[1] :]
        return {
            "input_ids": input_ids,
            "position_ids": position_ids,
            "past_key_values": past_key_values,
            "use_cache": kwargs.get("use_cache"),
            "attention_mask": attention_mask,
        }
