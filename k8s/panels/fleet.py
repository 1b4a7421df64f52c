"""Is all of it well?"""

from __future__ import annotations

from k8s.panels.panel import OF_EDGE, Panel, Query, quantiles, rate, ratio, share

FLEET: tuple[Panel, ...] = (
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
        (Query(rate("recal_requests_total", OF_EDGE, "method"), "{{method}}"),),
        "reqps",
    ),
    Panel(
        "Which calls fail?",
        "Shares of all calls by status, OK left out.",
        (Query(share("recal_requests_total", 'status!="OK"', OF_EDGE, "status"), "{{status}}"),),
        "percentunit",
    ),
    Panel(
        "How long do callers wait?",
        "The edge's own time of a whole call.",
        quantiles((0.5, 0.95, 0.99), "recal_request_seconds", OF_EDGE),
        "s",
    ),
    Panel(
        "When does the first token come?",
        "From asking generation. Above 2 s at p95: runbook.",
        quantiles((0.5, 0.95), "recal_stage_seconds", 'stage="first_token"'),
        "s",
    ),
    Panel(
        "Where does the time go?",
        "Mean time by stage.",
        (
            Query(
                ratio(
                    rate("recal_stage_seconds_sum", by="stage"),
                    rate("recal_stage_seconds_count", by="stage"),
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
        (Query(rate("recal_verdicts_total", by="action"), "{{action}}"),),
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
        (Query(share("recal_verdicts_total", 'reason!="score"', by="reason"), "{{reason}}"),),
        "percentunit",
    ),
    Panel(
        "In which languages do people write?",
        "The fifteen with most verdicts; `other` has no calibration.",
        (Query(f"topk(15, {rate('recal_verdicts_total', by='language')})", "{{language}}"),),
        "reqps",
    ),
    Panel(
        "For which texts is no language named?",
        "Abstentions by kind; `unreachable` is a fault.",
        (Query(rate("recal_language_abstentions_total", by="abstention"), "{{abstention}}"),),
        "reqps",
    ),
    Panel(
        "Is any verdict missing from the audit?",
        "Lines lost in the last hour. 0, or a disk is full.",
        (Query("sum(increase(recal_audit_dropped_total[1h])) or vector(0)", "lines"),),
        kind="number",
    ),
)
