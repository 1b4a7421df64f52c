"""The nouns of the request flow: what is asked, what stands behind, what an answer is made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from services.audit.entry import Audit, NoAudit
from services.domain import GateRequest, LanguageGuess, Sampling, TextChunk, Usage, Verdict
from services.gate.policy import Policy
from services.pipeline.clients import GateClient, LanguageIdClient, Refusals
from services.pipeline.stages import Stages
from services.telemetry import Meter

Frame = Verdict | TextChunk | Usage
"""What an answer is made of: first the verdict, then text, last the usage."""


@dataclass(frozen=True)
class Ask:
    """One prompt and what its caller says about it."""

    prompt: str = field(repr=False)
    hint: str | None = None
    """BCP 47 tag; may make the outcome stricter, never looser."""
    model: str = ""
    """Backbone that the caller expects; empty for whichever is served."""
    tenant: str | None = None
    routing_key: str | None = field(default=None, repr=False)
    """By which a challenger's share of the traffic is drawn; None: champions decide."""
    request_id: str = ""
    """Of the call, for the audit."""

    def of_gate(self, guess: LanguageGuess) -> GateRequest:
        """What the gate is asked, once the prompt's language has been looked for."""
        return GateRequest(self.prompt, guess, self.hint, self.tenant, self.routing_key)


class Mode(Protocol):
    """How an answer comes about: which services decide and generate, and in which order."""

    @property
    def name(self) -> str:
        """As settings and GetInfo say it."""

    def answer(
        self, ask: Ask, sampling: Sampling, behind: Behind, stages: Stages
    ) -> AsyncGenerator[Frame, None]:
        """Answer one prompt: the verdict, then text, last the usage.

        A refusal is an answer, not an error. No text comes without a verdict before it: whatever
        fails before there is one ends the call, or is a row of the policy table.
        """


@dataclass(frozen=True)
class Behind:
    """What stands behind the pipeline, and how it reacts when that fails."""

    language_id: LanguageIdClient
    gate: GateClient
    mode: Mode
    refusals: Refusals
    policy: Policy
    meter: Meter
    language_id_timeout_s: float = 2.0
    """Longer than this, and the language is unknown."""
    audit: Audit = field(default_factory=NoAudit)
    """Where each verdict is kept."""
