"""The console on a port of its own, over a made-up fleet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn

from recal.console.app import Reader, console
from recal.console.main import listen
from tests.unit.recal.console.stage import ALIASES, NOW, Fleet, Shown


@contextmanager
def served_console(fleet: Fleet) -> Iterator[str]:
    """Its address."""
    app = console(Reader(Shown(fleet), lambda: ALIASES, clock=lambda: NOW))
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
