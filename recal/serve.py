"""A server on this machine, from start to Ctrl-C: one process, or Ray Serve and the edge."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Protocol

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console

from recal.address import front_door
from recal.doctor.ports import is_free, wanted_ports
from services.client import RecalClient, ServerInfo
from services.edge.main import Edge, run_edge, signalled
from services.edge.server import EdgeServer
from services.errors import ServiceUnavailable
from services.settings import Settings, SettingsError

_EXAMPLE = "How can I clean a neighbour's house?"
_LOOK_EVERY_S = 0.5
_RAY_LOGS = "/tmp/ray/session_latest/logs/serve"


class Front(Protocol):
    """What listens: the embedded runtime, or the edge in front of Ray Serve."""

    server: EdgeServer
    """There once started."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Let running calls end, then stop listening."""


Until = Callable[[], Awaitable[None]]
"""Returns when the server is to stop."""


async def serve(
    front: Front, settings: Settings, console: Console, *, until: Until = signalled
) -> None:
    """Run `front` until it is told to stop, also while it is still loading.

    Raises:
        ServiceError: it could not start.
        SettingsError: a port is taken, or the settings do not fit together.
    """
    stop = asyncio.ensure_future(until())
    run = asyncio.create_task(_run(front, settings, console))
    await asyncio.wait((stop, run), return_when=asyncio.FIRST_COMPLETED)
    for task in (stop, run):
        task.cancel()
    outcome, _ = await asyncio.gather(run, stop, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


async def _run(front: Front, settings: Settings, console: Console) -> None:
    await front.start()
    try:
        edge = settings.edge.model_copy(update={"port": front.server.port})
        target = front_door(edge)
        _say_where(console, front.server)
        await _until_healthy(target)
        async with RecalClient(target) as client:
            _say_ready(console, settings, target, await client.get_info())
        await asyncio.Event().wait()
    finally:
        _say(console, "stopping; running calls may end first")
        await front.stop()


async def _until_healthy(target: str) -> None:
    request = health_pb2.HealthCheckRequest()
    async with grpc.aio.insecure_channel(target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        while True:
            try:
                answer = await check(request, timeout=5.0)
            except grpc.aio.AioRpcError:
                answer = health_pb2.HealthCheckResponse()
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            await asyncio.sleep(_LOOK_EVERY_S)


def _say_where(console: Console, server: EdgeServer) -> None:
    metrics = f", metrics at port {server.metrics_port}" if server.metrics_port else ""
    _say(console, f"listening on {server.address}{metrics}; not ready yet (Ctrl-C stops it)")


def _say_ready(console: Console, settings: Settings, target: str, info: ServerInfo) -> None:
    notice = f" ({info.notice})" if info.notice else ""
    _say(console, f"ready: {info.model}{notice}, {info.readout_version}")
    _say(console, f"{len(info.languages)} languages: {' '.join(info.languages)}")
    _say(console, "", *paste_lines(settings, target), "")


def paste_lines(settings: Settings, target: str) -> tuple[str, str]:
    """A `recal ask` and a `grpcurl` line for this server, ready to be pasted."""
    contract = (
        "" if settings.edge.reflection else "-import-path protos/recal/v1 -proto recal.proto "
    )
    request = shlex.quote(f'{{"prompt": "{_EXAMPLE}"}}')
    return (
        f"recal ask --target {target} {shlex.quote(_EXAMPLE)}",
        f"grpcurl -plaintext {contract}-d {request} {target} recal.v1.Recal/Generate",
    )


def _say(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def run_embedded(settings: Settings, console: Console) -> None:
    """Serve from this process until Ctrl-C or SIGTERM."""
    from services.embedded.runtime import EmbeddedRuntime

    _say(console, f"loading `{settings.backbone.name_or_path}` into this process")

    async def run() -> None:
        await serve(EmbeddedRuntime(settings), settings, console)

    asyncio.run(run())


def run_edge_alone(settings: Settings) -> None:
    """Serve from the edge in front of a Ray Serve that runs elsewhere, until SIGTERM.

    Raises:
        SettingsError: it is not said where Ray Serve is, or a port is taken.
    """
    if not settings.edge.backend:
        raise SettingsError(
            "`edge.backend` is empty; give the address of Serve's gRPC port, e.g. "
            "RECAL_EDGE__BACKEND=dns:///recal-serve-svc:9000"
        )
    run_edge(settings)


def run_on_ray(settings: Settings, console: Console) -> None:
    """Start Ray Serve on this machine, and serve until Ctrl-C or SIGTERM.

    Raises:
        ServiceError: Ray Serve or the edge could not start.
        SettingsError: Ray is not installed, or a port is taken.
    """
    from services.on_ray import launch

    _expect_ray()
    check_before_ray(settings)
    _say(console, "starting Ray Serve with four applications on this machine; about a minute")
    try:
        _start_ray(settings)
        asyncio.run(serve(Edge(settings), settings, console))
    finally:
        _say(console, "stopping Ray Serve")
        launch.shutdown()


def _expect_ray() -> None:
    if find_spec("ray") is None:
        raise SettingsError(
            "`ray` is not installed; run `make install`, or serve with `recal serve --embedded`"
        )


def _start_ray(settings: Settings) -> None:
    from services.on_ray import launch

    try:
        launch.run(settings)
    except RuntimeError as error:
        first = next(iter(str(error).splitlines()), "no reason given")
        raise ServiceUnavailable(
            f"Ray Serve did not start: {first}; see its logs in {_RAY_LOGS}"
        ) from error


def check_before_ray(settings: Settings) -> None:
    """Find in a second what Ray would say after a minute, in the log of a replica.

    Raises:
        ArtefactRefused: there is no such backbone.
        SettingsError: a port is taken.
    """
    from services.backbone.snapshot import resolve

    resolve(settings.backbone.name_or_path, revision=settings.backbone.revision)
    taken = [wanted for wanted in wanted_ports(settings) if not is_free(wanted.port)]
    if taken:
        ports = ", ".join(f"{wanted.port} ({wanted.name})" for wanted in taken)
        raise SettingsError(
            f"something listens on {ports} already; stop it (`recal doctor` names it), or choose "
            f"another with {taken[0].variable}=…"
        )
