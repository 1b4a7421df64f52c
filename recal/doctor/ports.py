"""The ports that a deployment listens on: free, held by Recal, or taken by something else."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from recal.address import front_door
from recal.doctor.finding import Finding, fail, ok
from services.client import RecalClient
from services.errors import ServiceError
from services.settings import Settings

_PATIENCE_S = 2.0
_OURS = ("recal", "ray::", "raylet", "haproxy", "serve")
"""How the processes of a running deployment are called, where they are no front door to ask."""


_HAPROXY_PORTS = (
    ("HAProxy's metrics", "RAY_SERVE_HAPROXY_METRICS_PORT", 9101),
    ("HAProxy's statistics", "RAY_SERVE_HAPROXY_STATS_PORT", 8404),
    ("Serve's fallback proxy", "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT", 9500),
)
"""What Ray Serve opens beside our own ports in high-throughput mode, with Ray's own defaults. A
clash on the first leaves Serve starting for minutes."""


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port that a deployment will listen on."""

    name: str
    """The setting that chooses it, or what it is for."""
    variable: str
    """The environment variable that chooses it."""
    port: int
    target: str | None = None
    """Address of the front door behind it; None where it speaks something else."""


def wanted_ports(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[WantedPort]:
    """Every port that the settings name; 0 takes a free one and is left out."""
    edge, serve = settings.edge, settings.serve
    target = front_door(edge) if edge.port else None
    ports = [
        WantedPort("`edge.port`", "RECAL_EDGE__PORT", edge.port, target),
        WantedPort("`edge.metrics_port`", "RECAL_EDGE__METRICS_PORT", edge.metrics_port or 0),
        WantedPort(
            "`serve.grpc_port`", "RECAL_SERVE__GRPC_PORT", serve.grpc_port, settings.backend
        ),
        WantedPort("`serve.http_port`", "RECAL_SERVE__HTTP_PORT", serve.http_port),
    ]
    if serve.high_throughput:
        ports += [
            WantedPort(name, variable, int(environ.get(variable, default)))
            for name, variable, default in _HAPROXY_PORTS
        ]
    return [port for port in ports if port.port]


def is_free(port: int) -> bool:
    """True when nothing listens on the port on this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """The process that listens on a port; empty where this user may not know."""
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        pids = [c.pid for c in listening if c.laddr and c.laddr.port == port and c.pid]
        return " ".join(psutil.Process(pids[0]).cmdline())[:80] if pids else ""
    except psutil.Error:
        return ""


async def model_of(target: str) -> str | None:
    """The model that a front door serves, None when there is none at the address."""
    async with RecalClient(target, timeout_s=_PATIENCE_S, retries=0) as client:
        try:
            return (await client.get_info()).model
        except ServiceError:
            return None


def _model_at(target: str) -> str | None:
    return asyncio.run(model_of(target))


def judge_port(
    wanted: WantedPort,
    *,
    free: Callable[[int], bool] = is_free,
    model: Callable[[str], str | None] = _model_at,
    held_by: Callable[[int], str] = holder,
) -> Finding:
    """Whether a deployment can have the port, or has it."""
    name = f"port {wanted.port} ({wanted.name})"
    if free(wanted.port):
        return ok("ports", f"{name} is free")
    served = model(wanted.target) if wanted.target else None
    if served is not None:
        return ok("ports", f"{name}: Recal answers, serving `{served}`")
    command = held_by(wanted.port)
    if any(word in command for word in _OURS):
        return ok("ports", f"{name} is held by a running deployment")
    return fail(
        "ports",
        f"{name} is taken by {f'`{command}`' if command else 'another process'}",
        f"stop it, or choose another port with {wanted.variable}=…",
    )
