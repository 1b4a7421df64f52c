"""The dashboards are what their code makes, and ask for metrics that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from k8s.dashboards import DASHBOARDS, FOLDER, build
from services.telemetry import EVERY_METRIC
from tests.deploy.promql import check_expressions, exported, unknown_names
from tests.deploy.rendered import OVERLAYS, named, overlay

pytestmark = pytest.mark.deploy

BY_NAME = pytest.mark.parametrize("name", DASHBOARDS)


def committed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def expressions(name: str) -> list[str]:
    return [target["expr"] for panel in committed(name)["panels"] for target in panel["targets"]]


@BY_NAME
def test_the_committed_dashboard_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == build(name)


def test_there_is_no_dashboard_beside_those_of_the_code() -> None:
    assert {path.stem for path in FOLDER.glob("*")} == set(DASHBOARDS)


@BY_NAME
def test_grafana_reads_a_dashboard_whole(name: str) -> None:
    read = Dashboard.from_json(committed(name))
    assert json.loads(JSONEncoder().encode(read)) == committed(name)


@BY_NAME
def test_queries_use_metrics_and_labels_that_the_code_exports(name: str) -> None:
    assert [unknown for each in expressions(name) for unknown in unknown_names(each)] == []


@BY_NAME
def test_prometheus_understands_every_query(name: str, tmp_path: Path) -> None:
    plain = [
        each.replace("$__rate_interval", "5m").replace("$__range", "1h")
        for each in expressions(name)
    ]
    assert check_expressions(plain, tmp_path) == ""


def test_a_query_that_prometheus_does_not_understand_is_noticed(tmp_path: Path) -> None:
    assert "parse error" in check_expressions(["sum(rate(recal_score_count[5m])"], tmp_path)


@BY_NAME
def test_a_panel_asks_a_question_and_says_what_to_look_for(name: str) -> None:
    for panel in committed(name)["panels"]:
        assert panel["title"].endswith("?")
        assert panel["description"]
        assert panel["targets"]


@BY_NAME
def test_panels_do_not_lie_on_one_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in committed(name)["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_metric_of_the_catalogue_is_on_a_dashboard() -> None:
    shown = " ".join(each for name in DASHBOARDS for each in expressions(name))
    hidden = [m.name for m in EVERY_METRIC if not any(name in shown for name in exported(m))]
    assert hidden == []


@pytest.mark.parametrize("overlay_name", OVERLAYS)
def test_grafana_finds_the_dashboards_by_a_label(overlay_name: str) -> None:
    found = named(overlay(overlay_name), "ConfigMap", "recal-dashboards")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {key: json.loads(text) for key, text in found["data"].items()} == {
        f"{name}.json": committed(name) for name in DASHBOARDS
    }
