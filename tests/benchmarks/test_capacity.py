"""The benchmark runs as its docstring says; its numbers are nobody's business here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.capacity import BENCHMARK, LANGUAGES, RATES

pytestmark = pytest.mark.organism


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("capacity") / "report.json"
    BENCHMARK.main(["--quick", "--json", str(target)])
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return found


def test_every_cost_is_measured_and_an_answer_costs_more_than_its_verdict(
    report: dict[str, Any],
) -> None:
    measured = report["measured"]
    assert all(seconds > 0 for seconds in measured.values())
    assert measured["generate"] > measured["check"]


def test_every_rate_and_number_of_languages_has_its_fleet(report: dict[str, Any]) -> None:
    found = [(fleet["rate"], fleet["languages"]) for fleet in report["fleets"]]
    assert found == [(rate, n) for rate in RATES for n in LANGUAGES]
