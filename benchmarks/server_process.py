"""Recal served by a process of its own, so that who measures does not share its interpreter."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import yaml

from services.client import RecalClient
from services.errors import ServiceError
from services.settings import Settings


@asynccontextmanager
async def server(settings: Settings, folder: Path) -> AsyncIterator[psutil.Process]:
    """`recal serve --embedded` as a process of its own, once it answers."""
    config = folder / "settings.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json")), encoding="utf-8")
    command = [sys.executable, "-m", "recal", "serve", "--embedded", "--config", str(config)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
    try:
        await _until_it_answers(settings, process)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


async def _until_it_answers(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    async with RecalClient(address_of(settings)) as client:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with code {process.returncode}")
            try:
                await client.get_info(timeout_s=2.0)
            except ServiceError:
                await asyncio.sleep(0.5)
            else:
                return


def address_of(settings: Settings) -> str:
    """Where it answers."""
    return f"{settings.edge.host}:{settings.edge.port}"
