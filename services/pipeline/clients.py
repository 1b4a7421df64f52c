"""What the pipeline asks of the services behind it; the plain services satisfy it as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from services.domain import (
    GateDescription,
    GateReading,
    GateRequest,
    Intervention,
    LanguageGuess,
    Sampling,
    TextChunk,
)


class LanguageIdClient(Protocol):
    """Text to language."""

    async def identify(self, text: str) -> LanguageGuess:
        """Name the language of a text, or abstain."""


class GateClient(Protocol):
    """Prompt to verdict."""

    async def check(self, request: GateRequest, *, timeout_s: float | None = None) -> GateReading:
        """Decide on one prompt."""

    async def describe(self) -> GateDescription:
        """Say what is loaded."""


class GenerationClient(Protocol):
    """Text under an intervention."""

    def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[TextChunk]:
        """Generate; the last chunk carries `finish`."""

    async def check_capacity(self, n_expected: int = 0) -> None:
        """Return where a call would be taken now.

        Args:
            n_expected: calls that are on their way here and count as taken.

        Raises:
            Overloaded: too many wait already.
        """


class FusedClient(Protocol):
    """Verdict and text from one pass."""

    def generate(
        self, request: GateRequest, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncIterator[GateReading | TextChunk]:
        """Decide and answer: the reading, then text; the last chunk carries `finish`.

        After the action `refuse` nothing comes.
        """


class Refusals(Protocol):
    """Refusals as written: to say one, and to know one."""

    def fixed_refusal(self, language: str | None) -> str:
        """The refusal that is sent where nothing is generated."""

    def is_refusal(self, text: str) -> bool:
        """True when a text reads as a refusal, in whatever language."""


@asynccontextmanager
async def closing(chunks: AsyncIterator[object]) -> AsyncIterator[None]:
    """Close a stream at the end where it can be closed, so that a cancel reaches the engine."""
    try:
        yield
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
