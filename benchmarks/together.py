"""Several benchmarks, one after the other, into one report."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Benchmark, header, in_words, write
from recal.demo.results import Bar


def run_all(
    package: str,
    benchmarks: Sequence[Benchmark],
    given: Sequence[str],
    *,
    forwarded: Callable[[Benchmark], Sequence[str]],
    quick: bool,
    target: Path | None,
) -> dict[str, Any]:
    """Run benchmarks; the report.

    Args:
        package: of the command that was given.
        benchmarks: in this order.
        given: the command's arguments, for the report.
        forwarded: a benchmark's own arguments.
        quick: whether the numbers say nothing.
        target: where the report is written; None: nowhere.

    Raises:
        SystemExit: a benchmark failed, or a bar of a strict one is missed; after all have run.
    """
    started, reports, failed = time.monotonic(), {}, []
    for number, benchmark in enumerate(benchmarks, start=1):
        print(f"\n[{number} of {len(benchmarks)}] {benchmark.name}", flush=True)
        try:
            reports[benchmark.name] = benchmark.report(forwarded(benchmark))
        except Exception:  # the others are still worth their hour
            traceback.print_exc()
            failed.append(benchmark.name)
    strict = {benchmark.name for benchmark in benchmarks if benchmark.strict}
    report = {
        "quick": quick,
        **header(package, given, time.monotonic() - started),
        "failed": failed,
        **_together(reports, strict),
    }
    print("\n" + _summary(report))
    if target is not None:
        write(target, report)
    if failed or not all(bar["met"] for bar in report["bars"] if bar["strict"]):
        sys.exit(1)
    return report


def _together(reports: dict[str, Any], strict: set[str]) -> dict[str, Any]:
    """All reports, with their bars and weights in one place each."""
    return {
        "seeds": {name: report["seed"] for name, report in reports.items()},
        "weights": {
            model: digest for each in reports.values() for model, digest in each["weights"].items()
        },
        "bars": [
            {"benchmark": name, **bar, "strict": name in strict}
            for name, report in reports.items()
            for bar in report["bars"]
        ],
        "benchmarks": reports,
    }


def _summary(report: dict[str, Any]) -> str:
    lines = [
        f"{each['benchmark']}: {in_words(Bar(each['claim'], each['measured'], each['met']))}"
        for each in report["bars"]
    ]
    n_met = sum(each["met"] for each in report["bars"])
    lines.append(f"{n_met} of {len(report['bars'])} bars met, in {report['seconds']:.0f} s")
    if report["quick"]:
        lines.append("a quick run shows that all run; its numbers and bars say nothing")
    lines += [f"FAILED: {name}; its error stands above" for name in report["failed"]]
    return "\n".join(lines)
