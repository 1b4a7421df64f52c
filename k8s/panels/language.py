"""How is one language, which is chosen above?"""

from __future__ import annotations

from k8s.panels.panel import (
    OF_FIRED,
    OF_LANGUAGE,
    OF_REFUSED,
    Panel,
    Query,
    quantiles,
    rate,
    ratio,
    share,
)

LANGUAGE: tuple[Panel, ...] = (
    Panel(
        "Which calibration serves?",
        "One champion, on every replica; in a rollout its challenger or shadow beside it.",
        (Query(f"recal_calibration_info{{{OF_LANGUAGE}}} == 1", ""),),
        kind="table",
    ),
    Panel(
        "How old is the calibration?",
        "Since it was made. Beyond `policy.max_calibration_age_days` it is stale.",
        (
            Query(
                f"time() - max by (calibration_version) "
                f"(recal_calibration_created_timestamp_seconds{{{OF_LANGUAGE}}} > 0)",
                "{{calibration_version}}",
            ),
        ),
        "s",
        "number",
    ),
    Panel(
        "What is decided?",
        "Shares by action. `steer` moving by itself is drift, or an attack.",
        (Query(share("recal_verdicts_total", "", OF_LANGUAGE, "action"), "{{action}}"),),
        "percentunit",
    ),
    Panel(
        "Where do scores lie beside the threshold?",
        "Quantiles of the scores, and the steer threshold.",
        (
            *quantiles((0.1, 0.5, 0.9), "recal_score", OF_LANGUAGE),
            Query(f"max(recal_threshold{{{OF_LANGUAGE}}})", "threshold"),
        ),
    ),
    Panel(
        "How are scores spread?",
        "Scores of the range that is shown, by bucket.",
        (
            Query(
                f"sum by (le) (increase(recal_score_bucket{{{OF_LANGUAGE}}}[$__range]))", "{{le}}"
            ),
        ),
        kind="bars",
    ),
    Panel(
        "Do steered answers refuse?",
        "Answers whose text reads as a refusal, by action, as shares of those generated.",
        (
            Query(
                ratio(
                    rate("recal_refusals_observed_total", OF_LANGUAGE, "action"),
                    rate("recal_answers_total", OF_LANGUAGE, "action"),
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
                f"{rate('recal_monitor_stops_total', OF_LANGUAGE, 'reason')} / ignoring (reason) "
                f"group_left {rate('recal_answers_total', OF_LANGUAGE)}",
                "{{reason}}",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Are as many steered as when the version was new?",
        "The last 2,000 prompts, the baseline, and the band that a shift must leave.",
        (
            Query(f"recal_drift_observed_rate{{{OF_FIRED}}}", "now, {{calibration_version}}"),
            Query(f"recal_drift_baseline_rate{{{OF_FIRED}}}", "baseline, {{calibration_version}}"),
            Query(f"recal_drift_band{{{OF_FIRED}}}", "{{bound}}, {{calibration_version}}"),
        ),
        "percentunit",
    ),
    Panel(
        "Do as many answers refuse as then?",
        "The last 2,000 answers, and the baseline.",
        (
            Query(f"recal_drift_observed_rate{{{OF_REFUSED}}}", "now, {{calibration_version}}"),
            Query(
                f"recal_drift_baseline_rate{{{OF_REFUSED}}}", "baseline, {{calibration_version}}"
            ),
        ),
        "percentunit",
    ),
    Panel(
        "How near is an alarm?",
        "Evidence for a shift: at 1 it is raised, at 0 it ends.",
        (Query(f"recal_drift_evidence{{{OF_LANGUAGE}}}", "{{measure}}, {{calibration_version}}"),),
        "percentunit",
    ),
    Panel(
        "Do scores lie as they did?",
        "Stability index: by habit, below 0.1 calm, above 0.25 not. No test: the evidence is.",
        (Query(f"recal_drift_psi{{{OF_LANGUAGE}}}", "{{against}}, {{calibration_version}}"),),
    ),
    Panel(
        "How many prompts look harmful?",
        "Share of harmful prompts in the mix of the calibration's scores that live ones look like.",
        (Query(f"recal_drift_harmful_share{{{OF_LANGUAGE}}}", "{{calibration_version}}"),),
        "percentunit",
    ),
    Panel(
        "Is the baseline learned?",
        "Requests so far, and 1 where shifts are looked for.",
        (
            Query(f"recal_drift_requests{{{OF_LANGUAGE}}}", "requests, {{measure}}"),
            Query(f"recal_drift_watching{{{OF_LANGUAGE}}}", "watched, {{measure}}"),
        ),
        kind="table",
    ),
    Panel(
        "What is decided without a score?",
        "By reason.",
        (
            Query(
                rate("recal_verdicts_total", f'{OF_LANGUAGE},reason!="score"', "reason"),
                "{{reason}}",
            ),
        ),
        "reqps",
    ),
    Panel(
        "Does anything get through by a looser row?",
        "Bypasses by reason.",
        (Query(rate("recal_bypasses_total", OF_LANGUAGE, "reason"), "{{reason}}"),),
        "reqps",
    ),
    Panel(
        "How much traffic is there?",
        "Verdicts; below 1 a minute the shares above say little.",
        (Query(rate("recal_verdicts_total", OF_LANGUAGE, "language"), "{{language}}"),),
        "reqps",
    ),
)
