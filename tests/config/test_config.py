"""A configuration is composed from files, checked before anything starts, and fingerprinted by what matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_ray.config import AnnotateConfig, fingerprint, semantic
from ner_ray.config import load as compose
from ner_ray.errors import ConfigError

MINIMAL = """
input: {path: corpus}
labels: [person, place]
family: cascade
engine: {model: some/model}
output: {path: runs/one}
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(MINIMAL)
    return path


def test_a_value_on_the_command_line_overrides_the_file(config_file: Path) -> None:
    config = compose.load(AnnotateConfig, config_file, ["chunk.tokens=100", "input.path=[a, b]"])

    assert (config.chunk.tokens, config.input.path) == (100, ["a", "b"])


def test_a_file_overrides_its_defaults_and_later_defaults_override_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("chunk: {tokens: 100, overlap: 10}\nlabels: [a]")
    (tmp_path / "more.yaml").write_text("labels: [b]")
    (tmp_path / "job.yaml").write_text(
        "defaults: [base, more]\nchunk: {tokens: 90}\ninput: {path: x}\nfamily: gner\n"
        "engine: {model: m}\noutput: {path: y}"
    )

    config = compose.load(AnnotateConfig, tmp_path / "job.yaml")

    assert (config.chunk.tokens, config.chunk.overlap, config.labels) == (90, 10, ["b"])


def test_every_annotate_configuration_and_family_preset_that_ships_is_valid() -> None:
    shipped = sorted((compose.packaged() / "annotate").glob("*.yaml"))
    presets = sorted((compose.packaged() / "families").glob("*.yaml"))
    given = ["input.path=x", "output.path=y", "labels=[person]"]

    assert shipped
    assert presets
    for path in shipped:
        compose.load(AnnotateConfig, path, given)
    for path in presets:
        compose.load(AnnotateConfig, path, given)


def test_a_misspelt_setting_is_refused_with_the_nearest_name(config_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"resources\.replica: no such setting; do you mean 'replicas'\?"):
        compose.load(AnnotateConfig, config_file, ["resources.replica=2"])


def test_a_value_out_of_range_is_refused_with_its_place(config_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"align\.threshold: .*less than or equal to 1"):
        compose.load(AnnotateConfig, config_file, ["align.threshold=7"])


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("labels: [a]")

    with pytest.raises(ConfigError, match="input: must be given"):
        compose.load(AnnotateConfig, tmp_path / "job.yaml")


def test_a_configuration_that_is_not_there_names_those_that_ship() -> None:
    with pytest.raises(ConfigError, match="annotate/demo"):
        compose.load(AnnotateConfig, "annotate/dmeo")


def test_a_file_among_its_own_defaults_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("defaults: [b]")
    (tmp_path / "b.yaml").write_text("defaults: [a]")

    with pytest.raises(ConfigError, match="among its own defaults"):
        compose.load(AnnotateConfig, tmp_path / "a.yaml")


def test_an_override_without_a_value_is_refused(config_file: Path) -> None:
    with pytest.raises(ConfigError, match="is not an override"):
        compose.load(AnnotateConfig, config_file, ["resources.replicas"])


def test_one_engine_serves_all_roles_or_each_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(MINIMAL)
    (tmp_path / "each.yaml").write_text(
        MINIMAL.replace("{model: some/model}", "{extractor: {model: a}, classifier: {model: b}}")
    )
    one = compose.load(AnnotateConfig, tmp_path / "one.yaml")
    each = compose.load(AnnotateConfig, tmp_path / "each.yaml")

    assert one.engine_for("extractor") == one.engine_for("classifier")
    assert [each.engine_for(role).model for role in ("extractor", "classifier")] == ["a", "b"]


def test_the_fingerprint_ignores_what_does_not_change_results(config_file: Path) -> None:
    plain = compose.load(AnnotateConfig, config_file)
    moved = compose.load(AnnotateConfig, config_file, ["resources.replicas=8", "output.path=elsewhere", "input.path=z"])
    changed = compose.load(AnnotateConfig, config_file, ["engine.sampling.temperature=0.5"])

    assert fingerprint(semantic(plain)) == fingerprint(semantic(moved))
    assert fingerprint(semantic(plain)) != fingerprint(semantic(changed))


def test_an_engine_is_passed_what_changes_answers_and_what_does_not_but_only_the_first_counts(
    config_file: Path,
) -> None:
    plain, extra, tuned = (
        compose.load(AnnotateConfig, config_file, settings)
        for settings in ([], ["engine.extra={seed: 1}"], ["engine.tuning={swap_space: 3}"])
    )

    assert tuned.engine.passed_on == {"swap_space": 3}
    assert fingerprint(semantic(plain)) == fingerprint(semantic(tuned)) != fingerprint(semantic(extra))


def test_the_semantic_settings_hold_no_operational_one(config_file: Path) -> None:
    settings = semantic(compose.load(AnnotateConfig, config_file))

    assert "max_num_seqs" not in settings["engine"]
    assert settings["engine"]["model"] == "some/model"
