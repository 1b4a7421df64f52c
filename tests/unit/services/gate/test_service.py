import asyncio
import logging
import threading

import pytest
import torch
import uvloop

from services.backbone.chat import encode_prompt
from services.domain import Abstention, Action, GateRequest, LanguageGuess, Reason
from services.errors import (
    DeadlinePassed,
    NoCalibration,
    NotReady,
    PromptTooLong,
    ServiceError,
    ServiceUnavailable,
    VersionMismatch,
)
from services.gate.batcher import BatchLimits
from services.gate.extract import residuals
from services.gate.policy import Outcome, Override, Policy
from services.gate.service import GateService
from services.readout.bundle import Bundle
from services.readout.linear import LinearReadout
from tests.unit.services.gate.gates import PROMPT, SW, Held, counted, with_linear
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_own, tiny_readout

UNKNOWN = LanguageGuess(None, 0.1, Abstention.LOW_CONFIDENCE)


async def test_a_verdict_comes_from_the_readouts_score_of_the_prompt(gate, qwen2, bundle):
    reading = await gate.check(GateRequest(PROMPT, SW))
    prompt = encode_prompt(qwen2.tokenizer, PROMPT)
    [read] = residuals(qwen2, [prompt], places=bundle.readout.places)
    assert reading.verdict.score == pytest.approx(float(bundle.readout.score(read)))
    assert reading.verdict.reason is Reason.SCORE
    assert reading.verdict.readout_version == "tiny@1"
    assert reading.n_prompt_tokens == len(prompt.token_ids)


async def test_a_reading_says_how_long_queue_pass_and_verdict_took(gate, meter):
    loop = asyncio.get_running_loop()
    started = loop.time()
    timings = (await gate.check(GateRequest(PROMPT, SW))).timings_s
    took = loop.time() - started
    assert set(timings) == {"gate_queue", "gate_pass", "verdict"}
    assert min(timings.values()) > 0
    assert sum(timings.values()) <= took
    for stage in timings:
        assert counted(meter, "recal_stage_seconds_count", stage=stage) == 1


def test_times_are_finer_than_the_clock_of_serves_event_loop(qwen2, bundle, meter):
    """uvloop's counts whole milliseconds."""

    async def timed() -> dict[str, float]:
        gate = GateService(qwen2, Held(bundle), Policy(), meter)
        reading = await gate.check(GateRequest(PROMPT, SW))
        await gate.close()
        return dict(reading.timings_s)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(timed())["verdict"] > 0


async def test_a_prompt_that_is_not_scored_has_no_pass_to_time(qwen2, bundle, meter):
    rows = (Override(Reason.DEADLINE_NEARLY_GONE, Outcome.REFUSE),)
    gate = GateService(qwen2, Held(bundle), Policy(rows, min_time_left_s=60), meter)
    reading = await gate.check(GateRequest(PROMPT, SW), timeout_s=30)
    await gate.close()
    assert set(reading.timings_s) == {"gate_queue", "verdict"}


async def test_many_prompts_get_the_verdicts_that_each_gets_alone(gate):
    prompts = [PROMPT, "hi", "how do I bake bread " * 3, PROMPT + "?"]
    many = await gate.batch_check([GateRequest(prompt, SW) for prompt in prompts])
    alone = [await gate.check(GateRequest(prompt, SW)) for prompt in prompts]
    assert [r.verdict.action for r in many] == [r.verdict.action for r in alone]
    for one, other in zip(many, alone, strict=True):
        assert one.verdict.score == pytest.approx(other.verdict.score, abs=1e-4)


async def test_a_batch_is_decided_under_one_bundle(qwen2, bundle, meter):
    store = Held(bundle)
    gate = GateService(qwen2, store, Policy(), meter)
    await gate.batch_check([GateRequest(PROMPT, SW)] * 3)
    await gate.close()
    assert store.n_reads == 1


async def test_score_and_threshold_come_from_the_bundle_that_was_read_first(qwen2, bundle, meter):
    store = Held(bundle)
    gate = GateService(qwen2, store, Policy(), meter)
    before = asyncio.create_task(gate.check(GateRequest(PROMPT, SW)))
    await asyncio.sleep(0)
    readout = tiny_readout(qwen2, layer=2, seed=5, version="tiny@2")
    store.bundle = tiny_bundle(readout, tiny_calibration(readout, "sw", steer=7.0))
    after = await gate.check(GateRequest(PROMPT, SW))
    verdict = (await before).verdict
    await gate.close()
    assert (verdict.readout_version, verdict.threshold) == ("tiny@1", 1.0)
    assert (after.verdict.readout_version, after.verdict.threshold) == ("tiny@2", 7.0)
    assert verdict.score != pytest.approx(after.verdict.score, abs=1e-2)


async def test_prompts_of_two_bundles_in_one_batch_get_each_its_own_score(qwen2, bundle, meter):
    store = Held(bundle)
    other = tiny_readout(qwen2, layer=2, reading="mean", seed=5, version="tiny@2")
    bundles = [bundle, tiny_bundle(other, tiny_calibration(other, "sw"))]
    together = GateService(qwen2, store, Policy(), meter, limits=BatchLimits(max_wait_s=0.3))
    await together.batch_check([GateRequest(PROMPT, SW)] * 2)  # from now on they wait
    tasks = []
    for store.bundle in bundles:
        tasks.append(asyncio.create_task(together.check(GateRequest(PROMPT, SW))))
        await asyncio.sleep(0)
    found = [reading.verdict.score for reading in await asyncio.gather(*tasks)]
    await together.close()
    prompt = encode_prompt(qwen2.tokenizer, PROMPT)
    for score, readout in zip(found, (bundle.readout, other), strict=True):
        [read] = residuals(qwen2, [prompt], places=readout.places)
        assert score == pytest.approx(float(readout.score(read)), abs=1e-5)


async def test_a_language_with_its_own_readout_gets_its_score_and_others_in_the_batch_theirs(
    qwen2, bundle, meter
):
    readout, own = bundle.readout, tiny_own(bundle.readout)
    held = tiny_bundle(
        readout, tiny_calibration(readout, "sw", own=own), tiny_calibration(readout, "en")
    )
    gate = GateService(qwen2, Held(held), Policy(), meter, limits=BatchLimits(max_wait_s=0.3))
    guesses = [SW, LanguageGuess("en", 0.9), SW]
    prompts = [PROMPT, PROMPT, PROMPT + "?"]
    requests = [GateRequest(*each) for each in zip(prompts, guesses, strict=True)]
    found = [reading.verdict.score for reading in await gate.batch_check(requests)]
    await gate.close()
    encoded = [encode_prompt(qwen2.tokenizer, prompt) for prompt in prompts]
    read = residuals(qwen2, encoded, places=readout.places)
    frozen, own_scores = readout.score(read).tolist(), own.score(read).tolist()
    wanted = [own_scores[0], frozen[1], own_scores[2]]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert abs(own_scores[0] - frozen[0]) > 0.1


async def test_an_own_readout_that_is_swapped_in_or_out_judges_no_prompt_that_waits(
    qwen2, bundle, meter
):
    readout = bundle.readout
    newer = tiny_bundle(readout, tiny_calibration(readout, "sw", own=tiny_own(readout)))
    store = Held(bundle)
    gate = GateService(qwen2, store, Policy(), meter, limits=BatchLimits(max_wait_s=0.3))
    await gate.batch_check([GateRequest(PROMPT, SW)] * 2)  # from now on they wait
    tasks = []
    for store.bundle in (newer, bundle, newer):
        tasks.append(asyncio.create_task(gate.check(GateRequest(PROMPT, SW))))
        await asyncio.sleep(0)
    first, between, last = [reading.verdict.score for reading in await asyncio.gather(*tasks)]
    await gate.close()
    [read] = residuals(qwen2, [encode_prompt(qwen2.tokenizer, PROMPT)], places=readout.places)
    assert between == pytest.approx(float(readout.score(read)), abs=1e-5)
    own = float(tiny_own(readout).score(read))
    assert [first, last] == pytest.approx([own, own], abs=1e-5)


async def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(gate):
    with pytest.raises(PromptTooLong, match=r"has \d+ tokens, `tiny-qwen2` takes at most 160") as e:
        await gate.check(GateRequest("secret " * 200, SW))
    assert "secret" not in str(e.value)


async def test_one_bad_prompt_of_a_batch_is_named_by_its_index(gate):
    with pytest.raises(PromptTooLong, match=r"`requests\[1\]`"):
        await gate.batch_check([GateRequest(PROMPT, SW), GateRequest("x " * 300, SW)])


async def test_a_hint_reaches_the_decision(gate):
    reading = await gate.check(GateRequest(PROMPT, SW, hint="my"))
    assert reading.verdict.reason is Reason.NO_CALIBRATION


async def test_too_little_time_is_the_deadline_row(gate):
    with pytest.raises(DeadlinePassed, match=r"less than 0\.001 s"):
        await gate.check(GateRequest(PROMPT, SW), timeout_s=0.0)


async def test_an_operator_may_refuse_when_time_runs_out(qwen2, bundle, meter):
    rows = (Override(Reason.DEADLINE_NEARLY_GONE, Outcome.REFUSE),)
    gate = GateService(qwen2, Held(bundle), Policy(rows, min_time_left_s=60), meter)
    reading = await gate.check(GateRequest(PROMPT, SW), timeout_s=30)
    await gate.close()
    assert reading.verdict.action is Action.REFUSE
    assert reading.verdict.score is None


async def test_a_score_that_is_not_finite_is_refused(qwen2, bundle, meter):
    readout = with_linear(bundle.readout, LinearReadout(torch.full((32,), float("nan")), 0.0))
    gate = GateService(qwen2, Held(Bundle(readout, bundle.calibrations)), Policy(), meter)
    reading = await gate.check(GateRequest(PROMPT, SW))
    await gate.close()
    assert (reading.verdict.action, reading.verdict.reason) == (
        Action.REFUSE,
        Reason.NON_FINITE_ACTIVATION,
    )
    assert counted(meter, "recal_score_count", language="sw", calibration_version="sw@3") is None


async def test_a_model_that_fails_ends_the_call_and_neither_log_nor_error_shows_the_prompt(
    qwen2, bundle, meter, caplog
):
    readout = with_linear(bundle.readout, LinearReadout(torch.zeros(8), 0.0))
    gate = GateService(qwen2, Held(Bundle(readout, bundle.calibrations)), Policy(), meter)
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError, match="could not") as caught:
        await gate.check(GateRequest("secret bread", SW))
    await gate.close()
    assert "the gate's model failed: ValueError at " in caplog.text
    assert "secret" not in caplog.text + str(caught.value)
    assert all(record.exc_info is None for record in caplog.records)


async def test_a_readout_deeper_than_the_loaded_blocks_is_named(qwen2, meter):
    readout = tiny_readout(qwen2, layer=9)
    gate = GateService(qwen2, Held(tiny_bundle(readout)), Policy(), meter)
    with pytest.raises(VersionMismatch, match="reads block 9, and the gate holds only 4"):
        await gate.check(GateRequest(PROMPT, SW))
    await gate.close()


async def test_nothing_is_decided_without_a_bundle(qwen2, meter):
    gate = GateService(qwen2, Held(None), Policy(), meter)
    with pytest.raises(NotReady):
        await gate.check(GateRequest(PROMPT, SW))
    with pytest.raises(NotReady):
        await gate.describe()
    await gate.close()


async def test_verdicts_and_scores_are_counted_by_language(gate, meter):
    verdict = (await gate.check(GateRequest(PROMPT, SW))).verdict
    labels = {"language": "sw", "action": verdict.action.value}
    versions = {"reason": "score", "calibration_version": "sw@3"}
    assert counted(meter, "recal_verdicts_total", **labels, **versions) == 1
    assert counted(meter, "recal_score_count", language="sw", calibration_version="sw@3") == 1


@pytest.mark.parametrize("guess", [UNKNOWN, LanguageGuess("my", 0.9), LanguageGuess("xx", 0.9)])
async def test_languages_that_are_not_loaded_share_one_label(gate, meter, guess):
    verdict = (await gate.check(GateRequest(PROMPT, guess))).verdict
    labels = {"language": "other", "action": "steer", "calibration_version": "none"}
    assert counted(meter, "recal_verdicts_total", reason=verdict.reason.value, **labels) == 1


async def test_every_bypass_is_counted(qwen2, bundle, meter):
    rows = (Override(Reason.LANGUAGE_UNKNOWN, Outcome.ALLOW),)
    gate = GateService(qwen2, Held(bundle), Policy(rows), meter)
    reading = await gate.check(GateRequest(PROMPT, UNKNOWN))
    await gate.check(GateRequest(PROMPT, SW))
    await gate.close()
    assert (reading.verdict.action, reading.verdict.bypassed) == (Action.NONE, True)
    assert counted(meter, "recal_bypasses_total", language="other", reason="language_unknown") == 1


async def test_a_row_that_fails_ends_the_call(qwen2, bundle, meter):
    rows = (Override(Reason.NO_CALIBRATION, Outcome.FAIL),)
    gate = GateService(qwen2, Held(bundle), Policy(rows), meter)
    with pytest.raises(NoCalibration):
        await gate.check(GateRequest(PROMPT, LanguageGuess("my", 0.9)))
    await gate.close()


async def test_the_description_says_what_is_loaded(gate, qwen2):
    description = await gate.describe()
    assert description.model == "tiny-qwen2"
    assert description.model_digest == qwen2.identity.weights_digest
    assert [c.language for c in description.calibrations] == ["en", "sw"]
    assert (description.max_prompt_tokens, description.notice) == (160, "tiny")


async def test_the_description_says_which_language_has_a_readout_of_its_own(qwen2, bundle, meter):
    readout = bundle.readout
    own = tiny_calibration(readout, "sw", own=tiny_own(readout))
    held = Held(tiny_bundle(readout, own, tiny_calibration(readout, "en")))
    gate = GateService(qwen2, held, Policy(), meter)
    found = {c.language: c.own_readout for c in (await gate.describe()).calibrations}
    assert found == {"en": "", "sw": own.own.method}
    assert found["sw"]
    await gate.close()


async def test_a_closed_gate_turns_prompts_away_and_leaves_no_thread_behind(qwen2, bundle, meter):
    gate = GateService(qwen2, Held(bundle), Policy(), meter)
    await gate.check(GateRequest(PROMPT, SW))
    await gate.close()
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        await gate.check(GateRequest(PROMPT, SW))
    await asyncio.sleep(0.05)
    assert not [t for t in threading.enumerate() if t.name.startswith("gate-")]
