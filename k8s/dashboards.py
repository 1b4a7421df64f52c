"""Grafana dashboards as code: `python -m k8s.dashboards` writes `k8s/base/dashboards/*.json`.

A panel answers one question of whoever is on call, and its title is that question: `k8s/panels`.
Metrics are those of `services/telemetry.py`, as `k8s/base/podmonitors.yaml` leaves them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableRefresh,
)

from k8s.panels.fleet import FLEET
from k8s.panels.language import LANGUAGE
from k8s.panels.panel import Panel, Query
from k8s.panels.rollout import ROLLOUT

FOLDER = Path(__file__).parent / "base" / "dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

DASHBOARDS: Mapping[str, tuple[str, Sequence[Panel], bool]] = MappingProxyType(
    {
        "fleet": ("Recal: fleet", FLEET, False),
        "language": ("Recal: one language", LANGUAGE, True),
        "rollout": ("Recal: rollout", ROLLOUT, True),
    }
)
"""By file name: title, panels, and whether a language is chosen."""


def _target(query: Query, kind: str) -> Any:
    target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend)
    if kind in ("table", "bars", "number"):
        target = target.instant()
    # `heatmap` makes counts of each bucket of the cumulative ones.
    formats = {"table": "table", "bars": "heatmap"}
    return target.format(formats[kind]) if kind in formats else target


def _visual(panel: Panel) -> Any:
    last = ReduceDataOptions().calcs(["lastNotNull"])
    if panel.kind == "number":
        return stat.Panel().reduce_options(last)
    if panel.kind == "table":
        return table.Panel()
    if panel.kind == "bars":
        return bargauge.Panel().reduce_options(last)
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST)
    return timeseries.Panel().legend(legend.placement(LegendPlacement.BOTTOM)).fill_opacity(8)


def _panel(panel: Panel) -> Any:
    visual = _visual(panel).title(panel.question).description(panel.answer).unit(panel.unit)
    visual = visual.datasource(_SOURCE).span(panel.width).height(4 if panel.width < 12 else 8)
    for query in panel.queries:
        visual = visual.with_target(_target(query, panel.kind))
    return visual


def build(name: str) -> str:
    """A dashboard as JSON."""
    title, panels, by_language = DASHBOARDS[name]
    board = dashboard.Dashboard(title).uid(f"recal-{name}").tags(["recal"]).editable()
    board = board.tooltip(DashboardCursorSync.CROSSHAIR).refresh("30s").time("now-6h", "now")
    board = board.with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    if by_language:
        board = board.with_variable(
            dashboard.QueryVariable("language")
            .datasource(_SOURCE)
            .query("label_values(recal_calibration_info, language)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        )
    for panel in panels:
        board = board.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(build(name), encoding="utf-8")


if __name__ == "__main__":
    main()
