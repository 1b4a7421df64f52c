"""The front door as a plain service: answer, check, list, say what is served."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.audit.entry import Rpc, entry_of
from services.domain import GateDescription, Sampling, Verdict
from services.errors import UnknownBackbone
from services.pipeline.ask import Ask, Behind, Frame
from services.pipeline.flow import check, identify
from services.pipeline.stages import Stages


class PipelineService:
    """Knows neither Ray nor gRPC; holds nothing that belongs to a request."""

    def __init__(self, behind: Behind) -> None:
        """Answer over the given services."""
        self._behind = behind

    @property
    def mode(self) -> str:
        """How it is deployed: `split`, `fused` or `sidecar`."""
        return self._behind.mode.name

    async def generate(
        self, ask: Ask, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncGenerator[Frame, None]:
        """Answer one prompt: the verdict, then text, last the usage."""
        stages = Stages(self._behind.meter, timeout_s)
        await self._expect_backbone(ask.model, stages)
        answer = self._behind.mode.answer(ask, sampling, self._behind, stages)
        async with aclosing(answer) as frames:
            async for frame in frames:
                if isinstance(frame, Verdict):
                    # before it is sent: whoever hangs up now was decided on all the same
                    self._keep(frame, ask, "Generate", stages)
                yield frame

    async def check(self, ask: Ask, *, timeout_s: float | None = None) -> Verdict:
        """Say what would be done with a prompt."""
        stages = Stages(self._behind.meter, timeout_s)
        await self._expect_backbone(ask.model, stages)
        guess = await identify(ask, self._behind, stages)
        verdict = (await check(ask, guess, self._behind, stages)).verdict
        self._keep(verdict, ask, "Check", stages)
        return verdict

    async def describe(self, *, timeout_s: float | None = None) -> GateDescription:
        """Say what is served: backbone, readout, calibrations."""
        stages = Stages(self._behind.meter, timeout_s)
        return await stages.within(self._behind.gate.describe)

    def _keep(self, verdict: Verdict, ask: Ask, rpc: Rpc, stages: Stages) -> None:
        entry = entry_of(
            verdict,
            rpc=rpc,
            mode=self.mode,
            request_id=ask.request_id,
            tenant=ask.tenant,
            seconds=stages.elapsed_s,
        )
        self._behind.audit.record(entry)

    async def _expect_backbone(self, model: str, stages: Stages) -> None:
        if not model:
            return
        served = (await stages.within(self._behind.gate.describe)).model
        if model != served:
            raise UnknownBackbone(f"model {model[:100]!r} is not served; name `{served}`, or none")
