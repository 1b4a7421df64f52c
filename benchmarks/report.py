"""What a benchmark hands in: its numbers, its bars, and with what they were made."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.arguments import writable
from recal.demo.results import Bar

PACKAGES = ("recal-gate", "numpy", "scipy", "scikit-learn", "torch", "transformers")
"""Whose versions stand in every report."""


def in_words(bar: Bar) -> str:
    """One line for people."""
    return f"{'met   ' if bar.met else 'MISSED'} {bar.claim}: {bar.measured}"


@dataclass(frozen=True)
class Found:
    """What one benchmark measured."""

    results: Mapping[str, Any]
    """Plain data."""
    tables: str
    """Markdown."""
    bars: tuple[Bar, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    """Digest of each model's weights, by name; empty: no model was needed."""
    seed: int | None = None
    """None: whatever is drawn is numbered, or nothing is."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, alone on the command line or among all."""

    package: str
    """Where its module lies, e.g. `benchmarks.science`."""
    name: str
    """Of its module."""
    about: str
    measure: Callable[[argparse.Namespace], Found]
    add_options: Callable[[argparse.ArgumentParser], None]
    """Beside `--quick` and `--json`."""
    strict: bool = False
    """True: a missed bar is a failure."""
    check: Callable[[argparse.Namespace], None] = lambda _: None
    """Whether everything that it reads is there, which among many is asked before the first runs;
    SystemExit with what to do where it is not."""

    @property
    def module(self) -> str:
        """What `python -m` runs."""
        return f"{self.package}.{self.name}"

    def parser(self) -> argparse.ArgumentParser:
        """All options."""
        parser = argparse.ArgumentParser(
            prog=f"python -m {self.module}",
            description=self.about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_options(parser)
        parser.add_argument("--quick", action="store_true", help="small: shows that it runs")
        parser.add_argument(
            "--json", type=writable, metavar="FILE", help="write the numbers here too"
        )
        return parser

    def look(self, given: Sequence[str]) -> None:
        """Whether it could run; errors as `check`."""
        self.check(self.parser().parse_args(given))

    def report(self, given: Sequence[str]) -> dict[str, Any]:
        """Measure, print and, if asked, write; errors as `measure`."""
        options = self.parser().parse_args(given)
        torch.set_num_threads(getattr(options, "threads", 1))
        started = time.monotonic()
        found = self.measure(options)
        report = self._report(found, given, time.monotonic() - started, quick=options.quick)
        print(found.tables)
        print("\n".join(in_words(bar) for bar in found.bars), flush=True)
        if options.json is not None:
            write(options.json, report)
        return report

    def main(self, arguments: Sequence[str] | None = None) -> dict[str, Any]:
        """The same, from the command line.

        Raises:
            SystemExit: a bar of a strict benchmark is missed, or as `measure`.
        """
        report = self.report(list(sys.argv[1:] if arguments is None else arguments))
        if self.strict and not all(bar["met"] for bar in report["bars"]):
            sys.exit(1)
        return report

    def _report(
        self, found: Found, given: Sequence[str], seconds: float, *, quick: bool
    ) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            **header(self.module, given, seconds),
            "quick": quick,
            "seed": found.seed,
            "weights": dict(found.weights),
            "bars": [asdict(bar) for bar in found.bars],
            **found.results,
        }


def header(module: str, given: Sequence[str], seconds: float) -> dict[str, Any]:
    """With what, when and on what something was measured."""
    return {
        "command": " ".join(["python -m", module, *given]),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "cpu": _cpu(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def _cpu() -> str:
    """The processor, and the widest instructions that torch uses on it.

    Where these know no bfloat16 (AVX2), a product of many rows in it takes several times one in
    float32, and what a model costs beside the rest of serving is another than elsewhere.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{(names or ['unnamed'])[0]}, {torch.backends.cpu.get_cpu_capability()}"


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
