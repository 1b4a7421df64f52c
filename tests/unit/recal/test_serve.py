"""`recal serve`: what it says, what can be pasted, and that it stops when it is told to."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator

import pytest
from rich.console import Console

from recal.serve import paste_lines, serve
from services.client import RecalClient
from services.edge.main import signalled
from services.edge.server import EdgeServer
from services.errors import ArtefactRefused, NotReady
from services.rpc.call import Call
from services.settings import EdgeSettings, Settings
from services.telemetry import PrometheusMeter
from services.wire.messages import RecalCheckResponse
from services.wire.methods import Method
from services.wire.verdicts import from_verdict
from tests.unit.front_door import INFO, VERDICT

SETTINGS = Settings(edge=EdgeSettings(port=0, metrics_port=0, probe_interval_s=0.05))


class Answers:
    """Answers GetInfo and Check, as soon as it is loaded."""

    def __init__(self, *, loaded: bool = True) -> None:
        self.loaded = loaded

    async def unary(self, method: Method, request: bytes, call: Call) -> bytes:
        if not self.loaded:
            raise NotReady("no readout is loaded yet; retry")
        if method.name == "GetInfo":
            return INFO.SerializeToString()
        verdict = from_verdict(VERDICT, with_score=False)
        return RecalCheckResponse(verdict=verdict).SerializeToString()

    async def stream(
        self, method: Method, request: bytes, call: Call
    ) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError
        yield b""


class Front:
    """An edge over scripted answers, which may take long to start, or fail to."""

    def __init__(
        self,
        answers: Answers | None = None,
        *,
        error: Exception | None = None,
        starts_in_s: float = 0.0,
    ) -> None:
        self.answers = answers or Answers()
        self.server = EdgeServer(self.answers, SETTINGS.edge, PrometheusMeter())
        self.stopped = 0
        self._error = error
        self._starts_in_s = starts_in_s

    async def start(self) -> None:
        await asyncio.sleep(self._starts_in_s)
        if self._error is not None:
            raise self._error
        await self.server.start()

    async def stop(self) -> None:
        self.stopped += 1
        await self.server.stop(0.1)


class Served:
    """`serve` running beside the test."""

    def __init__(self, front: Front) -> None:
        self.out = io.StringIO()
        self.told_to_stop = asyncio.Event()
        console = Console(file=self.out, width=300)
        self.task = asyncio.create_task(serve(front, SETTINGS, console, until=self._until))

    async def _until(self) -> None:
        await self.told_to_stop.wait()

    async def until_said(self, words: str) -> str:
        async with asyncio.timeout(10):
            while words not in self.out.getvalue():
                await asyncio.sleep(0.01)
        return self.out.getvalue()

    async def stop(self) -> None:
        self.told_to_stop.set()
        await asyncio.wait_for(self.task, 10)


async def test_it_says_where_it_listens_and_what_it_serves() -> None:
    front = Front()
    served = Served(front)
    said = await served.until_said("grpcurl")
    await served.stop()
    assert f"listening on 127.0.0.1:{front.server.port}" in said
    assert f"ready: organism ({INFO.notice}), organism@1" in said
    assert "2 languages: en sw" in said
    assert front.stopped == 1


async def test_the_pasted_address_answers() -> None:
    served = Served(Front())
    said = await served.until_said("grpcurl")
    line = next(line for line in said.splitlines() if line.startswith("recal ask"))
    target = shlex.split(line)[3]
    async with RecalClient(target) as client:
        assert (await client.get_info()).model == "organism"
    await served.stop()


async def test_it_is_ready_only_once_the_line_answers() -> None:
    front = Front(Answers(loaded=False))
    served = Served(front)
    await served.until_said("not ready yet")
    await asyncio.sleep(0.2)
    assert "\nready:" not in served.out.getvalue()
    front.answers.loaded = True
    await served.until_said("\nready:")
    await served.stop()


async def test_it_stops_while_it_is_still_waiting_to_be_ready() -> None:
    front = Front(Answers(loaded=False))
    served = Served(front)
    await served.until_said("listening")
    await served.stop()
    assert front.stopped == 1


async def test_it_stops_while_it_is_still_loading() -> None:
    served = Served(Front(starts_in_s=60.0))
    await asyncio.sleep(0.05)
    await served.stop()


async def test_an_error_at_the_start_is_raised() -> None:
    served = Served(Front(error=ArtefactRefused("there is no directory `x`")))
    with pytest.raises(ArtefactRefused):
        await asyncio.wait_for(served.task, 10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    front, console = Front(), Console(file=io.StringIO())
    task = asyncio.create_task(serve(front, SETTINGS, console, until=signalled))
    await asyncio.sleep(0.1)
    os.kill(os.getpid(), number)
    await asyncio.wait_for(task, 10)
    assert front.stopped == 1


def test_the_pasted_lines_are_what_a_shell_reads() -> None:
    ask, curl = map(shlex.split, paste_lines(Settings(), "127.0.0.1:1"))
    assert ask[:4] == ["recal", "ask", "--target", "127.0.0.1:1"]
    assert json.loads(curl[curl.index("-d") + 1])["prompt"] == ask[4]
    assert curl[-2:] == ["127.0.0.1:1", "recal.v1.Recal/Generate"]


def test_without_reflection_grpcurl_is_given_the_contract() -> None:
    settings = Settings(edge=EdgeSettings(reflection=False))
    assert "-proto recal.proto" in paste_lines(settings, "x:1")[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "70000"], "--port 70000"),
        (["--metrics-port", "-1"], "--metrics-port -1"),
        (["--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--edge"], "RECAL_EDGE__BACKEND"),
        (["--edge", "--embedded"], "give one of them"),
    ],
)
def test_bad_options_end_with_one_line(options: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recal", "serve", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_backbone_is_said_before_ray_starts(tmp_path: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recal", "serve", "--ray"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RECAL_BACKBONE__NAME_OR_PATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 2
    assert "config.json" in done.stderr
