"""What tests ask the generation service, and where it finds readouts."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.domain import Action, Intervention, Sampling, TextChunk
from services.errors import VersionMismatch
from services.readout.bundle import Bundle, Readout

NONE = Intervention(Action.NONE)
LONG = Sampling(max_tokens=60)


class Held:
    """Readouts by version; the first serves."""

    def __init__(self, *readouts: Readout) -> None:
        self._readouts = {readout.version: readout for readout in readouts}

    @property
    def current(self) -> Bundle:
        return Bundle(next(iter(self._readouts.values())), {})

    def readout(self, version: str) -> Readout:
        if version not in self._readouts:
            raise VersionMismatch(f"readout `{version}` is not loaded")
        return self._readouts[version]


async def collect(chunks: AsyncIterator[TextChunk]) -> list[TextChunk]:
    return [chunk async for chunk in chunks]
