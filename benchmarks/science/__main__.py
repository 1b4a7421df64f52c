"""All science benchmarks, one after the other, into one report.

python -m benchmarks.science [--quick] [--json FILE] [--skip NAMES] [--data PATH] [--root PATH]

Each also runs alone: python -m benchmarks.science.NAME. Organisms that are not there yet are
trained first, which takes an hour on a core. Exit status 1 where one fails, or golden parity does
not hold; a missed bar is printed, and is no failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Benchmark
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
from benchmarks.together import run_all

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
    chosen = [benchmark for benchmark in benchmarks if benchmark.name not in skipped]
    return run_all(
        __package__,
        chosen,
        given,
        forwarded=lambda each: [
            *["--quick"] * options.quick,
            *(for_organisms if each in ON_ORGANISMS else []),
        ],
        quick=options.quick,
        target=options.json,
    )


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


if __name__ == "__main__":
    main()
