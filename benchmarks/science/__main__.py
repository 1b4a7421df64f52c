"""All science benchmarks, one after the other, into one report.

python -m benchmarks.science [--quick] [--json FILE] [--skip NAMES] [--data PATH] [--root PATH]

Each also runs alone: python -m benchmarks.science.NAME. Organisms that are not there yet are
trained first, which takes an hour on a core. Exit status 1 where one fails, or golden parity does
not hold; a missed bar is printed, and is no failure.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.science import (
    actuation,
    end_to_end,
    golden,
    organisms,
    readouts,
    thresholds,
    thresholds_simulated,
)
from benchmarks.science.organisms import add_options
from benchmarks.science.report import Benchmark, header, in_words, write
from recal.demo.results import Bar

ON_ORGANISMS: tuple[Benchmark, ...] = (
    organisms.BENCHMARK,
    readouts.BENCHMARK,
    thresholds.BENCHMARK,
    end_to_end.BENCHMARK,
)
"""They read real prompts, and share organisms and activations."""
ALL: tuple[Benchmark, ...] = (
    golden.BENCHMARK,
    thresholds_simulated.BENCHMARK,
    actuation.BENCHMARK,
    *ON_ORGANISMS,
)
NAMES = tuple(benchmark.name for benchmark in ALL)


def main(
    arguments: Sequence[str] | None = None, *, benchmarks: Sequence[Benchmark] = ALL
) -> dict[str, Any]:
    """Run all that are not skipped; the report.

    Raises:
        SystemExit: an unknown name is skipped, the prompts are not there, or a benchmark failed.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, shared = _parsers()
    options, for_organisms = parser.parse_known_args(given)
    shared.parse_args(for_organisms)  # now, not after an hour
    skipped = set(filter(None, options.skip.split(",")))
    if unknown := skipped - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; choose of {', '.join(NAMES)}")
    started, reports, failed = time.monotonic(), {}, []
    chosen = [benchmark for benchmark in benchmarks if benchmark.name not in skipped]
    for number, benchmark in enumerate(chosen, start=1):
        print(f"\n[{number} of {len(chosen)}] {benchmark.name}", flush=True)
        forwarded = ["--quick"] * options.quick
        forwarded += for_organisms if benchmark in ON_ORGANISMS else []
        try:
            reports[benchmark.name] = benchmark.report(forwarded)
        except Exception:  # the others are still worth their hour
            traceback.print_exc()
            failed.append(benchmark.name)
    report = {"quick": options.quick}
    report |= _together(given, reports, failed, time.monotonic() - started)
    print("\n" + _summary(report))
    if options.json is not None:
        write(options.json, report)
    if failed or not all(bar["met"] for bar in report["bars"] if bar["strict"]):
        sys.exit(1)
    return report


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Our own options, and those that the benchmarks on organisms get."""
    shared = argparse.ArgumentParser(add_help=False)
    add_options(shared)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.science",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=shared.format_help(),
    )
    parser.add_argument("--quick", action="store_true", help="small: shows that all run")
    parser.add_argument("--skip", default="", metavar="NAMES", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here too")
    return parser, shared


def _together(
    given: Sequence[str], reports: dict[str, Any], failed: Sequence[str], seconds: float
) -> dict[str, Any]:
    """All reports, with their bars and weights in one place each."""
    strict = {benchmark.name for benchmark in ALL if benchmark.strict}
    return {
        **header("benchmarks.science", given, seconds),
        "failed": list(failed),
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


if __name__ == "__main__":
    main()
