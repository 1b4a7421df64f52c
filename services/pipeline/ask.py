"""The nouns of the request flow: what is asked, what stands behind, what an answer is made of."""

from __future__ import annotations

from dataclasses import dataclass

from services.domain import TextChunk, Usage, Verdict
from services.gate.policy import Policy
from services.pipeline.clients import GateClient, GenerationClient, LanguageIdClient, Refusals
from services.telemetry import Meter

Frame = Verdict | TextChunk | Usage
"""What an answer is made of: first the verdict, then text, last the usage."""


@dataclass(frozen=True)
class Ask:
    """One prompt and what its caller says about it."""

    prompt: str
    hint: str | None = None
    """BCP 47 tag; may make the outcome stricter, never looser."""
    model: str = ""
    """Backbone that the caller expects; empty for whichever is served."""
    tenant: str | None = None


@dataclass(frozen=True)
class Behind:
    """What stands behind the pipeline, and how it reacts when that fails."""

    language_id: LanguageIdClient
    gate: GateClient
    generation: GenerationClient
    refusals: Refusals
    policy: Policy
    meter: Meter
    language_id_timeout_s: float = 2.0
    """Longer than this, and the language is unknown."""
    retry_pause_s: float = 0.5
    """Wait before generation is asked again for a readout that it does not hold yet."""
