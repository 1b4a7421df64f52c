import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace

import pytest
import uvloop

from services.backbone.load import load_backbone
from services.domain import Action, FinishReason, Intervention, Sampling, TextChunk
from services.errors import (
    DeadlinePassed,
    Overloaded,
    ServiceError,
    ServiceUnavailable,
)
from services.generation.service import GenerationService
from services.readout.bundle import Readout
from services.telemetry import PrometheusMeter
from tests.unit.services.generation.asking import LONG, NONE, Held, collect
from tests.unit.services.generation.rows import PROMPTS, Gate, a_row, mixed, tokens_alone
from tests.unit.services.held_tokenizer import HeldTokenizer


async def text_of(chunks: AsyncIterator[TextChunk]) -> str:
    return "".join(chunk.text for chunk in await collect(chunks))


async def entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.wait, 5)


def interventions(readouts: tuple[Readout, Readout]) -> list[Intervention]:
    acting = [Intervention(a, r.version) for r in readouts for a in (Action.STEER, Action.RELEASE)]
    return [NONE, *acting]


async def test_requests_with_different_verdicts_and_readouts_get_the_text_they_get_alone(
    roomy, readouts, gate, end_free
):
    asked = list(zip(PROMPTS, interventions(readouts), strict=False))
    together = await asyncio.gather(*(text_of(roomy.generate(p, i, LONG)) for p, i in asked))
    assert max(gate.n_rows) == len(asked)
    alone = [await text_of(roomy.generate(p, i, LONG)) for p, i in asked]
    assert together == alone
    assert len(set(alone)) == len(alone)
    rows = [
        a_row(end_free, prompt, treatment, max_tokens=60)
        for prompt, treatment in zip(PROMPTS, mixed(*readouts), strict=False)
    ]
    expected = [
        end_free.tokenizer.decode(tokens_alone(end_free, row), skip_special_tokens=True)
        for row in rows
    ]
    # the service leaves out what the limit cuts apart
    assert all(e.startswith(text) for e, text in zip(expected, alone, strict=True))


async def test_the_last_chunk_says_how_and_after_how_many_tokens_it_ended(roomy):
    chunks = await collect(roomy.generate("hi", NONE, Sampling(max_tokens=7)))
    assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish is FinishReason.MAX_TOKENS
    assert sum(chunk.n_tokens for chunk in chunks) == 7
    assert chunks[-1].n_prompt_tokens > 0


def test_times_are_finer_than_the_clock_of_serves_event_loop(end_free):
    """uvloop's counts whole milliseconds."""

    async def timed() -> dict[str, float]:
        service = GenerationService(end_free, Held(), PrometheusMeter())
        chunks = await collect(service.generate("hi", NONE, Sampling(max_tokens=9)))
        await service.close()
        return dict(chunks[-1].timings_s)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ms = [1e3 * seconds for seconds in runner.run(timed()).values()]
    assert any(abs(each - round(each)) > 1e-3 for each in ms)


async def test_the_last_chunk_says_how_long_queue_prefill_and_decoding_took(end_free, gate):
    meter = PrometheusMeter()
    service = GenerationService(end_free, Held(), meter)
    loop = asyncio.get_running_loop()
    started = loop.time()
    gate.is_open.clear()
    running = asyncio.create_task(collect(service.generate("hi", NONE, Sampling(max_tokens=9))))
    await entered(gate)
    waited = asyncio.create_task(collect(service.generate("hi", NONE, Sampling(max_tokens=9))))
    await asyncio.sleep(0.1)
    gate.is_open.set()
    chunks, later = await running, await waited
    took = loop.time() - started
    await service.close()
    assert [chunk.timings_s for chunk in chunks[:-1]] == [{}] * (len(chunks) - 1)
    timings = chunks[-1].timings_s
    assert set(timings) == {"generation_queue", "prefill", "decode"}
    assert timings["prefill"] > 0.09  # it was held up there
    assert min(timings.values()) >= 0
    assert sum(timings.values()) <= took
    assert later[-1].timings_s["generation_queue"] > 0.09
    for stage in timings:
        sample = meter.registry.get_sample_value("recal_stage_seconds_count", {"stage": stage})
        assert sample == 2


async def test_text_is_gathered_into_frames_and_stays_the_same(end_free, readouts):
    gathering = GenerationService(end_free, Held(*readouts), PrometheusMeter(), frame_s=60.0)
    streaming = GenerationService(end_free, Held(*readouts), PrometheusMeter())
    frames, pieces = [await collect(s.generate("hi", NONE, LONG)) for s in (gathering, streaming)]
    await gathering.close()
    await streaming.close()
    assert len(frames) == 2 < len(pieces)
    assert "".join(f.text for f in frames) == "".join(p.text for p in pieces)
    assert sum(f.n_tokens for f in frames) == sum(p.n_tokens for p in pieces) == 60


async def test_text_streams_while_it_is_made(roomy, gate):
    stream = roomy.generate("hi", NONE, LONG)
    async with aclosing(stream):
        first = await anext(stream)
        assert first.text
        assert len(gate.n_rows) < 30


async def test_a_request_joins_a_running_batch(roomy, gate):
    async with aclosing(roomy.generate("hi", NONE, Sampling(max_tokens=120))) as long:
        await anext(long)
        await collect(roomy.generate("you", NONE, Sampling(max_tokens=3)))
    assert 2 in gate.n_rows
    assert len(gate.n_rows) < 120


async def test_a_client_that_leaves_frees_its_row(roomy, gate):
    stream = roomy.generate("hi", NONE, Sampling(max_tokens=140))
    await anext(stream)
    await stream.aclose()
    n_before = len(gate.n_rows)
    await asyncio.sleep(0.05)
    assert len(gate.n_rows) <= n_before + 1
    assert roomy._writer._engine._batch.rows == ()


async def test_a_cancelled_task_frees_its_row_and_its_place_in_the_queue(service, gate):
    gate.is_open.clear()
    running = asyncio.create_task(collect(service.generate("hi", NONE, LONG)))
    await entered(gate)
    waiting = [asyncio.create_task(collect(service.generate("hi", NONE, LONG))) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded, match="2 requests wait already"):
        await collect(service.generate("hi", NONE, LONG))
    with pytest.raises(Overloaded, match="2 requests wait already"):
        await service.check_capacity()
    with pytest.raises(Overloaded, match="2 requests wait already"):
        # that it is too long would be found by tokenising it
        await collect(service.generate("hi " * 1000, NONE, LONG))
    for task in (running, *waiting):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    gate.is_open.set()
    await service.check_capacity()
    assert len(await collect(service.generate("hi", NONE, Sampling(max_tokens=1)))) == 1
    assert len(gate.n_rows) <= 3


async def test_a_deadline_ends_a_text_in_the_middle(roomy, gate):
    stream = roomy.generate("hi", NONE, Sampling(max_tokens=140), timeout_s=0.2)
    await anext(stream)
    gate.is_open.clear()
    await asyncio.sleep(0.25)
    gate.is_open.set()
    with pytest.raises(DeadlinePassed, match=r"passed after \d+ tokens"):
        await collect(stream)


async def test_a_deadline_that_passes_in_the_queue_costs_no_prefill(service, gate):
    gate.is_open.clear()
    running = asyncio.create_task(collect(service.generate("hi", NONE, Sampling(max_tokens=3))))
    await entered(gate)
    late = asyncio.create_task(collect(service.generate("hi", NONE, LONG, timeout_s=0.05)))
    await asyncio.sleep(0.1)
    gate.is_open.set()
    with pytest.raises(DeadlinePassed, match="after 0 tokens"):
        await late
    await running
    assert max(gate.n_rows) == 1


async def test_a_deadline_that_passes_at_the_tokenizer_costs_no_prefill(end_free, gate):
    held = HeldTokenizer()
    service = GenerationService(replace(end_free, tokenizer=held), Held(), PrometheusMeter())
    first = asyncio.create_task(collect(service.generate("hi", NONE, Sampling(max_tokens=1))))
    await asyncio.to_thread(held.began.wait)
    with pytest.raises(DeadlinePassed, match="not tokenised"):
        await collect(service.generate("late", NONE, LONG, timeout_s=0.02))
    held.may_go_on.set()
    await first
    await service.close()
    assert gate.n_rows == [1]


async def test_a_deadline_in_the_past_is_told_at_once(service):
    with pytest.raises(DeadlinePassed, match="before the prompt was tokenised"):
        await collect(service.generate("hi", NONE, LONG, timeout_s=-1))


async def test_a_failing_step_fails_its_requests_and_the_engine_lives_on(roomy, gate, caplog):
    gate.fails_at_rows = {2}
    with caplog.at_level(logging.ERROR):
        results = await asyncio.gather(
            *(collect(roomy.generate("secret hi", NONE, LONG)) for _ in range(2)),
            return_exceptions=True,
        )
    assert all(type(r) is ServiceError and "generation failed" in str(r) for r in results)
    assert "generation failed for 2 requests: " in caplog.text
    assert "secret" not in caplog.text + str(results)
    assert all(record.exc_info is None for record in caplog.records)
    gate.fails_at_rows = set()
    assert await collect(roomy.generate("hi", NONE, LONG))


async def test_closing_ends_everything(end_free, readouts, gate):
    service = GenerationService(end_free, Held(*readouts), PrometheusMeter())
    gate.is_open.clear()
    running = asyncio.create_task(collect(service.generate("hi", NONE, LONG)))
    await entered(gate)
    waiting = asyncio.create_task(collect(service.generate("hi", NONE, LONG)))
    await asyncio.sleep(0.02)
    closing = asyncio.create_task(service.close())
    await asyncio.sleep(0)
    gate.is_open.set()
    results = await asyncio.gather(running, waiting, return_exceptions=True)
    await closing
    assert all(isinstance(r, ServiceUnavailable) for r in results)
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        await collect(service.generate("hi", NONE, LONG))
    await asyncio.sleep(0.05)
    assert not [t for t in threading.enumerate() if t.name.startswith("generation-")]


async def test_the_event_loop_is_free_while_the_model_runs(roomy, gate):
    gate.is_open.clear()
    running = asyncio.create_task(collect(roomy.generate("hi", NONE, Sampling(max_tokens=1))))
    await entered(gate)
    await asyncio.wait_for(asyncio.sleep(0.01), 1)
    gate.is_open.set()
    await running


async def test_the_depth_of_the_queue_is_reported(end_free, readouts, gate):
    meter = PrometheusMeter()
    service = GenerationService(end_free, Held(*readouts), meter)
    gate.is_open.clear()
    tasks = [asyncio.create_task(collect(service.generate("hi", NONE, LONG)))]
    await entered(gate)
    tasks += [asyncio.create_task(collect(service.generate("hi", NONE, LONG))) for _ in range(2)]
    await asyncio.sleep(0.05)
    depth = meter.registry.get_sample_value("recal_queue_depth", {"service": "generation"})
    gate.is_open.set()
    await asyncio.gather(*tasks)
    assert depth == 2
    await service.close()


async def test_the_models_own_end_token_ends_a_text(checkpoints):
    backbone = load_backbone(str(checkpoints["qwen2"]))
    tokens = tokens_alone(backbone, a_row(backbone, "hi", max_tokens=10))
    backbone.model.generation_config.eos_token_id = [tokens[4], 10**6]
    service = GenerationService(backbone, Held(), PrometheusMeter())
    chunks = await collect(service.generate("hi", NONE, LONG))
    await service.close()
    assert chunks[-1].finish is FinishReason.END_OF_TEXT
    assert sum(chunk.n_tokens for chunk in chunks) == tokens.index(tokens[4]) + 1


async def test_it_warms_up_by_a_prefill_and_a_step_that_nobody_counts(end_free, gate):
    meter = PrometheusMeter()
    service = GenerationService(end_free, Held(), meter)
    await service.warm_up()
    await service.close()
    assert gate.n_rows == [1, 1]
    assert (
        meter.registry.get_sample_value("recal_stage_seconds_count", {"stage": "prefill"}) is None
    )
