"""Alerts fire when they should, stay quiet when they should, and lead to the runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.settings import Settings
from tests.deploy.promql import promtool, unknown_names
from tests.deploy.rendered import ROOT, named, overlay

pytestmark = pytest.mark.deploy

CASES = yaml.safe_load((ROOT / "tests/deploy/alerts.yaml").read_text(encoding="utf-8"))


def groups() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = named(overlay("prod"), "PrometheusRule", "recal")["spec"][
        "groups"
    ]
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def recorded() -> dict[str, str]:
    """Expressions of the recording rules, by name."""
    found = [rule for group in groups() for rule in group["rules"] if "record" in rule]
    return {rule["record"]: rule["expr"] for rule in found}


def rules_file(folder: Path) -> Path:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups()}), encoding="utf-8")
    return path


def filled(text: str, labels: dict[str, str]) -> str:
    """An annotation as Prometheus writes it."""
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)


def expected(rule: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    annotations = {key: filled(text, labels) for key, text in rule["annotations"].items()}
    return {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": annotations}


def test_of(rule: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """One case in promtool's form."""
    series = [{"series": name, "values": str(v)} for name, v in case["series"].items()]
    alerts = [expected(rule, labels) for labels in case.get("for", ())]
    checked = {"eval_time": case["at"], "alertname": rule["alert"], "exp_alerts": alerts}
    return {
        "interval": case.get("every", "1m"),
        "input_series": series,
        "alert_rule_test": [checked],
    }


test_of.__test__ = False  # type: ignore[attr-defined]


def outcome_of(cases: list[tuple[dict[str, Any], dict[str, Any]]], folder: Path) -> str:
    """What promtool finds wrong with cases; empty when nothing."""
    content = {
        "rule_files": [str(rules_file(folder))],
        "evaluation_interval": cases[0][1].get("every", "1m"),
        "tests": [test_of(rule, case) for rule, case in cases],
    }
    path = folder / "cases.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    done = promtool("test", "rules", path)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    done = promtool("check", "rules", rules_file(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_is_quiet() -> None:
    assert sorted(CASES) == sorted(rule["alert"] for rule in rules())
    assert all(case["fires"]["for"] and "for" not in case["quiet"] for case in CASES.values())


def test_alerts_fire_and_stay_quiet_as_their_cases_say(tmp_path: Path) -> None:
    cases = [(rule, CASES[rule["alert"]][kind]) for rule in rules() for kind in ("fires", "quiet")]
    for every in ("1m", "10m"):  # how often promtool evaluates, for all cases of a file
        some = [(rule, case) for rule, case in cases if case.get("every", "1m") == every]
        assert outcome_of(some, tmp_path) == ""


RECORDED = {
    "language:recal_steered:ratio_rate1h": (
        {
            'recal_verdicts_total{language="sw",reason="score",action="steer"}': "0+1x120",
            'recal_verdicts_total{language="sw",reason="score",action="none"}': "0+3x120",
            'recal_verdicts_total{language="sw",reason="language_mixed",action="steer"}': "0+9x120",
        },
        0.25,
    ),
    "language:recal_refused:ratio_rate1h": (
        {
            'recal_answers_total{language="sw",action="steer"}': "0+8x120",
            'recal_refusals_observed_total{language="sw",action="steer"}': "0+6x120",
        },
        0.75,
    ),
}
"""Series, and what a rule makes of them after two hours."""


@pytest.mark.parametrize("wrong", [0.0, 0.125])
def test_recording_rules_say_what_their_cases_say(tmp_path: Path, wrong: float) -> None:
    assert set(recorded()) == set(RECORDED)
    tests = []
    for name, (series, value) in RECORDED.items():
        samples = [{"labels": f'{name}{{language="sw"}}', "value": value + wrong}]
        inputs = [{"series": key, "values": values} for key, values in series.items()]
        expected = [{"expr": name, "eval_time": "2h", "exp_samples": samples}]
        tests.append({"interval": "1m", "input_series": inputs, "promql_expr_test": expected})
    content = {"rule_files": [str(rules_file(tmp_path))], "evaluation_interval": "1m"}
    path = tmp_path / "recorded.yaml"
    path.write_text(yaml.safe_dump({**content, "tests": tests}), encoding="utf-8")
    assert (promtool("test", "rules", path).returncode == 0) is (wrong == 0)


def test_recording_rules_use_metrics_and_labels_that_the_code_exports() -> None:
    assert [name for expr in recorded().values() for name in unknown_names(expr)] == []


def test_a_case_that_is_not_met_is_noticed(tmp_path: Path) -> None:
    rule = rules()[0]
    case = {**CASES[rule["alert"]]["quiet"], "for": CASES[rule["alert"]]["fires"]["for"]}
    assert "FAILED" in outcome_of([(rule, case)], tmp_path)


def test_alerts_use_metrics_and_labels_that_the_code_exports() -> None:
    unknown = {each["alert"]: list(unknown_names(each["expr"])) for each in rules()}
    assert {alert: names for alert, names in unknown.items() if names} == {}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("rate(recal_verdict_total[5m])", ["recal_verdict_total"]),
        ('recal_reloads_total{result="refused"}', ["recal_reloads_total{result}"]),
        ("sum by (tenant) (recal_bypasses_total)", ["by (tenant)"]),
        ('sum by (language) (recal_bypasses_total{job="ray"})', []),
    ],
)
def test_a_name_that_the_code_does_not_export_is_noticed(expression: str, names: list[str]) -> None:
    assert list(unknown_names(expression)) == names


def anchors(document: Path) -> set[str]:
    """Anchors of a document's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_alert_leads_to_a_section_of_the_runbook() -> None:
    for rule in rules():
        document, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert anchor in anchors(ROOT / document), rule["alert"]


def test_every_alert_says_whom_to_call() -> None:
    assert {rule["labels"]["severity"] for rule in rules()} == {"page", "ticket"}


def test_a_queue_is_called_full_at_four_fifths_of_what_the_settings_allow() -> None:
    [rule] = [rule for rule in rules() if rule["alert"] == "RecalQueueFull"]
    limit = int(rule["expr"].rpartition(">")[2])
    settings = Settings()
    assert limit == int(0.8 * settings.gate.max_queue) == int(0.8 * settings.generation.max_queue)
