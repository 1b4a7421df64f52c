"""Generation that catches up with the gate: each has its own store, and one sees a swap first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

from services.domain import Intervention, Sampling, TextChunk
from services.errors import VersionMismatch
from services.pipeline.clients import GenerationClient, closing


class CatchingUp:
    """Looks at the registry at once when a verdict names a readout that is not loaded."""

    def __init__(
        self, generation: GenerationClient, refresh: Callable[[], Awaitable[object]]
    ) -> None:
        """Generate with `generation`, whose store is brought up to date by `refresh`."""
        self._generation = generation
        self._refresh = refresh

    async def check_capacity(self, n_expected: int = 0) -> None:
        """Return where a call would be taken now; as `GenerationClient` says."""
        await self._generation.check_capacity(n_expected)

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[TextChunk, None]:
        """Generate; the last chunk carries `finish`.

        Raises:
            VersionMismatch: the registry does not know the readout either.
        """
        n_sent = 0
        for is_last_try in (False, True):
            chunks = self._generation.generate(prompt, intervention, sampling, timeout_s=timeout_s)
            try:
                async with closing(chunks):
                    async for chunk in chunks:
                        n_sent += 1
                        yield chunk
                return
            except VersionMismatch:
                if n_sent or is_last_try:
                    raise
                await self._refresh()
