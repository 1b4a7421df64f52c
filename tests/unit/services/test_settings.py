from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from services.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """Tests say themselves what the environment holds."""
    import os

    for variable in list(os.environ):
        if variable.startswith("RECAL_") or variable == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(variable)


def written(tmp_path, text):
    path = tmp_path / "recal.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_need_neither_file_nor_variable():
    settings = load_settings()
    assert (settings.edge.port, settings.serve.grpc_port) == (50051, 9000)
    assert settings.tracking_uri.startswith("sqlite:////")


def test_the_file_is_over_the_defaults_and_variables_over_the_file(tmp_path, monkeypatch):
    path = written(tmp_path, "edge: {port: 1111, host: 0.0.0.0}\nthreads: 2\n")
    monkeypatch.setenv("RECAL_EDGE__PORT", "2222")
    settings = load_settings(path)
    assert (settings.edge.port, settings.edge.host, settings.threads) == (2222, "0.0.0.0", 2)


def test_the_file_may_be_named_by_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("RECAL_CONFIG", str(written(tmp_path, "threads: 3\n")))
    assert load_settings().threads == 3


def test_mlflows_own_variable_counts_where_ours_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert load_settings().tracking_uri == "http://mlflow:5000"
    path = written(tmp_path, "registry: {tracking_uri: 'sqlite:///x.db'}\n")
    assert load_settings(path).tracking_uri == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("edge: {port: 99999}", "`edge.port` is 99999"),
        ("edge: {bogus: 1}", "`edge.bogus` is no setting"),
        ("egde: {port: 1}", "`egde` is no setting"),
        ("generation: {max_tokens: 3}", "`default_max_tokens` 64 is above `max_tokens` 3"),
        ("generation: {monitor: {}}", "`generation.monitor.thresholds` is {}"),
        ("generation: {monitor: {thresholds: {}}}", "`generation.monitor.thresholds` is {}"),
        ("generation: {monitor: {thresholds: {ab: 1}}}", "string should match pattern"),
        ("generation: {monitor: {thresholds: {abababab: .nan}}}", "should be a finite number"),
        ("generation: {monitor: {thresholds: {abababab: 1}, every: 0}}", "monitor.every` is 0"),
        ("registry: {source: directory}", "`directory` must be given"),
        ("registry: {poll_interval_s: .nan}", "`registry.poll_interval_s` is nan"),
        ("backbone: {dtype: int8}", "`backbone.dtype` is 'int8'"),
        ("- a\n- b", "holds no mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path, text, words):
    with pytest.raises(SettingsError) as raised:
        load_settings(written(tmp_path, text))
    assert words in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.yaml"):
        load_settings(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("variable", ["RECAL_EGDE__PORT", "RECAL_PORT", "RECAL_EDGE__BOGUS"])
def test_a_variable_that_names_no_setting_is_an_error(monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(SettingsError, match="no setting"):
        load_settings()


def test_a_deployment_on_another_working_directory_finds_the_same_files():
    assert load_settings().state_dir.is_absolute()


def test_settings_travel_to_replicas_and_cannot_be_changed():
    settings = load_settings()
    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(ValueError, match="frozen"):
        settings.threads = 2


def test_every_field_says_what_it_is():
    sections = [field.annotation for field in Settings.model_fields.values()]
    models = [Settings, *(s for s in sections if hasattr(s, "model_fields"))]
    obvious = {"grpc_port", "http_port"}
    missing = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description and name not in obvious and not name.endswith("_replicas")
    ]
    assert [name for name in missing if not name.startswith("Settings.")] == []


def test_reading_settings_imports_neither_torch_nor_ray():
    script = "import services.settings, sys; print({'torch', 'ray', 'grpc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_the_monitor_is_off_and_its_thresholds_can_come_from_the_environment(monkeypatch):
    assert load_settings().generation.monitor is None
    monkeypatch.setenv("RECAL_GENERATION__MONITOR__THRESHOLDS", '{"abababab12": -1.5}')
    monitor = load_settings().generation.monitor
    assert monitor is not None
    assert (monitor.thresholds, monitor.every) == ({"abababab12": -1.5}, 16)
