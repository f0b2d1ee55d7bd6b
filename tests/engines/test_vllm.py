"""The engine `vllm`: the real one, its CPU build, on a tiny model. One engine serves nearly all tests."""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_ray.config import SamplingConfig
from ner_ray.engines import transformers
from ner_ray.engines import vllm as engine_module
from ner_ray.engines.base import PromptTooLongError
from ner_ray.engines.transformers import TransformersEngine
from ner_ray.engines.vllm import Options, VllmEngine
from ner_ray.errors import ConfigError, EngineError, MissingExtraError, ModelError, RequestError
from ner_ray.models.tokenizers import render
from ner_ray.types import Prompt
from tests.engines.models import CHAT, CHOICES, TEXT, TEXTS, ask, refused_on_closing, texts

pytestmark = pytest.mark.engine

_ROOM = 512


@pytest.fixture(scope="module")
def engine(tiny_model: Path, adapters: tuple[str, str]) -> Iterator[VllmEngine]:
    engine = engine_module.create(Options(model=str(tiny_model), max_model_len=_ROOM, max_num_seqs=32), adapters)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def oracle(tiny_model: Path, adapters: tuple[str, str]) -> Iterator[TransformersEngine]:
    """The same model by other code."""
    engine = transformers.create(transformers.Options(model=str(tiny_model)), adapters)
    yield engine
    engine.close()


def test_many_requests_at_once_are_all_answered_as_transformers_answers_them(
    engine: VllmEngine, oracle: TransformersEngine
) -> None:
    prompts = [text[:length] for text in TEXTS for length in range(2, 30, 4)]

    answers, expected = (ask(runner, *prompts, max_tokens=16) for runner in (engine, oracle))

    assert len(answers) == 35
    assert texts(answers) == texts(expected)


def test_log_probabilities_and_token_ends_are_those_of_transformers(
    engine: VllmEngine, oracle: TransformersEngine
) -> None:
    """Two implementations, one model: the same tokens, at the same places, found equally likely."""
    for (answer,), (other,) in zip(*(ask(runner, *TEXTS, max_tokens=20) for runner in (engine, oracle)), strict=True):
        assert answer.token_ends == other.token_ends
        assert answer.logprobs == pytest.approx(other.logprobs, abs=1e-3)
        assert answer.token_ends[-1] == len(answer.text)
        assert 0 < answer.joint_probability() <= answer.probability() < 1


def test_a_temperature_leaves_log_probabilities_as_the_model_has_them(engine: VllmEngine) -> None:
    """Under a low temperature the likeliest token is nearly sure to be drawn, and still is as unlikely as it is."""
    ((cold,),), ((greedy,),) = (ask(engine, TEXT, max_tokens=1, temperature=heat) for heat in (0.001, 0.0))

    assert cold.text == greedy.text
    assert cold.logprobs == pytest.approx(greedy.logprobs, abs=1e-4)


def test_an_answer_reads_as_it_does_where_vllm_decodes_it(engine: VllmEngine) -> None:
    """It does where it looks for stops. Under a high temperature random weights write bytes that are no characters."""
    drawn = {"n": 8, "temperature": 2.0, "seed": 5, "max_tokens": 60}

    ours, its = (ask(engine, *TEXTS, **drawn, **more) for more in ({}, {"stop": ["not there at all"]}))

    for sample, other in zip(sum(ours, ()), sum(its, ()), strict=True):
        assert sample.text == other.text
        assert sample.logprobs == pytest.approx(other.logprobs, abs=1e-4)  # the batches may differ
        assert sample.token_ends[-1] == len(sample.text)


def test_without_logprobs_none_are_told(engine: VllmEngine) -> None:
    ((answer,),) = ask(engine, TEXT, max_tokens=5, logprobs=False)

    assert (answer.logprobs, answer.token_ends) == ((), ())
    assert answer.output_tokens == 5


def test_n_samples_come_back_in_order_and_the_prompt_is_counted_once(engine: VllmEngine) -> None:
    (samples,), (again,) = (ask(engine, TEXT, n=4, temperature=1.0, seed=7, max_tokens=12) for _ in range(2))

    assert len({sample.text for sample in samples}) == 4
    assert [sample.text for sample in samples] == [sample.text for sample in again]
    assert [sample.prompt_tokens for sample in samples] == [len(engine.encode(Prompt(TEXT))), 0, 0, 0]


def test_chat_turns_are_rendered_by_the_models_own_template(engine: VllmEngine) -> None:
    rendered = f"<|im_start|>system\nmi ka lo<|im_end|>\n<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n"

    assert engine.encode(Prompt(CHAT)) == engine.encode(Prompt(rendered))
    assert texts(ask(engine, Prompt(CHAT), max_tokens=8)) == texts(ask(engine, rendered, max_tokens=8))
    assert texts(ask(engine, Prompt(CHAT), max_tokens=8)) != texts(ask(engine, TEXT, max_tokens=8))


def test_a_prompt_that_is_too_long_or_empty_is_refused_and_the_engine_lives_on(engine: VllmEngine) -> None:
    async def mixed() -> list[object]:
        prompts = [Prompt("ka " * 600), Prompt(TEXT), Prompt("")]
        settings = SamplingConfig(max_tokens=3)
        return await asyncio.gather(*(engine.generate(prompt, settings) for prompt in prompts), return_exceptions=True)

    too_long, answered, empty = asyncio.run(mixed())

    assert isinstance(too_long, PromptTooLongError)
    assert str(_ROOM) in too_long.message
    assert answered[0].output_tokens == 3
    assert isinstance(empty, RequestError)
    assert ask(engine, TEXT, max_tokens=3)[0][0].text == answered[0].text


def test_a_request_that_vllm_refuses_is_a_request_error_and_the_engine_lives_on(engine: VllmEngine) -> None:
    with pytest.raises(RequestError, match="refuses"):
        ask(engine, TEXT, n=2, temperature=0.0)
    with pytest.raises(RequestError, match="refuses"):
        ask(engine, TEXT, stop=[""])

    assert ask(engine, TEXT, max_tokens=3)[0][0].output_tokens == 3


def test_an_answer_gets_what_room_the_prompt_leaves(engine: VllmEngine) -> None:
    text = "ka " * 200

    ((answer,),) = ask(engine, text, max_tokens=4000)

    assert answer.prompt_tokens + answer.output_tokens == _ROOM
    assert answer.finish_reason == "length"


def test_a_limit_cuts_the_answer_and_the_prompts_own_limit_goes_first(engine: VllmEngine) -> None:
    (whole,), (shorter,) = ask(engine, Prompt(TEXT), Prompt(TEXT, max_tokens=4), max_tokens=9)

    assert (whole.output_tokens, whole.finish_reason) == (9, "length")
    assert (shorter.output_tokens, shorter.finish_reason) == (4, "length")
    assert whole.text.startswith(shorter.text)


def test_a_stop_string_ends_the_answer_and_is_not_in_it(engine: VllmEngine) -> None:
    ((whole,),) = ask(engine, TEXT, max_tokens=30)
    stop = whole.text[9:12]

    ((cut,),) = ask(engine, TEXT, max_tokens=30, stop=[stop])

    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert all(end <= len(cut.text) for end in cut.token_ends)


def test_held_to_choices_every_answer_is_one_of_them(engine: VllmEngine) -> None:
    """Under a high temperature a model of random weights would write anything at all."""
    prompts = [Prompt(text, choices=CHOICES) for text in TEXTS]

    answers = ask(engine, *prompts, n=8, temperature=2.0, max_tokens=60)

    given = {sample.text for samples in answers for sample in samples}
    assert given <= set(CHOICES)
    assert len(given) > 3
    assert any(not text.isascii() for text in given)


def test_a_choice_is_as_probable_as_it_often_comes(engine: VllmEngine) -> None:
    """Joint probabilities are those among the choices: they add up to one, and a forced token adds nothing.

    The choices have one tokenization each; where there are several, each is less probable than the choice.
    """
    choices = ("人", "地", "組織")
    ((only,),) = ask(engine, Prompt(TEXT, choices=choices[:1]), max_tokens=40)
    (samples,) = ask(engine, Prompt(TEXT, choices=choices), n=300, temperature=1.0, seed=3, max_tokens=40)

    shares = {sample.text: sample.joint_probability() for sample in samples}
    assert only.joint_probability() == pytest.approx(1)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    for choice, share in shares.items():
        often = sum(sample.text == choice for sample in samples) / 300
        assert often == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 300))


def test_choices_that_their_first_tokens_tell_apart_cost_one_token_each(
    engine: VllmEngine, oracle: TransformersEngine
) -> None:
    """Beside answers at length in the same batch; the share is the first token's, by transformers' own logits."""
    import torch

    choices = ("ka", "lo ra", "mitan")
    tokenizer, model = oracle._tokenizer, oracle._model
    first = [tokenizer.encode(choice, add_special_tokens=False)[0] for choice in choices]
    assert len(set(first)) == 3
    prompts = [prompt for text in TEXTS for prompt in (Prompt(text, choices=choices), Prompt(text))]

    answers = ask(engine, *prompts, max_tokens=12)

    assert texts(answers[1::2]) == texts(ask(oracle, *TEXTS, max_tokens=12))
    for text, (answer,) in zip(TEXTS, answers[::2], strict=True):
        with torch.inference_mode(), model.disable_adapter():
            shares = model(torch.tensor([tokenizer.encode(text)])).logits[0, -1, first].softmax(-1)
        assert answer.text == choices[int(shares.argmax())]
        assert answer.joint_probability() == pytest.approx(float(shares.max()), abs=1e-4)
        assert (answer.output_tokens, answer.finish_reason) == (1, "stop")


@pytest.mark.parametrize("count", [20, 21, 128, 129])
def test_label_sets_of_any_size_are_answered(engine: VllmEngine, oracle: TransformersEngine, count: int) -> None:
    """All first tokens differ, so that the answer is told by one token up to 128 choices, and by a grammar beyond."""
    tokenizer = oracle._tokenizer
    pieces = (tokenizer.decode([token]) for token in range(len(tokenizer)))
    words = [
        piece for piece in pieces if piece.isalpha() and len(tokenizer.encode(piece, add_special_tokens=False)) == 1
    ]
    choices = tuple(dict.fromkeys(words))[:count]
    assert len(choices) == count

    ((answer,),) = ask(engine, Prompt(TEXT, choices=choices), max_tokens=12)

    assert answer.text in choices
    assert 0 < answer.joint_probability() <= 1


def test_what_prompts_share_is_computed_once(engine: VllmEngine) -> None:
    shared = "gra um ti pel " * 60
    ((first,),) = ask(engine, shared + "ka", max_tokens=2)

    ((second,),) = ask(engine, shared + "lo", max_tokens=2)

    assert first.cached_tokens == 0
    assert 0 < second.cached_tokens < second.prompt_tokens


def test_two_adapters_in_one_engine_answer_each_in_its_own_way(
    engine: VllmEngine, oracle: TransformersEngine, adapters: tuple[str, str]
) -> None:
    plain, one, two = (texts(ask(engine, *TEXTS, max_tokens=12, adapter=name)) for name in (None, *adapters))

    assert len({tuple(plain), tuple(one), tuple(two)}) == 3
    assert one == texts(ask(oracle, *TEXTS, max_tokens=12, adapter=adapters[0]))
    assert two == texts(ask(oracle, *TEXTS, max_tokens=12, adapter=adapters[1]))


@pytest.mark.parametrize(
    ("dtype", "cpu", "expected"),
    [
        ("bfloat16", {"avx2": True, "avx512_bf16": True}, "bfloat16"),
        ("bfloat16", {"avx2": True, "avx512_bf16": False}, "float32"),
        ("bfloat16", {"architecture": "aarch64"}, "float32"),
        ("float32", {"amx_bf16": True}, "float32"),
    ],
)
def test_a_cpu_serves_bfloat16_weights_as_such_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, cpu: dict[str, object], expected: str
) -> None:
    """The engine's argument is looked at: what serves it is the machine that the tests run on."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2", "dtype": dtype}), encoding="utf-8")
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: cpu)

    arguments = engine_module._arguments(Options(model=str(tmp_path)), (), 1, on_cpu=True)

    assert arguments["dtype"] == expected


def test_plain_text_gets_one_bos_where_the_tokenizer_adds_one(tiny_model: Path, tmp_path: Path) -> None:
    """Whether the text already begins with it or not. No engine is needed: it is the prompt's tokens that count."""
    from tokenizers import processors
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.bos_token = "<|im_start|>"
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", tokenizer.bos_token_id)]
    )

    for text in ("ka lo", "<|im_start|>ka lo"):
        assert render(tokenizer, Prompt(text)).count(tokenizer.bos_token_id) == 1
    turns = render(tokenizer, Prompt(CHAT))
    assert turns.count(tokenizer.bos_token_id) == 3  # as its template has them


def test_a_core_of_its_own_that_speculates_gives_the_same_answers_and_its_death_is_told(
    engine: VllmEngine, tiny_model: Path
) -> None:
    expected = texts(ask(engine, *TEXTS, max_tokens=40))
    config = Options(model=str(tiny_model), max_model_len=_ROOM, own_process=True, speculation="ngram")
    apart = engine_module.create(config)
    (core,) = multiprocessing.active_children()

    async def life_and_death() -> tuple[list[str], list[object]]:
        settings = SamplingConfig(max_tokens=40)
        answers = await asyncio.gather(*(apart.generate(Prompt(text), settings) for text in TEXTS))
        long = SamplingConfig(max_tokens=450, temperature=1.0)
        waiting = [asyncio.create_task(apart.generate(Prompt(text), long)) for text in TEXTS]
        await asyncio.sleep(0.05)
        os.kill(core.pid, signal.SIGKILL)
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        ends += await asyncio.gather(apart.generate(Prompt(TEXT), settings), return_exceptions=True)
        return texts(answers), ends

    answers, ends = asyncio.run(life_and_death())
    counted, again = apart.tally(), apart.tally()
    apart.close()

    assert answers == expected
    assert counted["speculated_tokens"] >= counted["accepted_tokens"] > 0
    assert sum(again.values()) == 0  # what has been told is not told again
    assert engine.tally() == {}
    assert all(isinstance(end, EngineError) for end in ends)


def test_speculation_that_cannot_work_here_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="needs a GPU"):
        engine_module.check(Options(model=str(tiny_model), speculation="ngram_gpu"))
    with pytest.raises(MissingExtraError, match="arctic_inference"):
        engine_module.check(Options(model=str(tiny_model), speculation="suffix"))


def test_a_model_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        engine_module.check(Options(model=str(tmp_path / "nowhere")))
    with pytest.raises(ModelError, match=r"config\.json"):
        engine_module.check(Options(model=str(tmp_path)))
    with pytest.raises(ModelError, match="no model is named"):
        engine_module.check(Options())


def test_a_closed_engine_answers_nobody_and_leaves_no_thread_and_the_other_engine_goes_on(
    engine: VllmEngine, tiny_model: Path
) -> None:
    expected = texts(ask(engine, TEXT, max_tokens=4))
    closing = engine_module.create(Options(model=str(tiny_model), max_model_len=_ROOM, max_num_seqs=2))
    thread = closing._core._thread

    ends = refused_on_closing(closing, max_tokens=400, temperature=1.0)

    assert set(ends) == {"the engine is closed"}
    assert not thread.is_alive()
    assert texts(ask(engine, TEXT, max_tokens=4)) == expected


def test_a_core_of_its_own_ends_when_it_is_closed(tiny_model: Path) -> None:
    apart = engine_module.create(Options(model=str(tiny_model), max_model_len=_ROOM, max_num_seqs=2, own_process=True))
    (core,) = multiprocessing.active_children()

    ends = refused_on_closing(apart, max_tokens=400, temperature=1.0)

    assert set(ends) == {"the engine is closed"}
    core.join(30)
    assert not core.is_alive()


def test_a_loop_that_is_gone_before_its_answers_come_harms_no_engine(engine: VllmEngine) -> None:
    async def hurried() -> None:
        asked = engine.generate(Prompt(TEXT), SamplingConfig(max_tokens=200, temperature=1.0))
        await asyncio.wait([asyncio.create_task(asked)], timeout=0.05)

    asyncio.run(hurried())  # cancels the request and closes its loop

    assert ask(engine, TEXT, max_tokens=4)


def test_requests_that_are_given_up_make_room_for_others(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    step = engine._core._step

    def counted(*given: object) -> None:
        steps.append(time.monotonic())
        step(*given)

    async def impatient() -> float:
        long = SamplingConfig(max_tokens=400)
        waiting = [asyncio.create_task(engine.generate(Prompt(TEXT), long)) for _ in range(64)]
        await asyncio.sleep(0.2)
        for request in waiting:
            request.cancel()
        await asyncio.wait(waiting)
        given_up = time.monotonic()
        await engine.generate(Prompt(TEXT), SamplingConfig(max_tokens=4))
        return given_up

    monkeypatch.setattr(engine._core, "_step", counted)
    given_up = asyncio.run(impatient())

    assert len([when for when in steps if when > given_up]) < 40


def test_an_engine_of_this_process_that_dies_tells_those_who_wait_and_those_who_come(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its step fails, as when memory runs out. The last test: it is the end of the engine that all others share."""

    def broken(*_: object) -> None:
        raise MemoryError("no more blocks")

    async def several() -> list[object]:
        settings = SamplingConfig(max_tokens=4)
        asked = (engine.generate(Prompt(text), settings) for text in TEXTS * 4)
        return await asyncio.gather(*asked, return_exceptions=True)

    monkeypatch.setattr(engine._core, "_step", broken)

    assert all(isinstance(error, EngineError) for error in asyncio.run(several()))
    with pytest.raises(EngineError, match="no more blocks"):
        ask(engine, TEXT)
