"""Fake services for what stands above them: they answer as told and remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from services.domain import (
    Action,
    CalibrationSummary,
    CandidateRole,
    CandidateSummary,
    FinishReason,
    GateDescription,
    GateReading,
    GateRequest,
    Intervention,
    LanguageGuess,
    Reason,
    Sampling,
    TextChunk,
    Verdict,
)

CANARY = "canary-5b21"
"""Must never be seen outside the service that raised it."""
SWAHILI = LanguageGuess("sw", 0.97, candidates=("sw",))
STEER = Verdict(Action.STEER, Reason.SCORE, "sw", "readout@3", "sw@7", 1.25, 0.5)
HARMLESS = replace(STEER, action=Action.NONE, score=-1.0)
REFUSE = replace(STEER, action=Action.REFUSE, reason=Reason.NON_FINITE_ACTIVATION)
CALIBRATION = CalibrationSummary(
    "sw", "sw@7", "midpoint", 4, "2026-01-01T00:00:00Z", "readout@3", "translate_train"
)
CANDIDATES = (
    CandidateSummary(replace(CALIBRATION, version="sw@8"), CandidateRole.CHALLENGER, 0.25),
    CandidateSummary(replace(CALIBRATION, version="sw@9"), CandidateRole.SHADOW),
)
DESCRIPTION = GateDescription(
    "organism", "ab" * 32, "readout@3", 256, (CALIBRATION,), "organism", CANDIDATES
)
TEXT = (
    TextChunk("Sawa, ", 1),
    TextChunk("karibu", 2),
    TextChunk("", 0, FinishReason.END_OF_TEXT, 12),
)


@dataclass
class FakeLanguageId:
    """Names one language."""

    guess: LanguageGuess = SWAHILI
    failure: Exception | None = None
    delay_s: float = 0.0
    asked: list[str] = field(default_factory=list)

    async def identify(self, text: str) -> LanguageGuess:
        self.asked.append(text)
        await asyncio.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        return self.guess


@dataclass
class FakeGate:
    """Gives one verdict."""

    verdict: Verdict = STEER
    failure: Exception | None = None
    delay_s: float = 0.0
    description: GateDescription = DESCRIPTION
    timings_s: dict[str, float] = field(default_factory=dict)
    asked: list[GateRequest] = field(default_factory=list)
    timeouts_s: list[float | None] = field(default_factory=list)

    async def check(self, request: GateRequest, *, timeout_s: float | None = None) -> GateReading:
        self.asked.append(request)
        self.timeouts_s.append(timeout_s)
        await asyncio.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        return GateReading(self.verdict, 12, self.timings_s)

    async def batch_check(
        self, requests: Sequence[GateRequest], *, timeout_s: float | None = None
    ) -> list[GateReading]:
        return [await self.check(each, timeout_s=timeout_s) for each in requests]

    async def describe(self) -> GateDescription:
        if self.failure is not None:
            raise self.failure
        return self.description


@dataclass
class FakeGeneration:
    """Says one text; fails before it as often as there are failures."""

    chunks: tuple[TextChunk, ...] = TEXT
    failures: list[Exception] = field(default_factory=list)
    fails_after: Exception | None = None
    pause_s: float = 0.0
    asked: list[tuple[str, Intervention, Sampling]] = field(default_factory=list)
    n_closed: int = 0
    full: Exception | None = None
    """What it says when it is asked for capacity."""
    full_after_s: float = 0.0
    expected: list[int] = field(default_factory=list)
    """How many calls were on their way, each time."""

    async def check_capacity(self, n_expected: int = 0) -> None:
        self.expected.append(n_expected)
        await asyncio.sleep(self.full_after_s)
        if self.full is not None:
            raise self.full

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[TextChunk]:
        self.asked.append((prompt, intervention, sampling))
        try:
            if self.failures:
                raise self.failures.pop(0)
            for chunk in self.chunks:
                await asyncio.sleep(self.pause_s)
                yield chunk
            if self.fails_after is not None:
                raise self.fails_after
        finally:
            self.n_closed += 1


@dataclass
class FakeFused:
    """Gives one verdict and says one text; fails before either as often as there are failures."""

    verdict: Verdict = STEER
    chunks: tuple[TextChunk, ...] = TEXT
    failure: Exception | None = None
    pause_s: float = 0.0
    asked: list[tuple[GateRequest, Sampling]] = field(default_factory=list)
    timeouts_s: list[float | None] = field(default_factory=list)
    n_closed: int = 0

    async def generate(
        self, request: GateRequest, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncIterator[GateReading | TextChunk]:
        self.asked.append((request, sampling))
        self.timeouts_s.append(timeout_s)
        try:
            await asyncio.sleep(self.pause_s)
            if self.failure is not None:
                raise self.failure
            yield GateReading(self.verdict, 12)
            if self.verdict.action is Action.REFUSE:
                return
            for chunk in self.chunks:
                await asyncio.sleep(self.pause_s)
                yield chunk
        finally:
            self.n_closed += 1


class FakeRefusals:
    """One refusal a language."""

    def fixed_refusal(self, language: str | None) -> str:
        return f"refusal in {language}"

    def is_refusal(self, text: str) -> bool:
        return "siwezi" in text
