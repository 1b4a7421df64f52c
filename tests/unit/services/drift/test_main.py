"""The monitor as a process: what it takes, and what it shows over HTTP."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.drift.main import MonitorOptions, MonitorProcess, source_of
from services.drift.sources import Pages, Prometheus
from services.edge.metrics import MetricsEndpoint
from services.settings import Settings, SettingsError
from services.telemetry import MONITORED, VERDICTS, PrometheusMeter
from tests.deploy.promql import exported


def settings(folder: Path) -> Settings:
    made = {"state_dir": folder, "registry": {"source": "directory", "directory": folder / "none"}}
    return Settings(**made)


def test_counts_come_from_prometheus_from_pages_or_from_the_edge_of_this_machine() -> None:
    given = MonitorOptions(prometheus="http://prometheus:9090")
    assert isinstance(source_of(given, Settings()), Prometheus)
    assert isinstance(source_of(MonitorOptions(pages=("http://a/metrics",)), Settings()), Pages)
    assert source_of(MonitorOptions(), Settings())._urls == ("http://127.0.0.1:9464/metrics",)
    with pytest.raises(ValueError, match="give one of them"):
        MonitorOptions(prometheus="http://a", pages=("http://b",))


@pytest.mark.parametrize(
    "bad",
    [
        {"interval_s": 0.0},
        {"shift": 0.0},
        {"shift": 5.0},
        {"false_alarms": float("nan")},
        {"baseline_hours": 0.0},
        {"port": 70_000},
    ],
)
def test_a_value_out_of_range_is_named(bad: dict[str, float]) -> None:
    [name] = bad
    with pytest.raises(ValueError, match=f"`{name}` is .*; give .* to "):
        MonitorOptions(**bad)  # type: ignore[arg-type]


def test_every_metric_of_the_monitor_is_on_its_page(tmp_path: Path) -> None:
    meter = PrometheusMeter(CollectorRegistry())
    labels = {"language": "sw", "reason": "score", "calibration_version": "sw@1"}
    edge = MetricsEndpoint(meter.registry, "127.0.0.1", 0)
    page = f"http://127.0.0.1:{edge.port}/metrics"
    options = MonitorOptions(pages=(page,), port=0, state=tmp_path / "monitor.json")
    process = MonitorProcess(options, settings(tmp_path))
    process.start()
    try:
        process.monitor.look()
        meter.count(VERDICTS, 1000, action="steer", **labels)
        process.monitor.look()
        url = f"http://127.0.0.1:{process.port}/metrics"
        text = urllib.request.urlopen(url).read().decode()
        taken = MonitorOptions(pages=(page,), port=process.port, state=tmp_path / "b.json")
        second = MonitorProcess(taken, settings(tmp_path))
        with pytest.raises(SettingsError, match="free the port, or give another with `--port`"):
            second.start()
    finally:
        process.stop()
        edge.stop()
    assert all(f"# HELP {name} " in text for metric in MONITORED for name in exported(metric))
    labelled = '{calibration_version="sw@1",language="sw",measure="fired"}'
    assert f"recal_drift_requests{labelled} 1000.0" in text
    assert f"recal_drift_observed_rate{labelled} 1.0" in text
    assert "recal_verdicts_total" not in text
