"""One model, four sources, every fault at once."""

from pathlib import Path

import pytest

from kdsl import config
from kdsl.errors import ConfigError


def test_later_sources_win(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("lake: one\nlabel: {chunk_rows: 10, retries: 3}\nspark: {master: 'local[3]'}\n")
    second.write_text("lake: two\nreleases: r2\n")
    settings = config.load(
        [first, second],
        environment={"KDSL_RELEASES": "r3", "KDSL_LABEL__CHUNK_ROWS": "20", "KDSL_JARS": "a.jar", "OTHER": "x"},
        overrides={"label.chunk_rows": 30},
    )
    assert (settings.lake, settings.releases) == ("two", "r3")
    assert (settings.label.chunk_rows, settings.label.retries) == (30, 3)
    assert settings.spark.master == "local[3]"
    assert settings.spark.jars == "a.jar"
    assert settings.fit.folds == config.FitSettings().folds


def test_every_fault_is_reported_with_key_value_and_source(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("label: {chunk_rows: 0, chunk_row: 5}\nlakes: x\n")
    with pytest.raises(ConfigError) as caught:
        config.load([file], environment={"KDSL_FIT__FOLDS": "many"})
    message = str(caught.value)
    assert "label.chunk_rows" in message
    assert "given 0" in message
    assert "label.chunk_row (" in message
    assert "chunk_rows, perceive_chunk" in message  # what is known there
    assert "lakes (" in message
    assert "fit.folds (environment KDSL_FIT__FOLDS)" in message
    assert "'many'" in message
    assert message.count("\n") == 4


def test_keys_of_spark_conf_keep_their_dots() -> None:
    settings = config.load(environment={}, overrides={"spark.conf.spark.executor.memory": "4g"})
    assert settings.spark.conf == {"spark.executor.memory": "4g"}


def test_numbers_and_truth_values_of_spark_conf_are_words_and_an_empty_section_changes_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("spark:\n  conf: {spark.task.cpus: 8, spark.ui.enabled: true, x.share: 0.5, x.y: 'no'}\n")
    second.write_text("spark:\nfit:\n  small:\ningest: {columns: {labels: }}\n")
    settings = config.load([first, second], environment={})
    words = {"spark.task.cpus": "8", "spark.ui.enabled": "true", "x.share": "0.5", "x.y": "no"}
    assert settings.spark.conf == words
    assert (settings.fit, settings.ingest) == (config.FitSettings(), config.IngestSettings())
    second.write_text("spark: {conf: {x.list: [1]}}\n")
    with pytest.raises(ConfigError, match=r"spark\.conf\.x\.list .*valid string, given \[1\]"):
        config.load([second], environment={})


def test_variables_of_the_launcher_are_no_settings() -> None:
    config.load(environment={"KDSL_PYTHON": "/usr/bin/python3", "KDSL_CONF": "b.yaml"})


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("lake", "2026-01-05", "2026-01-05"),
        ("fit.encoder", "", ""),
        ("spark.conf.spark.executor.instances", "8", "8"),
        ("spark.conf.spark.sql.adaptive.enabled", "false", "false"),
        ("ingest.store_images", "off", "off"),
        ("label.chunk_rows", "8", 8),
        ("fit.precision", "null", None),
        ("fit.voters", "[linear, rules]", ["linear", "rules"]),
        ("fit.large.path", "7", "7"),
        ("no.such.setting", "8", 8),
    ],
)
def test_words_are_taken_as_they_stand_and_the_rest_as_yaml(key: str, written: str, meant: object) -> None:
    assert config.read(key, written) == meant


def test_a_setting_is_emptied_by_nothing_behind_the_sign() -> None:
    assert config.load(environment={"KDSL_FIT__ENCODER": ""}).fit.encoder == ""
    assert (
        config.load(environment={"KDSL_FIT__PRECISION": "0.9"}, overrides={"fit.precision": None}).fit.precision is None
    )


def test_a_file_that_cannot_be_read_hides_no_other_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(["nowhere.yaml"], environment={"KDSL_FIT__FOLDS": "1"})
    assert "nowhere.yaml" in str(caught.value)
    assert "fit.folds (environment KDSL_FIT__FOLDS)" in str(caught.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "lake: [\n", "just words"])
def test_a_file_that_holds_no_settings_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"odd\.yaml"):
        config.load([file], environment={})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        config.load(["nowhere.yaml"], environment={})


@pytest.mark.parametrize("file", sorted(Path("conf").glob("*.yaml")), ids=str)
def test_shipped_configurations_are_valid(file: Path) -> None:
    config.load([file], environment={})


def test_two_paths_are_all_that_the_multimodal_models_need() -> None:
    environment = {"KDSL_FIT__SMALL__PATH": "/models/2b", "KDSL_FIT__LARGE__PATH": "/models/7b"}
    settings = config.load(environment=environment)
    assert set(settings.fit.voters) == {*config.FitSettings().voters, "small", "large"}
    assert config.Settings.model_validate(settings.model_dump()) == settings
    left_out = config.load(environment=environment, overrides={"fit.voters": ["linear"]})
    assert left_out.fit.voters == ("linear",)
    with pytest.raises(ConfigError, match="voters: linear given twice; name each once"):
        config.load(environment=environment, overrides={"fit.voters": ["linear", "rules", "linear"]})


def test_a_fault_in_a_models_section_names_its_settings() -> None:
    with pytest.raises(ConfigError, match=r"fit\.large\.lora\.ranks .*: no such setting; known here: rank, alpha"):
        config.load(environment={"KDSL_FIT__LARGE__LORA__RANKS": "4"})
