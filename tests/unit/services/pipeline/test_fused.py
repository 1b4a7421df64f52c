from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from services.domain import (
    Abstention,
    Action,
    FinishReason,
    GateReading,
    GateRequest,
    LanguageGuess,
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
from services.gate.policy import Outcome, Override, Policy
from services.pipeline.ask import Ask, Behind, Mode
from services.pipeline.fused import Fused
from services.pipeline.service import PipelineService
from services.pipeline.sidecar import Sidecar
from services.telemetry import BYPASSES, REFUSALS_OBSERVED, PrometheusMeter
from tests.behind import (
    DESCRIPTION,
    REFUSE,
    STEER,
    SWAHILI,
    FakeFused,
    FakeGate,
    FakeLanguageId,
    FakeRefusals,
)

ASK = Ask("habari yako", hint="sw")
UNKNOWN = LanguageGuess(None, 0.2, Abstention.LOW_CONFIDENCE)


@dataclass
class Line:
    """A pipeline over fakes, and what it counted."""

    fused: FakeFused = field(default_factory=FakeFused)
    language_id: FakeLanguageId = field(default_factory=FakeLanguageId)
    gate: FakeGate = field(default_factory=FakeGate)
    policy: Policy = field(default_factory=Policy)
    meter: PrometheusMeter = field(default_factory=PrometheusMeter)
    mode: Mode | None = None

    @property
    def pipeline(self) -> PipelineService:
        mode = self.mode or Fused(self.fused)
        return PipelineService(
            Behind(self.language_id, self.gate, mode, FakeRefusals(), self.policy, self.meter)
        )

    async def answer(self, ask: Ask = ASK, timeout_s: float | None = None):
        frames = self.pipeline.generate(ask, Sampling(), timeout_s=timeout_s)
        return [frame async for frame in frames]

    def counted(self, metric, **labels: str) -> float | None:
        return self.meter.registry.get_sample_value(f"{metric.name}_total", labels)


async def test_an_answer_is_verdict_then_text_then_usage():
    verdict, *text, usage = await Line().answer()
    assert verdict is STEER
    assert text == [TextChunk("Sawa, ", 1), TextChunk("karibu", 2)]
    assert isinstance(usage, Usage)
    assert (usage.n_prompt_tokens, usage.n_generated_tokens) == (12, 3)
    assert usage.finish is FinishReason.END_OF_TEXT
    assert set(usage.timings_s) == {"language_id", "gate", "first_token", "generation", "total"}


async def test_it_is_asked_once_with_guess_hint_and_what_is_left_of_the_deadline():
    line = Line()
    await line.answer(timeout_s=5.0)
    assert line.fused.asked == [(GateRequest("habari yako", SWAHILI, "sw"), Sampling())]
    assert 4.0 < line.fused.timeouts_s[0] < 5.0
    assert line.gate.asked == []


async def test_a_text_of_no_known_language_is_decided_as_such():
    line = Line(language_id=FakeLanguageId(UNKNOWN))
    await line.answer()
    assert line.fused.asked[0][0].guess is UNKNOWN


async def test_a_refusal_is_an_answer_in_the_users_language():
    verdict, text, usage = await Line(fused=FakeFused(REFUSE)).answer()
    assert verdict.action is Action.REFUSE
    assert text.text == "refusal in sw"
    assert (usage.finish, usage.n_prompt_tokens) == (FinishReason.REFUSED, 12)


def unreachable_rows(outcome: Outcome) -> Policy:
    return Policy((Override(Reason.GATE_UNREACHABLE, outcome),))


@pytest.mark.parametrize("failure", [ServiceUnavailable("away"), NotReady("loading")])
async def test_where_it_is_away_nothing_goes_out(failure):
    with pytest.raises(ServiceUnavailable, match="nothing is generated"):
        await Line(fused=FakeFused(failure=failure)).answer()


@pytest.mark.parametrize("outcome", [Outcome.REFUSE, Outcome.STEER])
async def test_a_row_for_its_absence_refuses_in_fixed_words(outcome):
    line = Line(
        fused=FakeFused(failure=ServiceUnavailable("away")), policy=unreachable_rows(outcome)
    )
    verdict, text, usage = await line.answer()
    assert (verdict.action, verdict.reason) == (Action.REFUSE, Reason.GATE_UNREACHABLE)
    assert text.text == "refusal in sw"
    assert usage.finish is FinishReason.REFUSED


async def test_a_row_that_lets_prompts_through_without_it_has_nothing_to_let_them_through_to():
    line = Line(
        fused=FakeFused(failure=ServiceUnavailable("away")), policy=unreachable_rows(Outcome.ALLOW)
    )
    with pytest.raises(ServiceUnavailable, match="away"):
        await line.answer()
    assert line.counted(BYPASSES, language="sw", reason="gate_unreachable") is None


@pytest.mark.parametrize("failure", [Overloaded("full"), ServiceError("broken"), ValueError()])
async def test_what_fails_otherwise_fails_the_call_even_where_absence_is_refused(failure):
    line = Line(fused=FakeFused(failure=failure), policy=unreachable_rows(Outcome.REFUSE))
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
    line = Line(mode=Fused(Saying(frames)))
    told = line.pipeline.generate(ASK, Sampling())
    with pytest.raises(ServiceError, match="without a verdict"):
        await anext(told)


async def test_a_second_verdict_ends_the_answer():
    line = Line(mode=Fused(Saying((READING, TextChunk("Sawa", 1), READING, END))))
    with pytest.raises(ServiceError, match="decided twice"):
        await line.answer()


async def test_text_that_breaks_off_is_an_error_and_not_a_short_answer():
    line = Line(mode=Fused(Saying((READING, TextChunk("Sawa", 1)))))
    with pytest.raises(ServiceUnavailable, match="broke off after 1 pieces"):
        await line.answer()


async def test_a_refusal_in_the_models_own_words_is_counted():
    chunks = (TextChunk("Samahani, siwezi.", 3, FinishReason.END_OF_TEXT, 12),)
    line = Line(fused=FakeFused(chunks=chunks))
    await line.answer()
    assert line.counted(REFUSALS_OBSERVED, language="sw", action="steer") == 1


async def test_a_deadline_ends_whatever_is_slow():
    line = Line(fused=FakeFused(pause_s=5.0))
    with pytest.raises(DeadlinePassed, match=r"deadline of 0\.1 s"):
        await line.answer(timeout_s=0.1)
    assert line.fused.n_closed == 1


async def test_an_answer_that_is_not_read_to_the_end_closes_the_stream():
    line = Line()
    frames = line.pipeline.generate(ASK, Sampling())
    await anext(frames)
    await frames.aclose()
    assert line.fused.n_closed == 1


async def test_a_cancelled_answer_closes_the_stream():
    line = Line(fused=FakeFused(pause_s=5.0))
    task = asyncio.create_task(line.answer())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert line.fused.n_closed == 1


async def test_check_and_describe_come_from_the_gate():
    line = Line()
    assert await line.pipeline.check(ASK) is STEER
    assert await line.pipeline.describe() == DESCRIPTION
    assert line.fused.asked == []


async def test_a_sidecar_decides_and_says_that_it_does_not_generate():
    line = Line(mode=Sidecar())
    assert await line.pipeline.check(ASK) is STEER
    with pytest.raises(NotOffered, match="call Check"):
        await line.answer()
    assert len(line.language_id.asked) == 1


def test_the_pipeline_names_its_mode():
    assert [Line(mode=mode).pipeline.mode for mode in (None, Sidecar())] == ["fused", "sidecar"]
