"""The engine `transformers`: tiny decoders and encoder-decoders, against the models asked one by one."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from ner_ray.config import SamplingConfig
from ner_ray.engines import transformers as engine_module
from ner_ray.engines._decoding import nucleus
from ner_ray.engines.base import PromptTooLongError
from ner_ray.engines.transformers import Options, TransformersEngine
from ner_ray.errors import EngineError, ModelError, RequestError
from ner_ray.models.likelihood import likelihoods
from ner_ray.types import Prompt
from tests.engines.models import CHAT, CHOICES, TEXT, TEXTS, ask, refused_on_closing, save_tiny_t5, texts


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def decoder(tiny_model: Path, adapters: tuple[str, str]) -> Iterator[TransformersEngine]:
    engine = engine_module.create(Options(model=str(tiny_model)), adapters)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def t5(tiny_t5: Path) -> Iterator[TransformersEngine]:
    engine = engine_module.create(Options(model=str(tiny_t5), max_model_len=200))
    yield engine
    engine.close()


@contextmanager
def bare(engine: TransformersEngine) -> Iterator[None]:
    """The engine's model, to be asked by an oracle."""
    with torch.inference_mode(), engine._adapted(None):
        yield


def alone(folder: Path, prompt: str, tokens: int = 24) -> str:
    """What the model answers when nobody else asks: transformers' own greedy `generate`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    seq2seq = "t5" in folder.name
    kind = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
    model = kind.from_pretrained(folder).eval()
    asked = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    answer = model.generate(**asked, max_new_tokens=tokens, do_sample=False)[0]
    text = tokenizer.decode(answer[0 if seq2seq else asked["input_ids"].shape[1] :], skip_special_tokens=True)
    return text.rstrip("\ufffd")  # a character that the limit cut through


def test_a_decoder_answers_a_batch_as_it_answers_each_prompt_alone(
    decoder: TransformersEngine, tiny_model: Path
) -> None:
    answers = texts(ask(decoder, *TEXTS, max_tokens=24))

    assert answers == [alone(tiny_model, text) for text in TEXTS]
    assert len(set(answers)) > 1


def test_a_t5_answers_a_batch_as_it_answers_each_prompt_alone(t5: TransformersEngine, tiny_t5: Path) -> None:
    answers = texts(ask(t5, *TEXTS, max_tokens=24))

    assert answers == [alone(tiny_t5, text) for text in TEXTS]
    assert len(set(answers)) > 1


def test_chat_turns_are_rendered_by_the_models_own_template(decoder: TransformersEngine, tiny_model: Path) -> None:
    rendered = f"<|im_start|>system\nmi ka lo<|im_end|>\n<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n"

    ((answer,),) = ask(decoder, Prompt(CHAT), max_tokens=24)

    assert answer.text == alone(tiny_model, rendered)


def test_requests_of_one_moment_share_batches_and_each_has_its_own_limit_and_samples(
    decoder: TransformersEngine,
) -> None:
    """Of unlike requests each gets what it gets alone; greedy, so that batches cannot matter."""

    async def together() -> list[tuple[str, ...]]:
        unlike = [SamplingConfig(max_tokens=3), SamplingConfig(max_tokens=30, n=3), SamplingConfig(max_tokens=9)]
        answers = await asyncio.gather(*(decoder.generate(Prompt(TEXT), settings) for settings in unlike))
        return [tuple(sample.text for sample in samples) for samples in answers]

    short, long, middle = asyncio.run(together())

    assert len(long) == 3
    assert len(set(long)) == 1
    assert (len(short), len(middle)) == (1, 1)
    assert long[0].startswith(middle[0])
    assert middle[0].startswith(short[0])


@pytest.mark.parametrize("kind", ["decoder", "t5"])
def test_counts_add_up(kind: str, request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(kind)

    ((first, second),) = ask(engine, TEXT, max_tokens=7, n=2, temperature=1.0, seed=5)

    assert first.prompt_tokens == len(engine._tokenizer(TEXT)["input_ids"])
    assert second.prompt_tokens == 0
    assert first.output_tokens == second.output_tokens == 7
    assert first.finish_reason == second.finish_reason == "length"


@pytest.mark.parametrize("kind", ["decoder", "t5"])
def test_log_probabilities_are_those_of_the_model_whatever_the_temperature(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """The oracle reads the whole answer at once and looks up what each token was given."""
    engine: TransformersEngine = request.getfixturevalue(kind)
    model = engine._model
    for temperature in (0.0, 1.5):
        ((answer,),) = ask(engine, TEXT, max_tokens=12, temperature=temperature, seed=1)
        tokens = torch.tensor([engine._tokenizer.encode(answer.text, add_special_tokens=False)])
        if tokens.shape[1] != answer.output_tokens:
            continue  # the text has another reading as tokens
        asked = torch.tensor([engine._tokenizer.encode(TEXT)])
        with bare(engine):
            if model.config.is_encoder_decoder:
                given = model(input_ids=asked, labels=tokens).logits
            else:
                given = model(input_ids=torch.cat([asked, tokens], 1)).logits[:, asked.shape[1] - 1 : -1]
        expected = given.log_softmax(-1).gather(2, tokens[:, :, None])[0, :, 0].tolist()
        assert answer.logprobs == pytest.approx(expected, abs=1e-3)


def test_the_prompts_length_bounds_the_answer(decoder: TransformersEngine) -> None:
    ((answer,),) = ask(decoder, TEXT, tokens_per_prompt_token=1.5)

    assert answer.output_tokens == 16 + round(1.5 * answer.prompt_tokens)


def test_token_ends_cut_the_answer_into_its_tokens(decoder: TransformersEngine) -> None:
    ((answer,),) = ask(decoder, TEXT, max_tokens=30)

    begins = (0, *answer.token_ends[:-1])
    pieces = [answer.text[begin:end] for begin, end in zip(begins, answer.token_ends, strict=True)]
    assert "".join(pieces) == answer.text
    assert len(answer.logprobs) == len(pieces) == 30
    assert all(logprob <= 0 for logprob in answer.logprobs)


def test_without_logprobs_none_are_told(decoder: TransformersEngine) -> None:
    ((answer,),) = ask(decoder, TEXT, max_tokens=5, logprobs=False)

    assert (answer.logprobs, answer.token_ends) == ((), ())


def test_tokens_within_a_character_end_where_it_begins(decoder: TransformersEngine) -> None:
    pieces = ("ka", "人", "um")
    first, (one, two, three), last = (decoder._tokenizer.encode(piece, add_special_tokens=False) for piece in pieces)

    ends = decoder._token_ends([*first, one, two, three, *last], len("ka人um"))

    assert ends == (2, 2, 2, 3, 5)


def test_a_stop_string_ends_the_answer_and_is_not_in_it(decoder: TransformersEngine) -> None:
    ((whole,),) = ask(decoder, TEXT, max_tokens=30)
    stop = whole.text[9:12]
    before = whole.text.index(stop)

    ((cut,),) = ask(decoder, TEXT, max_tokens=30, stop=["not there at all", stop])

    assert cut.text == whole.text[:before]
    assert cut.finish_reason == "stop"
    assert cut.output_tokens < whole.output_tokens
    assert all(end <= before for end in cut.token_ends)


def test_an_answer_ends_with_the_models_end_token(decoder: TransformersEngine) -> None:
    """Under a high temperature every token comes up, so among many long answers some end by themselves."""
    (samples,) = ask(decoder, TEXT, max_tokens=200, n=16, temperature=2.0, seed=3)

    ended = [sample for sample in samples if sample.finish_reason == "stop"]
    assert ended
    assert all(sample.output_tokens == 200 for sample in samples if sample.finish_reason == "length")
    assert all(len(sample.logprobs) == sample.output_tokens <= 200 for sample in ended)
    assert all("<|" not in sample.text for sample in samples)


def test_a_seed_repeats_its_samples_in_any_company_and_gives_n_that_differ(decoder: TransformersEngine) -> None:
    settings = {"temperature": 1.0, "top_p": 0.9, "seed": 11, "max_tokens": 16, "n": 3}
    ((*lonely,),) = ask(decoder, TEXT, **settings)

    among_others = ask(decoder, *TEXTS, TEXT, **settings)[-1]

    assert [sample.text for sample in lonely] == [sample.text for sample in among_others]
    assert len({sample.text for sample in lonely}) == 3
    ((*other,),) = ask(decoder, TEXT, **{**settings, "seed": 12})
    assert [sample.text for sample in other] != [sample.text for sample in lonely]


def test_without_a_seed_samples_differ_from_call_to_call(decoder: TransformersEngine) -> None:
    first, second = (texts(ask(decoder, TEXT, temperature=1.5, max_tokens=16)) for _ in range(2))

    assert first != second


def test_samples_are_as_frequent_as_they_are_probable(decoder: TransformersEngine) -> None:
    """The first token of 1,500 samples at temperature 0.1: the frequency of a text is its probability."""
    with bare(decoder):
        logits = decoder._model(input_ids=torch.tensor([decoder._tokenizer.encode(TEXT)])).logits[0, -1]
    expected: Counter[str] = Counter()
    for token, chance in enumerate((logits / 0.1).softmax(-1).tolist()):
        expected[decoder._tokenizer.decode([token]).rstrip("\ufffd")] += chance

    (samples,) = ask(decoder, TEXT, temperature=0.1, n=1500, max_tokens=1, seed=0)

    found = Counter(sample.text for sample in samples)
    for text, chance in expected.most_common(5):
        five_deviations = 5 * math.sqrt(chance * (1 - chance) / 1500)
        assert found[text] / 1500 == pytest.approx(chance, abs=five_deviations)


def test_a_nucleus_has_the_fewest_tokens_that_suffice() -> None:
    chances = torch.tensor([[0.1, 0.5, 0.15, 0.25]] * 3)

    kept = nucleus(chances, torch.tensor([0.7, 0.4, 1.0]))

    assert kept[0].tolist() == pytest.approx([0, 0.5, 0, 0.25])
    assert kept[1].tolist() == pytest.approx([0, 0.5, 0, 0])
    assert kept[2].tolist() == pytest.approx(chances[2].tolist())


@pytest.mark.parametrize("kind", ["decoder", "t5"])
def test_choices_are_as_likely_as_the_model_says_token_by_token(kind: str, request: pytest.FixtureRequest) -> None:
    engine: TransformersEngine = request.getfixturevalue(kind)
    choices = [engine._tokenizer.encode(choice, add_special_tokens=False) for choice in CHOICES]
    expected = [slow_likelihood(engine, choice) for choice in CHOICES]

    with bare(engine):
        found = likelihoods(engine._model, engine._tokenizer.encode(TEXT), choices, rows=3).tolist()

    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", ["decoder", "t5"])
def test_held_to_choices_the_likeliest_is_answered_with_its_share(kind: str, request: pytest.FixtureRequest) -> None:
    engine: TransformersEngine = request.getfixturevalue(kind)
    choices = ("ka", "lo", "mi", "an", "do")
    shares = torch.tensor([slow_likelihood(engine, choice) for choice in choices]).softmax(0)

    ((answer, again),) = ask(engine, Prompt(TEXT, choices=choices), n=2)

    assert answer.text == again.text == choices[int(shares.argmax())]
    assert answer.joint_probability() == answer.probability() == pytest.approx(float(shares.max()), rel=1e-2)


def slow_likelihood(engine: TransformersEngine, choice: str) -> float:
    model, tokenizer = engine._model, engine._tokenizer
    asked = tokenizer.encode(TEXT)
    written = [*tokenizer.encode(choice, add_special_tokens=False), tokenizer.eos_token_id]
    total = 0.0
    for at, token in enumerate(written):
        with bare(engine):
            if model.config.is_encoder_decoder:
                begun = torch.tensor([[tokenizer.pad_token_id, *written[:at]]])
                logits = model(input_ids=torch.tensor([asked]), decoder_input_ids=begun).logits
            else:
                logits = model(input_ids=torch.tensor([[*asked, *written[:at]]])).logits
        total += float(logits[0, -1].log_softmax(-1)[token])
    return total


def test_choices_beyond_one_batch_of_rows_are_all_tried(tiny_model: Path, decoder: TransformersEngine) -> None:
    narrow = engine_module.create(Options(model=str(tiny_model), max_num_seqs=2))
    prompts = [Prompt(text, choices=CHOICES) for text in TEXTS]

    answers, expected = ask(narrow, *prompts), ask(decoder, *prompts)

    narrow.close()
    assert texts(answers) == texts(expected)
    for (sample,), (other,) in zip(answers, expected, strict=True):
        assert sample.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_sampled_choices_come_as_often_as_they_are_likely(decoder: TransformersEngine) -> None:
    (samples,) = ask(decoder, Prompt("ka", choices=("ka", "lo", "mi")), n=2000, temperature=1.0, seed=4)

    shares = {sample.text: sample.joint_probability() for sample in samples}
    assert sum(shares.values()) == pytest.approx(1)
    for choice, share in shares.items():
        assert sum(sample.text == choice for sample in samples) / 2000 == pytest.approx(share, abs=0.05)


def test_adapters_answer_in_one_engine_each_in_its_own_way(
    decoder: TransformersEngine, adapters: tuple[str, str]
) -> None:
    plain, one, two = (texts(ask(decoder, *TEXTS, max_tokens=12, adapter=name)) for name in (None, *adapters))

    assert plain != one
    assert plain != two
    assert one != two
    assert texts(ask(decoder, *TEXTS, max_tokens=12)) == plain


def test_requests_to_several_adapters_at_once_get_what_they_get_apart(
    decoder: TransformersEngine, adapters: tuple[str, str]
) -> None:
    names = (None, *adapters, None)
    apart = [ask(decoder, TEXT, max_tokens=12, adapter=name)[0][0].text for name in names]

    async def together() -> list[str]:
        settings = SamplingConfig(max_tokens=12)
        answers = await asyncio.gather(*(decoder.generate(Prompt(TEXT), settings, name) for name in names))
        return [answer.text for (answer,) in answers]

    assert asyncio.run(together()) == apart


def test_a_prompt_that_is_too_long_is_refused_and_the_engine_lives_on(
    decoder: TransformersEngine, t5: TransformersEngine
) -> None:
    for engine, words in ((decoder, 5000), (t5, 300)):
        with pytest.raises(PromptTooLongError, match="tokens"):
            ask(engine, "ka " * words)
        assert ask(engine, TEXT, max_tokens=2)[0][0].output_tokens == 2


def test_choices_for_which_no_room_is_left_are_refused(tiny_model: Path) -> None:
    engine = engine_module.create(Options(model=str(tiny_model), max_model_len=64))
    tokens = engine._tokenizer.encode("ka " * 200)[:60]
    text = engine._tokenizer.decode(tokens)

    with pytest.raises(PromptTooLongError):
        ask(engine, Prompt(text, choices=("a choice of so many tokens",)))
    ((answer,),) = ask(engine, text)
    engine.close()

    assert answer.prompt_tokens + answer.output_tokens <= 64


def test_an_empty_prompt_is_refused(decoder: TransformersEngine, t5: TransformersEngine) -> None:
    for engine in (decoder, t5):
        with pytest.raises(RequestError, match="empty"):
            ask(engine, "")


def test_a_batch_that_memory_does_not_suffice_for_is_answered_by_halves(tiny_model: Path) -> None:
    """The model is made to run out of memory at more than two rows, as a GPU does at some number."""
    engine = engine_module.create(Options(model=str(tiny_model)))
    seen: list[int] = []

    def limited(module: torch.nn.Module, given: tuple[object, ...], named: dict[str, torch.Tensor]) -> None:
        seen.append(len(named["input_ids"]))
        if seen[-1] > 2:
            raise torch.OutOfMemoryError("too many rows")

    hook = engine._model.register_forward_pre_hook(limited, with_kwargs=True)
    answers = texts(ask(engine, *TEXTS, max_tokens=8))
    tried = len([rows for rows in seen if rows > 2])
    assert texts(ask(engine, *TEXTS, max_tokens=8)) == answers
    with pytest.raises(RequestError, match="memory"):
        ask(engine, TEXT, n=5)
    hook.remove()

    assert texts(ask(engine, *TEXTS, max_tokens=8)) == answers
    engine.close()
    assert tried in (1, 2)


def test_an_engine_that_dies_says_so_to_those_who_wait_and_to_those_who_come(tiny_model: Path) -> None:
    engine = engine_module.create(Options(model=str(tiny_model)))

    def broken(*_: object) -> None:
        raise RuntimeError("device-side assert")

    engine._model.register_forward_pre_hook(broken)

    async def several() -> list[object]:
        settings = SamplingConfig(max_tokens=4)
        return await asyncio.gather(
            *(engine.generate(Prompt(text), settings) for text in TEXTS), return_exceptions=True
        )

    assert all(isinstance(error, EngineError) for error in asyncio.run(several()))
    with pytest.raises(EngineError, match="device-side assert"):
        ask(engine, TEXT)


def test_a_closed_engine_answers_nobody_and_leaves_neither_thread_nor_model(tiny_model: Path) -> None:
    engine = engine_module.create(Options(model=str(tiny_model), max_num_seqs=2))
    thread, model = engine._thread, weakref.ref(engine._model)

    ends = refused_on_closing(engine, max_tokens=2000, temperature=1.0)

    assert set(ends) == {"the engine is closed"}
    assert not thread.is_alive()
    gc.collect()
    assert model() is None


def test_an_engine_that_was_never_asked_can_be_closed(tiny_model: Path) -> None:
    engine = engine_module.create(Options(model=str(tiny_model)))
    engine.close()
    engine.close()

    with pytest.raises(EngineError, match="the engine is closed"):
        ask(engine, TEXT)


def test_a_request_that_was_given_up_holds_nobody_up(decoder: TransformersEngine) -> None:
    async def give_up() -> str:
        settings = SamplingConfig(max_tokens=4)
        tasks = [asyncio.create_task(decoder.generate(Prompt(TEXT), settings)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        ((answer,), _) = await asyncio.gather(tasks[0], tasks[2])
        return answer.text

    assert asyncio.run(give_up()) == ask(decoder, TEXT, max_tokens=4)[0][0].text


def test_a_model_that_is_not_there_is_told_before_anything_starts(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        engine_module.check(Options(model=str(tmp_path / "nowhere")))
    with pytest.raises(ModelError, match="adapter"):
        engine_module.check(Options(model=str(tiny_model), adapter=str(tmp_path)))
    engine_module.check(Options(model=str(tiny_model)))


def test_a_model_without_weights_cannot_be_created(tmp_path: Path, tiny_model: Path) -> None:
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_bytes((tiny_model / file).read_bytes())

    with pytest.raises(ModelError, match="cannot load"):
        engine_module.create(Options(model=str(tmp_path)))
    with pytest.raises(ModelError, match="device_map"):
        engine_module.create(Options(model=str(tiny_model)), tensor_parallel=2)


def test_a_models_own_taste_in_decoding_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    """Released chat models bring penalties and temperatures along; what the configuration says holds."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.generation_config.update(do_sample=True, temperature=1.3, repetition_penalty=9.0, top_k=20)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    engine = engine_module.create(Options(model=str(tmp_path)))

    answers = texts(ask(engine, *TEXTS, max_tokens=24))
    engine.close()

    assert answers == [alone(tiny_model, text) for text in TEXTS]
