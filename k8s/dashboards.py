"""Grafana dashboards as code: `python -m k8s.dashboards` writes `k8s/base/dashboards/*.json`.

A panel answers one question of whoever is on call, and its title is that question. Metrics are
those of `services/telemetry.py`, as `k8s/base/podmonitors.yaml` leaves them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableRefresh,
)

FOLDER = Path(__file__).parent / "base" / "dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_RATE = "$__rate_interval"


class Query(NamedTuple):
    """An expression, and how its lines are called."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """A question, what answers it, and how."""

    question: str
    answer: str
    """What to look for; shown where the panel's title is pointed at."""
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "lines"
    """`lines`, `number`, `table` or `bars`."""
    width: int = 12


def _rate(name: str, matchers: str = "", by: str = "") -> str:
    return f"sum by ({by}) (rate({name}{{{matchers}}}[{_RATE}]))"


def _share(name: str, part: str, whole: str = "", by: str = "") -> str:
    """Share of a counter that the matchers `part` choose among those that `whole` does."""
    chosen = ",".join(filter(None, (whole, part)))
    return f"{_rate(name, chosen, by)} / ignoring ({by}) group_left {_rate(name, whole)}"


def _ratio(part: str, whole: str) -> str:
    return f"{part} / {whole}"


def _quantile(q: float, name: str, matchers: str = "", by: str = "le") -> str:
    return f"histogram_quantile({q}, {_rate(f'{name}_bucket', matchers, by)})"


_EDGE = 'job="edge"'
_LANGUAGE = 'language="$language"'
_ACTIONS = "champion_action, shadow_action"
_FIRED = f'{_LANGUAGE},measure="fired"'
_REFUSED = f'{_LANGUAGE},measure="refused"'
_STEERED = f'{_LANGUAGE},action="steer"'

FLEET = (
    Panel(
        "Are we serving?",
        "Edges that answer. 0 is an outage.",
        (Query('sum(up{job="edge"})', "edges"),),
        kind="number",
        width=6,
    ),
    Panel(
        "How many languages are calibrated?",
        "It must not fall.",
        (
            Query(
                'count(count by (language) (recal_calibration_info{role="champion"} == 1))',
                "languages",
            ),
        ),
        kind="number",
        width=6,
    ),
    Panel(
        "Does any language drift?",
        "Alarms of the monitor, by what it measures: `fired` is the steered share. 0.",
        (Query("sum by (measure) (recal_drift_alarm)", "{{measure}}"),),
        kind="number",
        width=6,
    ),
    Panel(
        "Is drift watched?",
        "Since the monitor last read the counters: half a minute. Above 10 minutes: runbook.",
        (Query("time() - max(recal_drift_read_timestamp_seconds)", "age"),),
        "s",
        "number",
        6,
    ),
    Panel(
        "Does every replica's count reach the monitor?",
        "Series that it reads; it grows with languages and replicas. 0 is a wrong address.",
        (Query("max(recal_drift_series)", "series"),),
        kind="number",
        width=6,
    ),
    Panel(
        "Which calibrations do not fit their traffic?",
        "1: a share is steered that no mix of the calibration's own prompts would give.",
        (Query("count(recal_drift_outside_calibration == 1) or vector(0)", "outside calibration"),),
        kind="number",
        width=6,
    ),
    Panel(
        "Does anything get through by a looser row?",
        "Bypasses in the last hour. 0, or somebody chose so.",
        (Query("sum(increase(recal_bypasses_total[1h])) or vector(0)", "bypasses"),),
        kind="number",
        width=6,
    ),
    Panel(
        "How long since the registry was heard?",
        "A few seconds. Above 5 minutes: runbook.",
        (Query("max(recal_registry_age_seconds)", "age"),),
        "s",
        "number",
        6,
    ),
    Panel(
        "In which mode does each door serve, and which build is it?",
        "One row, but during a change.",
        (Query("count by (mode, software_version) (recal_serving_info == 1)", ""),),
        kind="table",
    ),
    Panel(
        "How many calls are there?",
        "By method.",
        (Query(_rate("recal_requests_total", _EDGE, "method"), "{{method}}"),),
        "reqps",
    ),
    Panel(
        "Which calls fail?",
        "Shares of all calls by status, OK left out.",
        (Query(_share("recal_requests_total", 'status!="OK"', _EDGE, "status"), "{{status}}"),),
        "percentunit",
    ),
    Panel(
        "How long do callers wait?",
        "The edge's own time of a whole call.",
        tuple(
            Query(_quantile(q, "recal_request_seconds", _EDGE), f"p{q:.0%}"[:-1])
            for q in (0.5, 0.95, 0.99)
        ),
        "s",
    ),
    Panel(
        "When does the first token come?",
        "From asking generation. Above 2 s at p95: runbook.",
        tuple(
            Query(_quantile(q, "recal_stage_seconds", 'stage="first_token"'), f"p{q:.0%}"[:-1])
            for q in (0.5, 0.95)
        ),
        "s",
    ),
    Panel(
        "Where does the time go?",
        "Mean time by stage.",
        (
            Query(
                _ratio(
                    _rate("recal_stage_seconds_sum", by="stage"),
                    _rate("recal_stage_seconds_count", by="stage"),
                ),
                "{{stage}}",
            ),
        ),
        "s",
    ),
    Panel(
        "Who waits for a batch?",
        "The longest queue of each service; it must come back to 0.",
        (Query("max by (service) (recal_queue_depth)", "{{service}}"),),
    ),
    Panel(
        "How many threads compute?",
        "The most of any process, by pool; `torch`, `blas` and `openmp` are the setting `threads`.",
        (Query("max by (pool) (recal_threads)", "{{pool}}"),),
    ),
    Panel(
        "What is decided?",
        "Verdicts by action.",
        (Query(_rate("recal_verdicts_total", by="action"), "{{action}}"),),
        "reqps",
    ),
    Panel(
        "In which languages are most prompts steered?",
        "Of those that a score decided, over an hour.",
        (Query("topk(15, language:recal_steered:ratio_rate1h)", "{{language}}"),),
        "percentunit",
    ),
    Panel(
        "In which languages do most answers refuse?",
        "Of those that were generated, over an hour.",
        (Query("topk(15, language:recal_refused:ratio_rate1h)", "{{language}}"),),
        "percentunit",
    ),
    Panel(
        "What is decided without a score?",
        "Verdicts by reason, `score` left out, as shares of all.",
        (Query(_share("recal_verdicts_total", 'reason!="score"', by="reason"), "{{reason}}"),),
        "percentunit",
    ),
    Panel(
        "In which languages do people write?",
        "The fifteen with most verdicts; `other` has no calibration.",
        (Query(f"topk(15, {_rate('recal_verdicts_total', by='language')})", "{{language}}"),),
        "reqps",
    ),
    Panel(
        "For which texts is no language named?",
        "Abstentions by kind; `unreachable` is a fault.",
        (Query(_rate("recal_language_abstentions_total", by="abstention"), "{{abstention}}"),),
        "reqps",
    ),
    Panel(
        "Is any verdict missing from the audit?",
        "Lines lost in the last hour. 0, or a disk is full.",
        (Query("sum(increase(recal_audit_dropped_total[1h])) or vector(0)", "lines"),),
        kind="number",
    ),
)

LANGUAGE = (
    Panel(
        "Which calibration serves?",
        "One champion, on every replica; in a rollout its challenger or shadow beside it.",
        (Query(f"recal_calibration_info{{{_LANGUAGE}}} == 1", ""),),
        kind="table",
    ),
    Panel(
        "How old is the calibration?",
        "Since it was made. Beyond `policy.max_calibration_age_days` it is stale.",
        (
            Query(
                f"time() - max by (calibration_version) "
                f"(recal_calibration_created_timestamp_seconds{{{_LANGUAGE}}} > 0)",
                "{{calibration_version}}",
            ),
        ),
        "s",
        "number",
    ),
    Panel(
        "What is decided?",
        "Shares by action. `steer` moving by itself is drift, or an attack.",
        (Query(_share("recal_verdicts_total", "", _LANGUAGE, "action"), "{{action}}"),),
        "percentunit",
    ),
    Panel(
        "Where do scores lie beside the threshold?",
        "Quantiles of the scores, and the steer threshold.",
        (
            *(
                Query(_quantile(q, "recal_score", _LANGUAGE), f"p{q:.0%}"[:-1])
                for q in (0.1, 0.5, 0.9)
            ),
            Query(f"max(recal_threshold{{{_LANGUAGE}}})", "threshold"),
        ),
    ),
    Panel(
        "How are scores spread?",
        "Scores of the range that is shown, by bucket.",
        (Query(f"sum by (le) (increase(recal_score_bucket{{{_LANGUAGE}}}[$__range]))", "{{le}}"),),
        kind="bars",
    ),
    Panel(
        "Do steered answers refuse?",
        "Answers whose text reads as a refusal, by action, as shares of those generated.",
        (
            Query(
                _ratio(
                    _rate("recal_refusals_observed_total", _LANGUAGE, "action"),
                    _rate("recal_answers_total", _LANGUAGE, "action"),
                ),
                "{{action}}",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Which answers does the monitor withdraw?",
        "By why, beside answers that ended. `non_finite` is a fault.",
        (
            Query(
                f"{_rate('recal_monitor_stops_total', _LANGUAGE, 'reason')} / ignoring (reason) "
                f"group_left {_rate('recal_answers_total', _LANGUAGE)}",
                "{{reason}}",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Are as many steered as when the version was new?",
        "The last 2,000 prompts, the baseline, and the band that a shift must leave.",
        (
            Query(f"recal_drift_observed_rate{{{_FIRED}}}", "now, {{calibration_version}}"),
            Query(f"recal_drift_baseline_rate{{{_FIRED}}}", "baseline, {{calibration_version}}"),
            Query(f"recal_drift_band{{{_FIRED}}}", "{{bound}}, {{calibration_version}}"),
        ),
        "percentunit",
    ),
    Panel(
        "Do as many answers refuse as then?",
        "The last 2,000 answers, and the baseline.",
        (
            Query(f"recal_drift_observed_rate{{{_REFUSED}}}", "now, {{calibration_version}}"),
            Query(f"recal_drift_baseline_rate{{{_REFUSED}}}", "baseline, {{calibration_version}}"),
        ),
        "percentunit",
    ),
    Panel(
        "How near is an alarm?",
        "Evidence for a shift: at 1 it is raised, at 0 it ends.",
        (Query(f"recal_drift_evidence{{{_LANGUAGE}}}", "{{measure}}, {{calibration_version}}"),),
        "percentunit",
    ),
    Panel(
        "Do scores lie as they did?",
        "Stability index: by habit, below 0.1 calm, above 0.25 not. No test: the evidence is.",
        (Query(f"recal_drift_psi{{{_LANGUAGE}}}", "{{against}}, {{calibration_version}}"),),
    ),
    Panel(
        "How many prompts look harmful?",
        "Share of harmful prompts in the mix of the calibration's scores that live ones look like.",
        (Query(f"recal_drift_harmful_share{{{_LANGUAGE}}}", "{{calibration_version}}"),),
        "percentunit",
    ),
    Panel(
        "Is the baseline learned?",
        "Requests so far, and 1 where shifts are looked for.",
        (
            Query(f"recal_drift_requests{{{_LANGUAGE}}}", "requests, {{measure}}"),
            Query(f"recal_drift_watching{{{_LANGUAGE}}}", "watched, {{measure}}"),
        ),
        kind="table",
    ),
    Panel(
        "What is decided without a score?",
        "By reason.",
        (
            Query(
                _rate("recal_verdicts_total", f'{_LANGUAGE},reason!="score"', "reason"),
                "{{reason}}",
            ),
        ),
        "reqps",
    ),
    Panel(
        "Does anything get through by a looser row?",
        "Bypasses by reason.",
        (Query(_rate("recal_bypasses_total", _LANGUAGE, "reason"), "{{reason}}"),),
        "reqps",
    ),
    Panel(
        "How much traffic is there?",
        "Verdicts; below 1 a minute the shares above say little.",
        (Query(_rate("recal_verdicts_total", _LANGUAGE, "language"), "{{language}}"),),
        "reqps",
    ),
)

ROLLOUT = (
    Panel(
        "Which versions serve, and on how many replicas?",
        "After a promotion: one champion, within seconds.",
        (
            Query(
                "count by (calibration_version, role) "
                f"(recal_calibration_info{{{_LANGUAGE}}} == 1)",
                "{{calibration_version}} {{role}}",
            ),
        ),
    ),
    Panel(
        "What do replicas find at the registry?",
        "`swapped` once each; `refused` or `unreachable`: runbook.",
        (Query(_rate("recal_reloads_total", 'outcome!="unchanged"', "outcome"), "{{outcome}}"),),
    ),
    Panel(
        "Does the new version steer as the old one did?",
        "Share of verdicts that steer, by version.",
        (
            Query(
                _ratio(
                    _rate("recal_verdicts_total", _STEERED, "calibration_version"),
                    _rate("recal_verdicts_total", _LANGUAGE, "calibration_version"),
                ),
                "{{calibration_version}}",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Which version decides?",
        "Verdicts by version.",
        (
            Query(
                _rate("recal_verdicts_total", _LANGUAGE, "calibration_version"),
                "{{calibration_version}}",
            ),
        ),
        "reqps",
    ),
    Panel(
        "Does the challenger get its share?",
        "Its share of the verdicts beside the share that was set.",
        (
            Query(
                _share("recal_verdicts_total", "", _LANGUAGE, "calibration_version"),
                "{{calibration_version}}",
            ),
            Query(f"max(recal_canary_share{{{_LANGUAGE}}})", "share"),
        ),
        "percentunit",
    ),
    Panel(
        "Where would the shadow decide otherwise?",
        "Share of its language's prompts, by what the champion does and what it would do.",
        (
            Query(
                _share("recal_shadow_comparisons_total", "", _LANGUAGE, _ACTIONS),
                "{{champion_action}}, shadow {{shadow_action}}",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Which replica has not heard of the registry?",
        "Age by pod.",
        (Query("max by (pod) (recal_registry_age_seconds)", "{{pod}}"),),
        "s",
    ),
    Panel(
        "Which colour works?",
        "Verdicts by colour: during a change both, then one.",
        (Query(_rate("recal_verdicts_total", by="recal_dev_colour"), "{{recal_dev_colour}}"),),
        "reqps",
    ),
    Panel(
        "Is the new colour slower?",
        "First token, p95, by colour.",
        (
            Query(
                _quantile(
                    0.95, "recal_stage_seconds", 'stage="first_token"', "le, recal_dev_colour"
                ),
                "{{recal_dev_colour}}",
            ),
        ),
        "s",
    ),
    Panel(
        "Do calls fail meanwhile?",
        "Calls by status, OK left out.",
        (Query(_rate("recal_requests_total", f'{_EDGE},status!="OK"', "status"), "{{status}}"),),
        "reqps",
    ),
)

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
