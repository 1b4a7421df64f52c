"""All science benchmarks, one after the other, into one report.

python -m benchmarks.science [--quick] [--json FILE] [--skip NAMES] [--data PATH] [--root PATH]

Each also runs alone: python -m benchmarks.science.NAME. Organisms that are not there yet are
trained first, which takes an hour on a core. Exit status 1 where one fails, or golden parity does
not hold; a missed bar is printed, and is no failure.
"""

from __future__ import annotations

from benchmarks.report import Benchmark
from benchmarks.science import (
    actuation,
    answers,
    directions,
    end_to_end,
    golden,
    organisms,
    readouts,
    thresholds,
    thresholds_simulated,
)
from benchmarks.science.organisms import add_options
from benchmarks.together import Together

ON_ORGANISMS: tuple[Benchmark, ...] = (
    organisms.BENCHMARK,
    readouts.BENCHMARK,
    directions.BENCHMARK,
    thresholds.BENCHMARK,
    end_to_end.BENCHMARK,
)
"""They read real prompts, and share organisms and activations."""
ALL: tuple[Benchmark, ...] = (
    golden.BENCHMARK,
    thresholds_simulated.BENCHMARK,
    actuation.BENCHMARK,
    answers.BENCHMARK,
    *ON_ORGANISMS,
)
TOGETHER = Together(__package__, __doc__, ALL, add_options, sharing=ON_ORGANISMS)
main = TOGETHER.main


if __name__ == "__main__":
    main()
