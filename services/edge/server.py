"""The transport in front: a grpc.aio server with limits, standard health, reflection, metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.edge.health import Readiness, SelfTest
from services.edge.metrics import MetricsEndpoint
from services.rpc.aio import Handlers
from services.rpc.answerer import Answerer
from services.rpc.call import DeadlineLimits
from services.rpc.ledger import Ledger
from services.settings import EdgeSettings, ServingMode, SettingsError
from services.telemetry import SERVING_INFO, PrometheusMeter
from services.wire.methods import FUSED, GATE, GENERATION, LANGUAGE_ID, RECAL

log = logging.getLogger(__name__)

_RESERVE_S = 0.02
"""Of every deadline: a call that fails by it is told so in words, where gRPC itself has none."""
_HARD_LIMIT = 16
"""gRPC itself cuts messages of this many times the limit, by default its own 4 MiB; below that our
own words are said."""


_GENERATES: Mapping[ServingMode, tuple[str, ...]] = {
    "split": (GENERATION,),
    "fused": (FUSED,),
    "sidecar": (),
}


def exposed(settings: EdgeSettings, mode: ServingMode) -> tuple[str, ...]:
    """The services that callers may reach, of those that a mode deploys."""
    if not settings.internal_services:
        return (RECAL,)
    return (RECAL, LANGUAGE_ID, GATE, *_GENERATES[mode])


class EdgeServer:
    """Listens from `start` to `stop`; NOT_SERVING until the self-test passes."""

    def __init__(
        self,
        answerer: Answerer,
        settings: EdgeSettings,
        meter: PrometheusMeter,
        *,
        mode: ServingMode = "split",
    ) -> None:
        """Put `answerer` on the wire.

        Args:
            answerer: answers the calls.
            settings: addresses and limits.
            meter: what the metrics endpoint shows.
            mode: which services there are.
        """
        self._settings = settings
        self._meter = meter
        self._answerer = answerer
        self._services = exposed(settings, mode)
        meter.gauge(SERVING_INFO, 1.0, mode=mode, software_version=version("recal-gate"))
        self.readiness = Readiness(
            self._services, SelfTest(answerer), interval_s=settings.probe_interval_s
        )
        self._server: grpc.aio.Server | None = None
        self._watch: asyncio.Task[None] | None = None
        self._metrics: MetricsEndpoint | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """`host:port`, once started."""
        return f"{self._settings.host}:{self.port}"

    @property
    def metrics_port(self) -> int | None:
        """Port of the metrics endpoint, once started."""
        return None if self._metrics is None else self._metrics.port

    async def start(self) -> None:
        """Listen.

        Raises:
            SettingsError: a port is taken.
        """
        server = self._build()
        self.port = _bind(server, self._settings)
        if self._settings.metrics_port is not None:
            self._metrics = _endpoint(self._settings, self._settings.metrics_port, self._meter)
        await self.readiness.begin()
        await server.start()
        self._server = server
        await self.readiness.look()
        self._watch = asyncio.create_task(self.readiness.watch())
        log.info("listening on %s", self.address)

    async def stop(self, grace_s: float | None = None) -> None:
        """Say NOT_SERVING, let running calls end, then cancel them.

        Args:
            grace_s: how long they may run on; None: `edge.drain_s`.
        """
        await self.readiness.leave()
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._server is not None:
            await self._server.stop(self._settings.drain_s if grace_s is None else grace_s)
        if self._metrics is not None:
            await asyncio.to_thread(self._metrics.stop)

    def _build(self) -> grpc.aio.Server:
        settings = self._settings
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", _HARD_LIMIT * settings.max_request_bytes),
                ("grpc.so_reuseport", 0),  # or a second server would silently share the port
            ),
        )
        handlers = Handlers(
            self._answerer,
            frozenset(self._services),
            Ledger(self._meter),
            max_request_bytes=settings.max_request_bytes,
            max_concurrent=settings.max_concurrent,
            deadlines=DeadlineLimits(
                settings.default_deadline_s, settings.max_deadline_s, _RESERVE_S
            ),
        )
        server.add_generic_rpc_handlers((handlers,))
        health_pb2_grpc.add_HealthServicer_to_server(self.readiness.servicer, server)
        if settings.reflection:
            health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            names = (*self._services, health_name, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        return server


def _bind(server: grpc.aio.Server, settings: EdgeSettings) -> int:
    address = f"{settings.host}:{settings.port}"
    try:
        return server.add_insecure_port(address)
    except RuntimeError:
        raise SettingsError(
            f"cannot listen on `{address}`; free the port, or set `edge.host` and `edge.port`"
        ) from None


def _endpoint(settings: EdgeSettings, port: int, meter: PrometheusMeter) -> MetricsEndpoint:
    try:
        return MetricsEndpoint(meter.registry, settings.host, port)
    except OSError:
        raise SettingsError(
            f"cannot listen on `{settings.host}:{port}` for metrics; free the port, or set "
            "`edge.metrics_port`"
        ) from None
