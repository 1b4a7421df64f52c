"""Engines that answer side by side take turns, and each has figures of its own."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from benchmarks.serving import gating, monitoring
from benchmarks.serving.gating import AGAIN
from benchmarks.serving.load import Job, all_at_once, closed
from benchmarks.serving.peers.catalogue import FUSED, IDEAL, UNGATED
from benchmarks.serving.peers.ideal import Ideal
from benchmarks.serving.peers.ours import Fused, Ungated
from benchmarks.serving.peers.own_clock import OwnTurns
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.side_by_side import KINDS, Made, left_out, side_by_side

NAMES = (FUSED, UNGATED, AGAIN)


class Noting(ThreadPoolExecutor):
    """Notes whose turn it was."""

    def __init__(self) -> None:
        super().__init__(1)
        self.owners: list[OwnTurns] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.owners.append(fn.__self__)  # type: ignore[attr-defined]
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
def made(setting: Setting) -> Made:
    return {
        UNGATED: partial(Ungated, setting),
        AGAIN: partial(Ungated, setting),
        FUSED: partial(Fused, setting),
        IDEAL: partial(Ideal, setting),
    }


@pytest.fixture
def thread() -> Any:
    with Noting() as thread:
        yield thread


def test_each_has_figures_by_its_own_clock(
    made: Made, jobs: tuple[Job, ...], thread: Noting
) -> None:
    found = asyncio.run(side_by_side(made, closed(jobs, 3), NAMES, thread))
    assert tuple(found) == NAMES
    for figures in (each.figures() for each in found.values()):
        wanted = {"tokens_per_s", *(f"{kind}_p{p}" for kind in KINDS for p in (50, 90, 99))}
        assert wanted == set(figures)
        assert all(figures[each] > 0 for each in wanted)
    # by its own clock nobody waits for the others, so all are about as fast
    spent = {owner: owner.now() for owner in thread.owners}
    by_clock = sorted(each.seconds for each in found.values())
    assert by_clock == pytest.approx(sorted(spent.values()), rel=0.2)


def test_they_take_turns_from_the_first_pass_on(
    made: Made, jobs: tuple[Job, ...], thread: Noting
) -> None:
    asyncio.run(side_by_side(made, closed(jobs, 3), NAMES, thread))
    numbers = {owner: number for number, owner in enumerate(dict.fromkeys(thread.owners))}
    turns = [numbers[owner] for owner in thread.owners]
    assert turns[:30] == [0, 1, 2] * 10


def test_the_ideal_takes_turns_too_and_a_clock_counts_its_passes_alone(
    made: Made, jobs: tuple[Job, ...], thread: Noting
) -> None:
    found = asyncio.run(side_by_side(made, all_at_once(jobs), (IDEAL, UNGATED), thread))
    assert found[IDEAL].answered == ()
    assert 0 < (found[IDEAL].prompts_s or 0.0) < found[IDEAL].seconds
    ideal, ungated = dict.fromkeys(thread.owners)
    assert [owner is ideal for owner in thread.owners[:20]] == [True, False] * 10
    # what its passes read is made before they are counted
    assert 0.5 * ideal.now() < found[IDEAL].seconds < ideal.now()
    assert found[UNGATED].seconds == pytest.approx(ungated.now(), rel=0.2)


@pytest.mark.parametrize(("device", "threads"), [("cuda:0", 1), ("cpu", 2)])
@pytest.mark.parametrize("benchmark", [gating, monitoring])
def test_what_its_clock_cannot_count_is_not_measured(
    benchmark: ModuleType, device: str, threads: int
) -> None:
    found = benchmark.measure(argparse.Namespace(device=device, threads=threads))
    name = benchmark.__name__.rpartition(".")[2]
    assert (found.results, found.tables, found.bars) == ({}, left_out(name), ())
