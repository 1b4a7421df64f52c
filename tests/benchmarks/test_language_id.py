"""Shares of prompts that are named right; what they are is told by the whole corpus alone."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.language_id import BENCHMARK
from recal.languages import ALL


def test_shares_of_every_language_add_up_and_most_prompts_are_recognised(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    BENCHMARK.main(["--quick", "--json", str(target)])
    report = json.loads(target.read_text(encoding="utf-8"))
    assert set(report["accuracy"]) == set(ALL)
    for shares in report["accuracy"].values():
        assert abs(sum(shares.values()) - 1) < 0.001
    assert report["accuracy"]["en"]["recognised"] > 0.9
