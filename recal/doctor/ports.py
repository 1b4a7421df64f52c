"""The ports that a deployment listens on: free, held by Recal, or taken by something else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
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


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port that a deployment will listen on."""

    setting: str
    """The setting that chooses it, e.g. `edge.port`."""
    port: int
    target: str | None = None
    """Address of the front door behind it; None where it speaks something else."""

    @property
    def variable(self) -> str:
        """The environment variable that chooses it."""
        return f"RECAL_{self.setting.replace('.', '__').upper()}"


def wanted_ports(settings: Settings) -> list[WantedPort]:
    """Every port that the settings name; 0 takes a free one and is left out."""
    ports = [
        WantedPort("edge.port", settings.edge.port, _target(settings)),
        WantedPort("edge.metrics_port", settings.edge.metrics_port or 0),
        WantedPort("serve.grpc_port", settings.serve.grpc_port, settings.backend),
        WantedPort("serve.http_port", settings.serve.http_port),
    ]
    return [port for port in ports if port.port]


def _target(settings: Settings) -> str | None:
    return front_door(settings.edge) if settings.edge.port else None


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
    name = f"port {wanted.port} (`{wanted.setting}`)"
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
