"""A turn in a thread that others share, and a clock that runs only in one's own turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


class OwnTurns(Executor):
    """Runs what it is given in a shared thread, after what others have given before.

    Its clock is the processor time of what it ran, in seconds. So whoever shares the thread, and
    whatever else the machine does, costs nothing here.
    """

    def __init__(self, thread: Executor) -> None:
        """Share a thread; it must be one, and is somebody else's to close."""
        self._thread = thread
        self._spent = 0.0
        self._running: tuple[int, float] | None = None
        """The thread in which something runs now, and its processor time at the beginning."""

    def submit(
        self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Result]:
        """Run it when its turn comes."""
        return self._thread.submit(self._timed, fn, *args, **kwargs)

    def now(self) -> float:
        """Seconds spent so far; while something runs, its own share is seen from inside alone."""
        spent, running = self._spent, self._running
        if running is None or running[0] != threading.get_ident():
            return spent
        return spent + time.thread_time() - running[1]

    def _timed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        self._running = (threading.get_ident(), started)
        try:
            return fn(*args, **kwargs)
        finally:
            self._running = None
            self._spent += time.thread_time() - started


@dataclass(frozen=True)
class Running:
    """Where an engine runs the model, and what its requests are timed by."""

    thread: Executor | None = None
    """None: one of its own."""
    now: Callable[[], float] = time.perf_counter
    """Seconds; asked on the event loop and in the thread."""


BY_ITSELF = Running()
