"""What serving costs beside its peers, in one report.

python -m benchmarks.serving [--quick] [--json FILE] [--skip NAMES] [options of every part]

Each part also runs alone: python -m benchmarks.serving.PART. A missed bar is printed, and is no
failure: exit status 1 where a part fails.
"""

from __future__ import annotations

from benchmarks.serving import (
    checking,
    gating,
    generation,
    growth,
    languages,
    monitoring,
    overload,
    preparing,
    transport,
)
from benchmarks.serving.options import add_options
from benchmarks.together import Together

ALL = (
    generation.BENCHMARK,
    checking.BENCHMARK,
    gating.BENCHMARK,
    languages.BENCHMARK,
    monitoring.BENCHMARK,
    preparing.BENCHMARK,
    growth.BENCHMARK,
    overload.BENCHMARK,
    transport.BENCHMARK,
)
TOGETHER = Together(__package__, __doc__, ALL, add_options, sharing=ALL)
main = TOGETHER.main


if __name__ == "__main__":
    main()
