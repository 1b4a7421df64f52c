"""A real Prometheus scrapes every documented metric, takes our rules, and answers our readers."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from recal.console.figures import figures
from recal.console.numbers import Window
from services.drift.counts import WANTED
from services.drift.monitor import Monitor
from services.drift.plan import FIRED, plans
from services.drift.sources import Prometheus
from services.edge.metrics import MetricsEndpoint
from services.telemetry import CATALOGUE, EVERY_METRIC, MONITORED, Kind, Metric, PrometheusMeter
from tests.contract.test_metric_names import documented
from tests.deploy.promql import exported
from tests.deploy.rendered import ROOT, named, overlay, tool
from tests.deploy.test_alerts import groups

pytestmark = pytest.mark.deploy

_LABELS = {
    "language": "sw",
    "calibration_version": "sw@1",
    "reason": "score",
    "action": "steer",
    "role": "champion",
    "measure": "fired",
}
_READY_S = 60.0


def written(metric: Metric, meter: PrometheusMeter) -> None:
    """Write one number of a metric."""
    labels = {name: _LABELS.get(name, "x") for name in metric.labels}
    if metric.kind is Kind.COUNTER:
        meter.count(metric, 3.0, **labels)
    elif metric.kind is Kind.GAUGE:
        meter.gauge(metric, 1.0, **labels)
    else:
        meter.observe(metric, 0.5, **labels)


class _AsRay(CollectorRegistry):
    """A registry whose names carry Ray's prefix."""

    def __init__(self, inner: CollectorRegistry) -> None:
        super().__init__()
        self._inner = inner

    def collect(self) -> Iterator[Any]:
        for family in self._inner.collect():
            family.name = f"ray_{family.name}"
            family.samples = [s._replace(name=f"ray_{s.name}") for s in family.samples]
            yield family


def relabelling(monitor: str) -> list[dict[str, Any]]:
    """A PodMonitor's rules, as Prometheus' own configuration names them."""
    [endpoint] = named(overlay("prod"), "PodMonitor", monitor)["spec"]["podMetricsEndpoints"]
    names = {
        "sourceLabels": "source_labels",
        "targetLabel": "target_label",
    }
    return [
        {names.get(key, key): value for key, value in rule.items()}
        for rule in endpoint["metricRelabelings"]
    ]


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Server:
    """Prometheus over three pages: an edge's, a monitor's, and one as Ray writes it."""

    def __init__(self, folder: Path) -> None:
        self.meters = {
            "edge": PrometheusMeter(CollectorRegistry()),
            "monitor": PrometheusMeter(CollectorRegistry(), metrics=MONITORED),
            "ray": PrometheusMeter(CollectorRegistry()),
        }
        for part, metrics in (("edge", CATALOGUE), ("monitor", MONITORED), ("ray", CATALOGUE)):
            for metric in metrics:
                written(metric, self.meters[part])
        registries = {name: meter.registry for name, meter in self.meters.items()}
        registries["ray"] = _AsRay(registries["ray"])
        self.pages = {
            name: MetricsEndpoint(registry, "127.0.0.1", 0) for name, registry in registries.items()
        }
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(self._config(folder)), "utf-8")
        self.process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--log.level=error",
            ]
        )

    def _config(self, folder: Path) -> dict[str, Any]:
        rules = folder / "rules.yaml"
        rules.write_text(yaml.safe_dump({"groups": groups()}), encoding="utf-8")
        jobs = [
            {
                "job_name": name,
                "static_configs": [{"targets": [f"127.0.0.1:{page.port}"]}],
                "metric_relabel_configs": relabelling(f"recal-{name}"),
            }
            for name, page in self.pages.items()
        ]
        often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        return {"global": often, "rule_files": [str(rules)], "scrape_configs": jobs}

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}") as answer:
            return json.load(answer)["data"]

    def wait(self) -> None:
        """Until every page was scraped and every rule looked at.

        Raises:
            TimeoutError: that takes too long.
        """
        end = time.monotonic() + _READY_S
        while time.monotonic() < end:
            try:
                up = [row["value"][1] for row in self.ask("query?query=up")["result"]]
                rules = [r for group in self.ask("rules")["groups"] for r in group["rules"]]
            except OSError:
                up, rules = [], []
            if up.count("1") == len(self.pages) and all(r["health"] != "unknown" for r in rules):
                return
            time.sleep(0.2)
        raise TimeoutError("Prometheus did not scrape every page")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        for page in self.pages.values():
            page.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("prometheus"))
    try:
        found.wait()
        yield found
    finally:
        found.stop()


@pytest.mark.parametrize("job", ["edge", "monitor", "ray"])
def test_every_documented_metric_is_scraped_under_its_name_with_its_labels(
    server: Server, job: str
) -> None:
    listed = documented((ROOT / "docs/metrics.md").read_text(encoding="utf-8"))
    wanted = MONITORED if job == "monitor" else CATALOGUE
    series = server.ask(f'series?match[]={{job="{job}"}}')
    found = {each["__name__"]: set(each) - {"__name__", "job", "instance", "le"} for each in series}
    for metric in wanted:
        assert metric.name in listed or f"{metric.name}_total" in listed
        for name in exported(metric):
            assert found[name] == set(metric.labels), name
    assert {m.name for m in EVERY_METRIC} >= {m.name for m in wanted}


def test_prometheus_takes_every_rule_and_can_work_it_out(server: Server) -> None:
    rules = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in groups())
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
    assert {rule["health"] for rule in rules} == {"ok"}


def test_the_monitor_counts_what_prometheus_scraped(server: Server, tmp_path: Path) -> None:
    source = Prometheus(server.url)
    read = {sample.name for sample in source.read()}
    assert read >= WANTED
    shown = PrometheusMeter(CollectorRegistry(), metrics=MONITORED)
    monitor = Monitor(source, tmp_path / "monitor.json", shown, plans())
    monitor.look()
    [verdicts] = [metric for metric in CATALOGUE if metric.name == "recal_verdicts"]
    for part in ("edge", "ray"):
        written(verdicts, server.meters[part])
    end = time.monotonic() + _READY_S
    while not monitor.state.watched or monitor.state.watched[0].measures[FIRED].seen < 6:
        assert time.monotonic() < end
        time.sleep(0.5)
        monitor.look()
    assert monitor.state.watched[0].measures[FIRED].seen == 6
    assert b'recal_drift_requests{calibration_version="sw@1"' in generate_latest(shown.registry)


def test_the_console_reads_the_same_prometheus(server: Server) -> None:
    sw = figures(Window(Prometheus(server.url), 1).read()).language("sw")
    assert sw is not None
    assert sw.champion is not None
    assert (sw.champion.version, sw.champion.roles) == ("sw@1", ("champion",))
    assert sw.threshold == 1.0
    assert sw.champion.drift is not None
