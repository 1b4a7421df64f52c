"""The demo's servers: Ray Serve and the edge on free ports of this machine."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from recal.address import front_door
from services.client import RecalClient
from services.edge.main import Edge
from services.errors import ServiceError, ServiceUnavailable
from services.on_ray import launch
from services.rpc.stubs import GenerationStub, open_channel
from services.settings import Settings

_LOOK_EVERY_S = 0.25
_SWAP_TIMEOUT_S = 60.0
_READY_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Stage:
    """Running servers and the clients to them."""

    target: str
    """Address of the front door."""
    client: RecalClient
    generation: GenerationStub
    """The generation service itself, at Serve's own gRPC port: the untouched model."""

    async def until_serving(self, versions: Mapping[str, str]) -> float:
        """Wait until the front door serves these calibrations.

        Args:
            versions: by language, e.g. `sw@7`.

        Returns:
            Seconds that it took.

        Raises:
            ServiceUnavailable: it still does not.
        """
        started = time.monotonic()
        while time.monotonic() - started < _SWAP_TIMEOUT_S:
            served = {c.language: c.version for c in await self.client.list_calibrations()}
            if all(served.get(language) == version for language, version in versions.items()):
                return time.monotonic() - started
            await asyncio.sleep(_LOOK_EVERY_S)
        raise ServiceUnavailable(
            f"the servers did not swap to the promoted calibrations within {_SWAP_TIMEOUT_S:.0f} s"
        )


@asynccontextmanager
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    """Start Ray Serve's four applications and the edge; end them afterwards.

    Raises:
        ServiceError: they did not come up.
    """
    await asyncio.to_thread(launch.run, settings)
    edge = Edge(settings)
    await edge.start()
    try:
        target = front_door(settings.edge.model_copy(update={"port": edge.server.port}))
        channel = open_channel(settings.backend)
        async with RecalClient(target, timeout_s=60.0) as client:
            await _until_ready(client)
            yield Stage(target, client, GenerationStub(channel))
        await channel.close(None)
    finally:
        await edge.stop()
        await asyncio.to_thread(launch.shutdown)


async def _until_ready(client: RecalClient) -> None:
    started = time.monotonic()
    while True:
        try:
            await client.get_info(timeout_s=5.0)
            return
        except ServiceError:
            if time.monotonic() - started > _READY_TIMEOUT_S:
                raise
            await asyncio.sleep(_LOOK_EVERY_S)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
