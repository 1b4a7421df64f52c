"""How many threads a process computes with: set here alone, and read back from the libraries.

What is not set: gRPC's own pool, for which it has no setting; it sleeps unless there is work. All
handlers are coroutines of the one event loop.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

from services.telemetry import THREADS, Meter

log = logging.getLogger(__name__)

_INTEROP = 1
"""Eager inference runs one operation after the other."""


def thread_environment(n: int) -> dict[str, str]:
    """What a process that is to be started computes with, before it has imported anything."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    # prompts are tokenised one by one, so that a pool of the tokenizer's own would never help
    return {name: str(n) for name in names} | {"TOKENIZERS_PARALLELISM": "false"}


def set_threads(n: int) -> None:
    """Compute with `n` threads from now on, with whatever is loaded already or later.

    Args:
        n: threads inside one operation of torch, BLAS or OpenMP.
    """
    os.environ.update(thread_environment(n))
    threadpool_limits(limits=n)
    torch: Any = sys.modules.get("torch")  # an edge has none
    if torch is None:
        return
    torch.set_num_threads(n)
    if torch.get_num_interop_threads() != _INTEROP:
        try:
            torch.set_num_interop_threads(_INTEROP)
        except RuntimeError:  # they run already
            log.warning("torch keeps %d inter-op threads", torch.get_num_interop_threads())


def threads_in_use() -> dict[str, int]:
    """What the libraries of this process say of themselves, by pool.

    `torch` and `torch_interop` are there when torch is loaded, `blas` and `openmp` when such a
    library is, each with the most threads of any of them.
    """
    found = {"tokenizers": 1 if os.environ.get("TOKENIZERS_PARALLELISM") == "false" else _cpus()}
    for pool in threadpool_info():
        name = str(pool["user_api"])
        found[name] = max(found.get(name, 1), int(pool["num_threads"]))
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = torch.get_num_threads()
        found["torch_interop"] = torch.get_num_interop_threads()
    return found


def report_threads(meter: Meter) -> None:
    """Show what is in use among the metrics and in the log."""
    found = threads_in_use()
    for pool, n in found.items():
        meter.gauge(THREADS, n, pool=pool)
    log.info("threads: %s", ", ".join(f"{pool} {n}" for pool, n in sorted(found.items())))


def use_threads(n: int, meter: Meter) -> None:
    """`set_threads`, and show it."""
    set_threads(n)
    report_threads(meter)


def _cpus() -> int:
    return os.cpu_count() or 1
