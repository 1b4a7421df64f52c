"""A gate whose answers are empty, as one of another version might send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc


class MuteGate(pb_grpc.GateServicer):
    async def Check(self, request: Any, context: Any) -> pb.GateCheckResponse:  # noqa: N802
        return pb.GateCheckResponse()


@asynccontextmanager
async def mute_gate() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    pb_grpc.add_GateServicer_to_server(MuteGate(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)
