"""A real gRPC server with a scripted front door behind it, for everything that calls one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from services.domain import Action, FinishReason, Reason, TextChunk, Usage, Verdict
from services.errors import ServiceError
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.wire.answers import from_frame
from services.wire.status import failure_of
from services.wire.verdicts import from_verdict

VERDICT = Verdict(Action.STEER, Reason.SCORE, "sw", "organism@1", "sw@7", score=1.25, threshold=0.5)
USAGE = Usage(12, 3, FinishReason.END_OF_TEXT, {"gate": 0.004, "total": 0.05})
ANSWER = (VERDICT, TextChunk("Samahani, ", 1), TextChunk("siwezi.", 2), USAGE)
INFO = pb.GetInfoResponse(
    model="organism",
    model_digest="ab" * 32,
    readout_version="organism@1",
    languages=["en", "sw"],
    software_version="0.1.0",
    mode="split",
    max_prompt_tokens=256,
    notice="a model organism, not a production model",
)


class FakeFrontDoor(pb_grpc.RecalServicer):
    """Fails as told, then answers; remembers what it was asked."""

    def __init__(
        self,
        *,
        failures: Sequence[ServiceError] = (),
        verdict: Verdict = VERDICT,
        frames: Sequence[Verdict | TextChunk | Usage] = ANSWER,
        then: ServiceError | None = None,
        hangs_after: int | None = None,
        candidate_role: int = pb.CANDIDATE_ROLE_CHALLENGER,
    ) -> None:
        """Script the answers.

        Args:
            failures: how the first calls end; the ones after them are answered.
            verdict: what Check answers.
            frames: what an answered Generate sends.
            then: how an answered Generate ends after its frames; None: well.
            hangs_after: frames after which Generate says nothing more.
            candidate_role: of what ListCalibrations names as tried; any number.
        """
        self.requests: list[Any] = []
        self.debug: list[bool] = []
        self.time_left_s: list[float] = []
        self.n_cancelled = 0
        self._failures = list(failures)
        self._verdict = verdict
        self._frames = frames
        self._then = then
        self._hangs_after = hangs_after
        self._candidate_role = candidate_role

    async def _receive(self, request: Any, context: Any) -> None:
        self.requests.append(request)
        self.debug.append(("x-recal-debug", "1") in context.invocation_metadata())
        self.time_left_s.append(context.time_remaining())
        if self._failures:
            await self._abort(context, self._failures.pop(0))

    async def _abort(self, context: Any, error: ServiceError) -> None:
        await context.abort(*failure_of(error, "r-1"))

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        await self._receive(request, context)
        for n_sent, frame in enumerate((*self._frames, None)):
            if n_sent == self._hangs_after:
                await self._hang()
            if frame is not None:
                yield from_frame(frame, with_score=self.debug[-1])
        if self._then is not None:
            await self._abort(context, self._then)

    async def _hang(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._receive(request, context)
        return pb.RecalCheckResponse(verdict=from_verdict(self._verdict, with_score=self.debug[-1]))

    async def ListCalibrations(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._receive(request, context)
        summary = pb.CalibrationSummary(language="sw", version="sw@7", estimator="midpoint", k=4)
        tried = pb.CandidateSummary(
            calibration=pb.CalibrationSummary(language="sw", version="sw@8"),
            role=self._candidate_role,
            share=0.25,
        )
        return pb.ListCalibrationsResponse(calibrations=[summary], candidates=[tried])

    async def GetInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return INFO


@asynccontextmanager
async def serving(door: FakeFrontDoor, *, port: int = 0) -> AsyncIterator[str]:
    """Serve it, on a free port by default; yields the address."""
    server = grpc.aio.server()
    pb_grpc.add_RecalServicer_to_server(door, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
