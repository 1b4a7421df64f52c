"""A client that asks a real line for trouble, and looks that it ends in words and leaks nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from prometheus_client import generate_latest

from services.embedded.runtime import EmbeddedRuntime, Load, load_line
from services.pb import recal_pb2 as pb
from services.settings import Settings
from services.wire.methods import METHODS
from tests.unit.services.embedded.real_line import started

CANARY = "quincebread"
"""Stands in every prompt, and nowhere else may it be seen."""
PATIENCE_S = 20.0
"""Less than the server's own deadline: a call that hangs fails its test."""


@dataclass(frozen=True)
class Ended:
    """How a call ended."""

    frames: Sequence[Any]
    error: grpc.aio.AioRpcError | None

    @property
    def verdict(self) -> Any:
        """What was decided; whatever comes, it comes first."""
        assert self.error is None, self.error
        return self.frames[0].verdict

    @property
    def text(self) -> str:
        """What was generated."""
        return "".join(frame.text for frame in self.frames if hasattr(frame, "text"))

    def failed(self, code: grpc.StatusCode, *words: str) -> None:
        """Assert that it failed so, in these words, and that no text was sent."""
        assert self.error is not None
        details = self.error.details() or ""
        assert self.error.code() is code, details
        assert [each for each in words if each not in details] == [], details
        assert CANARY not in details
        assert self.text == ""


@dataclass(frozen=True)
class Asking:
    """A running line, and a channel to it."""

    runtime: EmbeddedRuntime
    channel: grpc.aio.Channel

    async def call(
        self,
        rpc: str,
        request: Message | bytes,
        *,
        metadata: Sequence[tuple[str, str]] = (),
        timeout_s: float | None = None,
    ) -> Ended:
        """Call e.g. `Recal/Check` with a message, or with any bytes."""
        method = METHODS[f"/recal.v1.{rpc}"]
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        frames: list[Any] = []
        kind = self.channel.unary_stream if method.streams else self.channel.unary_unary
        call: Any = kind(method.path, None, method.response.FromString)(
            raw, metadata=tuple(metadata), timeout=timeout_s
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                if method.streams:
                    async for frame in call:
                        frames.append(frame)
                else:
                    frames.append(await call)
        except grpc.aio.AioRpcError as error:
            return Ended(frames, error)
        return Ended(frames, None)

    async def generate(
        self, prompt: str, *, metadata: Sequence[tuple[str, str]] = (), **fields: Any
    ) -> Ended:
        """Ask the front door for an answer."""
        request = pb.RecalGenerateRequest(prompt=prompt, **fields)
        return await self.call("Recal/Generate", request, metadata=metadata)

    async def check(self, prompt: str, **fields: Any) -> Ended:
        """Ask the front door for a verdict."""
        return await self.call("Recal/Check", pb.RecalCheckRequest(prompt=prompt, **fields))

    async def languages(self) -> list[str]:
        """The languages whose calibrations are served."""
        ended = await self.call("Recal/ListCalibrations", pb.ListCalibrationsRequest())
        return [each.language for each in ended.frames[0].calibrations]

    async def candidates(self) -> list[tuple[str, int, float]]:
        """Version, role and share of what is tried beside them."""
        ended = await self.call("Recal/ListCalibrations", pb.ListCalibrationsRequest())
        tried = ended.frames[0].candidates
        return [(each.calibration.version, each.role, each.share) for each in tried]

    def counted(self, name: str, **labels: str) -> float:
        """A number of the server's, 0 where it was never counted."""
        return self.runtime.meter.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def asking(settings: Settings, load: Load = load_line) -> AsyncIterator[Asking]:
    """Start a line and connect; at the end no metric may hold the canary."""
    async with (
        started(settings, load) as runtime,
        grpc.aio.insecure_channel(runtime.address) as channel,
    ):
        yield Asking(runtime, channel)
        assert CANARY.encode() not in generate_latest(runtime.meter.registry)
