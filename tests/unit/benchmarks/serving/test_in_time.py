"""Requests are sent when they come, by clients or at their own time."""

from __future__ import annotations

import asyncio
from itertools import count

from benchmarks.serving.load import Job, Load, closed
from benchmarks.serving.peers.in_time import in_batches, send


def jobs(*arrivals: float) -> tuple[Job, ...]:
    return tuple(Job("", (i,), 1, arrival_s=each) for i, each in enumerate(arrivals))


async def test_so_many_clients_have_one_request_each_at_a_time() -> None:
    open_now, most = 0, 0

    async def answer(job: Job) -> int:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        open_now -= 1
        return job.prompt_ids[0]

    assert await send(closed(jobs(*[0.0] * 7), 3), answer) == list(range(7))
    assert most == 3


async def test_answers_come_in_the_load_s_order_whoever_is_first() -> None:
    sent: list[int] = []

    async def answer(job: Job) -> int:
        sent.append(job.prompt_ids[0])
        return job.prompt_ids[0]

    assert await send(Load("", jobs(0.02, 0.0, 0.01)), answer) == [0, 1, 2]
    assert sent == [1, 2, 0]


def test_a_static_batch_holds_what_had_come_when_the_last_one_ended() -> None:
    clock = (each * 0.01 for each in count())
    load = Load("", jobs(0.0, 0.005, 0.006, 0.007, 0.5))
    found = list(in_batches(load, 2, now=lambda: next(clock)))
    assert [len(each.jobs) for each in found] == [1, 2, 1, 1]
    assert [at for each in found for at in each.at] == [0.0, 0.005, 0.006, 0.007, 0.5]


def test_a_static_batch_of_clients_arrives_when_the_last_one_has_ended() -> None:
    clock = (float(each) for each in count())
    found = list(in_batches(closed(jobs(0.0, 0.0, 0.0), 2), 16, now=lambda: next(clock)))
    assert [each.at for each in found] == [(0.0, 0.0), (1.0,)]
