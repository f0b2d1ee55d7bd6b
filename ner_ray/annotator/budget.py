"""Divides the model's context between a chunk, its demonstrations and its answer."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache

from ner_ray.annotator.spec import Spec
from ner_ray.engines import base as engines
from ner_ray.errors import ConfigError
from ner_ray.models.tokenizers import TokenCounter
from ner_ray.retrieval import Measure, estimate_tokens
from ner_ray.types import Demonstration, LabelSet, Message, StepInput

_LOG = logging.getLogger(__name__)

_PROBE = "x"  # stands for the text in prompts that are measured without one
_MIN_TEXT = 8  # tokens
_MEASURED = 100_000  # number of demonstrations whose lengths are cached


def token_counter(spec: Spec) -> TokenCounter:
    """Counts the tokens of texts, for the model that is asked first."""
    engine = spec.pools[0].engine
    return engines.load(engine.name).token_counter(engine)


def prompt_tokens(spec: Spec, shown: tuple[Demonstration, ...] = ()) -> int:
    """The length in tokens of the first step's longest prompt, with almost no text; the spec must have labels."""
    prompts = spec.steps[0].ask(StepInput(_PROBE, spec.labels or LabelSet(()), shown), ())
    count = token_counter(spec)
    return max((sum(count(_strings(prompt.content))) for prompt in prompts), default=0)


def fit(spec: Spec) -> Spec:
    """The spec with chunks and demonstrations limited so that prompt and answer fit the model's context.

    Raises:
        ConfigError: the instructions and labels alone leave no room for text.
    """
    engine = spec.pools[0].engine if spec.pools else None
    if engine is None or not engine.max_model_len or not spec.labels:
        return spec
    overhead = prompt_tokens(spec)
    room = engine.max_model_len - overhead - (spec.demonstration_tokens or 0)
    # An answer that repeats its text is at least as long as the text, so a third of the room is left for the text.
    # Demonstrations without a limit of their own get a share like the text's, plus what text and answer leave over.
    shares = 3 if spec.config.engine_for(spec.steps[0].role).sampling.max_tokens > room // 2 else 2
    unbounded = spec.config.demonstrations is not None and spec.demonstration_tokens is None
    fitting = room // (shares + unbounded)
    if fitting < _MIN_TEXT:
        raise ConfigError(
            f"the prompt without any text has {overhead} tokens, but engine.max_model_len is {engine.max_model_len}",
            hint="use fewer labels, shorter descriptions, fewer tokens of demonstrations, or a larger "
            "engine.max_model_len",
        )
    if fitting < spec.budget:
        _LOG.warning("chunks are limited to %d tokens, so that prompt and answer fit the model", fitting)
    budget = min(fitting, spec.budget)
    return replace(
        spec, budget=budget, demonstration_tokens=room - shares * budget if unbounded else spec.demonstration_tokens
    )


_measures: dict[str, Measure] = {}  # of this process, by configuration


def measure(spec: Spec) -> Measure:
    """How many tokens a demonstration adds to the family's prompt; an estimate if labels vary by document."""
    if not spec.labels:
        return estimate_tokens
    key = spec.config.model_dump_json()
    if key not in _measures:
        _measures[key] = _exact_measure(spec)
    return _measures[key]


def _exact_measure(spec: Spec) -> Measure:
    bare = prompt_tokens(spec)

    @lru_cache(_MEASURED)
    def longer(demonstration: Demonstration) -> int:
        return prompt_tokens(spec, (demonstration,)) - bare

    return lambda demonstration: longer(replace(demonstration, score=0.0))


def _strings(content: str | tuple[Message, ...]) -> list[str]:
    return [content] if isinstance(content, str) else [turn.content for turn in content]
