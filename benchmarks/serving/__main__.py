"""What serving costs beside its peers, in one report.

python -m benchmarks.serving [--quick] [--json FILE] [--only PARTS] [options of every part]

Each part also runs alone: python -m benchmarks.serving.PART. A missed bar is printed, and is no
failure: exit status 1 where a part fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Benchmark
from benchmarks.serving import checking, generation, languages
from benchmarks.serving.options import add_options
from benchmarks.together import run_all

ALL: tuple[Benchmark, ...] = (generation.BENCHMARK, checking.BENCHMARK, languages.BENCHMARK)


def main(
    arguments: Sequence[str] | None = None, *, benchmarks: Sequence[Benchmark] = ALL
) -> dict[str, Any]:
    """Run the parts that were asked for; the report.

    Raises:
        SystemExit: there is no such part, or one failed.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    names = [benchmark.name for benchmark in benchmarks]
    shared = argparse.ArgumentParser(add_help=False)
    add_options(shared)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=shared.format_help(),
    )
    parser.add_argument("--quick", action="store_true", help="small: shows that all run")
    parser.add_argument("--only", default=",".join(names), metavar="PARTS", help=", ".join(names))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here too")
    options, rest = parser.parse_known_args(given)
    shared.parse_args(rest)  # now, not after an hour
    only = list(filter(None, options.only.split(",")))
    if unknown := [name for name in only if name not in names]:
        parser.error(f"no part {', '.join(unknown)}; choose of {', '.join(names)}")
    return run_all(
        __package__,
        [benchmark for benchmark in benchmarks if benchmark.name in only],
        given,
        forwarded=lambda each: [*["--quick"] * options.quick, *rest],
        quick=options.quick,
        target=options.json,
    )


if __name__ == "__main__":
    main()
