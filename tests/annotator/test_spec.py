"""Steps that share an engine, and chunks that fit its context together with prompt and answer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.annotator import pools
from ner_ray.annotator.budget import fit
from ner_ray.annotator.spec import Spec, resolve
from ner_ray.config import AnnotateConfig
from ner_ray.errors import ConfigError, InputError, ModelError
from ner_ray.pipeline.preflight import check_input
from ner_ray.store.shards import list_shards


def plan(engine: dict, **changes: object) -> Spec:
    plain = {
        "input": {"path": "in"},
        "labels": ["person", "place"],
        "family": "cascade",
        "engine": engine,
        "output": {"path": "out"},
    }
    return resolve(AnnotateConfig.model_validate(plain | changes))


def test_one_engine_for_all_roles_is_one_pool() -> None:
    pools = plan({"model": "m"}).pools

    assert [pool.name for pool in pools] == ["extractor+classifier"]


def test_two_adapters_of_one_base_share_a_pool_each_role_with_its_own() -> None:
    (pool,) = plan({"extractor": {"model": "m", "adapter": "a"}, "classifier": {"model": "m", "adapter": "b"}}).pools

    assert pool.adapters == ("a", "b")
    assert [(role.step.role, role.adapter) for role in pool.roles] == [("extractor", "a"), ("classifier", "b")]


def test_roles_may_differ_in_sampling_and_still_share_a_pool() -> None:
    sampling = {"n": 3, "temperature": 0.7}
    (pool,) = plan({"extractor": {"model": "m", "sampling": sampling}, "classifier": {"model": "m"}}).pools

    assert [role.sampling.n for role in pool.roles] == [3, 1]


def test_two_models_are_two_pools_in_the_order_of_the_steps() -> None:
    pools = plan({"classifier": {"model": "b"}, "extractor": {"model": "a"}}).pools

    assert [(pool.name, pool.engine.model) for pool in pools] == [("extractor", "a"), ("classifier", "b")]


def test_an_engine_for_a_role_that_the_family_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"engine is given for tagger, but the family's roles are extractor, classif"):
        plan({"tagger": {"model": "m"}})


def test_an_engine_with_something_wrong_is_named_by_its_role(tiny_model: Path) -> None:
    good = {"model": str(tiny_model)}

    with pytest.raises(ModelError, match=r"^engine\.classifier: no such model folder: /no/such"):
        pools.check(plan({"extractor": good, "classifier": {"model": "/no/such"}}))
    with pytest.raises(ValueError, match=r"engine\.extractor\.name\n +no engine named 'vlm'"):
        plan({"extractor": good | {"name": "vlm"}, "classifier": good})
    with pytest.raises(ModelError, match=r"^no such model folder"):
        pools.check(plan({"model": "/no/such"}))


def test_chunks_are_cut_smaller_where_prompt_and_answer_would_not_fit(tiny_model: Path) -> None:
    wide = plan({"model": str(tiny_model), "max_model_len": 4096}, family="gner", chunk={"tokens": 300})
    narrow = plan({"model": str(tiny_model), "max_model_len": 1000}, family="gner", chunk={"tokens": 300})

    assert fit(wide).budget == 300
    assert 8 <= fit(narrow).budget < 300


def test_demonstrations_get_the_room_that_text_and_answer_leave_or_their_own_budget(tiny_model: Path) -> None:
    def fitted(length: int, **demonstrations: object) -> Spec:
        engine = {"model": str(tiny_model), "max_model_len": length}
        shown = {"index": "anywhere"} | demonstrations
        return fit(plan(engine, family="gner", chunk={"tokens": 300}, demonstrations=shown))

    wide, narrow, bounded = fitted(4096), fitted(1000), fitted(1000, token_budget=200)

    assert wide.budget == 300
    assert wide.demonstration_tokens > 2000
    assert (
        8 <= narrow.budget < fit(plan(narrow.config.engine.model_dump(), family="gner", chunk={"tokens": 300})).budget
    )
    assert 0 < narrow.demonstration_tokens < 500
    assert bounded.demonstration_tokens == 200


def test_labels_that_leave_no_room_for_text_are_refused(tiny_model: Path) -> None:
    many = [f"label number {number}" for number in range(500)]

    with pytest.raises(ConfigError, match="the prompt without any text has"):
        fit(plan({"model": str(tiny_model), "max_model_len": 1000}, family="gner", labels=many))


def test_every_shard_is_checked_once_in_the_life_of_a_run(tmp_path: Path) -> None:
    for number, column in enumerate(["text", "text", "words", "text"]):
        pq.write_table(pa.table({column: ["x"]}), tmp_path / f"{number}.parquet")
    shards = list_shards(str(tmp_path))

    with pytest.raises(InputError, match=r"/2\.parquet has no column 'text'; it has: words"):
        check_input(plan({}), shards, checked=shards[:2])

    assert check_input(plan({}), shards, checked=shards[2:]) == pa.schema([])
