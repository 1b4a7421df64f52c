"""Seconds of work on a device, and what the device can do at most."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.serving.spread import Spread, spread_of

_SIDE, _SIDE_ON_CPU = 8192, 512


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(run: Callable[[], object], device: torch.device, *, repeats: int) -> list[float]:
    """Of each repeat, after one that nobody times."""
    found = []
    for repeat in range(repeats + 1):
        synchronise(device)
        started = time.perf_counter()
        run()
        synchronise(device)
        if repeat:
            found.append(time.perf_counter() - started)
    return found


def peak_flops(device: torch.device, *, repeats: int) -> Spread:
    """Floating-point operations per second of a large square product in bfloat16, as measured."""
    side = _SIDE if device.type == "cuda" else _SIDE_ON_CPU
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return spread_of(
        [2.0 * side**3 / each for each in seconds(lambda: a @ b, device, repeats=repeats)]
    )
