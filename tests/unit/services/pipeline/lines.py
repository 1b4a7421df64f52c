"""A pipeline over fakes in either mode, and what it counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.audit.entry import AuditEntry
from services.domain import Abstention, LanguageGuess, Reason, Sampling
from services.gate.policy import Outcome, Override, Policy
from services.pipeline.ask import Ask, Behind, Frame, Mode
from services.pipeline.fused import Fused
from services.pipeline.service import PipelineService
from services.pipeline.split import Split
from services.telemetry import Metric, PrometheusMeter
from tests.behind import FakeFused, FakeGate, FakeGeneration, FakeLanguageId, FakeRefusals

ASK = Ask("habari yako", hint="sw", routing_key="user 7")
UNKNOWN = LanguageGuess(None, 0.2, Abstention.LOW_CONFIDENCE)


def unreachable_rows(outcome: Outcome) -> Policy:
    """What an operator says of a gate that is away."""
    return Policy((Override(Reason.GATE_UNREACHABLE, outcome),))


@dataclass
class KeptAudit:
    """An audit in memory."""

    entries: list[AuditEntry] = field(default_factory=list)

    def record(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


@dataclass
class Line:
    """In the mode that is given."""

    mode: Mode
    language_id: FakeLanguageId = field(default_factory=FakeLanguageId)
    gate: FakeGate = field(default_factory=FakeGate)
    policy: Policy = field(default_factory=Policy)
    meter: PrometheusMeter = field(default_factory=PrometheusMeter)
    audit: KeptAudit = field(default_factory=KeptAudit)

    @property
    def pipeline(self) -> PipelineService:
        return PipelineService(
            Behind(
                self.language_id,
                self.gate,
                self.mode,
                FakeRefusals(),
                self.policy,
                self.meter,
                language_id_timeout_s=0.05,
                audit=self.audit,
            )
        )

    async def answer(self, ask: Ask = ASK, timeout_s: float | None = None) -> list[Frame]:
        frames = self.pipeline.generate(ask, Sampling(), timeout_s=timeout_s)
        return [frame async for frame in frames]

    def counted(self, metric: Metric, suffix: str = "_total", **labels: str) -> float:
        return self.meter.registry.get_sample_value(metric.name + suffix, labels) or 0.0


@dataclass
class SplitLine(Line):
    """Gate and generation by themselves."""

    mode: Mode = field(init=False)
    generation: FakeGeneration = field(default_factory=FakeGeneration)

    def __post_init__(self) -> None:
        self.mode = Split(self.generation, retry_pause_s=0.01)


@dataclass
class FusedLine(Line):
    """Gate and generation in one."""

    mode: Mode = field(init=False)
    fused: FakeFused = field(default_factory=FakeFused)

    def __post_init__(self) -> None:
        self.mode = Fused(self.fused)
