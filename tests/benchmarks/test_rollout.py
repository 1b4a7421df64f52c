"""The benchmark runs as its docstring says, in one process; a fleet of Ray is for hands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rollout.__main__ import BENCHMARK

pytestmark = pytest.mark.organism


def test_moves_an_outage_and_a_canary_fail_no_call_and_mix_no_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    options = ["--embedded", "--quick", "--moves", "4", "--outage", "1", "--poll", "0.5"]
    BENCHMARK.main([*options, "--clients", "2", "--json", str(target)])
    assert "move 4 of 4, followed in" in capsys.readouterr().err
    report = json.loads(target.read_text(encoding="utf-8"))
    assert (report["failed_calls"], report["failures"]) == (0, [])
    assert report["mixed_version_answers"] == 0
    assert report["canary_answers_of_another_version"] == 0
    assert report["canary_answers"] > 0
    assert report["registry_outages"] == 1
    # the move to the canary's champion is the fifth
    assert len(report["moves"]) == 5
    assert report["swap_seconds"] == max(each["seconds"] for each in report["moves"])
    assert report["calls"] > 5 * 16
