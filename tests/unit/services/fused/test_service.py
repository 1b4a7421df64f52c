"""What the fused service does beside deciding: limits, deadlines, swaps, counts."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from services.backbone.load import Backbone
from services.domain import (
    Action,
    FinishReason,
    GateReading,
    GateRequest,
    Reason,
    Sampling,
    TextChunk,
)
from services.errors import (
    ArtefactRefused,
    DeadlinePassed,
    InvalidRequest,
    NoCalibration,
    NotReady,
    PromptTooLong,
    VersionMismatch,
)
from services.gate.policy import Outcome, Override, Policy
from services.generation.monitor import Monitors
from services.readout.bundle import Bundle
from tests.unit.services.fused.both import EN, SW, both, fused_answer
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_readout

PROMPT = "jinsi ya kuoka mkate"
ASKED = GateRequest(PROMPT, SW)
FEW = Sampling(max_tokens=6)


def bundle_of(
    backbone: Backbone, *, version: str = "tiny@1", steer: float = -1e6, seed: int = 0
) -> Bundle:
    """Every Swahili prompt is steered."""
    readout = tiny_readout(backbone, coefficient=20.0, version=version, seed=seed)
    return tiny_bundle(readout, tiny_calibration(readout, "sw", steer=steer, release=None))


async def test_the_reading_comes_before_any_text(qwen2):
    async with both(qwen2, bundle_of(qwen2)) as services:
        frames = [each async for each in services.fused.generate(ASKED, FEW)]
    assert [type(each) for each in frames[:2]] == [GateReading, TextChunk]
    assert [type(each) for each in frames].count(GateReading) == 1
    assert frames[-1].finish is not None
    assert set(frames[-1].timings_s) == {"generation_queue", "prefill", "decode"}


async def test_text_is_gathered_into_frames_after_the_first(end_free):
    texts = []
    for frame_s in (0.0, 60.0):
        async with both(end_free, bundle_of(end_free), frame_s=frame_s) as services:
            frames = [
                each async for each in services.fused.generate(ASKED, Sampling(max_tokens=30))
            ]
        texts.append([each.text for each in frames[1:]])
    assert "".join(texts[0]) == "".join(texts[1])
    assert len(texts[1]) == 2 < len(texts[0])


async def test_a_refusal_is_a_reading_and_nothing_else(qwen2):
    policy = Policy((Override(Reason.NO_CALIBRATION, Outcome.REFUSE),))
    async with both(qwen2, bundle_of(qwen2), policy) as services:
        answer = await fused_answer(services.fused, GateRequest(PROMPT, EN), FEW)
    assert (answer.action, answer.text, answer.finish) == (Action.REFUSE, "", None)


async def test_a_row_that_fails_the_call_fails_it_before_the_model_runs(end_free, gate):
    policy = Policy((Override(Reason.NO_CALIBRATION, Outcome.FAIL),))
    async with both(end_free, bundle_of(end_free), policy) as services:
        with pytest.raises(NoCalibration, match="`en`"):
            await fused_answer(services.fused, GateRequest(PROMPT, EN), FEW)
    assert gate.n_rows == []


async def test_every_verdict_is_counted_once_under_its_language(qwen2):
    labels = {"action": "steer", "reason": "score", "calibration_version": "sw@3"}
    async with both(qwen2, bundle_of(qwen2)) as services:
        await fused_answer(services.fused, ASKED, FEW)
        assert services.counted("recal_verdicts_total", language="sw", **labels) == 1
        assert services.counted("recal_score_count", language="sw", calibration_version="sw@3") == 1


async def test_requests_of_one_bundle_share_a_pass(end_free, gate):
    async with both(end_free, bundle_of(end_free)) as services:
        gate.is_open.clear()
        first = asyncio.create_task(fused_answer(services.fused, ASKED, FEW))
        assert await asyncio.to_thread(gate.entered.wait, 5)
        others = [asyncio.create_task(fused_answer(services.fused, ASKED, FEW)) for _ in range(3)]
        async with asyncio.timeout(5):
            while services.counted("recal_queue_depth", service="generation") < 3:
                await asyncio.sleep(0.01)
        gate.is_open.set()
        await asyncio.gather(first, *others)
    alone, beside_its_next_token = 1, 3
    assert gate.n_rows[:2] == [alone, 1 + beside_its_next_token]


async def test_a_request_ends_under_the_bundle_it_began_with(end_free, gate):
    async with both(end_free, bundle_of(end_free)) as services:
        gate.is_open.clear()
        before = asyncio.create_task(fused_answer(services.fused, ASKED, FEW))
        assert await asyncio.to_thread(gate.entered.wait, 5)
        services.store.bundle = bundle_of(end_free, version="tiny@2", steer=1e6, seed=7)
        gate.is_open.set()
        after = await fused_answer(services.fused, ASKED, FEW)
        verdict = (await before).reading.verdict
        checked = (await services.gate.check(GateRequest(PROMPT, SW))).verdict
    assert after.reading.verdict.score == pytest.approx(checked.score, rel=1e-5)
    assert (verdict.action, verdict.readout_version) == (Action.STEER, "tiny@1")
    assert (after.action, after.reading.verdict.readout_version) == (Action.NONE, "tiny@2")


NO_TIME = {
    Outcome.REFUSE: Action.REFUSE,
    Outcome.STEER: Action.STEER,
    Outcome.ALLOW: Action.NONE,
}


@pytest.mark.parametrize("outcome", NO_TIME)
async def test_too_little_time_to_score_is_a_row_of_the_policy(qwen2, outcome):
    row = Override(Reason.DEADLINE_NEARLY_GONE, outcome)
    async with both(qwen2, bundle_of(qwen2), Policy((row,), min_time_left_s=1e6)) as services:
        answer = await fused_answer(services.fused, ASKED, FEW, timeout_s=60)
        steered = await services.generation_text(ASKED, FEW, Action.STEER)
        untouched = await services.generation_text(ASKED, FEW, Action.NONE)
    assert answer.action is NO_TIME[outcome]
    assert answer.reading.verdict.score is None
    texts = {Outcome.REFUSE: "", Outcome.STEER: steered, Outcome.ALLOW: untouched}
    assert answer.text == texts[outcome]
    assert steered != untouched


async def test_without_a_row_too_little_time_is_an_error(qwen2):
    async with both(qwen2, bundle_of(qwen2), Policy(min_time_left_s=1e6)) as services:
        with pytest.raises(DeadlinePassed, match="before the prompt was scored"):
            await fused_answer(services.fused, ASKED, FEW, timeout_s=60)


async def test_a_deadline_that_passes_in_the_queue_ends_the_call_without_a_verdict(end_free, gate):
    async with both(end_free, bundle_of(end_free)) as services:
        gate.is_open.clear()
        first = asyncio.create_task(fused_answer(services.fused, ASKED, FEW))
        assert await asyncio.to_thread(gate.entered.wait, 5)
        late = asyncio.create_task(fused_answer(services.fused, ASKED, FEW, timeout_s=0.01))
        await asyncio.sleep(0.05)
        gate.is_open.set()
        with pytest.raises(DeadlinePassed, match="after 0 tokens"):
            await late
        await first


async def test_a_prompt_that_leaves_no_room_for_its_answer_is_refused_by_tokens(qwen2):
    async with both(qwen2, bundle_of(qwen2)) as services:
        with pytest.raises(PromptTooLong, match="tokens"):
            await fused_answer(services.fused, ASKED, Sampling(max_tokens=150))


async def test_sampling_that_makes_no_sense_is_refused(qwen2):
    async with both(qwen2, bundle_of(qwen2)) as services:
        with pytest.raises(InvalidRequest, match="`max_tokens` is 0"):
            await fused_answer(services.fused, ASKED, Sampling(max_tokens=0))


async def test_without_a_bundle_it_is_not_ready(qwen2):
    async with both(qwen2, None) as services:
        with pytest.raises(NotReady):
            await fused_answer(services.fused, ASKED, FEW)


async def test_steering_of_a_block_that_is_not_there_fails_every_request(qwen2):
    readout = tiny_readout(qwen2, acts_at=99)
    bundle = tiny_bundle(readout, tiny_calibration(readout, "sw", steer=1e6, release=None))
    async with both(qwen2, bundle) as services:
        with pytest.raises(VersionMismatch, match="acts on block 99"):
            await fused_answer(services.fused, ASKED, FEW)


async def test_steering_that_cannot_be_used_fails_every_request(qwen2):
    readout = tiny_readout(qwen2)
    steering = replace(readout.steering, direction=readout.steering.direction * 2)
    readout = replace(readout, steering=steering)
    bundle = tiny_bundle(readout, tiny_calibration(readout, "sw", steer=1e6, release=None))
    async with both(qwen2, bundle) as services:
        with pytest.raises(ArtefactRefused, match="cannot be used"):
            await fused_answer(services.fused, ASKED, FEW)


async def test_a_stream_that_is_left_frees_its_place(end_free, gate):
    async with both(end_free, bundle_of(end_free)) as services:
        long = Sampling(max_tokens=100)
        async with aclosing(services.fused.generate(ASKED, long)) as frames:
            await anext(frames)
        await fused_answer(services.fused, ASKED, FEW)
    assert sum(gate.n_rows) < 20


async def test_checks_are_answered_between_the_steps_of_a_long_text(end_free):
    async with both(end_free, bundle_of(end_free)) as services:
        long = asyncio.create_task(fused_answer(services.fused, ASKED, Sampling(max_tokens=100)))
        await asyncio.sleep(0)
        reading = await services.gate.check(GateRequest(PROMPT, SW))
        assert not long.done()
        assert (await long).reading.verdict.score == pytest.approx(reading.verdict.score, rel=1e-5)


async def test_it_warms_up_by_a_prefill_and_a_step_that_nobody_counts(end_free, gate):
    async with both(end_free, bundle_of(end_free)) as services:
        await services.fused.warm_up()
        assert gate.n_rows == [1, 1]
        assert services.counted("recal_stage_seconds_count", stage="prefill") == 0


async def test_a_prompt_is_not_tokenised_when_its_time_is_over(qwen2):
    async with both(qwen2, bundle_of(qwen2)) as services:
        with pytest.raises(DeadlinePassed, match="before the prompt was tokenised"):
            await fused_answer(services.fused, ASKED, FEW, timeout_s=0.0)


@pytest.mark.parametrize("steer", [-1e6, 1e6], ids=["steered", "untouched"])
@pytest.mark.parametrize("threshold", [-1e6, 1e6], ids=["withdrawn", "sent"])
async def test_an_answer_is_withdrawn_in_either_mode_or_in_none(
    end_free, steer: float, threshold: float
):
    bundle = bundle_of(end_free, steer=steer)
    monitors = Monitors({bundle.readout.digest: threshold}, every=4)
    async with both(end_free, bundle, monitors=monitors) as services:
        split = await services.split_answer(ASKED, Sampling(max_tokens=20))
        fused = await services.fused_answer(ASKED, Sampling(max_tokens=20))
    assert (fused.text, fused.finish, fused.n_tokens) == (split.text, split.finish, split.n_tokens)
    is_withdrawn = threshold < 0 and steer > 0
    assert fused.finish is (FinishReason.MONITOR if is_withdrawn else FinishReason.MAX_TOKENS)
    assert bool(fused.text) is not is_withdrawn


async def test_without_time_for_a_verdict_an_answer_is_looked_at_all_the_same(end_free):
    bundle = bundle_of(end_free)
    monitors = Monitors({bundle.readout.digest: -1e6}, every=4)
    allowed = Policy(
        (Override(Reason.DEADLINE_NEARLY_GONE, Outcome.ALLOW),), min_time_left_s=1000.0
    )
    async with both(end_free, bundle, allowed, monitors=monitors) as services:
        answer = await fused_answer(services.fused, ASKED, FEW, timeout_s=60.0)
    assert (answer.action, answer.finish) == (Action.NONE, FinishReason.MONITOR)


async def test_nothing_is_decided_where_the_answer_could_not_be_looked_at(qwen2):
    bundle = bundle_of(qwen2)
    async with both(qwen2, bundle, monitors=Monitors({"f" * 12: 1.0}, every=4)) as services:
        with pytest.raises(ArtefactRefused, match="none for readout"):
            await services.fused_answer(ASKED, FEW)
