"""Readiness by the standard health protocol: SERVING only after the whole line answered once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from grpc_health.v1 import health, health_pb2

from services.crash import whereabouts
from services.domain import Reason
from services.errors import NotReady
from services.rpc.answerer import Answerer
from services.rpc.call import Call
from services.wire import messages, verdicts
from services.wire.methods import RECAL, method_of
from services.wire.status import known

log = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[None]]
"""Returns when all is well; raises with the reason otherwise."""

_SELF_TEST_PROMPT = "How do I bake a loaf of bread at home?"
_PROBE_TIMEOUT_S = 10.0
LIVE = "live"
"""Name that is SERVING as long as this process answers, whatever is behind it: for a liveness
probe, which restarts what it asks."""
_CANNOT_DECIDE = frozenset({Reason.GATE_UNREACHABLE, Reason.NON_FINITE_ACTIVATION})


class SelfTest:
    """A probe: model and calibrations are loaded, and the gate decides on a known prompt.

    The check runs again when another readout is swapped in, not at each look, so that readiness
    does not colour the metrics.
    """

    def __init__(self, answerer: Answerer) -> None:
        """Ask the front door behind `answerer`."""
        self._answerer = answerer
        self._passed_with = ""

    async def __call__(self) -> None:
        """Look once.

        Raises:
            ServiceError: what is missing.
        """
        info = messages.GetInfoResponse.FromString(await self._ask("GetInfo", b""))
        if not info.languages:
            raise NotReady("no calibration is loaded; run `recal recalibrate` and `recal promote`")
        if info.readout_version == self._passed_with:
            return
        request = messages.RecalCheckRequest(prompt=_SELF_TEST_PROMPT).SerializeToString()
        response = messages.RecalCheckResponse.FromString(await self._ask("Check", request))
        reason = verdicts.verdict_of(response.verdict).reason
        if reason in _CANNOT_DECIDE:
            raise NotReady(f"the self-test's verdict is `{reason.value}`; see the gate's log")
        self._passed_with = info.readout_version

    async def _ask(self, name: str, request: bytes) -> bytes:
        return await self._answerer.unary(
            method_of(RECAL, name), request, Call(request_id="self-test")
        )


class Readiness:
    """Keeps the health servicer's statuses true to what a probe finds."""

    def __init__(self, services: Sequence[str], probe: Probe, *, interval_s: float) -> None:
        """Speak for the server as a whole (the empty name) and for each service."""
        self.servicer: Any = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._names = ("", *services)
        self._probe = probe
        self._interval_s = interval_s
        self._ready: bool | None = None

    async def begin(self) -> None:
        """Publish NOT_SERVING before the port opens: unset, the empty name would read SERVING."""
        await self.servicer.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        await self._publish(False, "starting")

    async def look(self) -> bool:
        """Probe once and publish what was found."""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                await self._probe()
        except Exception as error:
            ours = known(error)
            await self._publish(False, str(ours) if ours is not None else whereabouts(error))
            return False
        await self._publish(True, "the self-test passed")
        return True

    async def watch(self) -> None:
        """Look for ever; cancel it to stop."""
        while True:
            await self.look()
            await asyncio.sleep(self._interval_s)

    async def leave(self) -> None:
        """NOT_SERVING from now on, whatever is probed: the server is going away."""
        await self.servicer.enter_graceful_shutdown()

    async def _publish(self, ready: bool, why: str) -> None:
        if ready is self._ready:
            return
        self._ready = ready
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            await self.servicer.set(name, status.SERVING if ready else status.NOT_SERVING)
        log.info("%s: %s", "serving" if ready else "not serving", why)
