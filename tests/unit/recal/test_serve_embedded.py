"""`recal serve --embedded` as a user runs it: started, asked with its own line, stopped."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from services.backbone.load import load_backbone
from services.readout.artefact import save_calibration, save_readout
from tests.unit.services.audit.entries import lines_below
from tests.unit.services.tiny import build_checkpoint, tiny_calibration, tiny_readout

RECAL = (sys.executable, "-m", "recal")
PIPE = asyncio.subprocess.PIPE


class Running(NamedTuple):
    """A server, and the lines that it printed until it was ready."""

    process: asyncio.subprocess.Process
    lines: list[str]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a random model whose gate leaves English alone."""
    directory = tmp_path_factory.mktemp("served")
    checkpoint = build_checkpoint("qwen2", directory / "tiny")
    readout = tiny_readout(load_backbone(str(checkpoint)))
    readout = save_readout(readout, directory / "artefacts" / "readout")
    calibration = tiny_calibration(readout, "en", steer=1e6, release=None)
    save_calibration(calibration, directory / "artefacts" / "calibrations" / "en")
    content = {
        "backbone": {"name_or_path": str(checkpoint)},
        "registry": {"source": "directory", "directory": str(directory / "artefacts")},
        "generation": {"default_max_tokens": 4},
        "state_dir": str(directory / "state"),
    }
    path = directory / "recal.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@asynccontextmanager
async def running(config: Path) -> AsyncIterator[Running]:
    options = ("--embedded", "--config", str(config), "--port", "0", "--metrics-port", "0")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RECAL_")}
    process = await asyncio.create_subprocess_exec(
        *(*RECAL, "serve", *options),
        stdout=PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(60):
            while not any(line.startswith("grpcurl") for line in lines):
                raw = await process.stdout.readline()
                assert raw, f"the server ended early: {lines}"
                lines.append(raw.decode().rstrip("\n"))
        yield Running(process, lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_line_that_it_prints_gets_an_answer_and_ctrl_c_ends_it(config: Path) -> None:
    async with running(config) as server:
        (line,) = (line for line in server.lines if line.startswith("recal ask"))
        asked = await asyncio.create_subprocess_exec(
            *(*RECAL, *shlex.split(line)[1:]), stdout=PIPE, stderr=PIPE
        )
        out, err = await asyncio.wait_for(asked.communicate(), 60)
        server.process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(server.process.wait(), 30)
    assert (asked.returncode, err) == (0, b"")
    assert b"en NONE by score" in out
    assert b"+ 4 tokens, max tokens" in out
    assert code == 0
    # by default what was decided is kept, below `state_dir`
    kept = [each for each in lines_below(config.parent / "state" / "audit") if is_asked(each)]
    assert [(each["rpc"], each["language"], each["action"]) for each in kept] == [
        ("Generate", "en", "none")
    ]


def is_asked(entry: dict[str, Any]) -> bool:
    """Not the server's own question."""
    return bool(entry["request_id"] != "self-test")
