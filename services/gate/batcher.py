"""Single requests to batches: waits a moment, batches like lengths, never blocks the event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from services.errors import DeadlinePassed, Overloaded, ServiceUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchLimits:
    """How large batches grow and how long requests wait for one."""

    max_batch: int = 16
    """Requests in one batch."""
    max_wait_s: float = 0.002
    """How long a request waits for company while nothing runs; only where there was company last
    time, so that whoever calls alone does not wait."""
    max_tokens: int | None = None
    """Padded tokens of a batch; a larger request runs alone. None: a gate takes what suits its
    device, and a batcher by itself has no bound."""
    max_waiting: int = 256
    """More waiting requests than this are turned away."""

    def __post_init__(self) -> None:
        for name in ("max_batch", "max_tokens", "max_waiting"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` is {value}; give at least 1")
        if not (math.isfinite(self.max_wait_s) and self.max_wait_s >= 0):
            raise ValueError(f"`max_wait_s` is {self.max_wait_s}; give seconds, at least 0")


class Timed(NamedTuple, Generic[Result]):
    """A result, and how long its batch ran."""

    result: Result
    run_s: float
    """Seconds in the batcher's thread, shared with the rest of the batch."""


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    n_tokens: int
    since: float
    deadline: float
    answer: asyncio.Future[Timed[Result]] = field(repr=False)


class Batcher(Generic[Item, Result]):
    """Runs a function over batches of items in a thread of its own. Belongs to one event loop."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        n_tokens: Callable[[Item], int],
        limits: BatchLimits,
        on_depth: Callable[[int], None] = lambda depth: None,
        name: str = "batcher",
        thread: Executor | None = None,
    ) -> None:
        """Start nothing until the first request.

        Args:
            run: a result for each item, in order; called in the batcher's thread, one call at a
                time. If a batch fails, each of its items is run alone.
            n_tokens: length of an item.
            limits: sizes and times.
            on_depth: told how many requests wait, whenever that changes.
            name: of the thread.
            thread: one that it shares with others, and that they close; None: one of its own.
        """
        self._run = run
        self._n_tokens = n_tokens
        self._limits = limits
        self._on_depth = on_depth
        self._waiting: list[_Waiting[Item, Result]] = []
        self._thread = thread or ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closes_thread = thread is None
        self._worker: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._had_company = False
        self._closed = False

    async def submit(self, item: Item, *, timeout_s: float | None = None) -> Result:
        """The result of one item; see `timed`."""
        return (await self.timed(item, timeout_s=timeout_s)).result

    async def timed(self, item: Item, *, timeout_s: float | None = None) -> Timed[Result]:
        """The result of one item. A caller that gives up is dropped before its batch runs.

        Raises:
            Overloaded: too many requests wait already.
            DeadlinePassed: there was no result within `timeout_s`.
            ServiceUnavailable: the batcher is closed.
            Exception: whatever the function raised for this item alone.
        """
        request = self._queue(item, timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                return await request.answer
        except TimeoutError:
            if timeout_s is None or not request.answer.cancelled():
                raise  # the function's own
            where = "in the queue" if request in self._waiting else "while its batch ran"
            raise DeadlinePassed(
                f"no answer within the {timeout_s:.3g} s that were left, the last of them {where}; "
                "allow more time, or retry later"
            ) from None
        finally:
            if request in self._waiting:
                self._waiting.remove(request)
                self._on_depth(len(self._waiting))

    async def close(self) -> None:
        """End the batch that runs, turn away what waits, stop the thread."""
        self._closed = True
        self._changed.set()
        self._turn_away(ServiceUnavailable("the service is shutting down; retry"))
        if self._worker is not None:
            await asyncio.wait([self._worker])
        if self._closes_thread:
            self._thread.shutdown(wait=False)

    def _queue(self, item: Item, timeout_s: float | None) -> _Waiting[Item, Result]:
        if self._closed:
            raise ServiceUnavailable("the service is shutting down; retry")
        if timeout_s is not None and timeout_s <= 0:
            raise DeadlinePassed("the deadline passed before the request was queued")
        if len(self._waiting) >= self._limits.max_waiting:
            raise Overloaded(
                f"{len(self._waiting)} requests wait already, as many as are let in; retry later"
            )
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout_s is None else loop.time() + timeout_s
        request: _Waiting[Item, Result] = _Waiting(
            item, self._n_tokens(item), loop.time(), deadline, loop.create_future()
        )
        self._waiting.append(request)
        self._on_depth(len(self._waiting))
        self._changed.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return request

    async def _work(self) -> None:
        try:
            while not self._closed:
                await self._company()
                if batch := self._next_batch():
                    await self._answer(batch)
        finally:
            self._turn_away(ServiceUnavailable("the service stopped answering; retry"))

    async def _company(self) -> None:
        """Wait until there is a request, and then for others until it has waited long enough."""
        while not self._closed:
            self._changed.clear()
            pause_s: float | None = None
            if self._waiting:
                now = asyncio.get_running_loop().time()
                wait_s = self._limits.max_wait_s if self._had_company else 0.0
                pause_s = self._waiting[0].since + wait_s - now
                if pause_s <= 0 or len(self._waiting) >= self._limits.max_batch:
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

    def _next_batch(self) -> list[_Waiting[Item, Result]]:
        """The oldest request and those nearest to it in length; so nobody waits for ever."""
        now = asyncio.get_running_loop().time()
        live = [r for r in self._waiting if r.deadline > now and not r.answer.done()]
        if not live:
            self._waiting = []
            self._on_depth(0)
            return []
        most = self._limits.max_tokens or math.inf
        oldest = live[0]
        batch, longest = [oldest], oldest.n_tokens
        for request in sorted(live[1:], key=lambda r: abs(r.n_tokens - oldest.n_tokens)):
            longest = max(longest, request.n_tokens)
            full = len(batch) == self._limits.max_batch
            if full or (len(batch) + 1) * longest > most:
                break
            batch.append(request)
        self._had_company = len(batch) > 1
        self._waiting = [r for r in live if r not in batch]
        self._on_depth(len(self._waiting))
        return batch

    async def _answer(self, batch: list[_Waiting[Item, Result]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            results, run_s = await loop.run_in_executor(
                self._thread, self._timed_run, [request.item for request in batch]
            )
            pairs = list(zip(batch, results, strict=True))
        except Exception as error:
            await self._answer_alone(batch, error)
        else:
            for request, result in pairs:
                if not request.answer.done():
                    request.answer.set_result(Timed(result, run_s))

    def _timed_run(self, items: Sequence[Item]) -> tuple[Sequence[Result], float]:
        start = time.perf_counter()
        return self._run(items), time.perf_counter() - start

    async def _answer_alone(self, batch: list[_Waiting[Item, Result]], error: Exception) -> None:
        """One bad item must not fail the others that happened to be in its batch."""
        if len(batch) > 1:
            for request in batch:
                now = asyncio.get_running_loop().time()
                if request.deadline > now and not request.answer.done():
                    await self._answer([request])
        elif not batch[0].answer.done():
            batch[0].answer.set_exception(error)

    def _turn_away(self, error: Exception) -> None:
        for request in self._waiting:
            if not request.answer.done():
                request.answer.set_exception(error)
        self._waiting = []
        self._on_depth(0)
