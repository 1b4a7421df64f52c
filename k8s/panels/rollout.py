"""How does a rollout go?"""

from __future__ import annotations

from k8s.panels.panel import (
    BOTH_ACTIONS,
    OF_EDGE,
    OF_LANGUAGE,
    OF_STEERED,
    Panel,
    Query,
    quantile,
    rate,
    ratio,
    share,
)

ROLLOUT: tuple[Panel, ...] = (
    Panel(
        "Which versions serve, and on how many replicas?",
        "After a promotion: one champion, within seconds.",
        (
            Query(
                "count by (calibration_version, role) "
                f"(recal_calibration_info{{{OF_LANGUAGE}}} == 1)",
                "{{calibration_version}} {{role}}",
            ),
        ),
    ),
    Panel(
        "What do replicas find at the registry?",
        "`swapped` once each; `refused` or `unreachable`: runbook.",
        (Query(rate("recal_reloads_total", 'outcome!="unchanged"', "outcome"), "{{outcome}}"),),
    ),
    Panel(
        "Does the new version steer as the old one did?",
        "Share of verdicts that steer, by version.",
        (
            Query(
                ratio(
                    rate("recal_verdicts_total", OF_STEERED, "calibration_version"),
                    rate("recal_verdicts_total", OF_LANGUAGE, "calibration_version"),
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
                rate("recal_verdicts_total", OF_LANGUAGE, "calibration_version"),
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
                share("recal_verdicts_total", "", OF_LANGUAGE, "calibration_version"),
                "{{calibration_version}}",
            ),
            Query(f"max(recal_canary_share{{{OF_LANGUAGE}}})", "share"),
        ),
        "percentunit",
    ),
    Panel(
        "Where would the shadow decide otherwise?",
        "Share of its language's prompts, by what the champion does and what it would do.",
        (
            Query(
                share("recal_shadow_comparisons_total", "", OF_LANGUAGE, BOTH_ACTIONS),
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
        (Query(rate("recal_verdicts_total", by="recal_dev_colour"), "{{recal_dev_colour}}"),),
        "reqps",
    ),
    Panel(
        "Is the new colour slower?",
        "First token, p95, by colour.",
        (
            Query(
                quantile(
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
        (Query(rate("recal_requests_total", f'{OF_EDGE},status!="OK"', "status"), "{{status}}"),),
        "reqps",
    ),
)
