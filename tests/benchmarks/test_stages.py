"""The benchmark runs as its docstring says; its numbers are nobody's business here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks import stages
from recal.languages import HIGH
from recal.organism.corpus import corpus_prompts
from recal.prompts import select, spread

pytestmark = pytest.mark.organism


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("stages") / "report.json"
    stages.BENCHMARK.main(["--quick", "--json", str(target)])
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def test_every_stage_and_every_call_has_its_times(report: dict[str, Any]) -> None:
    assert set(report["stages"]) == set(stages.STAGES)
    rows = [*report["stages"].values(), *report["at_the_client"].values()]
    assert all(0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] for row in rows)


def test_stages_do_not_take_longer_than_the_whole(report: dict[str, Any]) -> None:
    p50 = {name: row["p50_ms"] for name, row in report["stages"].items()}
    assert p50["first_token"] <= p50["generation"] <= p50["total"]
    assert p50["total"] <= report["at_the_client"]["Recal.Generate"]["p90_ms"]


def test_every_prompt_is_either_compared_or_left_out(report: dict[str, Any]) -> None:
    compared = report["gated_by_untouched"]
    n_prompts = len(spread(select(corpus_prompts(HIGH), split="test"), stages.N_PER_CLASS_QUICK))
    assert compared["pairs"] + compared["left_out_for_other_length"] == n_prompts
    assert compared["pairs"] > 0


def test_it_says_what_was_measured_on(report: dict[str, Any]) -> None:
    assert "model organism" in report["model"]
    assert report["runtime"] == "one process"
    assert report["cpu"]
    assert report["weights"]
