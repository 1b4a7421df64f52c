"""The clock of one request: how long each stage took, and how much time is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from services.errors import DeadlinePassed
from services.telemetry import INNER_STAGES, STAGE_SECONDS, Meter

T = TypeVar("T")


class Stages:
    """Lives as long as one request."""

    def __init__(self, meter: Meter, timeout_s: float | None) -> None:
        """Start the clock; `timeout_s` is what is left of the caller's deadline, None for ever."""
        self._meter = meter
        self._start = time.perf_counter()
        self._timeout_s = timeout_s
        self.timings_s: dict[str, float] = {}
        self._at = ""
        """The stage that runs."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request came."""
        return time.perf_counter() - self._start

    def time_left_s(self) -> float | None:
        """Seconds until the deadline; None without one.

        Raises:
            DeadlinePassed: there are none.
        """
        if self._timeout_s is None:
            return None
        left = self._timeout_s - self.elapsed_s
        if left <= 0:
            raise DeadlinePassed(self._passed())
        return left

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time a stage, also when it fails."""
        self.at(stage)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.took(stage, time.perf_counter() - start)

    def at(self, stage: str) -> None:
        """From now on this stage runs: a deadline that passes is told with its name."""
        self._at = stage

    def took(self, stage: str, seconds: float) -> None:
        """Record a stage's time."""
        self.timings_s[stage] = seconds
        self._meter.observe(STAGE_SECONDS, seconds, stage=stage)

    def told(self, outer: str, timings_s: Mapping[str, float]) -> None:
        """Take over what a service timed itself inside the stage `outer`; it has recorded it."""
        inner = INNER_STAGES[outer]
        self.timings_s |= {name: timings_s[name] for name in inner if name in timings_s}

    def ended(self) -> None:
        """Record what the whole took, and what of it lay between the services.

        `transport` is what their stages took beyond what gate and generation timed themselves:
        handles, wires, waiting event loops. Without any such times it is not known, and left out.
        """
        between = [
            self.timings_s[outer] - sum(self.timings_s[name] for name in told)
            for outer, inner in INNER_STAGES.items()
            if outer in self.timings_s
            and (told := [name for name in inner if name in self.timings_s])
        ]
        if between:
            self.took("transport", max(0.0, sum(between)))
        self.took("total", self.elapsed_s)

    async def within(self, work: Callable[[], Awaitable[T]], limit_s: float | None = None) -> T:
        """Wait for work, but not past the deadline; it is cancelled then.

        Raises:
            DeadlinePassed: the deadline came first.
            TimeoutError: `limit_s` came first.
        """
        left = self.time_left_s()
        limited = limit_s is not None and (left is None or limit_s < left)
        try:
            async with asyncio.timeout(limit_s if limited else left):
                return await work()
        except TimeoutError:
            if limited or left is None:
                raise
            raise DeadlinePassed(self._passed()) from None

    def _passed(self) -> str:
        done = ", ".join(
            f"{stage} ({seconds * 1e3:.3g} ms)"
            for stage, seconds in self.timings_s.items()
            if stage != self._at
        )
        return (
            f"the deadline of {self._timeout_s:.3g} s passed "
            f"{f'in `{self._at}`' if self._at else 'before any work'}; "
            f"finished by then: {done or 'nothing'}; allow more time"
        )
