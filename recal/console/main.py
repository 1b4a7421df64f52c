"""The console as a process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import typer
import uvicorn

from recal.console.app import Aliases, Reader, console
from recal.console.numbers import Numbers
from recal.evaluation.pictures.ink import refuse_without_matplotlib
from services.settings import SettingsError


def run_console(numbers: Numbers, aliases: Callable[[], Aliases], *, host: str, port: int) -> None:
    """Serve until the process is told to stop.

    Raises:
        SettingsError: the port is taken.
        ValueError: matplotlib is not installed.
    """
    refuse_without_matplotlib()
    listening = listen(host, port)
    number = listening.getsockname()[1]
    app = console(Reader(numbers, aliases))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    )
    typer.echo(f"http://{host}:{number} (Ctrl-C ends it)")
    asyncio.run(server.serve(sockets=[listening]))


def listen(host: str, port: int) -> socket.socket:
    """A socket that nobody else has.

    Raises:
        SettingsError: the port is taken.
    """
    try:
        return socket.create_server((host, port))
    except OSError:
        raise SettingsError(
            f"cannot listen on `{host}:{port}`; free the port, or give another with `--port`"
        ) from None
