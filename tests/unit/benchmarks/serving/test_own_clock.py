"""Whoever shares a thread pays for its own turns, and for nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from benchmarks.serving.peers.own_clock import OwnTurns

WORK_S = 0.05


@pytest.fixture
def thread() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def work() -> None:
    """Keep the processor busy."""
    started = time.thread_time()
    while time.thread_time() - started < WORK_S:
        pass


def test_work_is_on_the_clock_of_whoever_asked_for_it_alone(thread: Executor) -> None:
    mine, others = OwnTurns(thread), OwnTurns(thread)
    for _ in range(2):
        mine.submit(work).result()
    assert 2 * WORK_S <= mine.now() < 3 * WORK_S
    assert others.now() == 0


def test_waiting_costs_nothing(thread: Executor) -> None:
    turns = OwnTurns(thread)
    turns.submit(time.sleep, 2 * WORK_S).result()
    assert 0 < turns.now() < WORK_S


def test_the_clock_runs_inside_of_a_turn_and_stands_for_others_until_it_ends(
    thread: Executor,
) -> None:
    turns, seen, go_on = OwnTurns(thread), threading.Event(), threading.Event()

    def long() -> tuple[float, float]:
        before = turns.now()
        work()
        after = turns.now()
        seen.set()
        go_on.wait(timeout=10)
        return before, after

    running = turns.submit(long)
    assert seen.wait(timeout=10)
    assert turns.now() == 0
    go_on.set()
    before, after = running.result()
    assert after - before >= WORK_S
    assert turns.now() >= after


def test_what_fails_has_cost_something_and_says_why(thread: Executor) -> None:
    turns = OwnTurns(thread)

    def fail() -> None:
        work()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        turns.submit(fail).result()
    assert turns.now() >= WORK_S
    turns.submit(work).result()
    assert turns.now() >= 2 * WORK_S
