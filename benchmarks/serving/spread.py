"""Repeats to a figure, and two peers' repeats to a ratio: median, least and most.

Peers take turns, repeat by repeat, and each repeat has its own ratio, so that what changes on the
machine in the meantime changes both.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Spread:
    """A figure over repeats."""

    median: float
    low: float
    high: float
    repeats: int

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g}–{self.high:.3g})"


def spread_of(values: Sequence[float]) -> Spread:
    """Of repeats.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("there are no repeats; give at least 1")
    return Spread(median(values), min(values), max(values), len(values))


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours by theirs, of the same repeat each.

    Raises:
        ValueError: they have not been repeated equally often, or there are no repeats.
    """
    return spread_of([a / b for a, b in zip(ours, theirs, strict=True)])


def in_turns(
    peers: Mapping[str, Callable[[], Measured]], *, repeats: int, what: str | None = None
) -> dict[str, list[Measured]]:
    """Run every peer once in each repeat; who is first changes, so that nobody gains by it.

    Args:
        peers: what is run, by name.
        repeats: of each.
        what: is being measured; a line on stderr says so after every run. None: no line.
    """
    names = list(peers)
    found: dict[str, list[Measured]] = {name: [] for name in names}
    for repeat in range(repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()  # nobody pays for what another left
            started = time.monotonic()
            found[name].append(peers[name]())
            if what is not None:
                progress = f"{repeat + 1} of {repeats}, {time.monotonic() - started:.1f} s"
                print(f"{what}: {name} {progress}", file=sys.stderr, flush=True)
    return found
