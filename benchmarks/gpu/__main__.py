"""What the gate and the engine cost on one accelerator, at the shapes of production models.

python -m benchmarks.gpu [--quick] [--json FILE] [--skip NAMES] [options of every part]

Without an accelerator small models of the same architectures run in their place on a CPU, which
shows that the scripts run; no bar is asked of them.
"""

from __future__ import annotations

from benchmarks.gpu import compiled, generation, prefill
from benchmarks.gpu.options import add_options
from benchmarks.together import Together

ALL = (prefill.BENCHMARK, generation.BENCHMARK, compiled.BENCHMARK)
TOGETHER = Together(__package__, __doc__, ALL, add_options, sharing=ALL)
main = TOGETHER.main


if __name__ == "__main__":
    main()
