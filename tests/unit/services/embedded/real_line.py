"""The whole embedded line with real services over a random model, and a client's view of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from services.backbone.load import load_backbone
from services.embedded.runtime import EmbeddedRuntime, Load, load_line
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.readout.artefact import save_calibration, save_readout
from services.settings import (
    BackboneSettings,
    EdgeSettings,
    GenerationSettings,
    RegistrySettings,
    Settings,
)
from tests.unit.services.tiny import tiny_calibration, tiny_readout

ENGLISH = "How do I bake a loaf of bread at home without an oven?"
GERMAN = "Wie backe ich zu Hause ein Brot, wenn ich keinen Ofen habe?"


def save_artefacts(checkpoint: Path, directory: Path) -> Path:
    """English is left alone whatever its score, German steered."""
    readout = save_readout(tiny_readout(load_backbone(str(checkpoint))), directory / "readout")
    for language, steer in (("en", 1e6), ("de", -1e6)):
        calibration = tiny_calibration(readout, language, steer=steer, release=None)
        save_calibration(calibration, directory / "calibrations" / language)
    return directory


def settings_for(
    checkpoint: Path, artefacts: Path, *, poll_s: float = 600, **sections: Any
) -> Settings:
    """Settings of a line that reads artefacts from a directory; `sections` replace others."""
    defaults = {
        "backbone": BackboneSettings(name_or_path=str(checkpoint)),
        "registry": RegistrySettings(
            source="directory", directory=artefacts, poll_interval_s=poll_s
        ),
        "generation": GenerationSettings(default_max_tokens=8, max_tokens=128),
        "edge": EdgeSettings(port=0, metrics_port=None, internal_services=True),
        "state_dir": artefacts.with_name(f"{artefacts.name}-state"),
    }
    return Settings(**{**defaults, **sections})


@asynccontextmanager
async def started(settings: Settings, load: Load = load_line) -> AsyncIterator[EmbeddedRuntime]:
    """Start everything, and stop it whatever happens."""
    runtime = EmbeddedRuntime(settings, load=load)
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.stop(grace_s=0.1)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[grpc.aio.Channel]:
    """Start everything and connect."""
    async with (
        started(settings) as runtime,
        grpc.aio.insecure_channel(runtime.address) as channel,
    ):
        yield channel


async def generate(channel: grpc.aio.Channel, prompt: str, **sampling: Any) -> list[Any]:
    """Every frame of an answer."""
    request = pb.RecalGenerateRequest(prompt=prompt, sampling=pb.Sampling(**sampling))
    return [frame async for frame in pb_grpc.RecalStub(channel).Generate(request, timeout=30)]


async def until(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Wait until a look gives what is wanted."""
    async with asyncio.timeout(10):
        while await look() != wanted:
            await asyncio.sleep(0.05)
