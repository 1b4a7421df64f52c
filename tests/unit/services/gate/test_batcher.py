import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import pytest

from services.errors import DeadlinePassed, Overloaded, ServiceUnavailable
from services.gate.batcher import Batcher, BatchLimits


class Squarer:
    """Squares numbers; remembers its batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.running = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        self.threads.add(threading.current_thread().name)
        self.running.set()
        if not self.may_go_on.wait(5):
            raise TimeoutError("the test forgot to let go")
        if -1 in batch:
            raise ZeroDivisionError("bad item")
        return [n * n for n in batch]


@asynccontextmanager
async def batching(
    run: Callable[[Sequence[int]], Sequence[int]],
    on_depth: Callable[[int], None] = lambda depth: None,
    **limits: float,
):
    batcher: Batcher[int, int] = Batcher(
        run, n_tokens=abs, limits=BatchLimits(**{"max_wait_s": 0.01} | limits), on_depth=on_depth
    )
    try:
        yield batcher
    finally:
        await batcher.close()


@asynccontextmanager
async def held_up(squarer: Squarer, batcher: Batcher[int, int]):
    """While one request of length 99 occupies the thread."""
    squarer.may_go_on.clear()
    first = asyncio.create_task(batcher.submit(99))
    await asyncio.to_thread(squarer.running.wait)
    try:
        yield
    finally:
        squarer.may_go_on.set()
        await first


async def test_requests_that_come_together_share_a_batch():
    squarer = Squarer()
    async with batching(squarer) as batcher:
        assert await asyncio.gather(*map(batcher.submit, [3, 1, 2])) == [9, 1, 4]
    assert len(squarer.batches) == 1


async def test_who_comes_alone_does_not_wait_for_company():
    squarer = Squarer()
    async with batching(squarer, max_wait_s=60) as batcher:
        assert await asyncio.wait_for(batcher.submit(3), 5) == 9
        assert await asyncio.wait_for(batcher.submit(4), 5) == 16


async def test_where_there_was_company_the_next_one_waits_for_some():
    squarer = Squarer()
    async with batching(squarer, max_batch=2, max_wait_s=60) as batcher:
        await asyncio.gather(*map(batcher.submit, [3, 1]))
        first = asyncio.create_task(batcher.submit(5))
        await asyncio.sleep(0.05)
        assert len(squarer.batches) == 1
        assert await asyncio.gather(first, batcher.submit(6)) == [25, 36]
    assert squarer.batches[1] == [5, 6]


async def test_a_full_batch_does_not_wait():
    squarer = Squarer()
    async with batching(squarer, max_batch=2, max_wait_s=60) as batcher:
        await asyncio.gather(*map(batcher.submit, [2, 2]))
        assert await asyncio.gather(*map(batcher.submit, [3, 1])) == [9, 1]


async def test_no_batch_is_larger_than_allowed():
    squarer = Squarer()
    async with batching(squarer, max_batch=2) as batcher:
        await asyncio.gather(*map(batcher.submit, [1, 1, 1, 1, 1]))
    assert [len(batch) for batch in squarer.batches] == [2, 2, 1]


async def test_a_batch_keeps_within_its_padded_tokens():
    squarer = Squarer()
    async with batching(squarer, max_tokens=100) as batcher:
        await asyncio.gather(*map(batcher.submit, [40, 30, 50, 500]))
    assert all(len(b) * max(b) <= 100 for b in squarer.batches if len(b) > 1)
    assert [500] in squarer.batches


async def test_like_lengths_go_together_and_the_oldest_goes_first():
    squarer = Squarer()
    async with batching(squarer, max_batch=2) as batcher:
        await asyncio.gather(*map(batcher.submit, [50, 2, 49, 1]))
    assert squarer.batches == [[50, 49], [2, 1]]


async def test_the_event_loop_is_free_while_a_batch_runs():
    squarer = Squarer()
    async with batching(squarer) as batcher, held_up(squarer, batcher):
        await asyncio.wait_for(asyncio.sleep(0.01), 1)
    assert len(squarer.threads) == 1
    assert threading.current_thread().name not in squarer.threads


async def test_a_full_queue_turns_requests_away():
    squarer = Squarer()
    async with batching(squarer, max_waiting=1) as batcher:
        async with held_up(squarer, batcher):
            waiting = asyncio.create_task(batcher.submit(2))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="1 requests wait already"):
                await batcher.submit(3)
        assert await waiting == 4


async def test_a_cancelled_request_never_runs_and_frees_its_place():
    squarer = Squarer()
    async with batching(squarer, max_waiting=1) as batcher:
        async with held_up(squarer, batcher):
            gone = asyncio.create_task(batcher.submit(2))
            await asyncio.sleep(0)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
            stays = asyncio.create_task(batcher.submit(3))
            await asyncio.sleep(0)
        assert await stays == 9
    assert squarer.batches == [[99], [3]]


async def test_a_request_whose_deadline_passes_in_the_queue_never_runs():
    squarer = Squarer()
    async with batching(squarer) as batcher:
        async with held_up(squarer, batcher):
            with pytest.raises(DeadlinePassed, match=r"the 0\.02 s that were left.* in the queue"):
                await batcher.submit(2, timeout_s=0.02)
        assert await batcher.submit(3, timeout_s=5) == 9
    assert squarer.batches == [[99], [3]]


async def test_a_deadline_that_passes_while_the_batch_runs_is_told_at_once():
    squarer = Squarer()
    squarer.may_go_on.clear()
    async with batching(squarer) as batcher:
        with pytest.raises(DeadlinePassed, match="while its batch ran"):
            await batcher.submit(2, timeout_s=0.05)
        squarer.may_go_on.set()


async def test_a_deadline_in_the_past_is_not_queued():
    squarer = Squarer()
    async with batching(squarer) as batcher:
        with pytest.raises(DeadlinePassed, match="before"):
            await batcher.submit(2, timeout_s=0)
    assert squarer.batches == []


async def test_one_bad_item_fails_alone():
    squarer = Squarer()
    async with batching(squarer) as batcher:
        results = await asyncio.gather(*map(batcher.submit, [2, -1, 3]), return_exceptions=True)
    assert results[0] == 4
    assert isinstance(results[1], ZeroDivisionError)
    assert results[2] == 9


async def test_an_item_whose_time_has_run_out_is_not_run_again_when_its_batch_has_failed():
    squarer = Squarer()
    async with batching(squarer) as batcher:
        squarer.may_go_on.clear()
        late = asyncio.create_task(batcher.submit(2, timeout_s=0.05))
        others = [asyncio.create_task(batcher.submit(n)) for n in (-1, 3)]
        with pytest.raises(DeadlinePassed):
            await late
        squarer.may_go_on.set()
        await asyncio.gather(*others, return_exceptions=True)
    assert squarer.batches[0] == [2, -1, 3]
    assert squarer.batches[1:] == [[-1], [3]]


async def test_the_time_of_a_batch_is_told_to_all_of_it():
    squarer = Squarer()
    squarer.may_go_on.clear()
    async with batching(squarer) as batcher:
        timed = [asyncio.create_task(batcher.timed(n)) for n in (2, 3)]
        await asyncio.to_thread(squarer.running.wait)
        await asyncio.sleep(0.05)
        squarer.may_go_on.set()
        one, other = await asyncio.gather(*timed)
    assert (one.result, other.result) == (4, 9)
    assert one.run_s == other.run_s > 0.04


async def test_the_batcher_lives_on_after_a_failure():
    squarer = Squarer()
    async with batching(squarer) as batcher:
        with pytest.raises(ZeroDivisionError):
            await batcher.submit(-1)
        assert await batcher.submit(2) == 4


async def test_a_timeout_of_the_function_is_not_taken_for_a_deadline():
    def slow(batch: Sequence[int]) -> list[int]:
        raise TimeoutError("of the model")

    async with batching(slow) as batcher:
        with pytest.raises(TimeoutError, match="of the model"):
            await batcher.submit(1, timeout_s=5)


async def test_a_missing_result_is_an_error_and_no_request_hangs():
    async with batching(lambda batch: []) as batcher:
        with pytest.raises(ValueError, match="zip"):
            await asyncio.wait_for(batcher.submit(1), 1)


async def test_closing_answers_what_runs_and_turns_away_what_waits():
    squarer = Squarer()
    async with batching(squarer) as batcher:
        async with held_up(squarer, batcher):
            waiting = asyncio.create_task(batcher.submit(2))
            await asyncio.sleep(0)
            closing = asyncio.create_task(batcher.close())
            with pytest.raises(ServiceUnavailable, match="shutting down"):
                await waiting
        await closing
        with pytest.raises(ServiceUnavailable):
            await batcher.submit(1)
    assert squarer.batches == [[99]]


async def test_the_depth_of_the_queue_is_reported():
    squarer, depths = Squarer(), []
    async with batching(squarer, on_depth=depths.append) as batcher:
        await asyncio.gather(*map(batcher.submit, [1, 2, 3]))
    assert max(depths) == 3
    assert depths[-1] == 0


@pytest.mark.parametrize(
    ("name", "value"), [("max_batch", 0), ("max_waiting", 0), ("max_wait_s", -1.0)]
)
def test_limits_that_make_no_sense_are_refused(name: str, value: float):
    with pytest.raises(ValueError, match=f"`{name}` is {value}"):
        BatchLimits(**{name: value})


async def test_a_thread_that_is_shared_runs_the_batches_and_is_left_to_its_owner():
    squarer = Squarer()
    with ThreadPoolExecutor(1, thread_name_prefix="shared") as thread:
        batcher: Batcher[int, int] = Batcher(
            squarer, n_tokens=abs, limits=BatchLimits(max_wait_s=0.0), thread=thread
        )
        assert await batcher.submit(3) == 9
        await batcher.close()
        assert thread.submit(threading.current_thread).result().name in squarer.threads
