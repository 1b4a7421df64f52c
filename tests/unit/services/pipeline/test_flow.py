from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.domain import (
    Abstention,
    Action,
    FinishReason,
    LanguageGuess,
    MonitorStop,
    Reason,
    Sampling,
    TextChunk,
    Usage,
    Verdict,
)
from services.errors import (
    DeadlinePassed,
    InvalidRequest,
    NoCalibration,
    NotReady,
    Overloaded,
    ServiceError,
    ServiceUnavailable,
    UnknownBackbone,
    VersionMismatch,
)
from services.gate.policy import Outcome, Override, Policy
from services.pipeline.ask import Ask
from services.telemetry import (
    ABSTENTIONS,
    ANSWERS,
    BYPASSES,
    MONITOR_STOPS,
    REFUSALS_OBSERVED,
    STAGE_SECONDS,
    STAGES,
)
from tests.behind import (
    DESCRIPTION,
    HARMLESS,
    REFUSE,
    STEER,
    FakeGate,
    FakeGeneration,
    FakeLanguageId,
    FakeRefusals,
)
from tests.unit.services.pipeline.lines import ASK, UNKNOWN, FusedLine, SplitLine, unreachable_rows


async def test_an_answer_is_verdict_then_text_then_usage():
    verdict, *text, usage = await SplitLine().answer()
    assert verdict is STEER
    assert text == [TextChunk("Sawa, ", 1), TextChunk("karibu", 2)]
    assert isinstance(usage, Usage)
    assert (usage.n_prompt_tokens, usage.n_generated_tokens) == (12, 3)
    assert usage.finish is FinishReason.END_OF_TEXT
    assert set(usage.timings_s) == {"language_id", "gate", "first_token", "generation", "total"}


async def test_generation_is_asked_for_what_the_verdict_says():
    line = SplitLine()
    await line.answer()
    [(prompt, intervention, _)] = line.generation.asked
    assert prompt == "habari yako"
    assert intervention.action is STEER.action
    assert intervention.readout_version == STEER.readout_version
    assert intervention.calibration_version == STEER.calibration_version


async def test_the_gate_gets_guess_hint_and_what_is_left_of_the_deadline():
    line = SplitLine()
    await line.answer(timeout_s=5.0)
    [asked] = line.gate.asked
    assert (asked.guess.language, asked.hint) == ("sw", "sw")
    assert 4.0 < line.gate.timeouts_s[0] < 5.0


async def test_the_verdict_comes_before_generation_is_asked():
    line = SplitLine()
    frames = line.pipeline.generate(ASK, Sampling())
    assert await anext(frames) is STEER
    assert line.generation.asked == []
    await frames.aclose()


async def test_a_refusal_is_an_answer_in_the_users_language_without_generation():
    line = SplitLine(gate=FakeGate(REFUSE))
    verdict, text, usage = await line.answer()
    assert verdict.action is Action.REFUSE
    assert text.text == "refusal in sw"
    assert usage.finish is FinishReason.REFUSED
    assert line.generation.asked == []


@pytest.mark.parametrize("failure", [ServiceUnavailable("away"), NotReady("loading")])
async def test_without_the_gate_nothing_goes_out(failure):
    line = SplitLine(gate=FakeGate(failure=failure))
    with pytest.raises(ServiceUnavailable, match="nothing is generated"):
        await line.answer()
    assert line.generation.asked == []


@pytest.mark.parametrize(
    "failure",
    [NoCalibration("none"), ServiceError("broken"), Overloaded("full"), ValueError("malformed")],
)
async def test_a_gate_that_fails_otherwise_fails_the_call_even_where_unreachable_is_allowed(
    failure,
):
    line = SplitLine(gate=FakeGate(failure=failure), policy=unreachable_rows(Outcome.ALLOW))
    with pytest.raises(type(failure)):
        await line.answer()
    assert line.generation.asked == []


@pytest.mark.parametrize("outcome", [Outcome.REFUSE, Outcome.STEER])
async def test_a_row_that_steers_without_gate_refuses_since_no_readout_is_named(outcome):
    line = SplitLine(
        gate=FakeGate(failure=ServiceUnavailable("away")), policy=unreachable_rows(outcome)
    )
    verdict, *_ = await line.answer()
    assert (verdict.action, verdict.bypassed) == (Action.REFUSE, False)
    assert line.generation.asked == []


async def test_a_bypass_of_the_gate_is_an_operators_choice_and_counted():
    gate = FakeGate(failure=ServiceUnavailable("away"))
    rows = Policy((Override(Reason.GATE_UNREACHABLE, Outcome.ALLOW, language="sw"),))
    line = SplitLine(gate=gate, policy=rows)
    verdict, *_ = await line.answer()
    assert (verdict.action, verdict.bypassed) == (Action.NONE, True)
    assert line.counted(BYPASSES, language="sw", reason="gate_unreachable") == 1


@pytest.mark.parametrize("failure", [ServiceUnavailable("away"), ServiceError("?"), ValueError()])
async def test_without_language_id_the_language_is_unknown_and_the_gate_decides(failure):
    line = SplitLine(language_id=FakeLanguageId(failure=failure))
    await line.answer()
    assert line.gate.asked[0].guess.abstention is Abstention.LOW_CONFIDENCE
    assert line.counted(ABSTENTIONS, abstention="unreachable") == 1


async def test_a_slow_language_id_does_not_hold_the_request():
    line = SplitLine(language_id=FakeLanguageId(delay_s=5.0))
    await asyncio.wait_for(line.answer(), timeout=1.0)
    assert line.gate.asked[0].guess.abstained


@pytest.mark.parametrize("failure", [Overloaded("full"), InvalidRequest("bad")])
async def test_a_language_id_that_refuses_the_request_ends_it(failure):
    line = SplitLine(language_id=FakeLanguageId(failure=failure))
    with pytest.raises(type(failure)):
        await line.answer()
    assert line.gate.asked == []


async def test_abstentions_are_counted_by_kind():
    line = SplitLine(language_id=FakeLanguageId(UNKNOWN))
    await line.answer()
    assert line.counted(ABSTENTIONS, abstention="low_confidence") == 1


async def test_generation_that_lacks_the_readout_is_asked_once_more():
    line = SplitLine(generation=FakeGeneration(failures=[VersionMismatch("v3")]))
    frames = await line.answer()
    assert [f.text for f in frames if isinstance(f, TextChunk)] == ["Sawa, ", "karibu"]
    assert len(line.generation.asked) == 2


async def test_generation_that_still_lacks_the_readout_is_an_error():
    line = SplitLine(generation=FakeGeneration(failures=[VersionMismatch("v3")] * 2))
    with pytest.raises(VersionMismatch):
        await line.answer()


async def test_text_that_has_begun_is_never_begun_again():
    generation = FakeGeneration(fails_after=VersionMismatch("v3"))
    line = SplitLine(generation=generation)
    with pytest.raises(VersionMismatch):
        await line.answer()
    assert len(generation.asked) == 1


async def test_text_that_breaks_off_is_an_error_and_not_a_short_answer():
    line = SplitLine(generation=FakeGeneration(chunks=(TextChunk("Sawa", 1),)))
    with pytest.raises(ServiceUnavailable, match="broke off after 1 pieces"):
        await line.answer()


@pytest.mark.parametrize(("text", "n"), [("Samahani, siwezi.", 1), ("Sawa, karibu.", 0)])
async def test_a_refusal_in_the_models_own_words_is_counted(text, n):
    half = len(text) // 2
    chunks = (
        TextChunk(text[:half], 1),
        TextChunk(text[half:], 1, FinishReason.END_OF_TEXT, 12),
    )
    line = SplitLine(generation=FakeGeneration(chunks=chunks))
    await line.answer()
    labels = {"language": "sw", "action": "steer", "calibration_version": "sw@7"}
    assert line.counted(ANSWERS, **labels) == 1
    assert line.counted(REFUSALS_OBSERVED, **labels) == n


async def test_every_stage_is_observed_once():
    line = SplitLine()
    await line.answer()
    for stage in ("language_id", "gate", "first_token", "generation", "total"):
        assert line.counted(STAGE_SECONDS, "_count", stage=stage) == 1


async def test_what_gate_and_generation_timed_themselves_comes_with_the_last_frame():
    gate = {"gate_queue": 0.002, "gate_pass": 0.003, "verdict": 0.001, "unheard_of": 1.0}
    own = {"generation_queue": 0.01, "prefill": 0.02, "decode": 0.03}
    last = TextChunk("", 0, FinishReason.END_OF_TEXT, 12, own)
    line = SplitLine(
        gate=FakeGate(delay_s=0.02, timings_s=gate),
        generation=FakeGeneration(chunks=(TextChunk("Sawa", 1), last), pause_s=0.05),
    )
    timings = (await line.answer())[-1].timings_s
    assert set(timings) == set(STAGES)
    assert {stage: timings[stage] for stage in own} == own
    outside = timings["gate"] - 0.006 + timings["generation"] - 0.06
    assert timings["transport"] == pytest.approx(outside)
    assert line.counted(STAGE_SECONDS, "_count", stage="transport") == 1
    assert line.counted(STAGE_SECONDS, "_count", stage="gate_pass") == 0  # the gate counts it


async def test_services_that_time_nothing_leave_transport_unknown():
    assert "transport" not in (await SplitLine().answer())[-1].timings_s


async def test_a_refusal_comes_with_the_gates_own_times():
    line = SplitLine(gate=FakeGate(REFUSE, timings_s={"gate_pass": 0.003}))
    timings = (await line.answer())[-1].timings_s
    assert set(timings) == {"language_id", "gate", "gate_pass", "transport", "total"}


@pytest.mark.parametrize("slow", ["gate", "generation"])
async def test_a_deadline_ends_whatever_is_slow(slow):
    line = SplitLine(
        gate=FakeGate(delay_s=5.0 if slow == "gate" else 0.0),
        generation=FakeGeneration(pause_s=5.0 if slow == "generation" else 0.0),
    )
    words = rf"deadline of 0\.1 s passed in `{slow}`; finished by then: language_id \([^)]* ms\)"
    with pytest.raises(DeadlinePassed, match=words):
        await line.answer(timeout_s=0.1)
    assert line.generation.n_closed == len(line.generation.asked)


async def test_a_cancelled_answer_closes_generation():
    line = SplitLine(generation=FakeGeneration(pause_s=5.0))
    task = asyncio.create_task(line.answer())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert line.generation.n_closed == 1


async def test_an_answer_that_is_not_read_to_the_end_closes_generation():
    line = SplitLine()
    frames = line.pipeline.generate(ASK, Sampling())
    await anext(frames)
    await anext(frames)
    await frames.aclose()
    assert line.generation.n_closed == 1


async def test_a_model_that_is_not_served_is_refused_before_anything_is_read():
    line = SplitLine()
    with pytest.raises(UnknownBackbone, match="'gpt-9' is not served; name `organism`"):
        await line.answer(replace(ASK, model="gpt-9"))
    assert line.language_id.asked == []


async def test_the_served_model_may_be_named():
    assert await SplitLine().answer(replace(ASK, model="organism"))


async def test_check_says_what_would_be_done_and_generates_nothing():
    line = SplitLine(gate=FakeGate(HARMLESS))
    verdict = await line.pipeline.check(ASK)
    assert isinstance(verdict, Verdict)
    assert verdict.action is Action.NONE
    assert line.generation.asked == []


async def test_describe_comes_from_the_gate():
    assert await SplitLine().pipeline.describe() == DESCRIPTION


async def test_concurrent_requests_keep_their_own_clock_and_verdict():
    line = SplitLine(generation=FakeGeneration(pause_s=0.01))
    answers = await asyncio.gather(*(line.answer(Ask(f"prompt {i}")) for i in range(8)))
    assert all(frames[-1].n_generated_tokens == 3 for frames in answers)
    assert {prompt for prompt, _, _ in line.generation.asked} == {f"prompt {i}" for i in range(8)}


@pytest.mark.parametrize(
    ("guess", "verdict"),
    [
        (UNKNOWN, replace(STEER, language=None)),
        (LanguageGuess("xx", 0.9), replace(STEER, language="xx", calibration_version=None)),
    ],
    ids=["no language", "one without a calibration"],
)
async def test_no_label_names_a_language_without_a_calibration_or_a_row(guess, verdict):
    line = SplitLine(
        language_id=FakeLanguageId(guess),
        gate=FakeGate(verdict),
        generation=FakeGeneration(chunks=(TextChunk("siwezi", 1, FinishReason.END_OF_TEXT, 9),)),
        policy=unreachable_rows(Outcome.ALLOW),
    )
    await line.answer()
    labels = {"language": "other", "action": "steer", "calibration_version": "none"}
    assert line.counted(REFUSALS_OBSERVED, **labels) == 1
    line.gate.failure = ServiceUnavailable("away")
    await line.answer()
    assert line.counted(BYPASSES, language="other", reason="gate_unreachable") == 1


@pytest.mark.parametrize("kind", [SplitLine, FusedLine])
async def test_a_withdrawn_answer_ends_with_the_fixed_refusal_in_its_place(kind):
    line, stop = kind(), MonitorStop.SCORE
    chunks = (TextChunk("Sawa, ", 1), TextChunk("", 2, FinishReason.MONITOR, 12, {}, stop))
    if isinstance(line, SplitLine):
        line.gate.verdict, line.generation.chunks = HARMLESS, chunks
    else:
        line.fused.verdict, line.fused.chunks = HARMLESS, chunks
    verdict, *text, usage = await line.answer()
    assert (verdict, text) == (HARMLESS, [TextChunk("Sawa, ", 1)])
    assert isinstance(usage, Usage)
    assert (usage.finish, usage.withdrawn_by) == (FinishReason.MONITOR, stop)
    assert usage.n_generated_tokens == 3
    assert usage.replacement == FakeRefusals().fixed_refusal("sw")
    assert line.counted(MONITOR_STOPS, language="sw", reason="score") == 1.0
    labels = {"language": "sw", "action": "none", "calibration_version": "sw@7"}
    assert line.counted(ANSWERS, **labels) == 0.0


async def test_a_withdrawn_refusal_is_not_counted_as_one_of_the_models():
    line = SplitLine()
    end = TextChunk("", 1, FinishReason.MONITOR, 12, {}, MonitorStop.SCORE)
    line.generation.chunks = (TextChunk("Samahani, siwezi", 3), end)
    await line.answer()
    labels = {"language": "sw", "action": "steer", "calibration_version": "sw@7"}
    assert line.counted(REFUSALS_OBSERVED, **labels) == 0.0


async def test_an_answer_that_is_not_withdrawn_has_nothing_in_its_place():
    *_, usage = await SplitLine().answer()
    assert isinstance(usage, Usage)
    assert (usage.withdrawn_by, usage.replacement) == (None, "")


async def test_withdrawn_answers_in_languages_without_a_calibration_are_counted_together():
    line = SplitLine()
    line.gate.verdict = replace(HARMLESS, language="xx", calibration_version=None)
    line.generation.chunks = (
        TextChunk("", 2, FinishReason.MONITOR, 12, {}, MonitorStop.NON_FINITE),
    )
    await line.answer()
    assert line.counted(MONITOR_STOPS, language="other", reason="non_finite") == 1.0
