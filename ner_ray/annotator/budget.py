"""How many tokens of the model a chunk, its demonstrations and its answer may take."""

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

_PROBE = "x"  # a text, for prompts that are measured without theirs
_MIN_TEXT = 8  # tokens
_MEASURED = 100_000  # demonstrations whose lengths are remembered


def token_counter(spec: Spec) -> TokenCounter:
    """How many tokens each of some texts has for the model that is asked first."""
    engine = spec.pools[0].engine
    return engines.load(engine.name).token_counter(engine)


def prompt_tokens(spec: Spec, shown: tuple[Demonstration, ...] = ()) -> int:
    """Tokens of the first step's longest prompt with demonstrations and hardly any text; for a spec with labels."""
    prompts = spec.steps[0].ask(StepInput(_PROBE, spec.labels or LabelSet(()), shown), ())
    count = token_counter(spec)
    return max((sum(count(_strings(prompt.content))) for prompt in prompts), default=0)


def fit(spec: Spec) -> Spec:
    """The spec with chunks, and a bound for their demonstrations, so small that prompt and answer fit the model.

    Raises:
        ConfigError: the instructions and labels alone leave no room for text.
    """
    engine = spec.pools[0].engine
    if spec.config.replay or not engine.max_model_len or not spec.labels:
        return spec
    overhead = prompt_tokens(spec)
    room = engine.max_model_len - overhead - (spec.demonstration_tokens or 0)
    # An answer that copies its text is at least as long as it; a third of the room is left for the text.
    # Demonstrations of any length get a share like the text's, and what text and answer leave.
    shares = 3 if spec.config.engine_for(spec.steps[0].role).sampling.max_tokens > room // 2 else 2
    unbounded = spec.config.demonstrations is not None and spec.demonstration_tokens is None
    fitting = room // (shares + unbounded)
    if fitting < _MIN_TEXT:
        raise ConfigError(
            f"the prompt without any text has {overhead} tokens, and the model takes {engine.max_model_len}",
            hint="use fewer labels, shorter descriptions, fewer tokens of demonstrations, or a larger "
            "engine.max_model_len",
        )
    if fitting < spec.budget:
        _LOG.warning("chunks are cut at %d tokens, so that prompt and answer fit the model", fitting)
    budget = min(fitting, spec.budget)
    return replace(
        spec, budget=budget, demonstration_tokens=room - shares * budget if unbounded else spec.demonstration_tokens
    )


_measures: dict[str, Measure] = {}  # of this process, by configuration


def measure(spec: Spec) -> Measure:
    """By how many tokens a demonstration lengthens the family's prompt; an estimate where labels vary by document."""
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
