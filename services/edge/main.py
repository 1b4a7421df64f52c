"""The edge in front of Ray Serve, as a process."""

from __future__ import annotations

import asyncio
import signal

from services.edge.forward import ForwardAnswerer
from services.edge.server import EdgeServer
from services.rpc.stubs import open_channel
from services.settings import Settings
from services.telemetry import PrometheusMeter
from services.threads import use_threads


class Edge:
    """Listens for callers and forwards to Serve, from `start` to `stop`."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is opened yet."""
        self._settings = settings
        self._meter = PrometheusMeter()

    async def start(self) -> None:
        """Listen. Callers get UNAVAILABLE while Serve is away, and health says so.

        Raises:
            SettingsError: a port is taken.
        """
        use_threads(self._settings.threads, self._meter)
        self._channel = open_channel(self._settings.backend)
        self.server = EdgeServer(
            ForwardAnswerer(self._channel),
            self._settings.edge,
            self._meter,
            mode=self._settings.mode,
        )
        try:
            await self.server.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening and hang up."""
        await self.server.stop()
        await self._channel.close(None)


async def signalled() -> None:
    """Wait for SIGTERM or SIGINT."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    await done.wait()


async def serve_edge(settings: Settings) -> None:
    """Run the edge until the process is told to stop."""
    edge = Edge(settings)
    await edge.start()
    try:
        await signalled()
    finally:
        await edge.stop()


def run_edge(settings: Settings) -> None:
    """Run the edge until the process is told to stop."""
    asyncio.run(serve_edge(settings))
