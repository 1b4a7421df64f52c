"""Requests to an engine when they come: on an event loop, or as whatever has come by now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, TypeVar

from benchmarks.serving.load import Job, Load

Answer = TypeVar("Answer")


async def send(load: Load, answer: Callable[[Job], Awaitable[Answer]]) -> list[Answer]:
    """Send every request at its time, or each client's when its last one is answered.

    Returns:
        The answers, in the load's order.
    """
    if load.clients is not None:
        return await _by_clients(load, load.clients, answer)

    async def later(job: Job) -> Answer:
        await asyncio.sleep(job.arrival_s)
        return await answer(job)

    return await asyncio.gather(*(later(job) for job in load.jobs))


async def _by_clients(
    load: Load, clients: int, answer: Callable[[Job], Awaitable[Answer]]
) -> list[Answer]:
    waiting = iter(enumerate(load.jobs))
    found: dict[int, Answer] = {}

    async def client() -> None:
        for index, job in waiting:
            found[index] = await answer(job)

    await asyncio.gather(*(client() for _ in range(clients)))
    return [found[index] for index in range(len(load.jobs))]


class Arrived(NamedTuple):
    """Requests that are answered together."""

    jobs: tuple[Job, ...]
    at: tuple[float, ...]
    """When each came, in seconds since the load began."""


def in_batches(load: Load, size: int, *, now: Callable[[], float]) -> Iterator[Arrived]:
    """Static batches in the order of arrival: what waits when the last batch has ended.

    Args:
        load: all its requests come out once.
        size: requests in one batch, at most.
        now: seconds since the load began; while nothing waits, this sleeps.
    """
    rest = list(load.jobs)
    while rest:
        came = now()
        if load.clients is not None:
            # a batch ends for all its clients at once, and then each of them sends the next
            n = min(size, load.clients)
            at = [came] * n
        else:
            if rest[0].arrival_s > came:
                time.sleep(rest[0].arrival_s - came)
                came = max(now(), rest[0].arrival_s)
            n = sum(job.arrival_s <= came for job in rest[:size])
            at = [job.arrival_s for job in rest[:n]]
        batch, rest = rest[:n], rest[n:]
        yield Arrived(tuple(batch), tuple(at[: len(batch)]))
