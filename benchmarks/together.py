"""Several benchmarks, one after the other, into one report."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.arguments import writable
from benchmarks.report import Benchmark, header, in_words, write
from recal.demo.results import Bar


@dataclass(frozen=True)
class Together:
    """All benchmarks of a package, by one command."""

    package: str
    """That `python -m` runs."""
    about: str
    benchmarks: tuple[Benchmark, ...]
    """In this order."""
    add_shared: Callable[[argparse.ArgumentParser], None]
    """Options that are forwarded to those that take them."""
    sharing: tuple[Benchmark, ...]
    """Those that take them."""

    def main(
        self,
        arguments: Sequence[str] | None = None,
        *,
        benchmarks: Sequence[Benchmark] | None = None,
    ) -> dict[str, Any]:
        """Run all that are not skipped; the report.

        Args:
            arguments: of the command line; its own by default.
            benchmarks: others in their place.

        Raises:
            SystemExit: an unknown name is skipped, what one of them reads is missing, one failed,
                or a bar of a strict one is missed; the latter two after all have run.
        """
        given = list(sys.argv[1:] if arguments is None else arguments)
        shared = argparse.ArgumentParser(prog=f"python -m {self.package}", add_help=False)
        self.add_shared(shared)
        parser = self._parser(shared)
        options, rest = parser.parse_known_args(given)
        shared.parse_args(rest)  # now, not after an hour
        names = [benchmark.name for benchmark in self.benchmarks]
        skipped = set(filter(None, options.skip.split(",")))
        if unknown := skipped - set(names):
            parser.error(f"no benchmark {', '.join(sorted(unknown))}; choose of {', '.join(names)}")
        chosen = self.benchmarks if benchmarks is None else benchmarks
        return _run_all(
            [each for each in chosen if each.name not in skipped],
            header=partial(header, self.package, given),
            forwarded=lambda each: [
                *["--quick"] * options.quick,
                *(rest if each in self.sharing else []),
            ],
            quick=options.quick,
            target=options.json,
        )

    def _parser(self, shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """Our own options; those that are forwarded stand below them in the help."""
        names = ", ".join(benchmark.name for benchmark in self.benchmarks)
        parser = argparse.ArgumentParser(
            prog=f"python -m {self.package}",
            description=self.about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=shared.format_help(),
        )
        parser.add_argument("--quick", action="store_true", help="small: shows that all run")
        parser.add_argument("--skip", default="", metavar="NAMES", help=f"of {names}")
        parser.add_argument(
            "--json", type=writable, metavar="FILE", help="write everything here too"
        )
        return parser


def _run_all(
    benchmarks: Sequence[Benchmark],
    *,
    header: Callable[[float], dict[str, Any]],
    forwarded: Callable[[Benchmark], Sequence[str]],
    quick: bool,
    target: Path | None,
) -> dict[str, Any]:
    """Run benchmarks one after the other; the report.

    Args:
        benchmarks: in this order.
        header: the report's, by the seconds that all took.
        forwarded: a benchmark's own arguments.
        quick: whether the numbers say nothing.
        target: where the report is written; None: nowhere.
    """
    for benchmark in benchmarks:
        benchmark.look(forwarded(benchmark))  # now, not after an hour
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
        **header(time.monotonic() - started),
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
