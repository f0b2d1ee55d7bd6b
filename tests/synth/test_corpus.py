"""Which passages are drawn: the same ones in whatever order and parts the corpus is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.errors import ConfigError
from ner_ray.synth.config import PassageConfig
from ner_ray.synth.corpus import Candidate, Draw, choose, cut, look_at, start_draw, token_counter

Document = tuple[int, str, str]  # number, source, text


def document(number: int, source: str = "") -> Document:
    sentences = (f"The {word} of house {number} stood open all day." for word in ("door", "gate", "hall"))
    return number, source, " ".join(sentences)


def seen(documents: Sequence[Document], config: PassageConfig, seed: int = 0) -> Draw:
    draw = start_draw(config)
    for number, source, text in documents:
        look_at(draw, number, f"d{number}", source, text, config, seed)
    return draw


def places(chosen: list[Candidate]) -> list[tuple[str, int, int]]:
    return [(passage.document, passage.start, passage.end) for passage in chosen]


def test_passages_are_cut_from_their_documents_in_order() -> None:
    documents = [document(1), document(0)]
    config = PassageConfig(tokens=12, duplicates="exact")

    chosen = choose(seen(documents, config), config)

    texts = {f"d{number}": text for number, _, text in documents}
    assert [passage.row for passage in chosen] == [0, 0, 0, 1, 1, 1]
    assert all(texts[passage.document][passage.start : passage.end] == passage.text for passage in chosen)
    assert chosen[0].text == "The door of house 0 stood open all day."
    assert chosen[0].passage_id == f"d0:0-{len(chosen[0].text)}"


@settings(deadline=None)
@given(st.permutations(range(12)), st.integers(1, 11), st.sampled_from(["near", "exact", "keep"]), st.integers(1, 40))
def test_neither_order_nor_parts_decide_what_is_drawn(order: list[int], border: int, kind: str, count: int) -> None:
    config = PassageConfig(tokens=12, count=count, duplicates=kind, similarity=0.9)
    documents = [(number, "ab"[number % 2], document(number % 9)[2]) for number in order]
    whole = choose(seen(sorted(documents), config), config)

    parts = seen(documents[:border], config)
    parts.trim()
    parts.update(seen(documents[border:], config))

    assert places(choose(parts, config)) == places(whole)


def test_a_larger_draw_holds_the_smaller_one_and_another_seed_another_draw() -> None:
    documents = [document(number) for number in range(30)]

    def drawn(count: int, seed: int = 0) -> set[tuple[str, int, int]]:
        config = PassageConfig(tokens=12, count=count, duplicates="exact")
        return set(places(choose(seen(documents, config, seed), config)))

    assert len(drawn(20)) == 20
    assert drawn(10) < drawn(20)
    assert drawn(10) != drawn(10, seed=1)


def test_of_repeated_passages_one_stays_and_the_others_are_counted() -> None:
    texts = ["Ada went home early.", "ADA  went home early.", "Ada went home early, she said.", "Bo stayed."]
    documents = [(number, "", text) for number, text in enumerate(texts)]
    found = {}
    for kind in ("near", "exact", "keep"):
        config = PassageConfig(duplicates=kind, similarity=0.3)
        draw = seen(documents, config)
        found[kind] = (len(choose(draw, config)), draw.counts["exact_duplicates"], draw.counts["near_duplicates"])

    assert found == {"near": (2, 1, 1), "exact": (3, 1, 0), "keep": (4, 0, 0)}


def test_sources_share_a_count_by_their_size_or_alike() -> None:
    documents = [document(number, "few" if number < 5 else "many") for number in range(20)]

    def drawn(spread: str) -> Counter[str]:
        config = PassageConfig(tokens=12, count=20, duplicates="exact", spread=spread)
        return Counter(passage.source for passage in choose(seen(documents, config), config))

    assert drawn("proportional") == {"few": 5, "many": 15}
    assert drawn("even") == {"few": 10, "many": 10}


def test_what_is_not_fit_is_counted_by_its_reason() -> None:
    german = (1, "", "Der alte Mann ging langsam über die Brücke und sah den Booten nach.")
    config = PassageConfig(languages=("en",), min_characters=20, duplicates="exact")
    draw = seen([(0, "", "The old man crossed the bridge and watched the boats."), german, (2, "", "Hm.")], config)

    assert len(choose(draw, config)) == 1
    assert draw.counts == {"documents": 3, "passages": 3, "other_language": 1, "too_short": 1, "drawn": 1}


def test_a_rate_takes_about_its_share_and_says_so() -> None:
    config = PassageConfig(tokens=12, rate=0.5, duplicates="keep")
    draw = seen([document(number) for number in range(200)], config)

    chosen = choose(draw, config)

    assert len(chosen) + draw.counts["not_drawn_by_rate"] == draw.counts["passages"] == 600
    assert 240 < len(chosen) < 360


def test_passages_keep_to_the_tokens_of_the_tokenizer_that_is_named() -> None:
    text = "我在北京住。" * 30
    count = token_counter("words")

    spans = cut(text, PassageConfig(tokens=24, separators="zh"))

    assert "".join(text[start:end] for start, end in spans) == text
    assert max(count([text[start:end] for start, end in spans])) <= 24
    assert len(spans) < 10
    with pytest.raises(ConfigError, match="encoding 'none_such' of tiktoken"):
        token_counter("tiktoken:none_such")
