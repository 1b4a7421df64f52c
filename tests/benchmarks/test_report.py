"""Every benchmark says with what it was made, and a strict one fails where a bar is missed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch

from benchmarks.report import Benchmark, Found
from benchmarks.science.golden import BENCHMARK, compare, compared
from benchmarks.science.released import values
from benchmarks.science.released.comparison import Comparison
from recal.demo.results import Bar


def made(*, met: bool, strict: bool) -> Benchmark:
    def measure(options: argparse.Namespace) -> Found:
        return Found(
            results={"answer": options.answer},
            tables="| a |",
            bars=(Bar("it answers", "42", met),),
            weights={"tiny": "ab12"},
            seed=7,
        )

    def add_options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--answer", type=int, default=0)

    return Benchmark(
        "benchmarks.science", "answers", "Answers.", measure, add_options, strict=strict
    )


def test_a_report_holds_command_versions_processor_seed_weights_and_bars(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.json"
    made(met=True, strict=False).main(["--answer", "42", "--json", str(target)])
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["command"].startswith("python -m benchmarks.science.answers --answer 42")
    assert report["versions"]["torch"]
    assert report["cpu"].endswith(f", {torch.backends.cpu.get_cpu_capability()}")
    assert (report["seed"], report["weights"]) == (7, {"tiny": "ab12"})
    assert report["bars"] == [{"claim": "it answers", "measured": "42", "met": True}]
    assert report["answer"] == 42


def test_a_missed_bar_is_printed_and_fails_a_strict_benchmark_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made(met=False, strict=False).main([])
    assert "MISSED it answers: 42" in capsys.readouterr().out
    with pytest.raises(SystemExit) as failed:
        made(met=False, strict=True).main([])
    assert failed.value.code == 1


def test_golden_parity_is_a_table_of_comparisons_that_all_hold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = BENCHMARK.main([])
    assert all(row["held"] for row in report["rows"])
    assert "| `hook/out_decode` |" in capsys.readouterr().out
    assert len(compare(whole=False)) == len(report["rows"])


def test_a_comparison_that_is_too_far_apart_does_not_hold() -> None:
    far = [
        Comparison[values.Golden]("far", "too large", lambda golden: 2.0, 1.0),
        Comparison[values.Golden]("few", "too small", lambda golden: 0.5, 1.0, at_least=True),
        Comparison[values.Golden]("none", "not a number", lambda golden: float("nan"), 1.0),
        Comparison[values.Golden]("near", "equal", lambda golden: 1.0, 1.0),
    ]
    assert [row.held for row in compared(far, values.from_copy())] == [False, False, False, True]
