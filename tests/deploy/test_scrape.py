"""What relabelling leaves of a series: our name, whoever exported it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.telemetry import EVERY_METRIC
from tests.deploy.promql import exported
from tests.deploy.rendered import named, overlay

pytestmark = pytest.mark.deploy

NAMES = sorted(name for metric in EVERY_METRIC for name in exported(metric))


def relabelled(monitor: str, labels: dict[str, str]) -> dict[str, str] | None:
    """Labels of a series as Prometheus keeps them; None when it drops it."""
    [endpoint] = named(overlay("prod"), "PodMonitor", monitor)["spec"]["podMetricsEndpoints"]
    for rule in endpoint["metricRelabelings"]:
        applied = applied_rule(rule, labels)
        if applied is None:
            return None
        labels = applied
    return labels


def applied_rule(rule: dict[str, Any], labels: dict[str, str]) -> dict[str, str] | None:
    """One rule; Prometheus anchors its expressions."""
    if rule["action"] == "labeldrop":
        return {key: v for key, v in labels.items() if not re.fullmatch(rule["regex"], key)}
    value = ";".join(labels.get(key, "") for key in rule["sourceLabels"])
    found = re.fullmatch(rule["regex"], value)
    if rule["action"] == "keep":
        return labels if found else None
    assert rule["action"] == "replace"
    if not found:
        return labels
    new = re.sub(r"\$(\d)", lambda group: found[int(group[1])], rule["replacement"])
    return {**labels, rule["targetLabel"]: new}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("monitor", "prefix"), [("recal-edge", ""), ("recal-monitor", ""), ("recal-ray", "ray_")]
)
def test_every_metric_of_the_catalogue_keeps_its_name(name: str, monitor: str, prefix: str) -> None:
    kept = relabelled(monitor, {"__name__": f"{prefix}{name}", "language": "sw", "WorkerId": "1"})
    assert kept == {"__name__": name, "language": "sw", "WorkerId": "1"}


def test_rays_own_labels_and_the_rest_of_its_series_are_left_out() -> None:
    session = {"__name__": "ray_recal_verdicts_total", "SessionName": "x", "Version": "2.60.0"}
    assert relabelled("recal-ray", session) == {"__name__": "recal_verdicts_total"}
    assert relabelled("recal-ray", {"__name__": "ray_scheduler_tasks"}) is None
    assert relabelled("recal-edge", {"__name__": "python_gc_objects_collected_total"}) is None
