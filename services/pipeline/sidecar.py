"""Mode `sidecar`: language identification and gate beside somebody else's generation."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from services.domain import Sampling
from services.errors import NotOffered
from services.pipeline.ask import Ask, Behind, Frame
from services.pipeline.stages import Stages


@dataclass(frozen=True)
class Sidecar:
    """Decides and does not generate."""

    name: str = "sidecar"

    async def answer(
        self, ask: Ask, sampling: Sampling, behind: Behind, stages: Stages
    ) -> AsyncGenerator[Frame, None]:
        """Refuse to answer.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(
            "this deployment decides and does not generate (mode `sidecar`); call Check, or deploy "
            "it with `mode: split` or `mode: fused`"
        )
        yield  # makes it the stream that callers expect
