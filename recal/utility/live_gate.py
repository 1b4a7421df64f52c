"""The gate on many prompts without a server: language, score and verdict as a request gets them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from services.backbone.load import Backbone
from services.domain import GateReading, GateRequest, LanguageGuess, Verdict
from services.errors import PromptTooLong
from services.gate.policy import Policy
from services.gate.service import GateService
from services.readout.bundle import Bundle
from services.telemetry import PrometheusMeter

_AT_ONCE = 128

Report = Callable[[int, int], None]
"""Called with prompts decided and prompts in all."""


class _Held:
    """A bundle that never changes."""

    def __init__(self, bundle: Bundle) -> None:
        self.current = bundle


class LiveGate:
    """The serving gate over one bundle. Remembers its verdicts: tasks ask one prompt many times."""

    def __init__(
        self,
        backbone: Backbone,
        bundle: Bundle,
        *,
        identify: Callable[[str], LanguageGuess],
        policy: Policy | None = None,
    ) -> None:
        """Decide with a backbone; nothing else may run it meanwhile.

        Args:
            backbone: the model, at least up to the block that is read.
            bundle: readout and calibrations.
            identify: names a prompt's language, or abstains.
            policy: what happens where there is no score to go by; None: the strict table.
        """
        self._backbone = backbone
        self._bundle = bundle
        self._identify = identify
        self._policy = policy if policy is not None else Policy()
        self._verdicts: dict[str, Verdict | None] = {}

    def decide_all(
        self, prompts: Sequence[str], *, report: Report = lambda done, total: None
    ) -> list[Verdict | None]:
        """Verdicts of prompts, in their order; None where a prompt does not fit the context.

        Raises:
            ServiceError: a row of the policy table says that the call fails, or the model failed.
        """
        new = [p for p in dict.fromkeys(prompts) if p not in self._verdicts]
        asyncio.run(self._decide(new, report))
        return [self._verdicts[prompt] for prompt in prompts]

    async def _decide(self, prompts: Sequence[str], report: Report) -> None:
        service = GateService(self._backbone, _Held(self._bundle), self._policy, PrometheusMeter())
        try:
            for start in range(0, len(prompts), _AT_ONCE):
                part = prompts[start : start + _AT_ONCE]
                asked = [GateRequest(prompt, self._identify(prompt)) for prompt in part]
                readings = await asyncio.gather(*map(service.check, asked), return_exceptions=True)
                for prompt, reading in zip(part, readings, strict=True):
                    self._verdicts[prompt] = _verdict(reading)
                report(start + len(part), len(prompts))
        finally:
            await service.close()


def _verdict(reading: GateReading | BaseException) -> Verdict | None:
    if isinstance(reading, PromptTooLong):
        return None
    if isinstance(reading, BaseException):
        raise reading
    return reading.verdict
