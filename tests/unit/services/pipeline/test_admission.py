"""A call that generation has no room for is told so before the gate has worked for it."""

from __future__ import annotations

import asyncio

import pytest

from services.errors import DeadlinePassed, Overloaded, ServiceUnavailable
from services.pipeline.admission import Admission
from services.pipeline.split import Split
from tests.behind import STEER
from tests.unit.services.pipeline.lines import SplitLine

FULL = Overloaded("256 requests wait already")


class Now:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def line(now: Now) -> SplitLine:
    """A line whose generation has just turned a call away, and has room again."""
    found = SplitLine()
    found.mode = Split(found.generation, admission=Admission(clock=now))
    found.generation.failures = [FULL]
    return found


async def turned_away(line: SplitLine) -> None:
    with pytest.raises(Overloaded, match="256 requests wait"):
        await line.answer()


async def test_while_there_is_room_nobody_is_asked_for_it() -> None:
    line = SplitLine()
    for _ in range(3):
        await line.answer()
    assert len(line.generation.expected) == 0


async def test_generation_in_the_same_process_is_always_asked() -> None:
    line = SplitLine()
    line.mode = Split(line.generation, admission=Admission(in_process=True))
    await line.answer()
    line.generation.full = FULL
    await turned_away(line)
    assert len(line.generation.expected) == 2
    assert len(line.gate.asked) == 1


async def test_after_a_call_was_turned_away_the_next_one_is_told_before_any_work(
    line: SplitLine,
) -> None:
    await turned_away(line)
    line.generation.full = FULL
    await turned_away(line)
    assert len(line.gate.asked) == len(line.generation.asked) == 1
    assert len(line.generation.expected) == 1


async def test_it_is_answered_as_soon_as_there_is_room_again(line: SplitLine) -> None:
    await turned_away(line)
    assert (await line.answer())[0] is STEER
    assert len(line.generation.expected) == 1


async def test_five_seconds_later_nobody_is_asked_any_more(line: SplitLine, now: Now) -> None:
    await turned_away(line)
    now.seconds += 4.9
    line.generation.full = FULL
    await turned_away(line)  # and five seconds from here on
    now.seconds += 4.9
    await turned_away(line)
    now.seconds += 5.1
    await line.answer()
    assert len(line.generation.expected) == 2


@pytest.mark.parametrize("why", [ServiceUnavailable("away"), ValueError("broken"), None])
async def test_a_look_that_fails_or_takes_too_long_turns_nobody_away(
    line: SplitLine, why: Exception | None
) -> None:
    await turned_away(line)
    line.generation.full = why
    line.generation.full_after_s = 0.0 if why else 5.0
    assert (await line.answer(timeout_s=3.0))[0] is STEER
    assert len(line.generation.expected) == 1


async def test_a_deadline_that_passes_meanwhile_is_told(line: SplitLine) -> None:
    await turned_away(line)
    line.generation.full_after_s = 5.0
    with pytest.raises(DeadlinePassed, match="`generation`"):
        await line.answer(timeout_s=0.02)
    assert len(line.gate.asked) == 1


async def test_calls_without_a_verdict_yet_count_as_if_they_waited_already() -> None:
    line = SplitLine()
    line.mode = Split(line.generation, admission=Admission(in_process=True))
    line.gate.delay_s = 0.05
    line.generation.failures = []
    await asyncio.gather(*(line.answer() for _ in range(3)))
    assert sorted(line.generation.expected) == [0, 1, 2]
    await line.answer()
    assert line.generation.expected[-1] == 0


async def test_elsewhere_they_do_not_since_one_replica_of_several_is_asked(
    line: SplitLine,
) -> None:
    await turned_away(line)
    line.gate.delay_s = 0.05
    await asyncio.gather(*(line.answer() for _ in range(3)))
    assert line.generation.expected == [0, 0, 0]


async def test_a_call_that_the_gate_fails_is_not_on_its_way_any_more() -> None:
    line = SplitLine()
    line.mode = Split(line.generation, admission=Admission(in_process=True))
    line.gate.failure = Overloaded("256 requests wait in the gate")
    await turned_away(line)
    line.gate.failure = None
    await line.answer()
    assert line.generation.expected == [0, 0]
