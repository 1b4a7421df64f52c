import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager

import pytest
import torch
from torch import nn

from services.domain import FinishReason, TextChunk
from services.errors import Overloaded, ServiceError, ServiceUnavailable
from services.generation.budget import CacheBudget
from services.generation.engine import Engine, EngineLimits, Request
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED
from tests.unit.services.generation.rows import PROMPTS, a_row


@asynccontextmanager
async def engine_with(backbone, **limits: int):
    engine = Engine(backbone, limits=EngineLimits(**limits))
    try:
        yield engine
    finally:
        await engine.close()


async def end_of(request: Request) -> list[TextChunk] | ServiceError:
    """All its text, or how it failed."""
    chunks: list[TextChunk] = []
    while not chunks or chunks[-1].finish is None:
        answer = await asyncio.wait_for(request.answers.get(), 5)
        if isinstance(answer, ServiceError):
            return answer
        chunks.append(answer)
    return chunks


async def run(engine: Engine, *rows: Row) -> list[list[TextChunk] | ServiceError]:
    """Submit together and wait for all."""
    requests = [Request(row) for row in rows]
    for request in requests:
        engine.submit(request)
    return [await end_of(request) for request in requests]


async def test_a_row_that_ends_leaves_the_batch_at_once(end_free, gate):
    async with engine_with(end_free) as engine:
        await run(engine, a_row(end_free, max_tokens=2), a_row(end_free, max_tokens=6))
    assert gate.n_rows == [2, 2, 1, 1, 1, 1]


async def test_rows_that_wait_join_as_soon_as_there_is_room(end_free, gate):
    rows = [a_row(end_free, prompt, max_tokens=2 + i) for i, prompt in enumerate(PROMPTS[:3])]
    async with engine_with(end_free, max_rows=2) as engine:
        results = await run(engine, *rows)
    prefill_two, advance_two, advance_one_and_prefill_one = 2, 2, 2
    assert gate.n_rows == [prefill_two, advance_two, advance_one_and_prefill_one, 1, 1, 1]
    assert [sum(chunk.n_tokens for chunk in result) for result in results] == [2, 3, 4]


async def test_prompts_of_all_lengths_share_a_pass_and_none_is_padded(end_free, gate):
    short, long = PROMPTS[1], " ".join([PROMPTS[0]] * 2)
    rows = [a_row(end_free, prompt, max_tokens=2) for prompt in (short, long, short)]
    async with engine_with(end_free) as engine:
        await run(engine, *rows)
    assert gate.n_tokens == [sum(len(row.prompt_ids) for row in rows), len(rows)]


async def test_a_prompt_joins_in_the_pass_that_gives_the_others_their_next_token(end_free, gate):
    first, second = a_row(end_free, max_tokens=9), a_row(end_free, max_tokens=2)
    async with engine_with(end_free) as engine:
        running = Request(first)
        engine.submit(running)
        await running.answers.get()
        await run(engine, second)
        await end_of(running)
    assert gate.n_tokens.count(1 + len(second.prompt_ids)) == 1
    assert sum(gate.n_rows) == 9 + 2


async def test_first_come_first_served(end_free):
    order: list[int] = []
    requests = [Request(a_row(end_free, max_tokens=3)) for _ in range(4)]

    async def follow(index: int) -> None:
        await end_of(requests[index])
        order.append(index)

    async with engine_with(end_free, max_rows=1) as engine:
        for request in requests:
            engine.submit(request)
        await asyncio.gather(*map(follow, (3, 1, 0, 2)))
    assert order == [0, 1, 2, 3]


async def test_a_step_that_fails_fails_its_rows_alone_and_the_engine_lives_on(end_free, gate):
    gate.fails_at_rows = {2}
    async with engine_with(end_free, max_rows=2) as engine:
        rows = [a_row(end_free, max_tokens=3) for _ in range(3)]
        first, second, third = await run(engine, *rows)
        assert "generation failed in the model (RuntimeError)" in str(first)
        assert isinstance(second, ServiceError)
        assert third[-1].finish is FinishReason.MAX_TOKENS


async def test_prompts_that_fail_together_are_tried_alone(end_free, gate):
    gate.fails_at_rows = {3}
    async with engine_with(end_free) as engine:
        results = await run(engine, *(a_row(end_free, p, max_tokens=1) for p in PROMPTS[:3]))
    assert [result[-1].finish for result in results] == [FinishReason.MAX_TOKENS] * 3
    assert gate.n_rows == [3, 1, 1, 1]


async def test_a_prompt_that_cannot_join_fails_alone_and_the_running_go_on(end_free):
    sampling = a_row(end_free).sampling
    bad = Row([10**6], UNTOUCHED, sampling, tokenizer=end_free.tokenizer, ends=frozenset())
    async with engine_with(end_free) as engine:
        running = Request(a_row(end_free, max_tokens=30))
        engine.submit(running)
        await running.answers.get()
        [failed] = await run(engine, bad)
        chunks = await end_of(running)
    assert "IndexError" in str(failed)
    assert chunks[-1].finish is FinishReason.MAX_TOKENS


async def test_a_row_that_breaks_the_choice_of_tokens_fails_alone(end_free):
    class Unlucky(Row):
        def draw(self) -> float:
            raise ArithmeticError

    sampling, ends = a_row(end_free, max_tokens=9).sampling, frozenset[int]()
    bad = Unlucky([5], UNTOUCHED, sampling, tokenizer=end_free.tokenizer, ends=ends)
    async with engine_with(end_free) as engine:
        failed, sound = await run(engine, bad, a_row(end_free, max_tokens=9))
    assert "ArithmeticError" in str(failed)
    assert sum(chunk.n_tokens for chunk in sound) == 9


async def test_logits_that_are_not_finite_fail_their_own_row_alone(end_free):
    n_prompt = len(a_row(end_free).prompt_ids)

    def spoil(module: nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        spoiled = output.clone()
        spoiled[0, :n_prompt] = float("nan")
        return spoiled if output.shape[1] == 2 * n_prompt else output

    handle = end_free.blocks[-1].register_forward_hook(spoil)
    try:
        async with engine_with(end_free) as engine:
            rows = [a_row(end_free, max_tokens=9) for _ in range(2)]
            spoiled, sound = await run(engine, *rows)
    finally:
        handle.remove()
    assert "not finite after 0 tokens" in str(spoiled)
    assert sum(chunk.n_tokens for chunk in sound) == 9


async def test_a_row_whose_text_cannot_be_made_fails_alone_and_shows_nothing(end_free, caplog):
    class Broken:
        def decode(self, *args: object, **options: object) -> str:
            raise ValueError("secret")

    bad = Row([5], UNTOUCHED, a_row(end_free).sampling, tokenizer=Broken(), ends=frozenset())
    async with engine_with(end_free) as engine:
        failed, sound = await run(engine, bad, a_row(end_free, max_tokens=3))
    assert "ValueError" in str(failed)
    assert "secret" not in str(failed) + caplog.text
    assert sound[-1].finish is FinishReason.MAX_TOKENS


async def test_nothing_of_a_text_is_kept_when_nobody_is_left(end_free):
    async with engine_with(end_free) as engine:
        await run(engine, a_row(end_free, max_tokens=2))
        await asyncio.sleep(0.02)
        assert engine._batch.rows == ()


async def test_no_more_rows_run_than_are_allowed(end_free, gate):
    async with engine_with(end_free, max_rows=2) as engine:
        await run(engine, *(a_row(end_free, p, max_tokens=4) for p in PROMPTS))
    assert max(gate.n_rows) == 2


@pytest.mark.parametrize(("n_fit", "n_together"), [(3, 3), (2.5, 2), (0.1, 1)])
async def test_rows_together_keep_within_the_memory_for_keys_and_values(
    end_free, gate, n_fit: float, n_together: int
):
    rows = [a_row(end_free, "hi", max_tokens=60) for _ in range(3)]
    one = CacheBudget(end_free, 1).need(rows[0])
    async with engine_with(end_free, max_cache_bytes=int(n_fit * one)) as engine:
        results = await run(engine, *rows)
    assert max(gate.n_rows) == n_together
    assert [result[-1].finish for result in results] == [FinishReason.MAX_TOKENS] * 3


async def test_a_small_request_does_not_overtake_a_large_one_that_waits_for_memory(end_free):
    any_token = frozenset(range(len(end_free.tokenizer)))
    small = a_row(end_free, "hi", max_tokens=9)
    large = a_row(end_free, "hi", max_tokens=300, ends=any_token)  # may take as much, and does not
    last = a_row(end_free, "hi", max_tokens=5)
    budget = CacheBudget(end_free, 1)
    both = budget.need(small) + budget.need(last)
    assert budget.need(large) <= both < budget.need(large) + budget.need(small)
    order: list[int] = []
    async with engine_with(end_free, max_cache_bytes=both) as engine:
        requests = [Request(row) for row in (small, large, last)]
        for request in requests:
            engine.submit(request)

        async def follow(index: int) -> None:
            await end_of(requests[index])
            order.append(index)

        await asyncio.gather(*map(follow, range(3)))
    assert order == [0, 1, 2]


async def test_prompts_that_join_together_keep_within_the_prefill_budget(end_free, gate):
    n_prompt = len(a_row(end_free, "hi").prompt_ids)
    async with engine_with(end_free, max_prefill_tokens=2 * n_prompt) as engine:
        await run(engine, *(a_row(end_free, "hi", max_tokens=1) for _ in range(5)))
    assert gate.n_rows == [2, 2, 1]


async def test_a_full_queue_turns_requests_away_and_a_closed_engine_all(end_free, gate):
    gate.is_open.clear()
    async with engine_with(end_free, max_rows=1, max_waiting=1) as engine:
        requests = [Request(a_row(end_free, max_tokens=2)) for _ in range(3)]
        engine.submit(requests[0])
        await asyncio.to_thread(gate.entered.wait, 5)
        engine.submit(requests[1])
        with pytest.raises(Overloaded, match="1 requests wait already"):
            engine.submit(requests[2])
        gate.is_open.set()
        await end_of(requests[1])
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        engine.submit(requests[2])


async def test_requests_on_their_way_take_free_rows_first_and_then_count_as_waiting(end_free, gate):
    gate.is_open.clear()
    async with engine_with(end_free, max_rows=2, max_waiting=2) as engine:
        for n_before in range(4):
            engine.check_capacity(n_before)
        with pytest.raises(Overloaded, match="2 requests wait already"):
            engine.check_capacity(4)
        request = Request(a_row(end_free, max_tokens=2))
        engine.submit(request)
        await asyncio.to_thread(gate.entered.wait, 5)
        engine.check_capacity(2)
        with pytest.raises(Overloaded, match="2 requests wait already"):
            engine.check_capacity(3)
        gate.is_open.set()
        await end_of(request)


async def test_an_engine_that_stops_fails_its_requests_and_starts_again(end_free, caplog):
    depths: list[int] = []

    def broken_once(depth: int) -> None:
        depths.append(depth)
        if len(depths) == 2:
            raise KeyError("secret")

    engine = Engine(end_free, limits=EngineLimits(), on_depth=broken_once)
    [failed] = await run(engine, a_row(end_free))
    assert isinstance(failed, ServiceUnavailable)
    assert "stopped" in str(failed)
    assert "starts again with the next request: KeyError at " in caplog.text
    assert "secret" not in caplog.text
    [sound] = await run(engine, a_row(end_free, max_tokens=2))
    await engine.close()
    assert sound[-1].finish is FinishReason.MAX_TOKENS


@pytest.mark.parametrize(
    "name",
    [
        "max_rows",
        "max_waiting",
        "max_prefill_tokens",
        "max_deciding_tokens",
        "max_cache_bytes",
    ],
)
def test_limits_that_make_no_sense_are_refused(name: str):
    with pytest.raises(ValueError, match=f"`{name}` is 0"):
        EngineLimits(**{name: 0})


async def test_a_thread_that_is_shared_runs_the_steps_and_is_left_to_its_owner(end_free):
    ran_in: set[str] = set()
    handle = end_free.blocks[0].register_forward_hook(
        lambda *_: ran_in.add(threading.current_thread().name)
    )
    with ThreadPoolExecutor(1, thread_name_prefix="shared") as thread:
        engine = Engine(end_free, limits=EngineLimits(), thread=thread)
        await run(engine, a_row(end_free, max_tokens=2))
        await engine.close()
        assert ran_in == {thread.submit(threading.current_thread).result().name}
    handle.remove()


async def test_answers_that_are_left_give_their_place_up(end_free, gate):
    async with engine_with(end_free) as engine:
        leaving = Request(a_row(end_free, max_tokens=20))
        async with aclosing(engine.answers(leaving)) as answers:
            await anext(answers)
        assert leaving.is_over
