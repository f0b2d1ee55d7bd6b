"""An engine's section is read by the engine that it names, and holds nothing that the engine does not know."""

from __future__ import annotations

import doctest
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from ner_ray import plugins
from ner_ray.config import AnnotateConfig, EngineConfig, SamplingConfig, fingerprint, semantic
from ner_ray.config import engine as engine_module
from ner_ray.config.engine import options_of, resolve
from ner_ray.config.load import load, validate
from ner_ray.errors import ConfigError

REQUIRED = {"openai": {"url": "http://127.0.0.1:9/v1"}}
every_engine = pytest.mark.parametrize("name", plugins.names("engines"))


def settings(engine: object) -> dict[str, Any]:
    return {"input": {"path": "in"}, "labels": ["a"], "family": "cascade", "engine": engine, "output": {"path": "out"}}


def section(name: str, **more: object) -> dict[str, Any]:
    return {"name": name, "model": "m", **REQUIRED.get(name, {}), **more}


def refusal(engine: object) -> str:
    with pytest.raises(ConfigError) as raised:
        validate(AnnotateConfig, settings(engine), "job.yaml")
    return raised.value.message


def test_the_examples_run() -> None:
    assert doctest.testmod(engine_module).attempted >= 2
    assert doctest.testmod(engine_module).failed == 0


@every_engine
def test_an_engines_options_say_its_name_and_survive_being_written_down(name: str) -> None:
    config = AnnotateConfig.model_validate(settings(section(name)))

    assert type(config.engine) is options_of(name)
    assert config.engine.name == name
    assert AnnotateConfig.model_validate(config.model_dump()) == config
    assert AnnotateConfig.model_validate_json(config.model_dump_json()) == config


@every_engine
def test_every_setting_of_another_engine_is_refused_unless_it_is_null(name: str) -> None:
    own = options_of(name).model_fields.keys()
    foreign = {key for other in plugins.names("engines") for key in options_of(other).model_fields} - own

    assert foreign
    for key in foreign:
        assert f"engine.{key}: no such setting of the engine {name}, but of " in refusal(section(name, **{key: 1}))
        assert resolve(section(name, **{key: None})) == resolve(section(name))


def test_all_that_is_wrong_with_a_section_is_said_at_once_with_the_nearest_names() -> None:
    wrong = {"name": "openai", "model": "m", "speculated_tokens": 5, "retry": 3, "max_num_seqs": 0}

    message = refusal(wrong)

    assert "engine.speculated_tokens: no such setting of the engine openai, but of vllm (null removes it)" in message
    assert "engine.retry: no such setting of the engine openai; do you mean 'retries'?" in message
    assert "engine.max_num_seqs: Input should be greater than or equal to 1, found 0" in message
    assert "engine.url: must be given" in message


def test_an_unknown_setting_is_refused_even_as_null() -> None:
    assert "engine.modle: no such setting of the engine vllm; do you mean 'model'?" in refusal({"modle": None})


def test_errors_of_one_role_name_the_role() -> None:
    good, bad = section("vllm"), section("openai", sampling={"temprature": 1}, retries=-1)

    message = refusal({"extractor": good, "classifier": bad})

    assert "engine.classifier.sampling.temprature: no such setting; do you mean 'temperature'?" in message
    assert "engine.classifier.retries: Input should be greater than or equal to 0, found -1" in message
    assert "engine.extractor" not in message


@pytest.mark.parametrize("name", ["vlm", 3, None])
def test_an_engine_that_does_not_exist_lists_those_that_do(name: object) -> None:
    assert f"engine.name: no engine named {name!r}; known: openai, " in refusal({"name": name, "model": "m"})


@pytest.mark.parametrize("engine", ["vllm", None, 3, ["vllm"]])
def test_what_is_not_a_section_is_refused(engine: object) -> None:
    assert "engine: Input should be a valid dictionary" in refusal(engine)


def test_a_plain_engine_config_becomes_the_options_of_its_engine() -> None:
    plain = EngineConfig(name="transformers", model="m", sampling=SamplingConfig(max_tokens=3))

    assert resolve(plain) == options_of("transformers")(model="m", sampling=SamplingConfig(max_tokens=3))


def test_what_only_changes_speed_or_place_is_not_in_the_fingerprint() -> None:
    plain = resolve(section("openai"))
    elsewhere = resolve(
        section(
            "openai",
            url="http://127.0.0.1:10/v1",
            api_key_env="KEY",
            requests_per_minute=3,
            retries=1,
            timeout_seconds=1,
            limit_field="max_completion_tokens",
            journal=False,
        )
    )

    assert fingerprint(plain) == fingerprint(elsewhere) != fingerprint(resolve(section("openai", body={"min_p": 0.1})))
    assert semantic(AnnotateConfig.model_validate(settings(section("openai"))))["engine"] == semantic(plain)


def test_a_server_is_journaled_unless_told_otherwise() -> None:
    assert resolve(section("openai")).journal
    assert not resolve(section("openai", journal=False)).journal
    assert not resolve(section("vllm")).journal


def test_the_json_schema_shows_every_setting_of_every_engine() -> None:
    schema = AnnotateConfig.model_json_schema()

    *single, per_role = schema["properties"]["engine"]["anyOf"]
    assert per_role["additionalProperties"]["anyOf"] == single
    shown = [schema["$defs"][reference["$ref"].rpartition("/")[2]] for reference in single]
    expected = [options_of(name) for name in plugins.names("engines")]
    assert [definition["properties"].keys() for definition in shown] == [each.model_fields.keys() for each in expected]
    assert [definition["properties"]["name"]["const"] for definition in shown] == plugins.names("engines")
    for definition in shown:
        for key, field in definition["properties"].items():
            assert key in ("name", "sampling") or field["description"]


def test_an_engine_from_outside_brings_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Options(EngineConfig):
        name: Literal["echo"] = "echo"
        words: int = 3

    monkeypatch.setattr(plugins, "names", lambda kind: ["echo"])
    monkeypatch.setattr(engine_module, "options_of", {"echo": Options}.__getitem__)

    config = AnnotateConfig.model_validate(settings({"name": "echo", "words": 5}))

    assert config.engine == Options(words=5)
    assert config.model_dump()["engine"]["words"] == 5
    assert "words" in AnnotateConfig.model_json_schema()["$defs"]["Options"]["properties"]
    with pytest.raises(ValidationError, match="do you mean 'words'"):
        AnnotateConfig.model_validate(settings({"name": "echo", "word": 5}))


def test_a_preset_of_a_local_model_is_asked_on_a_server_once_its_local_settings_are_null() -> None:
    places = ["input.path=in", "output.path=out", "labels=[a]"]
    server = ["engine.name=openai", "engine.url=http://127.0.0.1:9/v1"]

    with pytest.raises(ConfigError, match=r"engine\.dtype: no such setting of the engine openai, .*null removes it"):
        load(AnnotateConfig, "families/gner-llama-7b", [*places, *server])
    config = load(AnnotateConfig, "families/gner-llama-7b", [*places, *server, "engine.dtype=null"])

    assert (config.engine.name, config.engine.model) == ("openai", "dyyyyyyyy/GNER-LLaMA-7B")
