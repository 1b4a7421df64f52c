import asyncio
from dataclasses import replace

import pytest

from services.domain import Action, FinishReason, MonitorStop, TextChunk
from services.errors import DeadlinePassed
from services.generation.engine import Answer, Settled
from services.generation.frames import frames

NEVER = 3600.0
PIECES = [TextChunk(text, n) for text, n in (("a", 1), ("b", 2), ("c", 1))]
LAST = TextChunk("d", 1, FinishReason.MAX_TOKENS, 12, {"decode": 0.5})
WHOLE = TextChunk("bcd", 4, FinishReason.MAX_TOKENS, 12)


def queued(*answers: Answer) -> asyncio.Queue[Answer]:
    queue: asyncio.Queue[Answer] = asyncio.Queue()
    for answer in answers:
        queue.put_nowait(answer)
    return queue


async def seen(*answers: Answer, every_s: float) -> list[Settled | TextChunk]:
    return [frame async for frame in frames(queued(*answers), every_s=every_s)]


async def test_the_first_text_goes_at_once_and_the_rest_with_the_end():
    found = await asyncio.wait_for(seen(*PIECES, LAST, every_s=NEVER), 5)
    assert found == [PIECES[0], WHOLE]
    assert found[-1].timings_s == LAST.timings_s


async def test_the_first_text_waits_for_nothing():
    gathered = frames(queued(PIECES[0]), every_s=NEVER)
    assert await asyncio.wait_for(anext(gathered), 5) == PIECES[0]
    await gathered.aclose()


async def test_text_that_is_due_goes_without_an_end():
    queue = queued(*PIECES)
    gathered = frames(queue, every_s=0.001)
    assert await asyncio.wait_for(anext(gathered), 5) == PIECES[0]
    found = [await asyncio.wait_for(anext(gathered), 5)]
    assert found == [TextChunk("bc", 3)]
    await gathered.aclose()


async def test_text_that_comes_late_goes_as_it_comes():
    queue = queued(PIECES[0])
    gathered = frames(queue, every_s=0.001)
    await anext(gathered)
    for piece in PIECES[1:]:
        await asyncio.sleep(0.005)
        queue.put_nowait(piece)
        assert await asyncio.wait_for(anext(gathered), 5) == piece
    await gathered.aclose()


async def test_without_a_time_every_piece_goes_by_itself():
    assert await seen(*PIECES, LAST, every_s=0.0) == [*PIECES, LAST]


async def test_a_decision_goes_at_once_and_so_does_the_text_behind_it():
    settled = Settled(Action.STEER)
    gathered = frames(queued(settled, PIECES[0]), every_s=NEVER)
    assert [await asyncio.wait_for(anext(gathered), 5) for _ in range(2)] == [settled, PIECES[0]]
    await gathered.aclose()


async def test_a_failure_is_told_behind_the_text_that_came_before_it():
    gathered = frames(queued(*PIECES, DeadlinePassed("late")), every_s=NEVER)
    assert [await asyncio.wait_for(anext(gathered), 5) for _ in range(2)] == [
        PIECES[0],
        TextChunk("bc", 3),
    ]
    with pytest.raises(DeadlinePassed, match="late"):
        await anext(gathered)


async def test_whatever_the_times_no_text_is_lost_or_doubled():
    for every_s in (0.0, 1e-6, 0.002, 0.01, NEVER):
        queue: asyncio.Queue[Answer] = asyncio.Queue()

        async def speak(queue: asyncio.Queue[Answer] = queue) -> None:
            for n in range(40):
                queue.put_nowait(TextChunk(f"{n} ", 1))
                await asyncio.sleep(0.001 * (n % 3))
            queue.put_nowait(TextChunk("", 0, FinishReason.END_OF_TEXT, 7))

        speaking = asyncio.create_task(speak())
        found = [frame async for frame in frames(queue, every_s=every_s)]
        await speaking
        assert "".join(frame.text for frame in found) == "".join(f"{n} " for n in range(40))
        assert sum(frame.n_tokens for frame in found) == 40
        assert [frame.finish for frame in found[:-1]] == [None] * (len(found) - 1)


async def test_a_cancelled_reader_takes_no_text_with_it():
    queue = queued(PIECES[0])
    gathered = frames(queue, every_s=NEVER)
    await anext(gathered)
    reading = asyncio.create_task(anext(gathered))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    queue.put_nowait(PIECES[1])
    assert queue.qsize() == 1


async def test_text_that_waits_is_not_sent_once_it_is_withdrawn():
    end = TextChunk("", 1, FinishReason.MONITOR, 12, withdrawn_by=MonitorStop.SCORE)
    found = await asyncio.wait_for(seen(*PIECES, end, every_s=NEVER), 5)
    assert found == [PIECES[0], replace(end, n_tokens=4)]
