from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from services.domain import (
    Action,
    FinishReason,
    GateReading,
    GateRequest,
    Reason,
    Sampling,
    TextChunk,
    Usage,
)
from services.errors import (
    DeadlinePassed,
    NotOffered,
    NotReady,
    Overloaded,
    ServiceError,
    ServiceUnavailable,
)
from services.gate.policy import Outcome
from services.pipeline.fused import Fused
from services.pipeline.sidecar import Sidecar
from services.telemetry import BYPASSES, REFUSALS_OBSERVED
from tests.behind import (
    DESCRIPTION,
    REFUSE,
    STEER,
    SWAHILI,
    FakeFused,
    FakeLanguageId,
)
from tests.unit.services.pipeline.lines import ASK, UNKNOWN, FusedLine, Line, unreachable_rows


async def test_an_answer_is_verdict_then_text_then_usage():
    verdict, *text, usage = await FusedLine().answer()
    assert verdict is STEER
    assert text == [TextChunk("Sawa, ", 1), TextChunk("karibu", 2)]
    assert isinstance(usage, Usage)
    assert (usage.n_prompt_tokens, usage.n_generated_tokens) == (12, 3)
    assert usage.finish is FinishReason.END_OF_TEXT
    assert set(usage.timings_s) == {"language_id", "gate", "first_token", "generation", "total"}


async def test_it_is_asked_once_with_guess_hint_and_what_is_left_of_the_deadline():
    line = FusedLine()
    await line.answer(timeout_s=5.0)
    asked = GateRequest("habari yako", SWAHILI, "sw", routing_key="user 7")
    assert line.fused.asked == [(asked, Sampling())]
    assert 4.0 < line.fused.timeouts_s[0] < 5.0
    assert line.gate.asked == []


async def test_a_text_of_no_known_language_is_decided_as_such():
    line = FusedLine(language_id=FakeLanguageId(UNKNOWN))
    await line.answer()
    assert line.fused.asked[0][0].guess is UNKNOWN


async def test_a_refusal_is_an_answer_in_the_users_language():
    verdict, text, usage = await FusedLine(fused=FakeFused(REFUSE)).answer()
    assert verdict.action is Action.REFUSE
    assert text.text == "refusal in sw"
    assert (usage.finish, usage.n_prompt_tokens) == (FinishReason.REFUSED, 12)


@pytest.mark.parametrize("failure", [ServiceUnavailable("away"), NotReady("loading")])
async def test_where_it_is_away_nothing_goes_out(failure):
    with pytest.raises(ServiceUnavailable, match="nothing is generated"):
        await FusedLine(fused=FakeFused(failure=failure)).answer()


@pytest.mark.parametrize("outcome", [Outcome.REFUSE, Outcome.STEER])
async def test_a_row_for_its_absence_refuses_in_fixed_words(outcome):
    line = FusedLine(
        fused=FakeFused(failure=ServiceUnavailable("away")), policy=unreachable_rows(outcome)
    )
    verdict, text, usage = await line.answer()
    assert (verdict.action, verdict.reason) == (Action.REFUSE, Reason.GATE_UNREACHABLE)
    assert text.text == "refusal in sw"
    assert usage.finish is FinishReason.REFUSED


async def test_a_row_that_lets_prompts_through_without_it_has_nothing_to_let_them_through_to():
    line = FusedLine(
        fused=FakeFused(failure=ServiceUnavailable("away")), policy=unreachable_rows(Outcome.ALLOW)
    )
    with pytest.raises(ServiceUnavailable, match="away"):
        await line.answer()
    assert line.counted(BYPASSES, language="sw", reason="gate_unreachable") == 0


@pytest.mark.parametrize("failure", [Overloaded("full"), ServiceError("broken"), ValueError()])
async def test_what_fails_otherwise_fails_the_call_even_where_absence_is_refused(failure):
    line = FusedLine(fused=FakeFused(failure=failure), policy=unreachable_rows(Outcome.REFUSE))
    with pytest.raises(type(failure)):
        await line.answer()


@dataclass
class Saying:
    """Says what it is told to, in whatever order."""

    frames: tuple[GateReading | TextChunk, ...]

    async def generate(
        self, request: GateRequest, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncIterator[GateReading | TextChunk]:
        for frame in self.frames:
            yield frame


READING = GateReading(STEER, 12)
END = TextChunk("", 0, FinishReason.END_OF_TEXT, 12)


@pytest.mark.parametrize("frames", [(), (TextChunk("Sawa", 1), READING, END)])
async def test_text_without_a_verdict_before_it_is_never_sent(frames):
    line = Line(Fused(Saying(frames)))
    told = line.pipeline.generate(ASK, Sampling())
    with pytest.raises(ServiceError, match="without a verdict"):
        await anext(told)


async def test_a_second_verdict_ends_the_answer():
    line = Line(Fused(Saying((READING, TextChunk("Sawa", 1), READING, END))))
    with pytest.raises(ServiceError, match="decided twice"):
        await line.answer()


async def test_text_that_breaks_off_is_an_error_and_not_a_short_answer():
    line = Line(Fused(Saying((READING, TextChunk("Sawa", 1)))))
    with pytest.raises(ServiceUnavailable, match="broke off after 1 pieces"):
        await line.answer()


async def test_a_refusal_in_the_models_own_words_is_counted():
    chunks = (TextChunk("Samahani, siwezi.", 3, FinishReason.END_OF_TEXT, 12),)
    line = FusedLine(fused=FakeFused(chunks=chunks))
    await line.answer()
    labels = {"language": "sw", "action": "steer", "calibration_version": "sw@7"}
    assert line.counted(REFUSALS_OBSERVED, **labels) == 1


async def test_a_deadline_ends_whatever_is_slow():
    line = FusedLine(fused=FakeFused(pause_s=5.0))
    with pytest.raises(DeadlinePassed, match=r"deadline of 0\.1 s"):
        await line.answer(timeout_s=0.1)
    assert line.fused.n_closed == 1


async def test_an_answer_that_is_not_read_to_the_end_closes_the_stream():
    line = FusedLine()
    frames = line.pipeline.generate(ASK, Sampling())
    await anext(frames)
    await frames.aclose()
    assert line.fused.n_closed == 1


async def test_a_cancelled_answer_closes_the_stream():
    line = FusedLine(fused=FakeFused(pause_s=5.0))
    task = asyncio.create_task(line.answer())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert line.fused.n_closed == 1


async def test_check_and_describe_come_from_the_gate():
    line = FusedLine()
    assert await line.pipeline.check(ASK) is STEER
    assert await line.pipeline.describe() == DESCRIPTION
    assert line.fused.asked == []


async def test_a_sidecar_decides_and_says_that_it_does_not_generate():
    line = Line(Sidecar())
    assert await line.pipeline.check(ASK) is STEER
    with pytest.raises(NotOffered, match="call Check"):
        await line.answer()
    assert len(line.language_id.asked) == 1


def test_the_pipeline_names_its_mode():
    assert [line.pipeline.mode for line in (FusedLine(), Line(Sidecar()))] == ["fused", "sidecar"]
